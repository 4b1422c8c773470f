"""The commands that bring files into the share and to other peers: add, upload."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pclient import choosing, local_files, render, render_transfers, text
from pclient.client import Client
from pclient.local_files import LeftOut, LocalFile
from pclient.model import FileEntry, Interrupted, NotFound, PClientError, Transfer, Unreachable, WrongUsage
from pclient.progress import Display, Moment, displayed
from pclient.sending import send
from pclient.watching import AWAY, WHEN_BACK, Patience, check_done, left_running, outcome, watch

_INDEXING_LOOK_SECONDS = 0.2
_UNKNOWN_SECONDS = 30.0  # how long a file just sent may be unknown before we believe that it is gone


def add(client: Client, paths: Sequence[str], name: str | None) -> None:
    """Put files and folders into the own share and wait until they are indexed; prints them.

    Raises PClientError if some could not be added; the others were.
    """
    entries, failed = _add_all(client, local_files.meant_by(paths, name))
    if client.talk.as_json:
        client.talk.json({"files": entries, "failed": failed})
    else:
        client.talk.table(render.files(entries))
    if failed:
        raise PClientError(f"{text.count_of(len(failed), 'file')} not added")


def upload(client: Client, path: str, *, to: Sequence[str], replicas: int | None, detach: bool) -> None:
    """Add a file or folder, then make other peers hold it; waits for that unless `detach`.

    `path` may also be the name of a file that is in the share already. `to`: peers' names or ids; `replicas`: how
    many peers, chosen by the locator (one, if neither is given).
    """
    entries, failed = _in_share(client, path)
    wanted = 1 if replicas is None and not to else replicas
    begun = [choosing.upload(client, entry["name"], to, wanted) for entry in entries]
    client.seen.begun(begun)
    ended = _left(client, begun) if detach else _watched(client, begun)
    if client.talk.as_json:
        client.talk.json({"files": entries, "failed": failed, "transfers": ended})
    elif not detach:
        client.talk.table(render_transfers.placements(ended))
    if failed:
        raise PClientError(f"{text.count_of(len(failed), 'file')} not added, so not uploaded")
    if not detach:
        for transfer in ended:
            check_done(transfer)


def _in_share(client: Client, path: str) -> tuple[list[FileEntry], list[dict[str, str]]]:
    try:
        meant = local_files.meant_by([path], None)
    except NotFound as not_here:
        try:
            return [client.api.file(path)], []
        except (NotFound, WrongUsage):
            raise NotFound(f"{not_here}, and no such file in your share") from None
    return _add_all(client, meant)


def _left(client: Client, begun: Sequence[Transfer]) -> Sequence[Transfer]:
    for transfer in begun:
        client.background.add(transfer["id"])
        client.talk.say(left_running(client, transfer))
    return begun


def _watched(client: Client, begun: Sequence[Transfer]) -> list[Transfer]:
    """Watch one after another: they run side by side. Ctrl-C leaves all of them running."""
    ended = []
    client.background.update(transfer["id"] for transfer in begun)
    for transfer in begun:
        try:
            ended.append(watch(client, transfer))
        except Interrupted as error:
            if len(begun) == 1:
                raise
            go_on = f"will go on {WHEN_BACK}" if error.code == AWAY else "go on at the PServer"
            look = client.command("transfers")
            raise Interrupted(f"{len(begun)} uploads {go_on}. To look at them: {look}", error.code) from None
        client.talk.say(outcome(ended[-1]))
    return ended


def _add_all(client: Client, meant: Sequence[LocalFile | LeftOut]) -> tuple[list[FileEntry], list[dict[str, str]]]:
    """Send all, then wait until all are indexed: the PServer hashes the first while the next are sent."""
    names: list[str] = []
    failed: list[dict[str, str]] = []
    with displayed(client.talk, client.clock) as display:
        if len(meant) > 1:
            display.show(Moment(f"adding {len(meant)} files", "running", 0, 0))
        for number, local in enumerate(meant, start=1):
            try:
                names.append(_sent_name(client, local, _Numbered(display, number, len(meant))))
            except (Unreachable, Interrupted):
                raise
            except PClientError as error:
                if len(meant) == 1:
                    raise
                failed.append({"path": str(local.path), "error": str(error)})
        entries = [_indexed(client, name, display) for name in names]
    for one in failed:
        client.talk.warn(f"not added: {one['path']}: {one['error']}")
    if len(meant) > 1:
        shared = text.size(sum(entry["size"] for entry in entries))
        client.talk.say(f"{text.count_of(len(entries), 'file')} in your share, {shared}")
    return entries, failed


class _Numbered:
    """Shows of one of several files which one of them it is."""

    def __init__(self, display: Display, number: int, of: int) -> None:
        self._display = display
        self._mark = f" ({number} of {of})" if of > 1 else ""

    def show(self, moment: Moment) -> None:
        """See Display."""
        self._display.show(replace(moment, label=moment.label + self._mark))


def _sent_name(client: Client, local: LocalFile | LeftOut, display: Display) -> str:
    """The name in the share of a file that was sent, or was there already. Raises PClientError."""
    if isinstance(local, LeftOut):
        raise PClientError(local.why)
    try:
        if _is_there(client, local):
            return local.name
        with local.path.open("rb") as file:
            name = send(client, file, local.name, display)
    except OSError as error:
        raise PClientError(f"cannot read {local.path}: {error.strerror}") from None
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted while sending {local.name}: it was not added") from None
    if name != local.name:
        client.talk.say(f"the share has another {local.name}: this one is now called {name}")
    return name


def _is_there(client: Client, local: LocalFile) -> bool:
    """Whether the share has this very file under this name: then adding it again would only make a copy."""
    try:
        entry = client.api.file(local.name)
    except Unreachable:
        raise
    except PClientError:
        return False
    return entry["size"] == local.path.stat().st_size and entry["sha256"] == _sha256(local.path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _indexed(client: Client, name: str, display: Display) -> FileEntry:
    """Wait until the PServer has indexed a file of the share. Ctrl-C raises Interrupted; the file is there."""
    patience = Patience(_UNKNOWN_SECONDS)
    try:
        while True:
            try:
                return client.api.file(name)
            except (NotFound, Unreachable) as error:
                patience.failed(error, client.clock())
            except PClientError as error:
                if error.code != "hashing":
                    raise
                patience.answered()
            display.show(Moment(f"waiting until {name} is indexed", "hashing", 0, 0))
            client.wait(_INDEXING_LOOK_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {name} is in the share and will be indexed") from None
