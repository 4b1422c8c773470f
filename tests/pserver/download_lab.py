"""A PServer's downloading half on real folders, for tests: made, stopped and made again over the same disk."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.addresses import AddressPolicy
from protos.tokens import Issuer, Verifier
from pserver.disk.folder import Folder
from pserver.disk.share import Share
from pserver.exchange.asks import PlanLimits
from pserver.exchange.download import Downloads
from pserver.exchange.engine import Limits
from pserver.exchange.sources import SourceLimits
from pserver.exchange.transfers import Transfers
from pserver.model import FileGroup
from pserver.remote.peers import PeerClient
from pserver.views import TransferView
from tests.pserver.fake_source import FakeSource, group_of, manifest_of

QUICK = Limits(
    patience_seconds=3.0,
    lies_patience_seconds=0.3,
    look_again_seconds=0.2,
    look_for_more_seconds=1.0,
    ban_seconds=60.0,
    reserve_bytes=0,
    tick_seconds=0.02,
    plan=PlanLimits(stall_seconds=0.6, each=SourceLimits(failures=4, first_wait=0.05, longest_wait=0.2)),
)


class Lab:
    """`root` holds the share and the state. `found` is what lookups answer; tests change it as they go."""

    def __init__(
        self, root: Path, limits: Limits = QUICK, key: Ed25519PrivateKey | None = None, stall_seconds: float = 1.0
    ) -> None:
        self.root = root
        self.found: dict[bytes, FileGroup] = {}
        self.lookups = 0
        self.folder = Folder(root / "share")
        self.share = Share(root / "index.db", self.folder)
        self.transfers = Transfers(root / "transfers.db")
        issuer = Issuer(key or Ed25519PrivateKey.generate(), None)
        self.peers = PeerClient(
            issuer, Verifier(issuer.peer_id, None), AddressPolicy(own_loopback=True), stall_seconds=stall_seconds
        )
        self.downloads = Downloads(
            self.folder, self.share, self.transfers, self.peers, self.find_holders, limits=limits
        )

    def find_holders(self, file_ids: list[bytes]) -> dict[bytes, FileGroup]:
        """A batch lookup."""
        self.lookups += 1
        return {file_id: self.found[file_id] for file_id in file_ids if file_id in self.found}

    def knows(self, content: bytes, *sources: FakeSource, partial: bool = False) -> bytes:
        """From now on lookups find that content at these sources; its file id."""
        manifest = manifest_of(content)
        self.found[manifest.file_id] = group_of(manifest, list(sources), partial)
        return manifest.file_id

    def names(self) -> list[str]:
        """The files in the share folder."""
        root = self.root / "share"
        every = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return sorted(str(path) for path in every if not str(path).startswith("."))

    def partials(self) -> list[Path]:
        """The files in the partial folder."""
        return sorted((self.root / "share" / ".p2p-partial").iterdir())

    def wait(self, transfer_id: str, *states: str, seconds: float = 20.0) -> TransferView:
        """The transfer, as soon as it is in one of the states."""
        return self.until(lambda: self.downloads.view(transfer_id), lambda view: view.state in states, seconds=seconds)

    def until(
        self, look: Callable[[], TransferView], good: Callable[[TransferView], bool], seconds: float = 20.0
    ) -> TransferView:
        """What `look` gives, as soon as it is good."""
        ends = time.monotonic() + seconds
        while not good(view := look()):
            assert time.monotonic() < ends, f"still {dataclasses.replace(view, items=view.items[:3])}"
            time.sleep(0.005)
        return view

    def close(self) -> None:
        """Stop, as a clean stop of the peer does."""
        self.downloads.stop()
        self.peers.close()
        self.transfers.close()
        self.share.close()
        self.folder.close()

    def __enter__(self) -> "Lab":
        self.downloads.resume_all()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
