"""What a peer that runs as a service leaves for the people of its machine, so that their `pclient` finds it."""

import os
from pathlib import Path

from pserver.identity import CLIENT_TOKEN_FILE
from pserver.model import Unavailable

ENV_FILE = "client.env"


def leave_access(folder: Path | None, token: str, address: str) -> None:
    """Write the client token (for the folder's group) and the client's settings (for all) there; None: nothing.

    `address`: host and port of the client API. Unavailable if it cannot be written.
    """
    if folder is None:
        return
    place = folder / CLIENT_TOKEN_FILE
    try:
        _write(place, token, 0o640)
        _write(folder / ENV_FILE, f"PCLIENT_PSERVER_URL=http://{address}\nPCLIENT_TOKEN_FILE={place}\n", 0o644)
    except OSError as error:
        raise Unavailable(f"PSERVER_CLIENT_DIR: {folder} cannot be written to: {error.strerror}") from error


def _write(path: Path, text: str, mode: int) -> None:
    """Write it aside with its mode, and rename: at no time can others read what is not for them, or half of it."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    aside.rename(path)
