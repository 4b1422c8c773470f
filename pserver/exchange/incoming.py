"""The downloads that others' uploads begin here, as `offers` needs them."""

from pserver.exchange.download import Downloads
from pserver.exchange.transfer import Transfer, Wanted
from pserver.exchange.transfers import Transfers
from pserver.model import Peer


class Incoming:
    """Downloads as `Offers` uses them."""

    def __init__(self, downloads: Downloads, transfers: Transfers) -> None:
        self._downloads = downloads
        self._transfers = transfers

    def take(self, wanted: Wanted, source: Peer, user: str | None) -> Transfer:
        return self._downloads.start(
            wanted.name, [wanted], kind="incoming", hints=[source], asker=source.peer_id, user=user
        )

    def cancel(self, transfer_id: str) -> None:
        self._downloads.cancel(transfer_id)

    def bytes_done(self, transfer: Transfer) -> int:
        return self._downloads.view(transfer.id).bytes_done

    def result(self, transfer: Transfer) -> tuple[bytes, str]:
        (item,) = self._transfers.items(transfer.id, -1, 1)
        return item.file_id, item.final_name or item.name
