"""The peer's settings: from a mapping of names to text (the environment) to one checked, frozen value."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from protos.addresses import Network
from protos.network_key import ADVICE, weakness
from protos.settings import Asked, lies_open, metrics_warnings
from pserver import setting_values as values
from pserver.bounds import Bounds, read_bounds

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
        return values.is_loopback(self.listen[0])


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Check everything; raises WrongSetting for the first that is wrong."""
    read = _Reader(environment)
    is_open = read.value("PSERVER_OPEN", "0", values.switch)
    settings = Settings(
        name=read.value("PSERVER_NAME", socket.gethostname()[:64] or "peer", values.peer_name),
        listen=read.value("PSERVER_LISTEN", "127.0.0.1:8001", values.host_and_port),
        client_listen=read.value("PSERVER_CLIENT_LISTEN", "127.0.0.1:8101", values.host_and_port),
        advertise_url=read.value("PSERVER_ADVERTISE_URL", "", values.url),
        locators=read.value("PSERVER_LOCATORS", "127.0.0.1:51015", values.locators),
        neighbours=read.value("PSERVER_NEIGHBOURS", "", values.neighbours),
        share_dir=read.value("PSERVER_SHARE_DIR", "~/Share", values.path),
        state_dir=read.value("PSERVER_STATE_DIR", str(default_state_dir(environment)), values.path),
        client_dir=read.value("PSERVER_CLIENT_DIR", "", lambda text: values.path(text) if text else None),
        network_key=read.secret("PSERVER_NETWORK_KEY"),
        accept_uploads=read.value("PSERVER_ACCEPT_UPLOADS", "on", values.switch),
        upload_rate=read.value("PSERVER_UPLOAD_RATE", "", values.rate),
        download_rate=read.value("PSERVER_DOWNLOAD_RATE", "", values.rate),
        keep_free_bytes=read.value("PSERVER_KEEP_FREE", "256M", values.size),
        bounds=read_bounds(read.value, values.size),
        allowed_networks=read.value("PSERVER_ALLOWED_NETWORKS", "", values.networks),
        client_hosts=read.value("PSERVER_CLIENT_HOSTS", "", values.words),
        ca_file=read.value("PSERVER_CA_FILE", "", values.readable_file),
        locator_tls=_locator_tls(read),
        session_grace=read.value("PSERVER_SESSION_GRACE", "3600", values.seconds),
        log_level=read.value("PSERVER_LOG_LEVEL", "info", values.log_level),
        log_format=read.value("PSERVER_LOG_FORMAT", "auto", values.log_format),
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
        where = self.value(name, "", values.metrics_listen)
        self._open += metrics_warnings(name, where[0]) if where else []
        return where

    def private(self, name: str) -> str | None:
        """The path of a file that nobody else should read."""
        path = self.value(name, "", values.readable_file)
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
                why = getattr(error, "strerror", error)
                raise WrongSetting(f"{name}_FILE: cannot read {path}: {why}") from None
        if not text and not path:
            return None
        if weak := weakness(text.encode()):
            raise WrongSetting(f"{name} gives a key that {weak}: {ADVICE}")
        return text.encode()


def _locator_tls(read: _Reader) -> LocatorTls | None:
    """TLS to the locators is on when their CA is named, and then for all of them: nothing falls back to plain text."""
    ca = read.value("PSERVER_LOCATOR_CA", "", values.certificates)
    certificate = read.value("PSERVER_LOCATOR_CERT", "", values.certificates)
    key = read.private("PSERVER_LOCATOR_KEY")
    if (certificate is None) != (key is None):
        raise WrongSetting("PSERVER_LOCATOR_CERT and PSERVER_LOCATOR_KEY: each needs the other")
    if ca is not None:
        return LocatorTls(ca, certificate, key)
    if certificate is not None:
        raise WrongSetting("PSERVER_LOCATOR_CERT: name the locators' CA too, in PSERVER_LOCATOR_CA")
    return None
