"""The locator's settings: read from a mapping of names to texts (the environment), checked once, then values.

A wrong value raises WrongSetting, whose one line names it. Seconds are seconds.
"""

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protos.addresses import Network
from protos.settings import Asked, lies_open

_DEFAULT_LISTEN = "127.0.0.1:51015"
_MIN_KEY_BYTES = 32
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class WrongSetting(Exception):
    """A setting cannot be used: the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them. `network_key` None: the network is open. `warnings`: lines that should be told at the start."""

    host: str
    port: int
    store: Path
    state_dir: Path
    network_key: bytes | None = field(repr=False)
    lease_seconds: float
    grace_seconds: float
    allowed_networks: tuple[Network, ...]
    max_files_per_peer: int
    log_level: str
    warnings: tuple[str, ...]

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the locator."""
        return _is_loopback(self.host)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that `environment` asks for. WrongSetting: the first that is wrong."""
    environment = asked = Asked(environment)
    is_open = _flag(environment, "LOCATOR_OPEN")
    host, port = _address("LOCATOR_LISTEN", environment.get("LOCATOR_LISTEN") or _DEFAULT_LISTEN)
    state_dir = _state_dir(environment)
    lease = _number(environment, "LOCATOR_LEASE_SECONDS", 30.0, 1.0, 3600.0)
    network_key = _network_key(environment)
    if network_key is None and not _is_loopback(host) and not is_open:
        raise WrongSetting(
            f"LOCATOR_LISTEN is {host}, which other machines can reach: set LOCATOR_NETWORK_KEY_FILE, "
            "or LOCATOR_OPEN=1 to let everybody in"
        )
    return Settings(
        host=host,
        port=port,
        store=_store(environment.get("LOCATOR_STORE"), state_dir),
        state_dir=state_dir,
        network_key=network_key,
        lease_seconds=lease,
        grace_seconds=_number(environment, "LOCATOR_GRACE_SECONDS", lease, 0.0, 3600.0),
        allowed_networks=_networks(environment.get("LOCATOR_ALLOWED_NETWORKS", "")),
        max_files_per_peer=int(_number(environment, "LOCATOR_MAX_FILES_PER_PEER", 1_000_000, 1, 100_000_000)),
        log_level=_log_level(environment),
        warnings=(*_open_secrets(environment), *asked.unknown("LOCATOR_")),  # the last: by now all settings were read
    )


def _address(name: str, text: str) -> tuple[str, int]:
    """HOST:PORT, with an IPv6 address in brackets."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise WrongSetting(f"{name} is {text!r}: it should be HOST:PORT, for example {_DEFAULT_LISTEN}")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _state_dir(environment: Mapping[str, str]) -> Path:
    if environment.get("LOCATOR_STATE_DIR"):
        return Path(environment["LOCATOR_STATE_DIR"])
    xdg = environment.get("XDG_STATE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path(environment.get("HOME") or Path.home()) / ".local" / "state"
    return base / "central-server"


def _store(text: str | None, state_dir: Path) -> Path:
    """sqlite:///RELATIVE or sqlite:////ABSOLUTE."""
    if not text:
        return state_dir / "locator.sqlite"
    path = text.removeprefix("sqlite:///")
    if path in {text, ""} or "\0" in path:
        raise WrongSetting(f"LOCATOR_STORE is {text!r}: it should be sqlite:/// and the path of a file")
    return Path(path)


def _network_key(environment: Mapping[str, str]) -> bytes | None:
    """The key's text without white space around it, from the setting or from the file it names."""
    text, file = environment.get("LOCATOR_NETWORK_KEY"), environment.get("LOCATOR_NETWORK_KEY_FILE")
    if text and file:
        raise WrongSetting("LOCATOR_NETWORK_KEY and LOCATOR_NETWORK_KEY_FILE are both set: use one")
    if file:
        try:
            text = Path(file).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise WrongSetting(f"LOCATOR_NETWORK_KEY_FILE is {file!r}, which cannot be read: {error}") from None
    if not text and not file:
        return None
    key = (text or "").strip().encode()
    if len(key) < _MIN_KEY_BYTES:
        name = "LOCATOR_NETWORK_KEY_FILE" if file else "LOCATOR_NETWORK_KEY"
        raise WrongSetting(f"{name} gives a key of {len(key)} bytes: it should have {_MIN_KEY_BYTES} or more")
    return key


def _open_secrets(environment: Mapping[str, str]) -> list[str]:
    file = environment.get("LOCATOR_NETWORK_KEY_FILE")
    return lies_open("LOCATOR_NETWORK_KEY_FILE", Path(file)) if file else []


def _number(environment: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise WrongSetting(f"{name} is {text!r}: it should be a number from {least:g} to {most:g}")
    return number


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "")
    if text not in {"", "0", "1"}:
        raise WrongSetting(f"{name} is {text!r}: it should be 1 or 0")
    return text == "1"


def _networks(text: str) -> tuple[Network, ...]:
    """Networks such as 10.0.0.0/8, separated by commas."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise WrongSetting(f"LOCATOR_ALLOWED_NETWORKS is wrong: {error}") from None


def _log_level(environment: Mapping[str, str]) -> str:
    level = (environment.get("LOCATOR_LOG_LEVEL") or "INFO").upper()
    if level not in _LEVELS or not isinstance(logging.getLevelName(level), int):
        raise WrongSetting(f"LOCATOR_LOG_LEVEL is {level!r}: it should be one of {', '.join(_LEVELS)}")
    return level
