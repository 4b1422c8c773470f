"""`pserver --check`: whether a peer could start with these settings. Changes nothing, and listens nowhere."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import fields

from protos.checks import database_problem, folder_problem, key_problem, tell
from pserver.disk.index import SCHEMA_VERSION as INDEX_VERSION
from pserver.exchange.transfers import SCHEMA_VERSION as TRANSFERS_VERSION
from pserver.identity import KEY_FILE
from pserver.running.listening import advertised_url
from pserver.setting_values import host_and_port
from pserver.settings import Settings

# What settings are called whose value does not go by their name in lower case.
_NAMED = {
    "keep_free_bytes": "PSERVER_KEEP_FREE",
    "bounds.connections": "PSERVER_MAX_CONNECTIONS",
    "bounds.connections_per_address": "PSERVER_MAX_CONNECTIONS_PER_ADDRESS",
    "bounds.requests": "PSERVER_MAX_REQUESTS",
    "bounds.header_bytes": "PSERVER_MAX_HEADER",
    "bounds.body_bytes": "PSERVER_MAX_BODY",
    "bounds.offers": "PSERVER_MAX_OFFERS",
    "bounds.offers_per_peer": "PSERVER_MAX_OFFERS_PER_PEER",
    "bounds.quota": "PSERVER_QUOTA",
    "locator_tls": "PSERVER_LOCATOR_CA",
    "locator_tls.ca": "PSERVER_LOCATOR_CA",
    "locator_tls.certificate": "PSERVER_LOCATOR_CERT",
    "locator_tls.key": "PSERVER_LOCATOR_KEY",
}
_NAMES = {field.name: f"PSERVER_{field.name.upper()}" for field in fields(Settings)} | _NAMED


def check(settings: Settings) -> tuple[list[str], bool]:
    """What would be used, without secrets, and what is wrong with it, in lines to be printed; whether all is well."""
    return tell(settings, _NAMES, [*settings.warnings, *_notes(settings)], _problems(settings))


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
        key_problem(settings.state_dir / KEY_FILE, "a peer"),
        _certificates_problem(settings.ca_file),
        _certificates_problem(settings.locator_tls.ca if settings.locator_tls else None),
    ]
    yield from (problem for problem in found if problem is not None)


def _certificates_problem(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        return f"{path} holds no certificates: {error}"
    return None
