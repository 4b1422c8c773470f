"""Plays the main job in the Compose cluster, and breaks it: a peer is killed, one is cut off, the locator dies, the
neighbour loses the locator. Each time it must heal without a hand, and every byte that moved is compared.

Needs Docker with Compose, and Python alone. Exits with 1, and says what went wrong, if anything did; cleans up in every
case, but leaves the images. The cluster of `docker compose up` is another one, and is not touched.
"""

import filecmp
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from demo import files
from demo.composition import PEERS, Composition
from demo.processes import DidNotHappen, wait_for

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE_BYTES = 48 << 20
# Short leases, so that the dead are missed soon; a bound on the bytes, so that there is time to break something; ports
# of its own, 28101 to 28104.
SETTINGS = {"LOCATOR_LEASE_SECONDS": "6", "PSERVER_UPLOAD_RATE": "6M", "P2P_PORTS": "2810"}
HEALED_SECONDS = 90.0


class Stage:
    """The cluster, and a desk for the files of the person who plays."""

    def __init__(self, cluster: Composition, desk: Path) -> None:
        self.cluster = cluster
        self.desk = desk

    def say(self, text: str) -> None:
        """A line of narration."""
        print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)

    def play(self, peer: str, command: str, expect: int = 0) -> None:
        """Run a `pclient` command in that peer's container and show it."""
        print(f"$ docker compose exec {peer} pclient {command}", flush=True)
        ended = self.cluster.client(peer, *shlex.split(command))
        print((ended.stdout + ended.stderr).decode(errors="replace").rstrip(), flush=True)
        if ended.returncode != expect:
            raise DidNotHappen(f"pclient {command} at {peer} ended with {ended.returncode}, not with {expect}")

    def same(self, peer: str, name: str, original: Path) -> None:
        """Compare a file in a peer's share with the original, byte for byte."""
        copy = self.desk / "copy"
        self.cluster.get(peer, f"/share/{name}", copy)
        if not filecmp.cmp(copy, original, shallow=False):
            raise DidNotHappen(f"{name} at {peer} differs from {original}")
        print(f"  = {original.stat().st_size:,} bytes compared: the same", flush=True)

    def found(self, peer: str, words: str, copies: int = 1) -> bool:
        """Whether a search there is complete, and finds something that so many hold."""
        answer = self.cluster.ask(peer, "search", *words.split())
        if not answer or not answer["complete"]:
            return False
        return any(group["holder_count"] >= copies for group in answer["groups"])

    def sees(self, peer: str) -> set[str]:
        """The names of the peers that it sees."""
        answer = self.cluster.ask(peer, "peers")
        return {one["peer"]["name"] for one in answer["peers"]} if answer else set()

    def locator_state(self, peer: str) -> str:
        """What it says of the locator."""
        return str(self.status(peer)["locators"][0]["state"])

    def status(self, peer: str) -> Any:
        """What `pclient status` says (Any: JSON), as soon as it does."""
        return wait_for(f"{peer} says how it is", lambda: self.cluster.ask(peer, "status"))


def main() -> int:
    """Build, play all the acts, clean up; 0 if everything went as it should."""
    if shutil.which("docker") is None:
        print("This needs Docker with Compose: there is no program `docker`.", file=sys.stderr)
        return 1
    began = time.monotonic()
    cluster = Composition(ROOT, "p2p-demo", SETTINGS)
    with tempfile.TemporaryDirectory(prefix="p2p-compose-") as desk:
        try:
            for act in (begin, *ACTS):
                act(Stage(cluster, Path(desk)))
        except (DidNotHappen, OSError, subprocess.SubprocessError) as error:
            print(f"\nThe demo FAILED: {error}", file=sys.stderr)
            print(cluster.run("logs", "--tail", "30").stdout.decode(errors="replace"), file=sys.stderr)
            return 1
        finally:
            clear(cluster)
    print(f"\nThe demo passed, in {time.monotonic() - began:.0f} s.")
    return 0


def begin(stage: Stage) -> None:
    """Images, the network key, and all up and ready."""
    stage.say("the images are built, and a network key is made")
    stage.cluster("build", seconds=900)
    stage.cluster.make_secrets()
    began = time.monotonic()
    stage.cluster("up", "--wait", "--no-build")
    stage.say(f"a locator and four peers are up and ready, after {time.monotonic() - began:.1f} s")


def clear(cluster: Composition) -> None:
    """Remove all but the images."""
    cluster.run("--profile", "*", "down", "--volumes", "--remove-orphans")
    with suppress(DidNotHappen):  # mostly it is not there
        cluster.docker("network", "rm", f"{cluster.name}_{_SIDE}")


