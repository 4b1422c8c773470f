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
from protos.logs import FORMATS
from protos.network_key import ADVICE, weakness
from protos.settings import Asked, lies_open, metrics_refusal, metrics_warnings
from pserver.bounds import Bounds, read_bounds

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")
_PEER_ID = re.compile(r"[0-9a-f]{64}")
_TRUE = {"1": True, "on": True, "true": True, "yes": True, "0": False, "off": False, "false": False, "no": False}
_MAX_GRACE_SECONDS = 7 * 24 * 3600
_RATE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_T = TypeVar("_T")


class WrongSetting(ValueError):
    """A setting is wrong: the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class LocatorTls:
    """PEM files: the CA that every locator's certificate must be of, and what this peer shows if it is asked."""

    ca: str
    certificate: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """All of a peer's settings. Sizes in bytes, rates in bytes a second, times in seconds; (host, port) for addresses.

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
    client_dir: Path | None
    network_key: bytes | None
    accept_uploads: bool
    upload_rate: int | None
    download_rate: int | None
    keep_free_bytes: int
    bounds: Bounds
    allowed_networks: tuple[Network, ...]
    client_hosts: tuple[str, ...]
    ca_file: str | None
    locator_tls: LocatorTls | None
    session_grace: float
    log_level: str
    log_format: str
    metrics_listen: tuple[str, int] | None
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
        client_dir=read.value("PSERVER_CLIENT_DIR", "", lambda text: _path(text) if text else None),
        network_key=read.secret("PSERVER_NETWORK_KEY"),
        accept_uploads=read.value("PSERVER_ACCEPT_UPLOADS", "on", _switch),
        upload_rate=read.value("PSERVER_UPLOAD_RATE", "", _rate),
        download_rate=read.value("PSERVER_DOWNLOAD_RATE", "", _rate),
        keep_free_bytes=read.value("PSERVER_KEEP_FREE", "256M", _size),
        bounds=read_bounds(read.value, _size),
        allowed_networks=read.value("PSERVER_ALLOWED_NETWORKS", "", _networks),
        client_hosts=read.value("PSERVER_CLIENT_HOSTS", "", _words),
        ca_file=read.value("PSERVER_CA_FILE", "", _readable),
        locator_tls=_locator_tls(read),
        session_grace=read.value("PSERVER_SESSION_GRACE", "3600", _seconds),
        log_level=read.value("PSERVER_LOG_LEVEL", "info", _log_level),
        log_format=read.value("PSERVER_LOG_FORMAT", "auto", _log_format),
        metrics_listen=read.metrics("PSERVER_METRICS_LISTEN"),
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
        """What should be told, once everything was read: names that are none, what lies open."""
        return (*self._environment.unknown("PSERVER_"), *self._open)

    def value(self, name: str, default: str, parse: Callable[[str], _T]) -> _T:
        text = self._environment.get(name, "").strip() or default
        try:
            return parse(text)
        except (ValueError, OSError) as error:
            raise WrongSetting(f"{name}: {error}") from None

    def metrics(self, name: str) -> tuple[str, int] | None:
        """Where metrics are shown; whoever shows them to all is told."""
        where = self.value(name, "", _metrics_listen)
        self._open += metrics_warnings(name, where[0]) if where else []
        return where

    def private(self, name: str) -> str | None:
        """The path of a file that nobody else should read."""
        path = self.value(name, "", _readable)
        self._open += lies_open(name, Path(path)) if path else []
        return path

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
        if weak := weakness(text.encode()):
            raise WrongSetting(f"{name} gives a key that {weak}: {ADVICE}")
        return text.encode()


def _locator_tls(read: _Reader) -> LocatorTls | None:
    """TLS to the locators is on when their CA is named, and then for all of them: nothing falls back to plain text."""
    ca = read.value("PSERVER_LOCATOR_CA", "", _certificates)
    certificate = read.value("PSERVER_LOCATOR_CERT", "", _certificates)
    key = read.private("PSERVER_LOCATOR_KEY")
    if (certificate is None) != (key is None):
        raise WrongSetting("PSERVER_LOCATOR_CERT and PSERVER_LOCATOR_KEY: each needs the other")
    if ca is not None:
        return LocatorTls(ca, certificate, key)
    if certificate is not None:
        raise WrongSetting("PSERVER_LOCATOR_CERT: name the locators' CA too, in PSERVER_LOCATOR_CA")
    return None


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


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdigit() or int(text) > _MAX_GRACE_SECONDS:
        raise ValueError(f"should be a number of seconds, at most {_MAX_GRACE_SECONDS}")
    return float(text)


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


def _certificates(text: str) -> str | None:
    """A file with certificates: gRPC would say nothing of one that has none."""
    path = _readable(text)
    if path is not None and b"-----BEGIN CERTIFICATE-----" not in Path(path).read_bytes():
        raise ValueError(f"{path} holds no certificate in PEM")
    return path


def _log_level(text: str) -> str:
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("should be debug, info, warning or error")
    return text.upper()


def _log_format(text: str) -> str:
    if text.lower() not in FORMATS:
        raise ValueError(f"should be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return text.lower()


def _metrics_listen(text: str) -> tuple[str, int] | None:
    if text in {"", "off"}:
        return None
    host, port = host_and_port(text)
    why = metrics_refusal(host)
    if why is not None:
        raise ValueError(why)
    return host, port
