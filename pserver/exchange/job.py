"""One transfer as it runs: its files, several at once, until all have ended or it is told to stop."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from protos.logs import request_id, working_on
from pserver.exchange.bundles import Bundles, Left, batches, is_small
from pserver.exchange.engine import Engine, Stopped
from pserver.exchange.fetch import Fetch
from pserver.exchange.partial import partial_base, remove_partial
from pserver.exchange.progress import Live
from pserver.exchange.transfer import Item, Transfer
from pserver.model import Conflict, Holder, NotFound, PServerError

_log = logging.getLogger(__name__)
_PAGE = 512  # files taken from the record, and looked up, at once
_LOOK_SECONDS = 0.2


class Job:
    """Runs one transfer in threads of its own, from `start` until `on_end` is called (with this job)."""

    def __init__(self, engine: Engine, transfer: Transfer, on_end: Callable[["Job"], None]) -> None:
        self.transfer = transfer
        self.live = Live()
        self._engine = engine
        self._on_end = on_end
        self._stopped = threading.Event()
        self._changed = threading.Condition()  # for the next four
        self._waiting: deque[Left] = deque()
        self._batches: deque[list[Item]] = deque()
        self._on_their_way = 0  # batches that are being brought
        self._last_number = -1
        self._bundles = Bundles(engine, transfer, self.live, self._stopped)
        self._errors: list[PServerError] = []  # the first, for its code
        # What others are asked for it is followed by the id of this transfer; of an incoming one, by that of the offer.
        offered = request_id() if transfer.kind == "incoming" else ""
        self._request = offered or f"{transfer.kind}-{transfer.id}"
        self._thread = threading.Thread(target=self._run, name=f"transfer-{transfer.id}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to stop; `wait` tells when it has."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, at the latest after that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with working_on(request=self._request, transfer=self.transfer.id):
                self._work_to_the_end()
        finally:
            self._on_end(self)

    def _work_to_the_end(self) -> None:
        try:
            self._work_side_by_side()
            if not self._stopped.is_set():
                self._conclude()
        except PServerError as error:  # of the record of the transfers: it cannot be read now
            _log.warning("transfer %s stops: %s", self.transfer.id, error)
            self._move("failed", (error.code, str(error)))
        except Exception:
            _log.exception("transfer %s failed", self.transfer.id)
            self._move("failed", ("internal", "an internal error, see the log"))

    def _work_side_by_side(self) -> None:
        more = min(self._engine.limits.files, self.transfer.files_total - self.transfer.files_done) - 1
        others = [
            threading.Thread(target=copy_context().run, args=(self._work,), name=self._thread.name, daemon=True)
            for _ in range(more)
        ]
        for other in others:
            other.start()
        self._work()
        for other in others:
            other.join()

    def _work(self) -> None:
        """Take one file after another, or a batch of small ones."""
        try:
            while (taken := self._next()) is not None:
                if isinstance(taken, list):
                    self._bring(taken)
                else:
                    self._fetch(*taken)
        except Stopped:
            pass
        except PServerError as error:  # of the record of the transfers, which is as good as all of them failing
            self._errors.append(error)

    def _bring(self, batch: list[Item]) -> None:
        left: list[Left] = [(item, []) for item in batch]
        try:
            left = self._bundles.bring(batch)
        except (PServerError, Stopped):
            raise
        except Exception:
            _log.exception("small files of transfer %s failed together", self.transfer.id)
        finally:
            with self._changed:
                self._on_their_way -= 1
                self._waiting.extend(left)
                self._changed.notify_all()

    def _fetch(self, item: Item, looked_up: list[Holder]) -> None:
        holders = [*(Holder(peer, item.name, sha256_checked=False) for peer in self.transfer.hints), *looked_up]
        try:
            Fetch(self._engine, self.transfer, item, holders, live=self.live, stopped=self._stopped).run()
        except PServerError as error:
            if self._stopped.is_set():
                raise Stopped from None
            self._fail(item, error)
        except Stopped:
            raise
        except Exception:
            _log.exception("'%s' of transfer %s failed", item.name, self.transfer.id)
            self._fail(item, PServerError("an internal error, see the log"))

    def _fail(self, item: Item, error: PServerError) -> None:
        self._errors.append(error)
        self._engine.transfers.end_item(self.transfer.id, item.number, None, str(error))

    def _next(self) -> Left | list[Item] | None:
        """What to do next: a file, with who is known to have it; or a batch of small ones; None: there is no more."""
        with self._changed:
            while True:
                if self._stopped.is_set():
                    raise Stopped
                if self._waiting:
                    return self._waiting.popleft()
                if self._on_their_way < self._engine.limits.bundles and (self._batches or self._load()):
                    if self._batches:
                        self._on_their_way += 1
                        return self._batches.popleft()
                elif not self._on_their_way:
                    return None
                else:
                    self._changed.wait(_LOOK_SECONDS)

    def _load(self) -> bool:
        """The next files, those that are small in batches, and who has the others; whether there were any."""
        items = self._engine.transfers.open_items(self.transfer.id, self._last_number, _PAGE)
        if not items:
            return False
        self._last_number = items[-1].number
        together = self.transfer.files_total > 1
        small = [item for item in items if together and is_small(item)]
        others = [item for item in items if not (together and is_small(item))]
        self._batches.extend(batches(small))
        holders = self._look_up(others) if together else {}
        self._waiting.extend((item, holders.get(item.file_id, [])) for item in others)
        self._changed.notify_all()
        return True

    def _look_up(self, items: list[Item]) -> dict[bytes, list[Holder]]:
        missing = list({item.file_id for item in items if self._engine.share.by_file_id(item.file_id) is None})
        if not missing:
            return {}
        try:
            return {file_id: group.holders for file_id, group in self._engine.find_holders(missing).items()}
        except PServerError as error:
            _log.info("the holders of %d files cannot be looked up now: %s", len(missing), error)
            return {}

    def _conclude(self) -> None:
        failed, first = self._engine.transfers.failed_items(self.transfer.id)
        if not failed and not self._errors:
            self._move("done", None)
            return
        code = self._errors[0].code if self._errors else "failed"
        first = first or str(self._errors[0])
        total = self.transfer.files_total
        detail = first if total == 1 else f"{failed} of {total} files failed, the first of them: {first}"
        self._move("failed", (code, detail))

    def _move(self, state: str, error: tuple[str, str] | None) -> None:
        try:
            self._engine.transfers.move(self.transfer.id, state, self._engine.wall(), error)
        except (Conflict, NotFound):
            pass  # its person paused, cancelled or forgot it in this instant: that stands
        except PServerError as failure:
            _log.error("the end of transfer %s cannot be recorded: %s", self.transfer.id, failure)


def remove_partials(engine: Engine, transfer_id: str) -> None:
    """Remove the partial files of a transfer that no longer runs."""
    after = -1
    while items := engine.transfers.items(transfer_id, after, 1000):
        for item in items:
            for file_id in (item.file_id, *item.alternatives):
                remove_partial(engine.folder, partial_base(file_id, transfer_id, item.number))
        after = items[-1].number
