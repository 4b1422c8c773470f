"""Runs while an image is built: leaves in this virtual environment what the named tiers import, and nothing else.

    slim.py TIER...           such as: slim.py pserver pclient
    slim.py --warm TIER...    import all that, which leaves compiled files beside it, as far as that can be written

What a tier imports is read from its sources (imports inside functions count), and what those libraries in turn need
from their metadata; so there is no list to keep true.
"""

import ast
import contextlib
import importlib
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

SUITE = "p2p-file-sharing-suite"
TIERS = ("central_server", "pserver", "pclient")
_NEVER_NEEDED = ("__pycache__", "tests", "test", "include", "*.pyi", "*.pyx", "*.pxd", "*.h", "*.c")


def main() -> None:
    """Remove the rest; then compile, for in a container nothing can be: its root file system is read-only."""
    site, tiers = Path(sysconfig.get_path("purelib")), [word for word in sys.argv[1:] if word != "--warm"]
    if tiers == sys.argv[1:]:
        slim(site, tiers)
        subprocess.run([sys.executable, __file__, "--warm", *tiers], check=True)
    else:
        warm(site, tiers)


def slim(site: Path, tiers: Sequence[str]) -> None:
    """Remove what these tiers do not need, and all that was compiled."""
    installed = {_canonical(one.metadata["Name"]): one for one in distributions(path=[str(site)])}
    wanted = {name.partition(".")[0] for name in imported(site, tiers)}
    needed = closure(installed, importers(installed, wanted))
    for name, one in installed.items():
        if name not in {*needed, SUITE}:
            remove(one)
    for tier in set(TIERS) - set(tiers):
        shutil.rmtree(site / tier)
    for pattern in _NEVER_NEEDED:
        for path in sorted(site.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def warm(site: Path, tiers: Sequence[str]) -> None:
    """Import whatever the tiers do: what is never imported need not be compiled."""
    for name in sorted(imported(site, tiers)):
        with contextlib.suppress(ImportError):  # `from a import b`: b may be no module; other systems have other ones
            importlib.import_module(name)


def imported(site: Path, tiers: Iterable[str]) -> set[str]:
    """What the sources of these tiers, and those files of `protos` that they use, import; and themselves."""
    files = {file for tier in tiers for file in (site / tier).rglob("*.py")}
    found = {".".join(file.relative_to(site).with_suffix("").parts) for file in files}
    seen: set[Path] = set()
    while files:
        seen.add(file := files.pop())
        names = set(_names(file))
        found |= names
        ours = (site / f"{name.replace('.', '/')}.py" for name in names if name.startswith("protos."))
        files |= {one for one in ours if one.exists()} - seen
    return found


def _names(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(installed: dict[str, Distribution], names: set[str]) -> set[str]:
    """The distributions that have a module or package of such a name. (`google` is of several: all count.)"""
    return {
        found
        for found, one in installed.items()
        for file in one.files or ()
        if file.parts[0].partition(".")[0] in names and file.suffix in {".py", ".so"} and ".." not in file.parts
    } - {SUITE}


def closure(installed: dict[str, Distribution], wanted: set[str]) -> set[str]:
    """Those, and all that they require here, with whatever extras."""
    from packaging.requirements import Requirement  # here, for it may be gone after

    found: set[tuple[str, str]] = set()
    left = {(name, "") for name in wanted}
    while left:
        name, extra = one = left.pop()
        found.add(one)
        for need in map(Requirement, installed[name].requires or ()):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                left |= {(_canonical(need.name), each) for each in ("", *need.extras)} - found
    return {name for name, _extra in found}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def remove(one: Distribution) -> None:
    """Delete its files, and the folders that are empty then."""
    for file in one.files or ():
        path = Path(str(file.locate()))
        path.unlink(missing_ok=True)
        for folder in path.parents[:3]:
            if folder.is_dir() and not set(folder.iterdir()) - {folder / "__pycache__"} and folder.name != "bin":
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
