"""The committed stubs are those of the committed locator.proto."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUBS = ("locator_pb2.py", "locator_pb2.pyi", "locator_pb2_grpc.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stubs made anew, in a process of its own: protoc would leave the descriptors in this one."""
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "protos").mkdir()
    shutil.copy(ROOT / "protos" / "locator.proto", folder / "protos")
    outputs = ["--python_out=.", "--pyi_out=.", "--grpc_python_out=."]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, "protos/locator.proto"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder / "protos"


@pytest.mark.parametrize("stub", STUBS)
def test_the_stub_is_what_the_proto_makes(made: Path, stub: str) -> None:
    assert (made / stub).read_text() == (ROOT / "protos" / stub).read_text(), "run `make protos`"


def test_no_other_stub_is_made(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"locator.proto", *STUBS}
