"""What a process tells the service manager that started it: ready, alive, what it does, stopping (sd_notify(3)).

One datagram a message to the socket that systemd names in NOTIFY_SOCKET. Started by hand there is none, and nothing is
told. A message that cannot be delivered is dropped: systemd's watchdog notices by itself.
"""

import logging
import socket
from collections.abc import Mapping

_SECONDS = 10.0  # between two signs of life, unless systemd wants them faster
_MAX_STATUS = 200  # characters; `systemctl status` shows one line
_log = logging.getLogger(__name__)


class ServiceManager:
    """Tells systemd how this process is; does nothing where there is no systemd that asked."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment`: that of the process; NOTIFY_SOCKET in it is a path, or @NAME for an abstract address."""
        watchdog = environment.get("WATCHDOG_USEC", "")
        self.seconds = min(_SECONDS, int(watchdog) / 4e6) if watchdog.isdigit() and int(watchdog) else _SECONDS
        named = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + named[1:] if named.startswith("@") else named

    @property
    def listens(self) -> bool:
        """Whether there is one to tell. `seconds`: how often it should be told (WatchdogSec= leaves time for four)."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """It serves. From now on `alive` must be called more often than WatchdogSec= says."""
        self._tell("READY=1", "WATCHDOG=1", _status(status))

    def alive(self, status: str) -> None:
        """It still serves: call this only when that was seen to be so, for it holds off the watchdog's kill."""
        self._tell("WATCHDOG=1", _status(status))

    def troubled(self, status: str) -> None:
        """What is wrong, without holding off the watchdog."""
        self._tell(_status(status))

    def stopping(self, seconds: float) -> None:
        """It stops, and may need that many seconds."""
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", _status("stopping"))

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)  # a service manager that does not read must not hold up the servers
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _log.debug("the service manager cannot be told: %s", error)


def _status(text: str) -> str:
    """The line of STATUS: one line, whatever the text."""
    return "STATUS=" + " ".join(text.split())[:_MAX_STATUS]
