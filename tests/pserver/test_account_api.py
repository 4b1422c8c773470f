"""The client API's routes about people, and who may use the others, over accounts in memory."""

from pathlib import Path

import pytest
from apiflask import Schema

from pserver.api import schemas_out
from pserver.model import SlowDown, Unavailable
from pserver.people import LoggedIn
from tests.pserver.web_lab import ENTRY, FILE_ID, TOKEN, ClientLab, paths_of, problem_of

SESSION = "p2ps_" + "x" * 43
ANN = {"user": "ann", "password": "correct horse"}


@pytest.fixture
def lab(tmp_path: Path) -> ClientLab:
    """A peer whose locator has accounts on."""
    made = ClientLab(tmp_path)
    made.people.heard(on=True)
    return made


def ann(lab: ClientLab) -> LoggedIn:
    """Ann signed up; requests are hers from now on."""
    begun = lab.people.accounts.signup("ann", "correct horse")
    show(lab, begun.session)
    return begun


def show(lab: ClientLab, bearer: str) -> None:
    lab.http.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {bearer}"


# --- who gets in


def test_with_accounts_on_every_route_needs_a_live_session(lab: ClientLab) -> None:
    paths = paths_of(lab.app)
    public = {"/healthz", "/client/v1/signup", "/client/v1/login"}
    for bearer in (TOKEN, SESSION, "x", ""):
        show(lab, bearer)
        for path in paths.keys() - public:
            for method in paths[path]:
                answer = lab.http.open(path.replace("{", "").replace("}", ""), method=method)
                assert answer.status_code == 401, (method, path)
                if method != "head":
                    problem_of(answer, 401, "login_required")
    assert not lab.node.asked
    assert lab.http.get("/healthz").status_code == 200 and lab.http.get("/openapi.json").status_code == 200
    ann(lab)
    assert lab.http.get("/client/v1/status").status_code == 200


def test_the_client_token_opens_while_no_locator_is_in_reach(lab: ClientLab) -> None:
    problem_of(lab.http.get("/client/v1/status"), 401, "login_required")
    lab.people.reached = False
    assert lab.http.get("/client/v1/status").status_code == 200
    show(lab, "x" * 43)
    problem_of(lab.http.get("/client/v1/status"), 401, "refused")


def test_a_session_that_cannot_be_asked_about_is_not_wrong(lab: ClientLab) -> None:
    begun = ann(lab)
    lab.people.locator.fails = Unavailable("away")
    lab.now += 60
    assert lab.http.get("/client/v1/status").status_code == 200, "within the grace"
    show(lab, SESSION)
    problem_of(lab.http.get("/client/v1/status"), 503, "unavailable")
    show(lab, begun.session)
    lab.now += 3600
    problem_of(lab.http.get("/client/v1/status"), 503, "unavailable")


def test_a_session_is_nothing_where_accounts_are_off(lab: ClientLab) -> None:
    lab.people.heard(on=False)
    show(lab, SESSION)
    problem_of(lab.http.get("/client/v1/status"), 401, "refused")


def test_a_way_that_others_could_listen_on_is_not_used(lab: ClientLab) -> None:
    lab.people.locator.fails = Unavailable("others could listen", "insecure")
    problem_of(lab.http.post("/client/v1/login", json=ANN), 503, "insecure")
    show(lab, SESSION)
    problem_of(lab.http.get("/client/v1/status"), 503, "insecure")


# --- signing up, in and out


@pytest.mark.parametrize(("path", "status"), [("signup", 201), ("login", 200)])
def test_it_begins_a_session(lab: ClientLab, path: str, status: int) -> None:
    lab.people.locator.users = {} if path == "signup" else {"ann": ("correct horse", "admin")}
    show(lab, "")
    answer = lab.http.post(f"/client/v1/{path}", json=ANN)
    assert answer.status_code == status and answer.headers["Cache-Control"] == "no-store"
    begun = answer.get_json()
    assert schemas_out.LoggedIn().validate(begun) == {}
    assert (begun["user"], begun["role"]) == ("ann", "member" if path == "signup" else "admin")
    assert begun["expires"] > lab.now
    show(lab, begun["session"])
    found = lab.http.get("/client/v1/whoami").get_json()
    assert found == {"accounts": True, "user": "ann", "role": begun["role"], "expires": begun["expires"]}


