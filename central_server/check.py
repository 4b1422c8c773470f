"""`central-server --check`: whether it could start with these settings. Changes nothing, and listens nowhere."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime

from central_server.accounts_sqlite.file import SCHEMA_VERSION as ACCOUNTS_VERSION
from central_server.identity import KEY_FILE
from central_server.settings import Settings
from central_server.store_sqlite.file import SCHEMA_VERSION
from central_server.tls import UnusableTls, server_credentials
from protos.checks import database_problem, folder_problem, key_problem, tell

# What settings are called whose value does not go by their name in lower case.
_NAMED = {
    "host": "LOCATOR_LISTEN, host",
    "port": "LOCATOR_LISTEN, port",
    "accounts.open_signup": "LOCATOR_SIGNUP, open",
    "accounts.session_seconds": "LOCATOR_SESSION_HOURS, in seconds",
    "tls": "LOCATOR_TLS_CERT",
    "tls.certificate": "LOCATOR_TLS_CERT",
    "tls.key": "LOCATOR_TLS_KEY",
    "tls.client_ca": "LOCATOR_TLS_CLIENT_CA",
    "limits.message_bytes": "LOCATOR_MAX_MESSAGE",
    "limits.metadata_bytes": "LOCATOR_MAX_METADATA",
    "limits.streams": "LOCATOR_MAX_STREAMS",
    "limits.calls": "LOCATOR_MAX_CALLS",
    "limits.connections": "LOCATOR_MAX_CONNECTIONS",
    "limits.unasked_bytes": "LOCATOR_MAX_UNASKED",
    "limits.ping_seconds": "LOCATOR_MIN_PING_SECONDS",
    "limits.ping_strikes": "LOCATOR_PING_STRIKES",
    "limits.idle_seconds": "LOCATOR_CONNECTION_IDLE_SECONDS",
    "limits.age_seconds": "LOCATOR_CONNECTION_AGE_SECONDS",
    "limits.age_grace_seconds": "LOCATOR_CONNECTION_GRACE_SECONDS",
}
_NAMES = {field.name: f"LOCATOR_{field.name.upper()}" for field in fields(Settings)} | _NAMED


def check(settings: Settings) -> tuple[list[str], bool]:
    """What would be used, without secrets, and what is wrong with it, in lines to be printed; whether all is well."""
    return tell(settings, _NAMES, settings.warnings, _problems(settings))


def _problems(settings: Settings) -> Iterator[str]:
    found = [
        folder_problem(settings.state_dir),
        folder_problem(settings.store.parent),
        database_problem(settings.store, SCHEMA_VERSION),
        database_problem(settings.accounts_store, ACCOUNTS_VERSION),
        key_problem(settings.state_dir / KEY_FILE, "the locator"),
        _tls_problem(settings),
    ]
    yield from (problem for problem in found if problem is not None)


def _tls_problem(settings: Settings) -> str | None:
    if settings.tls is None:
        return None
    try:
        server_credentials(settings.tls, lambda: datetime.now(UTC))
    except UnusableTls as error:
        return str(error)
    return None
