"""The examination of a running peer, for `pclient doctor`: what works, what does not, and what to do about it.

First the facts are gathered (`Doctor.examine`), then each is judged by a function that asks nothing of anybody. Only
what this peer knows already is told: no question goes out, so it is quick and works while others do not answer.
"""

import os
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pserver.disk.scan import ScanStatus
from pserver.disk.share import free_bytes
from pserver.findings import FAIL, OK, WARN, Finding
from pserver.model import Peer
from pserver.network.accounts import AccountsSaid
from pserver.network.membership_actions import LocatorStatus, Reachable
from pserver.node import Parts
from pserver.remote.locator_client import CLOCKS_APART_SECONDS, LocatorClient
from pserver.settings import Settings
from pserver.sizes import human_size

MANY_FILES = 1024  # descriptors: 512 connections of others, 64 of downloads, a file for most of them
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_PARTIALS = ".p2p-partial"


class Doctor:
    """Examines one peer. Thread-safe."""

    def __init__(
        self, settings: Settings, parts: Parts, locators: Sequence[LocatorClient], accounts: AccountsSaid
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._locators = locators
        self._accounts = accounts

    def examine(self) -> list[Finding]:
        """Everything, in the order in which to mend it."""
        return list(self._findings())

    def _findings(self) -> Iterator[Finding]:
        parts, settings = self._parts, self._settings
        own, membership = parts.own(), parts.membership
        yield Finding("pserver", OK, f"{own.name} ({own.peer_id[:12]}), version {parts.version}")
        yield from of_settings(settings.warnings, is_open=settings.network_key is None and not settings.on_loopback)
        yield from of_locators(membership.locators())
        yield from of_clocks([(one.address, one.clocks_apart) for one in self._locators])
        yield from of_versions(parts.version, [(one.address, one.version) for one in self._locators])
        yield from of_accounts(wanted=self._accounts.wanted(), in_force=self._accounts.in_force())
        yield of_address(own.url, membership.reachable(), networked=bool(self._locators))
        yield of_neighbours(parts.neighbours.statuses(), networked=bool(self._locators))
        yield of_share(settings.share_dir, parts.scanner.status())
        yield self._room()
        yield of_watching(parts.scanner.status(), _number_in(_WATCHES))
        yield of_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    def _room(self) -> Finding:
        return of_room(free_bytes(self._parts.share), self._settings.keep_free_bytes)


def of_settings(warnings: Sequence[str], *, is_open: bool) -> Iterator[Finding]:
    """What is odd about the settings."""
    advice = "put it right in the settings, and restart the PServer"
    found = [Finding("settings", WARN, line, advice) for line in warnings]
    if is_open:
        advice = "make a network key, and give it to the locator and to every peer"
        found.append(Finding("settings", WARN, "there is no network key: anybody may ask this peer", advice))
    yield from found or [Finding("settings", OK, "nothing odd")]


def of_locators(statuses: Sequence[LocatorStatus]) -> Iterator[Finding]:
    """How it stands with each locator. One that answers is enough: another that does not is a warning."""
    if not statuses:
        yield Finding("locator", OK, "none in the settings: lookups go to neighbours alone")
    member = any(one.state == "registered" for one in statuses)
    for one in statuses:
        if one.state == "registered" and one.why is None:
            yield Finding("locator", OK, f"{one.address}: registered")
        elif one.state == "registered":
            yield Finding("locator", WARN, f"{one.address}: registered, but {one.why}")
        elif one.state == "trying":
            yield Finding("locator", WARN, f"{one.address}: not asked yet", "" if member else "ask again in a moment")
        else:
            why = (one.why or one.state).replace(f"the locator at {one.address} ", "")
            detail = f"{one.address}: {why}"
            yield Finding("locator", WARN if member else FAIL, detail, _how_to_be_a_member(one))


def _how_to_be_a_member(one: LocatorStatus) -> str:
    if one.state == "refused":
        return "has this peer the network key that the locator has, and are the clocks of both right?"
    port = one.address.rpartition(":")[2]
    return f"does it run, is PSERVER_LOCATORS right, and does the firewall there (or security group) let TCP {port} in?"


def of_clocks(apart: Sequence[tuple[str, float | None]]) -> Iterator[Finding]:
    """How far the clocks of the locators are from ours, in seconds (None: not known). Tokens stand a minute."""
    known = [(address, seconds) for address, seconds in apart if seconds is not None]
    for address, seconds in known:
        if seconds > CLOCKS_APART_SECONDS:
            detail = f"{seconds:.0f} s apart from that of the locator {address}"
            advice = "set both clocks right (timedatectl set-ntp true), else tokens are refused"
            yield Finding("clock", FAIL, detail, advice)
        else:
            yield Finding("clock", OK, f"{seconds:.1f} s apart from that of the locator {address}")


def of_versions(own: str, versions: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """The versions of the locators ("": not known) beside the own one."""
    for address, version in versions:
        if version and version != own:
            detail = f"this peer is {own}, the locator {address} is {version}"
            yield Finding("versions", WARN, detail, "that may work; upgrade the older one")
        elif version:
            yield Finding("versions", OK, f"the locator {address} is {version} too")


def of_accounts(*, wanted: bool, in_force: bool) -> Iterator[Finding]:
    """Accounts, where they are on."""
    if in_force:
        yield Finding("accounts", OK, "on: people log in with `pclient login`")
    elif wanted:
        advice = "mend the locator; until then only who was logged in already goes on, for PSERVER_SESSION_GRACE"
        yield Finding("accounts", WARN, "on, but no locator answers that could check a login", advice)


def of_address(url: str, reachable: Reachable, *, networked: bool) -> Finding:
    """Whether others reach this peer at the address it advertises."""
    if reachable.ok:
        return Finding("address", OK, f"others reach this peer at {url}")
    if reachable.ok is None:
        why = "no locator has tried yet" if networked else "there is no locator to try"
        return Finding("address", WARN, f"whether others reach {url} is not known: {why}")
    what_happened = reachable.why.partition(". ")[0]  # then comes what to do, which here is said at greater length
    return Finding("address", FAIL, what_happened, how_to_be_reached(url))


def how_to_be_reached(url: str) -> str:
    """What to do for a peer that advertises `url` and is not reached there."""
    port = urlsplit(url).port or (443 if url.startswith("https:") else 80)
    return (
        f"let TCP {port} in from the locator and all peers (this machine's firewall; on EC2 the security group). In a "
        f"container publish the port. Where others come here by another address, set PSERVER_ADVERTISE_URL=http://"
        f"THAT_ADDRESS:{port}. On a loopback address PSERVER_LISTEN is reached from this machine only"
    )


def of_neighbours(statuses: Sequence[tuple[Peer, str]], *, networked: bool) -> Finding:
    """Whether lookups have a neighbour to go through. Without one the locator is asked itself."""
    alive = [peer.name for peer, state in statuses if state == "ok"]
    dead = [peer.name for peer, state in statuses if state == "dead"]
    if alive:
        also = f"; dead: {', '.join(dead)}" if dead else ""
        return Finding("neighbour", OK, f"lookups go through {', '.join(alive)}{also}")
    if dead:
        advice = f"do they run? Lookups {'take another way meanwhile' if networked else 'have no other way'}"
        return Finding("neighbour", WARN if networked else FAIL, f"none answers: {', '.join(dead)}", advice)
    if statuses:
        return Finding("neighbour", WARN, "not asked yet", "ask again in a moment")
    if networked:
        return Finding("neighbour", OK, "none: no other peer was assigned (yet); the locator is asked itself")
    advice = "set PSERVER_LOCATORS or PSERVER_NEIGHBOURS"
    return Finding("neighbour", FAIL, "none, and no locator: nobody is found", advice)


def of_share(path: Path, scan: ScanStatus) -> Finding:
    """Whether the share can be read, written, and filled by renaming within one file system."""
    if scan.error is not None:
        return Finding("share", FAIL, scan.error, f"is {path} there, and does this user own it?")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding("share", FAIL, f"{path} cannot be read", "give the user of the PServer the right to")
    if not os.access(path, os.W_OK):
        advice = "give the user of the PServer the right to; under systemd, name it in ReadWritePaths="
        return Finding("share", FAIL, f"{path} cannot be written: nothing can be downloaded", advice)
    partials = path / _PARTIALS
    if partials.is_dir() and partials.stat().st_dev != path.stat().st_dev:
        advice = f"remove {partials}, which is made anew: downloads must be on the share's own file system"
        return Finding("share", FAIL, f"{partials} is on another file system than {path}", advice)
    work = f", {scan.hashing} files are still to be hashed" if scan.hashing else ""
    return Finding("share", OK, f"{path} can be read and written{work}")


def of_room(free: int, keep: int) -> Finding:
    """The room on the share's disk, in bytes."""
    if free <= keep:
        detail = f"{human_size(free)} free, of which {human_size(keep)} stay free: nothing can be downloaded"
        return Finding("free space", WARN, detail, "make room, or lower PSERVER_KEEP_FREE")
    return Finding("free space", OK, f"{human_size(free - keep)} for downloads and uploads")


def of_watching(scan: ScanStatus, most_watches: int | None) -> Finding:
    """Whether changes in the share are seen at once."""
    if scan.watching:
        return Finding("watch", OK, "changes in the share are seen at once")
    if not scan.scanned:
        return Finding("watch", OK, "the share is being looked at for the first time")
    why = scan.not_watching_why or "changes are seen at the next scan, within a minute"
    more = 4 * (most_watches or 1 << 16)
    advice = f"this user may watch {most_watches} folders; more: sudo sysctl fs.inotify.max_user_watches={more}"
    return Finding("watch", WARN, why, advice)


def of_open_files(most: int) -> Finding:
    """How many files this process may have open."""
    if 0 <= most < MANY_FILES:
        advice = f"ulimit -n {4 * MANY_FILES} before it starts; under systemd LimitNOFILE={4 * MANY_FILES}"
        return Finding("open files", WARN, f"at most {most}: a crowd of readers needs {MANY_FILES}", advice)
    return Finding("open files", OK, "no limit" if most < 0 else f"up to {most}")


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
