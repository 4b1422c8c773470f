"""Who this peer is: its state folder, its Ed25519 key and the token of its own client."""

import fcntl
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.tokens import Issuer
from pserver.model import Unavailable

KEY_FILE = "peer.key"
CLIENT_TOKEN_FILE = "client-token"  # noqa: S105  # the name of a file
ACCOUNTS_ON_FILE = "accounts-on"  # a mark: the locator said so last
LOCK_FILE = "lock"


class StateFolder:
    """The folder (0700) of what a peer must remember; held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Make it if needed and lock it; Unavailable if another process holds it or it cannot be used."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"the state folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise Unavailable(f"another pserver is running with the state folder {path}") from None

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def secret(self, name: str, make: bytes) -> bytes:
        """The content of the file `name` (0600); at first `make`, written so that no half of it can remain."""
        path = self.path / name
        if not path.exists():
            _write_durably(path, make)
        return path.read_bytes()

    def marked(self, name: str) -> bool:
        """Whether the mark `name` was set."""
        return (self.path / name).exists()

    def mark(self, name: str, on: bool) -> None:
        """Set the mark `name` (an empty file), or remove it. OSError."""
        if on:
            (self.path / name).touch(mode=0o600)
        else:
            (self.path / name).unlink(missing_ok=True)


class Identity:
    """This peer's key, id, and the tokens it makes."""

    def __init__(self, state: StateFolder, network_key: bytes | None) -> None:
        """Read the key and the client token, or make them. Unavailable if a file there is not what it should be."""
        try:
            pem = state.secret(KEY_FILE, _new_key())
            self.client_token = state.secret(CLIENT_TOKEN_FILE, secrets.token_urlsafe(32).encode()).decode().strip()
            key = serialization.load_pem_private_key(pem, password=None)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the keys in {state.path} cannot be read: {error}") from error
        if not isinstance(key, Ed25519PrivateKey) or len(self.client_token) < 32:
            raise Unavailable(f"{state.path} does not hold the keys of a peer; move it away to get new ones")
        self.issuer = Issuer(key, network_key)
        self.peer_id = self.issuer.peer_id


def forget_identity(state: StateFolder) -> bool:
    """Put the key and the client token of a stopped peer aside (`*.old`); its next start makes others.

    False if there was no key. What it shares and what it was downloading stays. Unavailable if that cannot be done.
    """
    try:
        had = (state.path / KEY_FILE).exists()
        for name in (KEY_FILE, CLIENT_TOKEN_FILE):
            if (state.path / name).exists():
                (state.path / name).rename(state.path / f"{name}.old")
    except OSError as error:
        raise Unavailable(f"the keys in {state.path} cannot be put aside: {error.strerror}") from error
    return had


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_durably(path: Path, content: bytes) -> None:
    """Write aside, sync, rename, sync the folder: after a power loss there is the whole file or none."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
