"""What the benchmarks ran on, in words, without saying which machine it is."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TOOLS = {"nginx": ["nginx", "-v"], "curl": ["curl", "--version"], "aria2": ["aria2c", "--version"]}


def facts() -> dict[str, str]:
    """Name and value of each fact."""
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores ({platform.machine()})",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "TCP congestion control": _congestion_control(),
        "Python": platform.python_version(),
        "tools": ", ".join([*filter(None, map(_tool_version, _TOOLS)), _libtorrent_version()]),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _congestion_control() -> str:
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown"


def _tool_version(tool: str) -> str:
    if shutil.which(_TOOLS[tool][0]) is None:
        return f"no {tool}"
    ended = subprocess.run(_TOOLS[tool], capture_output=True, text=True, check=False)
    first = (ended.stdout or ended.stderr).splitlines()[0]
    found = [word.rpartition("/")[2] for word in first.split() if word.rpartition("/")[2][:1].isdigit()]
    return f"{tool} {found[0]}" if found else tool


def _libtorrent_version() -> str:
    try:
        return f"libtorrent {version('libtorrent')}"
    except PackageNotFoundError:
        return "no libtorrent"
