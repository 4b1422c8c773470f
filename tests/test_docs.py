"""The docs against the code: every setting, command, route and make target is there, and none that does not exist."""

import re
from pathlib import Path

import pytest
from click import Group

from central_server.check import check as check_locator
from central_server.settings import read_settings as read_locator
from pclient.commands import pclient as cli
from pserver.api import account_api, client_api, peer_api
from pserver.running.check import check as check_peer
from pserver.settings import read_settings as read_peer

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
REST = (ROOT / "docs" / "REST.md").read_text()
_SETTING = re.compile(r"\b(?:LOCATOR|PSERVER|PCLIENT)_[A-Z_]+[A-Z]\b")
_INTERNAL = {"LOCATOR_AUDIENCE"}  # constants that only look like settings


def _settings_in(*paths: str) -> set[str]:
    found: set[str] = set()
    for path in paths:
        found |= set(_SETTING.findall((ROOT / path).read_text()))
    return found - _INTERNAL


def _code_settings() -> set[str]:
    return _settings_in("central_server/settings.py", "pserver/settings.py", "pserver/bounds.py", "pclient/settings.py")


def test_every_setting_is_in_the_readme() -> None:
    written = set(_SETTING.findall(README))
    assert not {name for name in _code_settings() if not {name, name.removesuffix("_FILE")} & written}


def test_the_docs_name_no_setting_that_does_not_exist() -> None:
    written = _settings_in("README.md", ".env.example", "docs/ARCHITECTURE.md", "docs/REST.md")
    known = _code_settings()
    assert not {name for name in written if name not in known and name.removesuffix("_FILE") not in known}


def test_check_calls_values_by_their_settings() -> None:
    peer, _ = check_peer(read_peer({}))
    locator, _ = check_locator(read_locator({"LOCATOR_ACCOUNTS": "on"}))
    shown = [line.split("  ")[0] for line in [*peer, *locator] if _SETTING.match(line)]
    assert len(shown) == len(set(shown)) > 40
    assert {name.partition(",")[0] for name in shown} <= _code_settings()
    others = [line for line in [*peer, *locator] if not _SETTING.match(line)]
    assert all(line.startswith(("note: ", "problem: ", "all is well", "problems were")) for line in others), others


def test_every_command_is_in_the_readme() -> None:
    assert isinstance(cli, Group)
    missing = [name for name in cli.commands if not re.search(rf"`[^`\n]*\b{name}\b", README)]
    assert not missing


def test_every_route_is_in_the_rest_document() -> None:
    told = re.sub(r"\{[^}]*\}", "{}", REST)
    for routes in (peer_api.routes, client_api.routes, account_api.routes):
        for path in _paths(routes):
            assert re.sub(r"<[^>]*>", "{}", path) in told, path


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", README, re.MULTILINE)) <= targets


@pytest.mark.parametrize("tier", ["protos", "central_server", "pserver"])
def test_every_file_of_a_tier_is_in_the_table_of_rooms(tier: str) -> None:
    rows = re.findall(rf"^\| `{tier}/` \| (.*) \|$", (ROOT / "docs" / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    told = set(re.findall(r"`(\w+)[/`]", rows[0]))
    rooms = {path.parent.name for path in (ROOT / tier).glob("*/__init__.py")} if tier == "central_server" else set()
    files = {path.stem for path in (ROOT / tier).glob("*.py") if "_pb2" not in path.stem and path.stem != "__init__"}
    assert files | rooms == told - ({"locator"} if tier == "protos" else set())


@pytest.mark.parametrize("room", sorted((ROOT / "pserver").glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_every_room_names_its_files(room: Path) -> None:
    told = set(re.findall(r"[a-z_0-9]+", room.read_text().partition("In order of import:")[2]))
    assert {path.stem for path in room.parent.glob("*.py") if path != room} == told


def test_every_link_leads_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            path, _, anchor = target.partition("#")
            to = page.parent / path if path else page
            if "://" not in target and not (to.exists() and (not anchor or anchor in _anchors(to))):
                broken.append(f"{page.name}: {target}")
    assert not broken


def _anchors(page: Path) -> set[str]:
    """What its headings are linked by, where pages of a repository are shown."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _paths(blueprint: object) -> list[str]:
    """The rules that a blueprint was given."""
    from flask import Flask

    app = Flask("docs")
    app.url_map.converters["name"] = app.url_map.converters["path"]
    app.register_blueprint(blueprint)  # type: ignore[arg-type]  # a Blueprint of APIFlask
    return [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
