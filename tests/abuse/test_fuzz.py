"""Machines make up what strangers may send: nothing but the documented refusals comes of it.

Hypothesis mutates right inputs and invents wrong ones; atheris, where it has a wheel, steers by coverage. Each target
gets FUZZ_SECONDS of it (10; 60 for a longer look).
"""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.abuse.fuzz_seeds import SEEDS
from tests.abuse.fuzz_targets import TARGETS
from tests.abuse.fuzzing import FUZZ_SECONDS

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(FUZZ_SECONDS + 300)]

ROOT = Path(__file__).parents[2]
NO_ATHERIS = importlib.util.find_spec("atheris") is None
EVERY_TARGET = pytest.mark.parametrize("name", sorted(TARGETS))


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A right input in which a few spans were replaced by anything, or anything at all."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 16)))
        data = data[:start] + draw(st.binary(max_size=16) | st.sampled_from([b"0", b"-", b"9" * 30])) + data[end:]
    return data


def test_each_target_has_seeds_that_it_takes() -> None:
    assert SEEDS.keys() == TARGETS.keys()
    for name, seeds in SEEDS.items():
        for seed in [b"", *seeds]:
            TARGETS[name](seed)


@EVERY_TARGET
def test_hypothesis_finds_no_crash(name: str) -> None:
    target, until = TARGETS[name], time.monotonic() + FUZZ_SECONDS

    @settings(max_examples=100 * FUZZ_SECONDS, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(mutated(SEEDS[name]) | st.binary(max_size=300) | st.text().map(lambda text: text.encode("utf-8", "replace")))
    def attack(data: bytes) -> None:
        if time.monotonic() < until:
            target(data)

    attack()


@pytest.mark.skipif(NO_ATHERIS, reason="atheris has no wheel for this machine; Hypothesis alone looks for crashes")
@EVERY_TARGET
def test_atheris_finds_no_crash(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    limits = [f"-max_total_time={FUZZ_SECONDS}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=2048"]
    command = [
        sys.executable,
        "-m",
        "tests.abuse.fuzz_process",
        name,
        *limits,
        f"-artifact_prefix={tmp_path}/",
        str(corpus),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=FUZZ_SECONDS + 120, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "Done" in done.stderr, done.stderr[-2000:]
