"""Requests to the own PServer, and its refusals as model.py's errors.

The session and the token are sent to the URL that was given and nowhere else: no redirect is followed, no proxy or
.netrc of the environment is used, and of an address in an answer only the path is taken (see sending.py).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pclient import text
from pclient.credentials import Credentials, login_needed
from pclient.model import Ambiguous, NotFound, PClientError, Refused, Unreachable, WrongUsage
from pclient.sessions import is_session

if TYPE_CHECKING:
    import requests

_NO_ROUTE = "there is nothing at this address"  # what a PServer says of a path that its API does not have
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # a lookup takes the PServer up to 10
COMMIT_SECONDS = 300.0  # the last chunk of a file makes the PServer sync it to a disk that may be slow
Params = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to be sent. `timeout` in seconds, for the answer's head and then between two parts of it.

    `public`: nothing that proves who we are goes with it. `proof`: this goes with it, instead of what usually does.
    """

    method: str
    path: str
    params: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    stream: bool = False
    timeout: float = ANSWER_SECONDS
    public: bool = False
    proof: str | None = None


class Wire:
    """Connections to the PServer at `url`. `credentials` are read before the first request that needs them."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        import requests  # half of what a command's start costs: not for `--help`

        self.url = url
        self._credentials = credentials
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def is_private(self) -> bool:
        """Whether nobody between us and the PServer can read along."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or is_loopback(parts.hostname or "")

    def send(self, ask: Ask) -> "requests.Response":
        """The answer to `ask`, sent with what proves who we are, if it is a good one (2xx); else a model.py error."""
        response = self._answer(ask)
        if not 200 <= response.status_code < 300:
            raise self._error(response)
        return response

    def json(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        timeout: float = ANSWER_SECONDS,
        public: bool = False,
    ) -> dict[str, Any]:  # Any: JSON, which the callers name
        """Send `body` as JSON, if there is one; the object that is answered."""
        data, headers = (None, {}) if body is None else (_encoded(body), {"Content-Type": "application/json"})
        response = self.send(Ask(method, path, params or {}, headers, data, timeout=timeout, public=public))
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._not_a_pserver()
        return answer

    def chunks(self, response: "requests.Response", chunk_bytes: int) -> Iterator[bytes]:
        """The body of a streamed answer. A broken connection raises Unreachable."""
        import requests

        try:
            yield from response.iter_content(chunk_bytes)
        except requests.RequestException as error:
            raise Unreachable(f"the connection to the PServer at {self.url} broke", "broken") from error

    def _exchange(self, ask: Ask, authorization: Mapping[str, str]) -> "requests.Response":
        import requests

        try:
            return self._session.request(
                ask.method,
                self.url + ask.path,
                params={key: value for key, value in ask.params.items() if value is not None},
                headers={**ask.headers, **authorization},
                data=ask.data,
                stream=ask.stream,
                timeout=(min(CONNECT_SECONDS, ask.timeout), ask.timeout),
                allow_redirects=False,
            )
        except UnicodeEncodeError:
            raise WrongUsage("that is not valid UTF-8") from None
        except requests.ReadTimeout:
            raise Unreachable(f"the PServer at {self.url} did not answer within {ask.timeout:.0f} s") from None
        except requests.RequestException as error:
            raise self._unreachable(error) from error

    def _answer(self, ask: Ask) -> "requests.Response":
        if ask.public:
            return self._exchange(ask, {})
        return self._proven(ask) if ask.proof is None else self._exchange(ask, _bearer(ask.proof))

    def _proven(self, ask: Ask) -> "requests.Response":
        """The answer to the first proof that is accepted. If none is, the one with most to say.

        Without a token to show, the PServer is asked all the same: likeliest is that none was started, and then that
        it wants a login. A session that no locator is there to vouch for is no proof: then the token counts.
        """
        _ = self._credentials.session  # raises Refused, which is to be heard, if its file is not to be trusted
        answer: requests.Response | None = None
        unknown: requests.Response | None = None
        try:
            for proof in self._credentials.proofs():
                answer = self._exchange(ask, _bearer(proof))
                if self._is_unknown(proof, answer):
                    unknown = answer
                elif _is_refusal(answer):
                    self._credentials.refused(proof)
                else:
                    self._credentials.accepted(proof)
                    return answer
        except Refused:
            answer = self._exchange(ask, {}) if answer is None else answer
            if unknown is None and _is_refusal(answer) and _code(answer) != "login_required":
                raise
        assert answer is not None  # there is a token, or _credentials has raised
        return answer if unknown is None else unknown

    def _is_unknown(self, proof: str, answer: "requests.Response") -> bool:
        """Whether the PServer could not find out whose session that is: so it cannot say even who we are."""
        if answer.status_code != 503 or not is_session(proof):
            return False
        return self._exchange(Ask("GET", "/client/v1/whoami"), _bearer(proof)).status_code == 503

    def _unreachable(self, error: Exception) -> Unreachable:
        if "SSL" in type(error).__name__:
            return Unreachable(f"no safe connection to the PServer at {self.url}: {error}")
        return Unreachable(
            f"no PServer answers at {self.url}. Start one with `pserver` (or python -m pserver), "
            "or say where yours is: --url URL or PCLIENT_PSERVER_URL"
        )

    def _not_a_pserver(self) -> Unreachable:
        return Unreachable(
            f"what answers at {self.url} is no client API of a PServer. Is the address right? "
            "(A PServer's other port, 8001 by default, is for other peers; that of the client API is 8101.)"
        )

    def _error(self, response: "requests.Response") -> PClientError:
        problem = _problem(response)
        if problem.get("detail") == _NO_ROUTE:
            return self._not_a_pserver()  # such as the peer API, which answers in the same way but to other addresses
        if problem.get("code") == "login_required":
            session = self._credentials.session
            return login_needed(session.user if session is not None else None)
        if "code" in problem:
            return _of_problem(problem, response, self.url)
        return self._plain_error(response)

    def _plain_error(self, response: "requests.Response") -> PClientError:
        """What waitress refuses before routing is plain text; what redirects or shows pages is no PServer."""
        status, kind = response.status_code, response.headers.get("Content-Type", "")
        if "json" in kind and status == 404:  # the answer to a HEAD has no body
            return NotFound("there is no such thing at the PServer any more", "not-found")
        if status in {401, 403, 421}:
            return Refused(f"the PServer at {self.url} refuses (status {status})", "refused")
        if status < 400 or status == 404 or not kind.startswith(("text/plain", "application/problem")):
            return self._not_a_pserver()
        code = "unavailable" if status >= 500 else "failed"
        return PClientError(f"the PServer answered {status}: {response.text[:200].strip()}", code)


