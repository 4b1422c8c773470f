"""How the parts of a peer are put together, a function a group, in the order of the flow: ground, network, exchange.

Each part is given to a Closers as it is made; they are closed in the reverse order.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from protos.addresses import AddressPolicy
from protos.grants import GrantVerifier
from protos.tokens import Verifier
from pserver import __version__
from pserver.disk.digesting import Digesting
from pserver.disk.folder import Folder
from pserver.disk.scan import Scanner
from pserver.disk.share import Share, free_bytes
from pserver.exchange.download import Downloads
from pserver.exchange.engine import Limits as DownloadLimits
from pserver.exchange.grants import OfferGrants, UploadGrants
from pserver.exchange.incoming import Incoming
from pserver.exchange.links import Links
from pserver.exchange.offers import Offers
from pserver.exchange.placements import Placements, PlacingPeople
from pserver.exchange.quota import Quota
from pserver.exchange.resolve import Resolver
from pserver.exchange.transfers import Transfers
from pserver.exchange.upload import Uploads
from pserver.identity import ACCOUNTS_ON_FILE, Identity, StateFolder
from pserver.model import PeerInfo
from pserver.network.accounts import Accounts, AccountsSaid
from pserver.network.holdings import Holdings
from pserver.network.lookup import Lookup
from pserver.network.membership import Membership, Self
from pserver.network.neighbours import Neighbours
from pserver.network.orders import Orders
from pserver.network.targets import Targets
from pserver.node import Node, Parts
from pserver.remote.account_client import AccountClient
from pserver.remote.locator_client import LocatorClient
from pserver.remote.locator_tls import credentials
from pserver.remote.peers import PeerClient
from pserver.running.here import Here
from pserver.settings import Settings

_log = logging.getLogger(__name__)
_Part = TypeVar("_Part")


class Closers:
    """What is to be closed, the last made first."""

    def __init__(self) -> None:
        self._closers: list[Callable[[], object]] = []

    def closing(self, part: _Part, close: Callable[[_Part], object]) -> _Part:
        """`part`, which is to be closed before all that were made before it."""
        self._closers.append(lambda: close(part))
        return part

    def close(self) -> None:
        """Close all, whatever happens."""
        while self._closers:
            close = self._closers.pop()
            try:
                close()
            except Exception:  # the others must still be closed
                _log.exception("while stopping")


@dataclass(frozen=True, slots=True)
class Ground:
    """What lies on this peer's disk, and who it is."""

    settings: Settings
    state: StateFolder
    identity: Identity
    folder: Folder
    share: Share
    transfers: Transfers
    quota: Quota

    def room(self) -> int:
        """How many bytes others may put here now."""
        room, left = max(free_bytes(self.share) - self.settings.keep_free_bytes, 0), self.quota.left()
        return room if left is None else min(room, left)


def lay_ground(settings: Settings, closers: Closers) -> Ground:
    """Open what is on the disk. PServerError, OSError."""
    state = closers.closing(StateFolder(settings.state_dir), StateFolder.close)
    identity = Identity(state, settings.network_key)
    folder = closers.closing(Folder(settings.share_dir), Folder.close)
    share = closers.closing(Share(state.path / "index.sqlite", folder), Share.close)
    transfers = closers.closing(Transfers(state.path / "transfers.sqlite"), Transfers.close)
    quota = Quota(settings.bounds.quota, share, transfers)
    return Ground(settings, state, identity, folder, share, transfers, quota)


@dataclass(frozen=True, slots=True)
class Network:
    """This peer among the others. `locators()`: in the order in which they are to be asked now."""

    own: Here
    peers: PeerClient
    clients: list[LocatorClient]
    membership: Membership
    neighbours: Neighbours
    lookup: Lookup
    locators: Callable[[], list[LocatorClient]]
    account_locators: Callable[[], list[AccountClient]]
    accounts_said: AccountsSaid
    accounts: Accounts


