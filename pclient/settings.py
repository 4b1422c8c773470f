"""The client's settings, from an environment that is passed in, and the token that proves who we are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pclient.model import Refused, WrongUsage
from pclient.services import SERVICES, service_files, who_may_read

DEFAULT_URL = "http://127.0.0.1:8101"
NAMES = frozenset({"PCLIENT_PSERVER_URL", "PCLIENT_TOKEN_FILE", "PCLIENT_DEBUG"})
_MAX_TOKEN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """`url`: scheme, host and port of the own PServer's client API. `history_file`: of the shell.

    `sessions_folder`: where the session of each PServer is kept. `warnings`: what the person should be told at the
    start, a line each.
    """

    url: str
    token_file: Path
    history_file: Path
    sessions_folder: Path
    warnings: tuple[str, ...] = ()


def settings_from(
    environ: Mapping[str, str],
    env_file: str | None = None,
    url: str | None = None,
    token_file: str | None = None,
    services: Path = SERVICES,
) -> Settings:
    """The settings: a flag wins over the environment, the environment over the file. Raises WrongUsage.

    `env_file`: a file to read; None means `.env` in the current folder, if there is one. If nothing of all that says
    which peer, and this person runs none, it is the one that runs as a service of this machine (below `services`).
    """
    values = {**_from_file(env_file), **environ}
    state = _state_folder(values)
    said = url or token_file or values.get("PCLIENT_PSERVER_URL") or values.get("PCLIENT_TOKEN_FILE")
    if not said and not (state / "pserver" / "client-token").exists():
        values = {**_service_settings(services), **values}
    return Settings(
        url=_check_url(url or values.get("PCLIENT_PSERVER_URL") or DEFAULT_URL),
        token_file=Path(
            token_file or values.get("PCLIENT_TOKEN_FILE") or state / "pserver" / "client-token"
        ).expanduser(),
        history_file=state / "pclient" / "history",
        sessions_folder=state / "pclient" / "sessions",
        warnings=tuple(_warnings(values)),
    )


def read_token(path: Path) -> str:
    """The client token in `path`. Raises Refused with words that help."""
    try:
        with path.open("rb") as file:
            token = file.read(_MAX_TOKEN_BYTES + 1).strip()
    except FileNotFoundError:
        raise Refused(
            f"there is no client token at {path}: a PServer writes it there when it starts. "
            "Does yours run as another user, or with another state folder? Then say where: --token-file FILE"
        ) from None
    except OSError as error:
        raise Refused(f"cannot read the client token {path}: {error.strerror}. {who_may_read(path)}") from None
    if not token or len(token) > _MAX_TOKEN_BYTES or not token.isascii() or not token.decode("ascii").isprintable():
        raise Refused(f"{path} holds no client token")
    return token.decode("ascii")


def _from_file(env_file: str | None) -> dict[str, str]:
    path = Path(env_file or ".env")
    if env_file is None and not path.is_file():
        return {}
    import dotenv  # costs more than all the rest of a start, and there is mostly no such file

    try:
        with path.open(encoding="utf-8") as stream:
            read = dotenv.dotenv_values(stream=stream, interpolate=False)
    except (OSError, UnicodeError) as error:
        raise WrongUsage(f"cannot read the settings file {path}: {getattr(error, 'strerror', error)}") from None
    return {name: value for name, value in read.items() if value is not None}


def _service_settings(services: Path) -> dict[str, str]:
    """Those that the one peer which runs as a service has left for its clients. Raises WrongUsage if there are more."""
    files = service_files(services)
    if len(files) > 1:
        names = " or ".join(f"--env-file {file}" for file in files)
        raise WrongUsage(f"several peers run on this machine, say which: {names}")
    return _from_file(str(files[0])) if files else {}


def _warnings(values: Mapping[str, str]) -> list[str]:
    if all(name in NAMES for name in values if name.startswith("PCLIENT_")):
        return []
    from protos.settings import unknown  # mostly there is nothing to say

    return unknown(values, "PCLIENT_", NAMES)


def _state_folder(values: Mapping[str, str]) -> Path:
    """XDG state. A relative XDG_STATE_HOME is ignored, as its specification asks."""
    named = Path(values.get("XDG_STATE_HOME", ""))
    return named if named.is_absolute() else Path("~/.local/state").expanduser()


def _check_url(url: str) -> str:
    """`url` without a trailing slash. Only scheme, host and port: the token goes there and nowhere else."""
    plain = url.rstrip("/")
    try:
        parts = urlsplit(plain)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.path or "?" in plain or "#" in plain or not plain.isascii():
        raise WrongUsage(f"the PServer's URL must be like {DEFAULT_URL}, this one is not: {url}")
    return plain