def share_and_look(stage: Stage) -> None:
    """Files are put into shares, and found."""
    archive = files.archive(stage.desk / "library.tar", ARCHIVE_BYTES)
    stage.say("peer2 and peer3 share an archive, peer4 the modules of a package; peer1 has nothing")
    for peer in ("peer2", "peer3"):
        stage.cluster.put(peer, archive, "/share/archive/library.tar")
    for module in files.package("json", stage.desk / "json"):
        stage.cluster.put("peer4", module, f"/share/json/{module.name}")
    wait_for("both copies are found", lambda: stage.found("peer1", "library", copies=2))
    wait_for("the package is found", lambda: stage.found("peer1", "json decoder"))
    wait_for("peer1 has neighbours", lambda: stage.status("peer1")["neighbours"])
    for command in ("status", "doctor", "peers", "search json decoder"):
        stage.play("peer1", command)
    stage.play("peer1", "info no-such-file", expect=3)


def download_and_upload(stage: Stage) -> None:
    """By name, by sha256, a folder; onto a chosen peer, and onto any two."""
    stage.say("peer1 downloads by name, by sha256, and a folder")
    stage.play("peer1", "download json/decoder.py")
    stage.same("peer1", "json/decoder.py", stage.desk / "json" / "decoder.py")
    scanner = stage.cluster.ask("peer1", "info", "json/scanner.py")["groups"][0]
    stage.play("peer1", f"download sha256:{scanner['sha256']} --as by-hash.py")
    stage.same("peer1", "by-hash.py", stage.desk / "json" / "scanner.py")
    stage.play("peer1", "download json/ --from peer4")
    for module in sorted((stage.desk / "json").iterdir()):
        stage.same("peer1", f"json/{module.name}", module)
    stage.say("what a person brings along is uploaded to peer3, and to any two")
    report = _of_ones_own(stage.desk / "report.py")
    stage.cluster.put("peer1", report, "/tmp/report.py")
    stage.play("peer1", "upload /tmp/report.py --to peer3")
    stage.same("peer3", "report.py", report)
    notes = files.license_text(stage.desk / "notes.txt")
    stage.cluster.put("peer1", notes, "/tmp/notes.txt")
    stage.play("peer1", "upload /tmp/notes.txt --replicas 2")
    holders = [peer for peer in PEERS[1:] if stage.cluster.has(peer, "/share/notes.txt")]
    if len(holders) != 2:
        raise DidNotHappen(f"two peers should hold notes.txt, these do: {holders}")
    for peer in holders:
        stage.same(peer, "notes.txt", notes)


def a_peer_is_killed(stage: Stage) -> None:
    """While it is a source of a download: that goes on from the other, and the peer is back by itself."""
    stage.say("peer1 downloads the archive from two; one of them, peer3, is killed (kill -9) meanwhile")
    stage.play("peer1", "download archive/library.tar --detach")
    wait_for("bytes of it came from peer3", lambda: _pieces_from(stage, "peer1", "peer3"))
    stage.cluster.crash("peer3")
    if stage.cluster.has("peer1", "/share/archive/library.tar"):
        raise DidNotHappen("the download was over before peer3 was killed")
    wait_for("it is done", lambda: stage.cluster.has("peer1", "/share/archive/library.tar"), HEALED_SECONDS)
    stage.same("peer1", "archive/library.tar", stage.desk / "library.tar")
    stage.say("Docker has started peer3 again, and it has joined again")
    wait_for("it was restarted", lambda: stage.cluster.inspect("peer3", "{{.RestartCount}}") == "1")
    wait_for("peer3 is ready", lambda: stage.cluster.healthy("peer3"), HEALED_SECONDS)
    wait_for("peer3 finds all", lambda: stage.found("peer3", "library", copies=3), HEALED_SECONDS)
    stage.play("peer3", "download json/tool.py")
    stage.same("peer3", "json/tool.py", stage.desk / "json" / "tool.py")


