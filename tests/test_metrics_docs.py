"""The metrics against what is written of them: docs/METRICS.md, the dashboard and the alert rules."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("central_server/metrics.py", "pserver/running/metrics.py")
_NAME = re.compile(r"\bp2p_(?:locator|peer)_[a-z_]+[a-z]\b")
_QUOTED = re.compile(r'"(p2p_(?:locator|peer)(?:_[a-z_]+[a-z])?)"')
_SERIES = ("_bucket", "_count", "_sum")  # of a histogram or summary


def metrics() -> set[str]:
    """All that the code shows, as Prometheus calls it."""
    found = {name for source in SOURCES for name in _QUOTED.findall((ROOT / source).read_text())}
    return {f"{name}_info" if name in {"p2p_locator", "p2p_peer"} else name for name in found}


def base(name: str) -> str:
    """The metric that a series is of."""
    return next((name.removesuffix(end) for end in _SERIES if name.removesuffix(end) in metrics()), name)


def expressions(part: Any) -> Iterator[str]:  # Any: JSON
    """All that a dashboard asks for."""
    if isinstance(part, dict):
        yield from ([part["expr"]] if "expr" in part else [])
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from expressions(one)


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    assert set(_NAME.findall((ROOT / "docs" / "METRICS.md").read_text())) == metrics()


def test_names_keep_to_the_rules() -> None:
    for source, prefix in zip(SOURCES, ("p2p_locator", "p2p_peer"), strict=True):
        code = (ROOT / source).read_text()
        assert {name for name in _QUOTED.findall(code) if not name.startswith(prefix)} == set()
        counters = re.findall(r'Counter(?:MetricFamily)?\(\s*"([a-z0-9_]+)"', code)
        assert counters and [name for name in counters if not name.endswith("_total")] == []


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yml"])
def test_what_is_asked_of_prometheus_exists(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    asked = "\n".join(expressions(json.loads(text))) if name.endswith(".json") else text
    found = {base(one) for one in _NAME.findall(asked)}
    assert len(found) > 8
    assert found <= metrics()


def test_the_dashboard_shows_nearly_all() -> None:
    shown = {base(one) for one in _NAME.findall((ROOT / "docs" / "grafana.json").read_text())}
    assert metrics() - shown <= {"p2p_locator_info", "p2p_peer_info", "p2p_peer_scanning", "p2p_peer_share_watched"}


def test_panels_of_the_dashboard_have_places_of_their_own() -> None:
    panels = json.loads((ROOT / "docs" / "grafana.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridPos"]
        across, down = (range(grid[at], grid[at] + grid[size]) for at, size in (("x", "w"), ("y", "h")))
        cells = {(x, y) for x in across for y in down}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
