"""The locator's settings: read from a mapping of names to texts (the environment), checked once, then values.

A wrong value raises WrongSetting, whose one line names it. Seconds are seconds.
"""

import ipaddress
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from central_server.connections import ConnectionLimits, TlsFiles
from central_server.people import AccountTerms
from protos.addresses import Network
from protos.logs import FORMATS
from protos.network_key import ADVICE, weakness
from protos.settings import Asked, lies_open, metrics_refusal, metrics_warnings

_DEFAULT_LISTEN = "127.0.0.1:51015"
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
    accounts: AccountTerms | None
    ca_file: str | None
    tls: TlsFiles | None
    limits: ConnectionLimits
    log_level: str
    log_format: str
    metrics_listen: tuple[str, int] | None
    warnings: tuple[str, ...]

    @property
    def accounts_store(self) -> Path:
        """Where accounts are kept."""
        return self.state_dir / "accounts.sqlite"

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
    tls = _tls(environment)
    metrics = _metrics_listen(environment)
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
        accounts=_accounts(environment, encrypted=tls is not None or _is_loopback(host)),
        tls=tls,
        ca_file=None if (ca_file := _file(environment, "LOCATOR_CA_FILE")) is None else str(ca_file),
        limits=_limits(environment),
        log_level=_log_level(environment),
        log_format=_log_format(environment),
        metrics_listen=metrics,
        # The last: by now all settings were read.
        warnings=(*_open_secrets(environment), *_shown(metrics), *asked.unknown("LOCATOR_")),
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
            why = getattr(error, "strerror", error)
            raise WrongSetting(f"LOCATOR_NETWORK_KEY_FILE is {file!r}, which cannot be read: {why}") from None
    if not text and not file:
        return None
    key = (text or "").strip().encode()
    if weak := weakness(key):
        name = "LOCATOR_NETWORK_KEY_FILE" if file else "LOCATOR_NETWORK_KEY"
        raise WrongSetting(f"{name} gives a key that {weak}: {ADVICE}")
    return key


def _open_secrets(environment: Mapping[str, str]) -> list[str]:
    files = [(name, environment.get(name)) for name in ("LOCATOR_NETWORK_KEY_FILE", "LOCATOR_TLS_KEY")]
    return [line for name, file in files if file for line in lies_open(name, Path(file))]


def _tls(environment: Mapping[str, str]) -> TlsFiles | None:
    """Certificate and key, or neither; a CA for clients only beside them."""
    certificate, key = _file(environment, "LOCATOR_TLS_CERT"), _file(environment, "LOCATOR_TLS_KEY")
    client_ca = _file(environment, "LOCATOR_TLS_CLIENT_CA")
    if certificate is not None and key is not None:
        return TlsFiles(certificate, key, client_ca)
    if certificate is not None or key is not None or client_ca is not None:
        raise WrongSetting("TLS needs both LOCATOR_TLS_CERT and LOCATOR_TLS_KEY")
    return None


def _accounts(environment: Mapping[str, str], *, encrypted: bool) -> AccountTerms | None:
    """None: off. All are read, so that a wrong one is told before accounts are turned on."""
    is_on = _choice(environment, "LOCATOR_ACCOUNTS", ("off", "on")) == "on"
    is_open = _choice(environment, "LOCATOR_SIGNUP", ("closed", "open")) == "open"
    hours = _number(environment, "LOCATOR_SESSION_HOURS", 168.0, 0.01, 24 * 366.0)
    if is_on and not encrypted:
        raise WrongSetting(
            "LOCATOR_ACCOUNTS is on: passwords would travel unencrypted; off loopback it needs LOCATOR_TLS_CERT and "
            "LOCATOR_TLS_KEY (central-server certs makes them)"
        )
    return AccountTerms(is_open, 3600 * hours) if is_on else None


def _choice(environment: Mapping[str, str], name: str, words: tuple[str, str]) -> str:
    """One of the two; the first is the default."""
    word = (environment.get(name) or words[0]).lower()
    if word not in words:
        raise WrongSetting(f"{name} is {environment.get(name)!r}: it should be {words[0]} or {words[1]}")
    return word


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name)
    if text and ("\0" in text or not os.access(Path(text).expanduser(), os.R_OK)):
        raise WrongSetting(f"{name} is {text!r}, which cannot be read")
    return Path(text).expanduser() if text else None


def _limits(environment: Mapping[str, str]) -> ConnectionLimits:
    usual = ConnectionLimits()

    def seconds(name: str, default: float, least: float) -> float:
        return _number(environment, name, default, least, 7 * 24 * 3600.0)

    limits = ConnectionLimits(
        message_bytes=_size(environment, "LOCATOR_MAX_MESSAGE", usual.message_bytes, 1 << 16, 1 << 28),
        metadata_bytes=_size(environment, "LOCATOR_MAX_METADATA", usual.metadata_bytes, 4 << 10, 1 << 20),
        streams=int(_number(environment, "LOCATOR_MAX_STREAMS", usual.streams, 1, 10_000)),
        calls=int(_number(environment, "LOCATOR_MAX_CALLS", usual.calls, 1, 1_000_000)),
        connections=int(_number(environment, "LOCATOR_MAX_CONNECTIONS", usual.connections, 1, 1_000_000)),
        unasked_bytes=_size(environment, "LOCATOR_MAX_UNASKED", usual.unasked_bytes, 1 << 20, 1 << 30),
        ping_seconds=seconds("LOCATOR_MIN_PING_SECONDS", usual.ping_seconds, 0.0),
        ping_strikes=int(_number(environment, "LOCATOR_PING_STRIKES", usual.ping_strikes, 0, 1000)),
        idle_seconds=seconds("LOCATOR_CONNECTION_IDLE_SECONDS", usual.idle_seconds, 1.0),
        age_seconds=seconds("LOCATOR_CONNECTION_AGE_SECONDS", usual.age_seconds, 1.0),
        age_grace_seconds=seconds("LOCATOR_CONNECTION_GRACE_SECONDS", usual.age_grace_seconds, 0.0),
    )
    if limits.unasked_bytes < limits.message_bytes:
        raise WrongSetting("LOCATOR_MAX_UNASKED is less than LOCATOR_MAX_MESSAGE: a first message would be cut off")
    return limits


def _size(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Bytes, also like 64K or 4M."""
    text = environment.get(name)
    if not text:
        return default
    match = re.fullmatch(r"(\d{1,12})([KMG]?)(?:i?B)?", text)
    size = int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]] if match else -1
    if not least <= size <= most:
        raise WrongSetting(f"{name} is {text!r}: it should be from {least} to {most} bytes, like {default >> 10}K")
    return size


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


def _log_format(environment: Mapping[str, str]) -> str:
    form = (environment.get("LOCATOR_LOG_FORMAT") or "auto").lower()
    if form not in FORMATS:
        raise WrongSetting(f"LOCATOR_LOG_FORMAT is {form!r}: it should be one of {', '.join(FORMATS)}")
    return form


def _metrics_listen(environment: Mapping[str, str]) -> tuple[str, int] | None:
    text = environment.get("LOCATOR_METRICS_LISTEN")
    if not text or text == "off":
        return None
    host, port = _address("LOCATOR_METRICS_LISTEN", text)
    why = metrics_refusal(host)
    if why is not None:
        raise WrongSetting(f"LOCATOR_METRICS_LISTEN: {why}")
    return host, port


def _shown(metrics: tuple[str, int] | None) -> list[str]:
    return metrics_warnings("LOCATOR_METRICS_LISTEN", metrics[0]) if metrics else []
