"""Real files to share: what every Python installation and this project bring along."""

import io
import shutil
import sysconfig
import tarfile
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
_STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


def license_text(to: Path) -> Path:
    """This project's licence."""
    return _copy(_PROJECT / "LICENSE", to)


def module(name: str, to: Path) -> Path:
    """A module of the standard library, say "json/decoder.py"."""
    return _copy(_STANDARD_LIBRARY / name, to)


def package(name: str, to: Path) -> list[Path]:
    """The modules of a package of the standard library, as a folder."""
    found = sorted((_STANDARD_LIBRARY / name).glob("*.py"))
    return [_copy(path, to / path.name) for path in found]


def archive(to: Path, at_least: int) -> Path:
    """An uncompressed tar of the standard library's modules, over and over until it has `at_least` bytes."""
    to.parent.mkdir(parents=True, exist_ok=True)
    modules = sorted(_STANDARD_LIBRARY.glob("*.py"))
    with tarfile.open(to, "w") as tar:
        rounds = 0
        while to.stat().st_size < at_least:
            for path in modules:
                _add(tar, f"{rounds}/{path.name}", path.read_bytes())
            rounds += 1
    return to


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _copy(source: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    return to
