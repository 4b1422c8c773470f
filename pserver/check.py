"""`pserver --check`: whether a peer could start with these settings. Changes nothing, and listens nowhere."""

import socket
import ssl
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protos.checks import database_problem, folder_problem, tell
from pserver.disk.index import SCHEMA_VERSION as INDEX_VERSION
from pserver.exchange.transfers import SCHEMA_VERSION as TRANSFERS_VERSION
from pserver.identity import KEY_FILE
from pserver.listening import advertised_url
from pserver.settings import Settings, host_and_port


def check(settings: Settings) -> tuple[list[str], bool]:
    """What would be used, without secrets, and what is wrong with it, in lines to be printed; whether all is well."""
    return tell(settings, [*settings.warnings, *_notes(settings)], _problems(settings))


def _notes(settings: Settings) -> Iterator[str]:
    port = settings.listen[1]
    yield f"others will be told {advertised_url(settings, port) if port else 'a port that is chosen at the start'}"
    for locator in settings.locators:
        try:
            socket.getaddrinfo(*host_and_port(locator), type=socket.SOCK_STREAM)
        except OSError as error:  # perhaps only now: a peer starts without
            yield f"the locator {locator} is not found: {error.strerror}"


def _problems(settings: Settings) -> Iterator[str]:
    state = settings.state_dir
    found = [
        folder_problem(settings.share_dir, above=False),
        folder_problem(state),
        database_problem(state / "index.sqlite", INDEX_VERSION),
        database_problem(state / "transfers.sqlite", TRANSFERS_VERSION),
        _key_problem(settings),
        _certificates_problem(settings.ca_file),
        _certificates_problem(settings.locator_tls.ca if settings.locator_tls else None),
    ]
    yield from (problem for problem in found if problem is not None)


def _key_problem(settings: Settings) -> str | None:
    path = settings.state_dir / KEY_FILE
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None  # one is made
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except (ValueError, TypeError):
        key = None
    return (
        None if isinstance(key, Ed25519PrivateKey) else f"{path} holds no key of a peer; move it away to get a new one"
    )


def _certificates_problem(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        return f"{path} holds no certificates: {error}"
    return None
