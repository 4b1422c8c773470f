"""What to do with an announcement: a pure decision from where the locator is and what came.

The locator's position in a peer's index is (epoch, sequence). An epoch is one life of a peer's index; within it the
sequence only grows. Batches may be doubled and reordered (a client repeats what it got no reply to), never altered.
"""

from central_server.model import Announcement, Index, Verdict


def decide(index: Index, batch: Announcement) -> Verdict:
    """Whether `batch` fits behind `index`."""
    if batch.snapshot_part is None:
        return _decide_delta(index, batch)
    return _decide_snapshot(index, batch)


def _decide_delta(index: Index, batch: Announcement) -> Verdict:
    # 1. Another epoch, or none yet: only a snapshot helps.
    # 2. The locator is there already: doubled.
    # 3. It begins where the locator is: apply.
    # 4. It begins earlier and ends later: the peer is told where the locator is, and continues there.
    # 5. It begins later: something is missing.
    if batch.epoch != index.epoch:
        return Verdict.ASK
    if batch.sequence <= index.sequence:
        return Verdict.ACKNOWLEDGE
    if batch.previous_sequence == index.sequence:
        return Verdict.APPLY
    return Verdict.ACKNOWLEDGE if batch.previous_sequence < index.sequence else Verdict.ASK


def _decide_snapshot(index: Index, batch: Announcement) -> Verdict:
    # 1. The locator has this state or a later one of the same epoch: doubled or late.
    # 2. The first part begins anew, whatever was in the making: the parts of a repeated snapshot may be cut elsewhere.
    # 3. The part that the snapshot in the making waits for: apply.
    # 4. One that it has already: doubled.
    # 5. Any other: a part is missing.
    if batch.epoch == index.epoch and batch.sequence <= index.sequence:
        return Verdict.ACKNOWLEDGE
    if batch.snapshot_part == 0:
        return Verdict.APPLY
    hidden = index.hidden
    if hidden is None or (hidden.epoch, hidden.sequence) != (batch.epoch, batch.sequence):
        return Verdict.ASK
    if batch.snapshot_part == hidden.next_part:
        return Verdict.APPLY
    return Verdict.ACKNOWLEDGE if (batch.snapshot_part or 0) < hidden.next_part else Verdict.ASK
