"""The peer's settings: from a mapping of names to text (the environment) to one checked, frozen value."""

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from protos.addresses import Network, check_url
from protos.settings import Asked, lies_open

MIN_KEY_BYTES = 32
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")
_PEER_ID = re.compile(r"[0-9a-f]{64}")
_TRUE = {"1": True, "on": True, "true": True, "yes": True, "0": False, "off": False, "false": False, "no": False}
_RATE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_T = TypeVar("_T")


class WrongSetting(ValueError):
    """A setting is wrong: the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of a peer's settings. Sizes in bytes, rates in bytes a second; (host, port) for addresses.

    `warnings`: what the person should be told at the start, a line each.
    """

    name: str
    listen: tuple[str, int]
    client_listen: tuple[str, int]
    advertise_url: str | None
    locators: tuple[str, ...]
    neighbours: tuple[str, ...]
    share_dir: Path
    state_dir: Path
    network_key: bytes | None
    accept_uploads: bool
    upload_rate: int | None
    download_rate: int | None
    keep_free_bytes: int
    allowed_networks: tuple[Network, ...]
    client_hosts: tuple[str, ...]
    ca_file: str | None
    log_level: str
    warnings: tuple[str, ...]

    @property
    def on_loopback(self) -> bool:
        """Whether the peer API listens where only this machine reaches it."""
        return is_loopback(self.listen[0])


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Check everything; raises WrongSetting for the first that is wrong."""
    read = _Reader(environment)
    is_open = read.value("PSERVER_OPEN", "0", _switch)
    settings = Settings(
        name=read.value("PSERVER_NAME", socket.gethostname()[:64] or "peer", _name),
        listen=read.value("PSERVER_LISTEN", "127.0.0.1:8001", host_and_port),
        client_listen=read.value("PSERVER_CLIENT_LISTEN", "127.0.0.1:8101", host_and_port),
        advertise_url=read.value("PSERVER_ADVERTISE_URL", "", _url),
        locators=read.value("PSERVER_LOCATORS", "127.0.0.1:51015", _locators),
        neighbours=read.value("PSERVER_NEIGHBOURS", "", _neighbours),
        share_dir=read.value("PSERVER_SHARE_DIR", "~/Share", _path),
        state_dir=read.value("PSERVER_STATE_DIR", str(default_state_dir(environment)), _path),
        network_key=read.secret("PSERVER_NETWORK_KEY"),
        accept_uploads=read.value("PSERVER_ACCEPT_UPLOADS", "on", _switch),
        upload_rate=read.value("PSERVER_UPLOAD_RATE", "", _rate),
        download_rate=read.value("PSERVER_DOWNLOAD_RATE", "", _rate),
        keep_free_bytes=read.value("PSERVER_KEEP_FREE", "256M", _size),
        allowed_networks=read.value("PSERVER_ALLOWED_NETWORKS", "", _networks),
        client_hosts=read.value("PSERVER_CLIENT_HOSTS", "", _words),
        ca_file=read.value("PSERVER_CA_FILE", "", _readable),
        log_level=read.value("PSERVER_LOG_LEVEL", "info", _log_level),
        warnings=read.warnings(),  # the last: by now all settings were read
    )
    if settings.network_key is None and not settings.on_loopback and not is_open:
        raise WrongSetting(
            "PSERVER_NETWORK_KEY: off loopback a network needs a key; give one, or PSERVER_OPEN=1 to let anybody in"
        )
    return settings


def default_state_dir(environment: Mapping[str, str]) -> Path:
    """`pserver` below the XDG state folder."""
    return Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "pserver"


def is_loopback(host: str) -> bool:
    """Whether a listen host means this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_and_port(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT`; port 0 takes a free one."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("should be HOST:PORT, like 127.0.0.1:8001")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address goes in brackets, like [::1]:8001")
    return host.strip("[]"), int(port)


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = Asked(environment)
        self._open: list[str] = []

    def warnings(self) -> tuple[str, ...]:
        """What should be told, once everything was read: names that are none, secrets that lie open."""
        return (*self._environment.unknown("PSERVER_"), *self._open)

    def value(self, name: str, default: str, parse: Callable[[str], _T]) -> _T:
        text = self._environment.get(name, "").strip() or default
        try:
            return parse(text)
        except (ValueError, OSError) as error:
            raise WrongSetting(f"{name}: {error}") from None

    def secret(self, name: str) -> bytes | None:
        """The secret in NAME, or in the file that NAME_FILE names."""
        text, path = self._environment.get(name, ""), self._environment.get(f"{name}_FILE", "")
        if path:
            self._open += lies_open(f"{name}_FILE", Path(path))
            try:
                text = Path(path).expanduser().read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise WrongSetting(f"{name}_FILE: cannot read {path}: {error}") from None
        if not text and not path:
            return None
        if len(text.encode()) < MIN_KEY_BYTES:
            raise WrongSetting(f"{name}: a key has at least {MIN_KEY_BYTES} bytes, like those of: openssl rand -hex 32")
        return text.encode()


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("should have 1 to 64 characters, none of them a control character")
    return text


def _url(text: str) -> str | None:
    return check_url(text.rstrip("/")) if text else None


def _locators(text: str) -> tuple[str, ...]:
    if text == "none":
        return ()
    found = _words(text)
    for address in found:
        host_and_port(address)
    return found


def _neighbours(text: str) -> tuple[str, ...]:
    found = tuple(word.rstrip("/") for word in _words(text))
    for neighbour in found:
        peer_id, at, url = neighbour.rpartition("@")
        if at and not _PEER_ID.fullmatch(peer_id):
            raise ValueError("a neighbour is URL or PEER_ID@URL")
        check_url(url)
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("a path cannot contain a NUL")
    return Path(text).expanduser().absolute()


def _switch(text: str) -> bool:
    if text.lower() not in _TRUE:
        raise ValueError("should be on or off")
    return _TRUE[text.lower()]


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15})([KMG]?)(?:i?B)?", text)
    if match is None:
        raise ValueError("should be a number of bytes, like 10485760 or 10M")
    return int(match[1]) * _RATE_UNITS[match[2]]


def _rate(text: str) -> int | None:
    if not text:
        return None
    rate = _size(text)
    if rate == 0:
        raise ValueError("should be more than 0 bytes a second")
    return rate


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(word) for word in _words(text))


def _readable(text: str) -> str | None:
    if not text:
        return None
    path = Path(text).expanduser()
    if not os.access(path, os.R_OK):
        raise ValueError(f"cannot read {path}")
    return str(path)


def _log_level(text: str) -> str:
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("should be debug, info, warning or error")
    return text.upper()