def is_loopback(host: str) -> bool:
    """Whether what is sent to `host` stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _bearer(proof: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {proof}"}


def _problem(response: "requests.Response") -> dict[str, Any]:  # Any: an RFC 9457 document
    """What the PServer says of its refusal; nothing if it is no such document."""
    try:
        problem = response.json() if "json" in response.headers.get("Content-Type", "") else None
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}


def _code(response: "requests.Response") -> object:
    return _problem(response).get("code")


def _is_refusal(response: "requests.Response") -> bool:
    """Whether what was shown as a proof is not accepted. (A wrong password is another matter.)"""
    return response.status_code == 401 and _code(response) != "wrong_login"


_KINDS: Mapping[str, type[PClientError]] = {
    "not-found": NotFound,
    "refused": Refused,
    "misdirected": Refused,
    "wrong_login": Refused,
    "signup_closed": Refused,
    "user_taken": Refused,
    "grant_needed": Refused,
    "slow_down": Refused,
    "invalid": WrongUsage,
}


def _of_problem(problem: dict[str, Any], response: "requests.Response", url: str) -> PClientError:  # Any: as above
    code = str(problem["code"])
    detail = str(problem.get("detail") or problem.get("title") or code)
    if "id" in problem and str(problem["id"]) not in detail:
        detail += f" (quote this id: {problem['id']})"
    choices = problem.get("choices")
    if code == "ambiguous" and isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return Ambiguous(detail, choices)
    if code == "slow_down":
        detail += _when_again(response.headers.get("Retry-After", ""), detail)
    if response.status_code == 401 and code != "wrong_login":
        return Refused(f"{detail} (the PServer at {url} does not accept our client token)", code)
    return _KINDS.get(code, PClientError)(detail, code)


def _when_again(seconds: str, detail: str) -> str:
    known = seconds.isascii() and seconds.isdecimal() and len(seconds) < 7 and seconds not in detail
    return f" (try again in {text.duration(int(seconds))})" if known else ""


def _encoded(body: object) -> bytes:
    """JSON in ASCII: a name that is no UTF-8 becomes a lone surrogate, which the PServer refuses by its rules."""
    return json.dumps(body).encode("ascii")