def a_peer_is_cut_off(stage: Stage) -> None:
    """No network at all, then again one: nobody waits for it, and it comes back by itself."""
    stage.say("peer4 is cut off from the network; when its lease ends the others do not see it any more")
    stage.cluster.cut("peer4")
    wait_for("peer1 does not see peer4", lambda: stage.sees("peer1") == {"peer1", "peer2", "peer3"}, HEALED_SECONDS)
    stage.play("peer2", "download json/decoder.py")
    stage.same("peer2", "json/decoder.py", stage.desk / "json" / "decoder.py")
    stage.play("peer4", "info archive/library.tar", expect=1)  # not 3, "not found": it knows that it could ask nobody
    stage.say("it is connected again, and back")
    stage.cluster.join("peer4")
    wait_for("peer1 sees peer4", lambda: stage.sees("peer1") == set(PEERS), HEALED_SECONDS)
    wait_for("peer4 finds all", lambda: stage.found("peer4", "report"), HEALED_SECONDS)
    stage.play("peer4", "download report.py")
    stage.same("peer4", "report.py", stage.desk / "report.py")
    fresh = _of_ones_own(stage.desk / "fresh.py")
    stage.cluster.put("peer4", fresh, "/share/fresh.py")
    wait_for("what peer4 shares now is found", lambda: stage.found("peer1", "fresh"), HEALED_SECONDS)
    stage.play("peer1", "download fresh.py")
    stage.same("peer1", "fresh.py", fresh)


def the_locator_dies(stage: Stage) -> None:
    """Killed, and started after a while: neighbours answer meanwhile, and then all is as it was."""
    stage.say("the locator is killed; what the neighbours hold is found and fetched all the same")
    stage.cluster("kill", "locator")
    stage.play("peer1", "search report")
    stage.play("peer2", "download report.py")
    stage.same("peer2", "report.py", stage.desk / "report.py")
    stage.say("it is started again; the peers are back, and answers are complete")
    stage.cluster("start", "locator")
    for peer in PEERS:
        wait_for(f"{peer} sees all", partial(_sees_all, stage, peer), HEALED_SECONDS)
    wait_for("answers are complete", lambda: stage.found("peer1", "report", copies=3), HEALED_SECONDS)


def the_neighbour_is_partitioned(stage: Stage) -> None:
    """The peer through which peer1 looks up has no way to the locator: peer1's lookups take another way."""
    neighbour = stage.status("peer1")["neighbours"][0]["peer"]["name"]
    stage.say(f"{neighbour}, the neighbour of peer1, loses the locator, but not the peers")
    stage.cluster.docker("network", "create", f"{stage.cluster.name}_{_SIDE}")
    for peer in PEERS:
        stage.cluster.join(peer, _SIDE)
    stage.cluster.cut(neighbour)
    wait_for("it misses the locator", lambda: stage.locator_state(neighbour) == "unreachable", HEALED_SECONDS)
    for words in ("json scanner", "notes", "library"):
        wait_for(f"{words} is found", partial(stage.found, "peer1", words), HEALED_SECONDS)
    stage.play("peer1", "search notes")
    print(f"  by way of: {', '.join(stage.cluster.ask('peer1', 'search', 'notes')['via'])}")
    stage.play("peer1", "download notes.txt --as through-a-partition.txt")
    stage.same("peer1", "through-a-partition.txt", stage.desk / "notes.txt")
    stage.say("the partition ends")
    stage.cluster.join(neighbour)
    wait_for(f"{neighbour} is back", lambda: stage.locator_state(neighbour) == "registered", HEALED_SECONDS)
    wait_for("all see all", lambda: all(_sees_all(stage, peer) for peer in PEERS), HEALED_SECONDS)


def all_leave(stage: Stage) -> None:
    """`docker compose stop`, as Ctrl-C does it: the peers say goodbye, and all exit with 0."""
    stage.say("one peer is stopped, and gone from answers at once; then all are")
    stage.cluster("stop", "peer3")
    if "peer3" in stage.sees("peer1"):
        raise DidNotHappen("peer3 was stopped and is still seen")
    stage.cluster("stop")
    for service in ("locator", *PEERS):
        status = stage.cluster.inspect(service, "{{.State.ExitCode}}")
        if status != "0":
            raise DidNotHappen(f"{service} ended with {status} when it was asked to stop")
    print("  all exited with 0", flush=True)


def _of_ones_own(path: Path) -> Path:
    """A file with bytes that nobody else has."""
    files.module("json/encoder.py", path)
    path.write_bytes(path.read_bytes() + path.name.encode())
    return path


def _sees_all(stage: Stage, peer: str) -> bool:
    return stage.sees(peer) == set(PEERS)


def _pieces_from(stage: Stage, reader: str, source: str) -> bool:
    transfers = stage.cluster.ask(reader, "transfers")["transfers"]
    return any(one["peer"]["name"] == source and one["bytes"] for each in transfers for one in each["sources"])


_SIDE = "side"
ACTS = (
    share_and_look,
    download_and_upload,
    a_peer_is_killed,
    a_peer_is_cut_off,
    the_locator_dies,
    the_neighbour_is_partitioned,
    all_leave,
)

if __name__ == "__main__":
    sys.exit(main())
