"""`doctor`: what the own PServer says of its own health, and what the client sees itself when that cannot be asked."""

import socket
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pclient import __version__, text
from pclient.client import Client
from pclient.model import PClientError, Refused, Unreachable
from pclient.model_health import Check, Report
from pclient.table import Cell, Column, Table, word

_CONNECT_SECONDS = 2.0


def doctor(client: Client) -> None:
    """Print what works and what does not, a line a thing. Raises PClientError (exit code 1) if something fails."""
    checks = list(_checks(client))
    failed = sum(check["state"] == "fail" for check in checks)
    if client.talk.as_json:
        client.talk.json(Report(healthy=not failed, checks=checks))
    else:
        client.talk.table(_for_person(checks) if client.talk.to_person else _for_program(checks))
    if failed:
        raise PClientError(f"{failed} of {text.count_of(len(checks), 'check')} failed: what to do stands above")
    if client.talk.to_person:
        warned = sum(check["state"] == "warn" for check in checks)
        client.talk.say(f"{text.count_of(warned, 'warning')}, nothing fails" if warned else "all is well")


def _checks(client: Client) -> Iterator[Check]:
    try:
        found = client.api.doctor()["checks"]
    except (Unreachable, Refused) as error:
        yield from _from_outside(client, error)
        return
    yield _client_check(client.api.status()["version"])
    yield from found


def _client_check(version: str) -> Check:
    if version == __version__:
        return _check("client", "ok", f"version {__version__}, as the PServer")
    return _check("client", "warn", f"version {__version__}, the PServer is {version}", "upgrade the older one")


def _from_outside(client: Client, error: PClientError) -> Iterator[Check]:
    """What can be seen without the PServer's word."""
    if isinstance(error, Unreachable):
        yield _check("pserver", "fail", str(error), "its log says why it ended: try `pserver --check` there")
        yield _connection(client.api.url)
    else:
        yield _check("pserver", "ok", f"one answers at {client.api.url}")
        yield _check("login", "fail", str(error))
    yield _token(client)


def _connection(url: str) -> Check:
    """Whether anything takes a connection there. Three cases: no such host, nobody answers, somebody else does."""
    parts = urlsplit(url)
    where = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection(where, _CONNECT_SECONDS).close()
    except socket.gaierror:
        advice = "is --url or PCLIENT_PSERVER_URL right?"
        return _check("connection", "fail", f"the host {where[0]} is not known", advice)
    except OSError as error:
        advice = "is the PServer running, and PSERVER_CLIENT_LISTEN that address?"
        return _check("connection", "fail", f"{where[0]} port {where[1]}: {error.strerror or error}", advice)
    detail = f"{where[0]} port {where[1]} takes connections, but does not answer as it should"
    return _check("connection", "warn", detail)


def _token(client: Client) -> Check:
    try:
        client.credentials.read_token()
    except Refused as error:
        return _check("client token", "warn", str(error))
    return _check("client token", "ok", "it can be read")


def _check(what: str, state: str, detail: str, advice: str = "") -> Check:
    return Check(what=what, state=state, detail=detail, advice=advice)


def _for_program(checks: Sequence[Check]) -> Table:
    """A line a check: state, what, detail, advice."""
    rows = [[word(check[key]) for key in ("state", "what", "detail", "advice")] for check in checks]
    return Table([Column("")] * 4, rows, has_header=False)


def _for_person(checks: Sequence[Check]) -> Table:
    """What to do stands below what is wrong."""
    rows: list[list[Cell]] = []
    for check in checks:
        rows.append([word(check["state"]), word(check["what"]), word(check["detail"])])
        if check["advice"]:
            rows.append([word(""), word("do"), word(check["advice"])])
    return Table([Column(""), Column(""), Column("", wraps=True)], rows, has_header=False)
