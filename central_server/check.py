"""`central-server --check`: whether it could start with these settings. Changes nothing, and listens nowhere."""

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from central_server.accounts_sqlite.file import SCHEMA_VERSION as ACCOUNTS_VERSION
from central_server.settings import Settings
from central_server.store_sqlite.file import SCHEMA_VERSION
from central_server.tls import UnusableTls, server_credentials
from protos.checks import database_problem, folder_problem, tell


def check(settings: Settings) -> tuple[list[str], bool]:
    """What would be used, without secrets, and what is wrong with it, in lines to be printed; whether all is well."""
    return tell(settings, settings.warnings, _problems(settings))


def _problems(settings: Settings) -> Iterator[str]:
    found = [
        folder_problem(settings.state_dir),
        folder_problem(settings.store.parent),
        database_problem(settings.store, SCHEMA_VERSION),
        database_problem(settings.accounts_store, ACCOUNTS_VERSION),
        _key_problem(settings),
        _tls_problem(settings),
    ]
    yield from (problem for problem in found if problem is not None)


def _key_problem(settings: Settings) -> str | None:
    path = settings.state_dir / "locator.key"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None  # one is made
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except (ValueError, TypeError):
        key = None
    return None if isinstance(key, Ed25519PrivateKey) else f"{path} holds no Ed25519 key"


def _tls_problem(settings: Settings) -> str | None:
    if settings.tls is None:
        return None
    try:
        server_credentials(settings.tls, lambda: datetime.now(UTC))
    except UnusableTls as error:
        return str(error)
    return None