def test_what_does_not_begin_one(lab: ClientLab) -> None:
    locator = lab.people.locator
    problem_of(lab.http.post("/client/v1/login", json=ANN), 401, "wrong_login")
    locator.users["ann"] = "other", "member"
    problem_of(lab.http.post("/client/v1/login", json=ANN), 401, "wrong_login")
    problem_of(lab.http.post("/client/v1/signup", json=ANN), 409, "user_taken")
    locator.signup_open = False
    problem_of(lab.http.post("/client/v1/signup", json=ANN), 403, "signup_closed")
    locator.fails = SlowDown("too many tries", 17)
    answer = lab.http.post("/client/v1/login", json=ANN)
    problem_of(answer, 429, "slow_down")
    assert answer.headers["Retry-After"] == "17"
    locator.fails = Unavailable("away")
    problem_of(lab.http.post("/client/v1/login", json=ANN), 503, "unavailable")
    locator.fails = None
    lab.people.heard(on=False)
    problem_of(lab.http.post("/client/v1/login", json=ANN), 404, "no_accounts")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("login", {}), ("login", {"user": "ann"}), ("login", {"user": "ann", "password": ""}),
        ("login", {"user": 5, "password": "correct horse"}), ("signup", {**ANN, "user": "a" * 1025}),
        ("signup", {**ANN, "role": "admin"}), ("login", {"user": "ann", "password": ["correct horse"]}),
        ("login", {"user": "ann", "password": "correct horse" * 100}),
    ],
)  # fmt: skip
def test_what_is_malformed_is_named_without_repeating_it(lab: ClientLab, path: str, body: dict[str, object]) -> None:
    answer = lab.http.post(f"/client/v1/{path}", json=body)
    assert "correct horse" not in problem_of(answer, 422, "invalid")["detail"]
    assert not lab.people.locator.asked


def test_a_page_of_elsewhere_cannot_log_in(lab: ClientLab) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        problem_of(lab.http.post("/client/v1/login", json=ANN, headers=headers), 403, "refused")
    problem_of(lab.http.post("/client/v1/login", json=ANN, headers={"Host": "evil.example"}), 421, "misdirected")
    problem_of(lab.http.post("/client/v1/login", data="user=ann", content_type="text/plain"), 415, "invalid")
    assert not lab.people.locator.asked


@pytest.mark.parametrize("everywhere", [False, True])
def test_logging_out(lab: ClientLab, everywhere: bool) -> None:
    begun = ann(lab)
    other = lab.people.accounts.login("ann", "correct horse")
    body = {"everywhere": True} if everywhere else {}
    assert lab.http.post("/client/v1/logout", json=body).status_code == 204
    problem_of(lab.http.get("/client/v1/whoami"), 401, "login_required")
    assert (other.session in lab.people.locator.sessions) is not everywhere
    assert begun.session not in lab.people.locator.sessions


def test_a_new_password(lab: ClientLab) -> None:
    ann(lab)
    wrong = {"old": "x", "new": "battery staple"}
    problem_of(lab.http.post("/client/v1/password", json=wrong), 401, "wrong_login")
    assert lab.http.get("/client/v1/whoami").status_code == 200
    body = {"old": "correct horse", "new": "battery staple"}
    begun = lab.http.post("/client/v1/password", json=body).get_json()
    assert schemas_out.LoggedIn().validate(begun) == {}
    problem_of(lab.http.get("/client/v1/whoami"), 401, "login_required")
    show(lab, begun["session"])
    assert lab.http.get("/client/v1/whoami").status_code == 200


def test_the_owner_of_a_peer_without_accounts(lab: ClientLab) -> None:
    lab.people.heard(on=False)
    found = lab.http.get("/client/v1/whoami").get_json()
    assert found == {"accounts": False, "user": None, "role": "owner", "expires": None}
    assert schemas_out.WhoAmI().validate(found) == {}
    problem_of(lab.http.post("/client/v1/logout", json={}), 404, "no_accounts")
    problem_of(lab.http.post("/client/v1/password", json={"old": "a", "new": "b"}), 404, "no_accounts")


# --- what is done in a person's name


def test_removing_everywhere(lab: ClientLab) -> None:
    session = ann(lab).session
    answers: list[tuple[object, type[Schema]]] = [
        (lab.http.delete(f"/client/v1/files/{ENTRY.name}?everywhere=1").get_json(), schemas_out.Removed),
        (lab.http.post("/client/v1/drops", json={"what": "id:00"}).get_json(), schemas_out.Dropped),
    ]
    for answer, schema in answers:
        assert isinstance(answer, dict) and schema().validate(answer) == {}
        assert answer["file_id"] == FILE_ID.hex() and answer["ordered_present"] == ["ann"]
    assert lab.http.delete(f"/client/v1/files/{ENTRY.name}?everywhere=0").status_code == 204
    problem_of(lab.http.delete(f"/client/v1/files/{ENTRY.name}?everywhere=maybe"), 422, "invalid")
    assert lab.node.asked == [
        ("remove_everywhere", ENTRY.name, session),
        ("drop", "id:00", session),
        ("remove", ENTRY.name),
    ]


def test_uploads_are_in_the_name_of_the_session(lab: ClientLab) -> None:
    session = ann(lab).session
    lab.http.post("/client/v1/uploads", json={"name": "a"})
    lab.http.post("/client/v1/transfers/0011aabb/resume")
    assert lab.node.asked == [("start_upload", "a", (), None, session), ("resume", "0011aabb", session)]