def join_network(ground: Ground, own: Here, on_replaced: Callable[[str], None], closers: Closers) -> Network:
    """Make what speaks to the locators and to other peers; nothing is sent yet."""
    settings, issuer = ground.settings, ground.identity.issuer
    own_id = own().peer_id
    verifier = Verifier(own_id, settings.network_key)
    policy = AddressPolicy(settings.on_loopback, settings.allowed_networks)
    peers = closers.closing(PeerClient(issuer, verifier, policy, ca_file=settings.ca_file), PeerClient.close)
    tls = None if settings.locator_tls is None else credentials(settings.locator_tls)
    clients = [closers.closing(LocatorClient(one, issuer, tls), LocatorClient.close) for one in settings.locators]
    himself = Self(own, __version__, settings.accept_uploads, ground.room)
    state = ground.state
    said = AccountsSaid(state.marked(ACCOUNTS_ON_FILE), lambda on: state.mark(ACCOUNTS_ON_FILE, on))
    membership = Membership(himself, ground.share, clients, on_replaced, on_lease=said.heard)
    said.in_reach = membership.in_reach
    account_clients = [AccountClient(client) for client in clients]

    def locators() -> list[LocatorClient]:
        return [clients[number] for number in membership.order()]

    def account_locators() -> list[AccountClient]:
        return [account_clients[number] for number in membership.order()]

    def own_info() -> PeerInfo:
        files, size = ground.share.totals()
        return PeerInfo(own(), files, size, ground.room(), settings.accept_uploads, __version__)

    neighbours = closers.closing(Neighbours(settings.neighbours, membership.neighbours, peers, own_id), Neighbours.stop)
    lookup = Lookup(Holdings(own, ground.share, own_info), neighbours, peers, locators)
    accounts = Accounts(said, account_locators, settings.session_grace, time.time)
    return Network(own, peers, clients, membership, neighbours, lookup, locators, account_locators, said, accounts)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What moves files, and the scanner, which waits while they move."""

    downloads: Downloads
    uploads: Uploads
    offers: Offers
    digesting: Digesting
    resolver: Resolver
    scanner: Scanner
    placements: Placements
    orders: Orders


def begin_exchange(ground: Ground, network: Network, closers: Closers) -> Exchange:
    """Make what moves files; nothing moves yet."""
    settings, share, own = ground.settings, ground.share, network.own
    limits = DownloadLimits(reserve_bytes=settings.keep_free_bytes, rate=settings.download_rate)
    find_holders = network.lookup.find_holders
    ways = network.peers, find_holders
    downloads = Downloads(ground.folder, share, ground.transfers, *ways, limits=limits, own=own, quota=ground.quota)
    closers.closing(downloads, Downloads.stop)
    own_id = own().peer_id
    targets = Targets(own_id, network.locators)
    said = network.accounts_said
    asked = UploadGrants(network.accounts, said.wanted, time.monotonic)
    uploads = Uploads(ground.transfers, network.peers, targets, lambda: own().url, grants=asked)
    closers.closing(uploads, Uploads.stop)
    digesting = closers.closing(Digesting(share, ground.state.path / "digests"), Digesting.stop)
    placements = Placements(ground.transfers.database, share, share.remove_indexed, downloads.cancel)
    verifier = GrantVerifier(own_id, settings.network_key)
    shown = OfferGrants(verifier, said.wanted, said.locator_ids, time.time)
    offers = Offers(
        share,
        ground.transfers,
        Incoming(downloads, ground.transfers),
        settings.accept_uploads,
        most=settings.bounds.offers,
        most_of_one=settings.bounds.offers_per_peer,
        people=PlacingPeople(shown, placements),
    )
    orders = Orders(network.account_locators, lambda grant: placements.drop(shown.order(grant)))
    said.on_orders = closers.closing(orders, Orders.stop).wake
    resolver = Resolver(network.lookup, own_id, networked=bool(network.clients))
    scanner = closers.closing(Scanner(share, busy=downloads.busy), Scanner.stop)
    return Exchange(downloads, uploads, offers, digesting, resolver, scanner, placements, orders)


def make_node(ground: Ground, network: Network, exchange: Exchange) -> Node:
    """The node, of all these."""
    own, issuer, resolver, lookup = network.own, ground.identity.issuer, exchange.resolver, network.lookup
    digesting, peers = exchange.digesting, network.peers
    links = Links(own, issuer, resolver, lookup, share=ground.share, digesting=digesting, peers=peers)
    return Node(
        Parts(
            own=own,
            version=__version__,
            accepts_uploads=ground.settings.accept_uploads,
            issuer=issuer,
            share=ground.share,
            scanner=exchange.scanner,
            membership=network.membership,
            neighbours=network.neighbours,
            lookup=lookup,
            resolver=resolver,
            transfers=ground.transfers,
            downloads=exchange.downloads,
            uploads=exchange.uploads,
            offers=exchange.offers,
            placements=exchange.placements,
            accounts=network.accounts,
            serving=exchange.downloads.serving,
            links=links,
        )
    )
