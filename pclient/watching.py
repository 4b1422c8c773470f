"""Waiting for transfers to end, and for a PServer that is away to come back."""

from pclient import text
from pclient.client import Client
from pclient.model import ENDED, Interrupted, PClientError, Transfer, Unreachable
from pclient.progress import Display, Moment, displayed, of_transfer

LOOK_SECONDS = 0.25
AWAY = "away"  # the code of an Interrupted while the PServer does not answer
WHEN_BACK = "when the PServer is back"
AWAY_SECONDS = 60.0  # a PServer that restarts takes its transfers up again: time enough to see that


class Patience:
    """How long we bear with a PServer that does not answer. Fed with the time; waits for nothing itself."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def answered(self) -> None:
        """It answered."""
        self._since = None

    @property
    def away(self) -> bool:
        """Whether it does not answer at present."""
        return self._since is not None

    def failed(self, error: PClientError, now: float) -> None:
        """It did not. Raises `error` once that has lasted too long."""
        self._since = now if self._since is None else self._since
        if now - self._since >= self._seconds:
            raise error


def watch(client: Client, transfer: Transfer, goes_unsaved: bool = False) -> Transfer:
    """Show a transfer until it has ended; its last state.

    Ctrl-C raises Interrupted: the transfer goes on at the PServer, in the background of a shell.
    `goes_unsaved`: what was to be done with the file afterwards (`--save`) will then not be done, which is said.
    """
    client.background.add(transfer["id"])
    patience = Patience(AWAY_SECONDS)
    try:
        with displayed(client.talk, client.clock) as display:
            ended = _until_ended(client, transfer, patience, display)
    except KeyboardInterrupt:
        if patience.away:
            raise Interrupted(left_waiting(client, transfer, goes_unsaved), AWAY) from None
        raise Interrupted(left_running(client, transfer, goes_unsaved)) from None
    client.background.discard(transfer["id"])
    return ended


def _until_ended(client: Client, transfer: Transfer, patience: Patience, display: Display) -> Transfer:
    display.show(of_transfer(transfer))
    while transfer["state"] not in ENDED:
        client.wait(LOOK_SECONDS)
        try:
            transfer = client.api.transfer(transfer["id"])
        except Unreachable as error:
            patience.failed(error, client.clock())
            display.show(_away(transfer))
            continue
        patience.answered()
        display.show(of_transfer(transfer))
    return transfer


def _away(transfer: Transfer) -> Moment:
    return Moment(
        label=f"{transfer['kind']} {transfer['label']}",
        state="waiting",
        done=transfer["bytes_done"],
        total=transfer["bytes_total"],
        note="the PServer does not answer; waiting for it",
    )


def left_running(client: Client, transfer: Transfer, goes_unsaved: bool = False) -> str:
    """What to tell about a transfer that goes on without us."""
    return _left(client, transfer, "goes on at the PServer", goes_unsaved)


def left_waiting(client: Client, transfer: Transfer, goes_unsaved: bool = False) -> str:
    """The same, of one whose PServer does not answer."""
    return _left(client, transfer, f"will go on {WHEN_BACK}", goes_unsaved)


def _left(client: Client, transfer: Transfer, goes_on: str, goes_unsaved: bool) -> str:
    look = f"{client.command('watch ' + transfer['id'])} or {client.command('transfers')}"
    unsaved = "; it will be in your share, but nothing is saved to a folder" if goes_unsaved else ""
    return f"{transfer['kind']} {transfer['id']} {goes_on}{unsaved}. To look at it: {look}"


def outcome(transfer: Transfer) -> str:
    """How an ended transfer ended, in a line."""
    what = f"{transfer['kind']} of {transfer['label']}"
    if transfer["state"] == "done":
        return f"{what} is done, {text.size(transfer['bytes_total'])}"
    if transfer["state"] == "cancelled":
        return f"{what} was cancelled"
    return f"{what} failed: {transfer['error']['detail'] if transfer['error'] else 'no reason was given'}"


def check_done(transfer: Transfer) -> None:
    """Raises PClientError unless the transfer ended well."""
    if transfer["state"] != "done":
        raise PClientError(outcome(transfer))
