"""Requests to the own PServer, and its refusals as model.py's errors.

The token is sent to the URL that was given and nowhere else: no redirect is followed, no proxy or .netrc of the
environment is used, and of an address in an answer only the path is taken (see sending.py).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pclient.model import Ambiguous, NotFound, PClientError, Refused, Unreachable, WrongUsage

if TYPE_CHECKING:
    import requests

_NO_ROUTE = "there is nothing at this address"  # what a PServer says of a path that its API does not have
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # a lookup takes the PServer up to 10
COMMIT_SECONDS = 300.0  # the last chunk of a file makes the PServer sync it to a disk that may be slow
Params = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to be sent. `timeout` in seconds, for the answer's head and then between two parts of it."""

    method: str
    path: str
    params: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    stream: bool = False
    timeout: float = ANSWER_SECONDS


class Wire:
    """Connections to the PServer at `url`. `read_token` is called before the first request that needs it."""

    def __init__(self, url: str, read_token: Callable[[], str]) -> None:
        import requests  # half of what a command's start costs: not for `--help`

        self.url = url
        self._read_token = read_token
        self._token: str | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    def send(self, ask: Ask) -> "requests.Response":
        """The answer to `ask`, sent with the token, if it is a good one (2xx); else one of model.py's errors."""
        response = self._exchange(ask, {"Authorization": f"Bearer {self._known_token()}"})
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
    ) -> dict[str, Any]:  # Any: JSON, which the callers name
        """Send `body` as JSON, if there is one; the object that is answered."""
        data, headers = (None, {}) if body is None else (_encoded(body), {"Content-Type": "application/json"})
        response = self.send(Ask(method, path, params or {}, headers, data, timeout=timeout))
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

    def _known_token(self) -> str:
        """The token, read once. Without one the likeliest reason is that no PServer was started: so ask that first."""
        if self._token is None:
            try:
                self._token = self._read_token()
            except Refused:
                self._exchange(Ask("GET", "/healthz", timeout=CONNECT_SECONDS), {})
                raise
        return self._token

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
        try:
            problem = response.json() if "json" in response.headers.get("Content-Type", "") else None
        except ValueError:
            problem = None
        if isinstance(problem, dict) and problem.get("detail") == _NO_ROUTE:
            return self._not_a_pserver()  # such as the peer API, which answers in the same way but to other addresses
        if isinstance(problem, dict) and "code" in problem:
            return _of_problem(problem, response.status_code, self.url)
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


def _of_problem(problem: dict[str, Any], status: int, url: str) -> PClientError:  # Any: an RFC 9457 document
    code = str(problem["code"])
    detail = str(problem.get("detail") or problem.get("title") or code)
    if "id" in problem and str(problem["id"]) not in detail:
        detail += f" (quote this id: {problem['id']})"
    choices = problem.get("choices")
    if code == "ambiguous" and isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return Ambiguous(detail, choices)
    if status == 401:
        return Refused(f"{detail} (the PServer at {url} does not accept our client token)", code)
    by_code = {"not-found": NotFound, "refused": Refused, "misdirected": Refused, "invalid": WrongUsage}
    return by_code.get(code, PClientError)(detail, code)


def _encoded(body: object) -> bytes:
    """JSON in ASCII: a name that is no UTF-8 becomes a lone surrogate, which the PServer refuses by its rules."""
    return json.dumps(body).encode("ascii")
