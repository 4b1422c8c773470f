"""The routes of the client API about people: sign up, log in and out, who am I. It translates and nothing else.

Passwords and sessions are in the bodies only: in no log, no error and no address.
"""

from typing import Any, cast

from flask import Response, current_app

from pserver.api import schemas_in, schemas_out
from pserver.api.access import caller
from pserver.api.answers import logged_in_to_json, person_to_json
from pserver.api.openapi import errors
from pserver.api.verbs import PeopleVerbs
from pserver.api.web import answer, json_routes
from pserver.model import NotFound

PUBLIC = frozenset({"people.signup", "people.login"})
_FROM_ELSEWHERE = {403: "A page of another origin asked", 421: "Another Host was meant"}
_LOCATOR = {
    404: "There are no accounts here (no_accounts)",
    429: "Too many tries (slow_down): Retry-After says when to try again",
    503: "No locator answers, or others could listen on the way to it (insecure)",
}
_NOT_TAKEN = {400: "The body is not JSON, or the name or password cannot be one"}
_SESSION = {401: "No session, or it has ended (login_required)", **_FROM_ELSEWHERE}

routes = json_routes("people")


@routes.post("/client/v1/signup")
@routes.input(schemas_in.LoginIn, arg_name="body")
@routes.output(schemas_out.LoggedIn, status_code=201, description="The account is made, and its session begun")
@routes.doc(responses=errors({**_NOT_TAKEN, **_LOCATOR, **_FROM_ELSEWHERE,
            403: "Signup is closed here (signup_closed), or a page of another origin asked",
            409: "The name is taken (user_taken)"}))  # fmt: skip
def signup(body: dict[str, Any]) -> Response:
    """Make an account and log in. Needs no token."""
    return answer(logged_in_to_json(_people().signup(body["user"], body["password"])), 201)


@routes.post("/client/v1/login")
@routes.input(schemas_in.LoginIn, arg_name="body")
@routes.output(schemas_out.LoggedIn, description="The session")
@routes.doc(responses=errors({**_NOT_TAKEN, **_LOCATOR, **_FROM_ELSEWHERE,
            401: "No such user, a wrong password or a disabled account (wrong_login)"}))  # fmt: skip
def login(body: dict[str, Any]) -> Response:
    """Log in. Needs no token."""
    return answer(logged_in_to_json(_people().login(body["user"], body["password"])))


@routes.post("/client/v1/logout")
@routes.input(schemas_in.LogoutIn, arg_name="body")
@routes.output({}, status_code=204, description="The session has ended")
@routes.doc(security="Bearer", responses=errors({**_SESSION, **_LOCATOR, 400: "The body is not JSON"}))
def logout(body: dict[str, Any]) -> Response:
    """End this session, or all of its person's; other peers notice within 10 seconds."""
    _people().logout(_session(), body["everywhere"])
    return Response(status=204)


@routes.get("/client/v1/whoami")
@routes.output(schemas_out.WhoAmI)
@routes.doc(security="Bearer", responses=errors({**_SESSION, 503: "No locator answers"}))
def whoami() -> Response:
    """Who asks: a person, or the owner (by the client token)."""
    found = caller()
    accounts = found.session is not None or _people().in_force()
    return answer({"accounts": accounts, **person_to_json(found.person)})


@routes.post("/client/v1/password")
@routes.input(schemas_in.PasswordIn, arg_name="body")
@routes.output(schemas_out.LoggedIn, description="The new session; all others of the person have ended")
@routes.doc(security="Bearer", responses=errors({**_SESSION, **_NOT_TAKEN, **_LOCATOR,
            401: "The old password is wrong (wrong_login), or the session has ended (login_required)"}))  # fmt: skip
def password(body: dict[str, Any]) -> Response:
    """Change the password."""
    return answer(logged_in_to_json(_people().change_password(_session(), body["old"], body["new"])))


def _people() -> PeopleVerbs:
    return cast(PeopleVerbs, current_app.extensions["people"])


def _session() -> str:
    session = caller().session
    if session is None:
        raise NotFound("there are no accounts here: nobody is logged in", "no_accounts")
    return session
