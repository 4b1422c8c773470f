"""The client API against pages that a browser on this machine shows: Host × Origin × Sec-Fetch-Site × method.

A page of elsewhere knows no token. Were it to know one, it would still be refused: that is what is tried here, on
every route that the application has, with the right token.
"""

from itertools import product
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.pserver.test_token_matrix import PUBLIC, operations
from tests.pserver.web_lab import HOST, TOKEN, ClientLab

SAFE = {"GET", "HEAD", "OPTIONS"}
OWN_HOSTS = [HOST]
OTHER_HOSTS = [
    "", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8102", "127.0.0.1:81011", "evil.example", "evil.example:8101",
    "127.0.0.1.evil.example:8101", "127.0.0.1:8101.evil.example", "evil.example#127.0.0.1:8101", "[::1]:8101",
    "user@127.0.0.1:8101", "127.0.0.1:8101@evil.example", "127.0.0.1:8101,evil.example", "0.0.0.0:8101",
    "127.0.0.2:8101", "127.1:8101", "2130706433:8101", "127.0.0.1.:8101", " 127.0.0.1:8101 x", "127.0.0.1:08101",
]  # fmt: skip
OWN_ORIGINS: list[str | None] = [None, f"http://{HOST}"]
OTHER_ORIGINS: list[str | None] = [
    "", "null", "http://evil.example", "https://evil.example:8101", "http://127.0.0.1", "http://127.0.0.1:8102",
    f"http://{HOST}.evil.example", f"http://{HOST}/", f"http://{HOST}@evil.example", f"http://evil.example/{HOST}",
    f"ftp://{HOST}", f"file://{HOST}", HOST, f"http://{HOST}, http://evil.example", "http://localhost:8102",
    "chrome-extension://abcdef", "about:blank", "*",
]  # fmt: skip
OWN_SITES: list[str | None] = [None, "none", "same-origin"]
OTHER_SITES: list[str | None] = ["same-site", "cross-site", "", "Same-Origin", "same-origin, cross-site", "navigate"]


@pytest.fixture
def lab(tmp_path: Path) -> ClientLab:
    return ClientLab(tmp_path)


def asked(lab: ClientLab, method: str, path: str, **headers: str | None) -> int:
    sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    sent |= {"Authorization": f"Bearer {TOKEN}", "Tus-Resumable": "1.0.0"}
    with FlaskClient(lab.app).open(path, method=method, base_url=f"http://{HOST}", headers=sent) as answer:
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
        return int(answer.status_code)


def paths(lab: ClientLab) -> set[tuple[str, str]]:
    return {(method, path) for method, path, _ in operations(lab.app)}


def test_another_host_is_misdirected_whatever_it_asks_and_whoever_it_is(lab: ClientLab) -> None:
    for method, path in paths(lab):
        for host in OTHER_HOSTS:
            assert asked(lab, method, path, Host=host) == 421, f"{method} {path} at {host!r}"
    assert lab.node.asked == []


def test_no_page_of_elsewhere_changes_anything(lab: ClientLab) -> None:
    every = set(product(OWN_HOSTS, OWN_ORIGINS + OTHER_ORIGINS, OWN_SITES + OTHER_SITES))
    foreign = [(h, o, s) for h, o, s in every if o in OTHER_ORIGINS or s in OTHER_SITES]
    tried = 0
    for method, path in paths(lab):
        if method in SAFE:
            continue
        for host, origin, site in foreign:
            status = asked(lab, method, path, Host=host, Origin=origin, Sec_Fetch_Site=site)
            assert status == 403, f"{method} {path} from {origin!r}, {site!r}"
            tried += 1
    assert lab.node.asked == [] and tried > 1500
    assert not list(lab.folder.partial.iterdir())


def test_the_own_client_and_the_own_page_are_let_in(lab: ClientLab) -> None:
    for method, path in paths(lab):
        for host, origin, site in product(OWN_HOSTS, OWN_ORIGINS, OWN_SITES):
            status = asked(lab, method, path, Host=host, Origin=origin, Sec_Fetch_Site=site)
            assert status not in {403, 421}, f"{method} {path} at {host} from {origin!r}, {site!r}"


def test_what_is_read_by_a_page_of_elsewhere_is_not_shown_to_it(lab: ClientLab) -> None:
    for method, path in paths(lab):
        if method in SAFE:  # `asked` holds every answer against CORS headers
            asked(lab, method, path, Host=HOST, Origin="http://evil.example", Sec_Fetch_Site="cross-site")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_can_send_is_taken_nowhere(lab: ClientLab, kind: str) -> None:
    sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind, "Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
    for method, path in paths(lab):
        if method in {"POST", "PUT", "PATCH"} and path not in PUBLIC:
            with FlaskClient(lab.app).open(
                path, method=method, base_url=f"http://{HOST}", headers=sent, data=b'{"what":"a"}'
            ) as answer:
                assert 400 <= answer.status_code < 500, f"{method} {path}: {answer.status}"
    assert lab.node.asked == []
