"""What the settings of all tiers have in common: a misspelt name is told, a secret that lies open, metrics shown to
all."""

import ipaddress
import stat
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

_MOUNTED = Path("/run/secrets")  # containers get their secrets there, readable by everybody inside


class Asked(Mapping[str, str]):
    """An environment that notes which names were asked of it: those are the names of the settings there are."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self._names.add(name)
        return self._environment[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environment)

    def __len__(self) -> int:
        return len(self._environment)

    def unknown(self, prefix: str) -> list[str]:
        """As `unknown`, of what was never asked for. Call it when all was."""
        return unknown(self._environment, prefix, self._names)


def unknown(environment: Mapping[str, str], prefix: str, known: Set[str]) -> list[str]:
    """A line for each name in `environment` that begins with `prefix` and is not `known`. No value is told."""
    found = sorted(name for name in environment if name.startswith(prefix) and name not in known)
    return [_line(name, prefix, known) for name in found]


def lies_open(name: str, path: Path) -> list[str]:
    """The line, if there must be one, for the secret of setting `name` in a file that every user can read."""
    path = path.expanduser().absolute()
    try:
        is_open = bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:  # whoever reads it says so
        return []
    if not is_open or path.is_relative_to(_MOUNTED):
        return []
    return [f"{name}: every user of this machine can read {path}; better: chmod o= {path}"]


def metrics_refusal(host: str) -> str | None:
    """Why metrics may not be shown on `host`; None if they may: on loopback, a private address, or all addresses."""
    if host == "localhost":
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "should be an IP address and a port, like 127.0.0.1:9101"
    if address.is_loopback or address.is_private or address.is_unspecified:
        return None
    return f"{host} can be reached by the world, and metrics have no password: use loopback or a private address"


def metrics_warnings(name: str, host: str) -> list[str]:
    """The line, if there must be one, for metrics that setting `name` shows on `host`."""
    everywhere = host not in {"", "localhost"} and ipaddress.ip_address(host).is_unspecified
    return [f"{name}: whoever reaches this machine can read its metrics; better name one address"] if everywhere else []


def _line(name: str, prefix: str, known: Set[str]) -> str:
    from difflib import get_close_matches  # mostly there is no such name, and the client starts often

    ends = [one.removeprefix(prefix) for one in sorted(known) if one.startswith(prefix)]
    near = get_close_matches(name.removeprefix(prefix), ends, 1)
    hint = f"; did you mean {prefix}{near[0]}?" if near else ""
    return f"{name} is no setting, so it does nothing{hint}"
