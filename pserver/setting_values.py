"""What the texts of settings mean. Each function makes a value of a text, or raises ValueError: what it should be."""

import ipaddress
import os
import re
from pathlib import Path

from protos.addresses import Network, check_url
from protos.logs import FORMATS
from protos.settings import metrics_refusal

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")
_PEER_ID = re.compile(r"[0-9a-f]{64}")
_TRUE = {"1": True, "on": True, "true": True, "yes": True, "0": False, "off": False, "false": False, "no": False}
_MAX_GRACE_SECONDS = 7 * 24 * 3600
_RATE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


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


def peer_name(text: str) -> str:
    """What a peer may be called."""
    if not _NAME.fullmatch(text):
        raise ValueError("should have 1 to 64 characters, none of them a control character")
    return text


def url(text: str) -> str | None:
    """The base of a peer's API; None if there is none."""
    return check_url(text.rstrip("/")) if text else None


def locators(text: str) -> tuple[str, ...]:
    """`HOST:PORT`, separated by commas; `none`: no locator."""
    if text == "none":
        return ()
    found = words(text)
    for address in found:
        host_and_port(address)
    return found


def neighbours(text: str) -> tuple[str, ...]:
    """`URL` or `PEER_ID@URL`, separated by commas."""
    found = tuple(word.rstrip("/") for word in words(text))
    for neighbour in found:
        peer_id, at, url = neighbour.rpartition("@")
        if at and not _PEER_ID.fullmatch(peer_id):
            raise ValueError("a neighbour is URL or PEER_ID@URL")
        check_url(url)
    return found


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def path(text: str) -> Path:
    """An absolute path; `~` is the home of the user."""
    if "\0" in text:
        raise ValueError("a path cannot contain a NUL")
    return Path(text).expanduser().absolute()


def switch(text: str) -> bool:
    """on or off."""
    if text.lower() not in _TRUE:
        raise ValueError("should be on or off")
    return _TRUE[text.lower()]


def seconds(text: str) -> float:
    """Whole seconds, up to a week."""
    if not text.isascii() or not text.isdigit() or int(text) > _MAX_GRACE_SECONDS:
        raise ValueError(f"should be a number of seconds, at most {_MAX_GRACE_SECONDS}")
    return float(text)


def size(text: str) -> int:
    """Bytes, also like 64K, 10M or 2G."""
    match = re.fullmatch(r"(\d{1,15})([KMG]?)(?:i?B)?", text)
    if match is None:
        raise ValueError("should be a number of bytes, like 10485760 or 10M")
    return int(match[1]) * _RATE_UNITS[match[2]]


def rate(text: str) -> int | None:
    """Bytes a second; None: as fast as it goes."""
    if not text:
        return None
    rate = size(text)
    if rate == 0:
        raise ValueError("should be more than 0 bytes a second")
    return rate


def networks(text: str) -> tuple[Network, ...]:
    """Like `10.0.0.0/8`, separated by commas."""
    return tuple(ipaddress.ip_network(word) for word in words(text))


def readable_file(text: str) -> str | None:
    """The path of a file that this user can read; None if none is named."""
    if not text:
        return None
    path = Path(text).expanduser()
    if not os.access(path, os.R_OK):
        raise ValueError(f"cannot read {path}")
    return str(path)


def certificates(text: str) -> str | None:
    """A file with certificates: gRPC would say nothing of one that has none."""
    path = readable_file(text)
    if path is not None and b"-----BEGIN CERTIFICATE-----" not in Path(path).read_bytes():
        raise ValueError(f"{path} holds no certificate in PEM")
    return path


def log_level(text: str) -> str:
    """As `logging` calls it."""
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError("should be debug, info, warning or error")
    return text.upper()


def log_format(text: str) -> str:
    """One of FORMATS."""
    if text.lower() not in FORMATS:
        raise ValueError(f"should be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return text.lower()


def metrics_listen(text: str) -> tuple[str, int] | None:
    """Where metrics are shown; None: nowhere."""
    if text in {"", "off"}:
        return None
    host, port = host_and_port(text)
    why = metrics_refusal(host)
    if why is not None:
        raise ValueError(why)
    return host, port
