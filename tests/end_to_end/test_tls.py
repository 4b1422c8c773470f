"""TLS between peers and locator, with real processes and certificates of `central-server certs`' making."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.certificates import Wanted, make_certificates
from demo.processes import Locator, wait_for
from protos.tokens import Issuer
from pserver.model import Unavailable
from pserver.remote.locator_client import LocatorClient
from pserver.remote.locator_tls import credentials
from pserver.settings import LocatorTls
from tests.end_to_end.conftest import Person, World

HOST = "127.0.0.1"
NOW = datetime.now(UTC)


def locator_settings(folder: Path, client_ca: bool = False) -> dict[str, str]:
    found = {"LOCATOR_TLS_CERT": str(folder / f"{HOST}.pem"), "LOCATOR_TLS_KEY": str(folder / f"{HOST}.key")}
    return {**found, "LOCATOR_TLS_CLIENT_CA": str(folder / "ca.pem")} if client_ca else found


def peer_settings(folder: Path, client: str | None = None) -> dict[str, str]:
    found = {"PSERVER_LOCATOR_CA": str(folder / "ca.pem")}
    if client is None:
        return found
    pair = {"PSERVER_LOCATOR_CERT": folder / f"{client}.pem", "PSERVER_LOCATOR_KEY": folder / f"{client}.key"}
    return {**found, **{name: str(path) for name, path in pair.items()}}


def complaint(address: str, tls: LocatorTls | None) -> str:
    """What a peer with these files is told; empty if it gets through."""
    client = LocatorClient(address, Issuer(Ed25519PrivateKey.generate(), None), credentials(tls) if tls else None)
    try:
        client.list_peers("", "", 1, "", 10)
    except Unavailable as error:
        return str(error)
    finally:
        client.close()
    return ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "certs", Wanted([HOST], ["ann", "ben"]), NOW)
    return tmp_path / "certs"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "others", Wanted([HOST], ["ann"]), NOW)
    return tmp_path / "others"


@pytest.fixture
def tls_world(empty_world: World, folder: Path) -> World:
    empty_world.locator.settings |= locator_settings(folder, client_ca=True)
    empty_world.locator.start()
    return empty_world


@pytest.mark.long
def test_peers_with_certificates_share_and_one_without_is_told(tls_world: World, folder: Path) -> None:
    ann = tls_world.peer("ann", start=True, **peer_settings(folder, "ann"))
    (ann.share / "song").write_bytes(b"la" * 1000)
    ben = tls_world.peer("ben", start=True, **peer_settings(folder, "ben"))
    tls_world.found(ben, "song", "ann")
    Person(ben).download("song")
    eve = tls_world.peer("eve", start=True, **peer_settings(folder))
    wait_for("eve is told why", lambda: "PSERVER_LOCATOR_CERT" in eve.log)
    assert "eve" not in {peer["peer"]["name"] for peer in Person(ann).ask("GET", "/peers")["peers"]}


def test_what_does_not_fit_is_refused_in_words_that_help(tmp_path: Path, folder: Path, other: Path) -> None:
    right, wrong = (LocatorTls(str(each / "ca.pem"), None, None) for each in (folder, other))
    locator = Locator(tmp_path / "tls", **locator_settings(folder))
    plain = Locator(tmp_path / "plain")
    try:
        locator.start()
        plain.start()
        assert not complaint(locator.address, right)
        assert "not of the CA that PSERVER_LOCATOR_CA names" in complaint(locator.address, wrong)
        assert "speaks TLS: set PSERVER_LOCATOR_CA" in complaint(locator.address, None)
        assert "does not speak TLS, but PSERVER_LOCATOR_CA is set" in complaint(plain.address, right)
        by_name = locator.address.replace(HOST, "localhost")
        assert "for another name or address" in complaint(by_name, right)
    finally:
        locator.stop()
        plain.stop()


def test_with_client_certificates_only_those_of_the_ca_get_in(tls_world: World, folder: Path, other: Path) -> None:
    address, ca = tls_world.locator.address, str(folder / "ca.pem")
    make_certificates(folder, Wanted(clients=["old"], days=1), NOW - timedelta(days=2))
    assert not complaint(address, LocatorTls(ca, str(folder / "ann.pem"), str(folder / "ann.key")))
    for refused in (other / "ann", folder / "old"):
        assert "PSERVER_LOCATOR_CERT" in complaint(address, LocatorTls(ca, f"{refused}.pem", f"{refused}.key"))
    assert "PSERVER_LOCATOR_CERT" in complaint(address, LocatorTls(ca, None, None))


def test_an_expired_certificate_stops_the_locators_start(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted([HOST], days=1), NOW - timedelta(days=2))
    locator = Locator(tmp_path / "locator", **locator_settings(tmp_path))
    locator.launch()
    wait_for("it ends", lambda: not locator.running)
    assert locator.stop() == 1 and "it expired at" in locator.log and "Traceback" not in locator.log
