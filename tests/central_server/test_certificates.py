"""What `central-server certs` makes, keeps, and refuses."""

import ipaddress
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import ClientVerifier, PolicyBuilder, ServerVerifier, Store, VerificationError

from central_server.certificates import CannotMake, Wanted, make_certificates

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOSTS = ["locator.example.org", "10.1.2.3", "fd00::5"]


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def policy(folder: Path) -> PolicyBuilder:
    return PolicyBuilder().store(Store([certificate(folder / "ca.pem")])).time(NOW)


def server_verifier(folder: Path, host: str) -> ServerVerifier:
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    assert isinstance(subject, x509.DNSName | x509.IPAddress)
    return policy(folder).build_server_verifier(subject)


def client_verifier(folder: Path) -> ClientVerifier:
    return policy(folder).build_client_verifier()


def test_a_server_certificate_is_good_for_its_names_and_addresses_and_no_others(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted(HOSTS), NOW)
    made = certificate(tmp_path / "locator.example.org.pem")
    for host in HOSTS:
        server_verifier(tmp_path, host).verify(made, [])
    for host in ("example.org", "10.1.2.4"):
        with pytest.raises(VerificationError):
            server_verifier(tmp_path, host).verify(made, [])
    with pytest.raises(VerificationError):
        client_verifier(tmp_path).verify(made, [])


def test_a_client_certificate_is_no_servers(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted(clients=["ann"]), NOW)
    made = certificate(tmp_path / "ann.pem")
    client_verifier(tmp_path).verify(made, [])
    with pytest.raises(VerificationError):
        server_verifier(tmp_path, "ann").verify(made, [])


def test_keys_are_their_owners_only(tmp_path: Path) -> None:
    written = make_certificates(tmp_path / "new" / "folder", Wanted(["a"], ["b"]), NOW)
    keys = [path for path in written if path.suffix == ".key"]
    assert len(keys) == 3 and {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_a_second_call_uses_the_ca_that_is_there(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted(["a"]), NOW)
    ca = (tmp_path / "ca.pem").read_bytes()
    written = make_certificates(tmp_path, Wanted(["b"], ["ann"], days=2), NOW)
    assert {path.name for path in written} == {"b.pem", "b.key", "ann.pem", "ann.key"}
    assert (tmp_path / "ca.pem").read_bytes() == ca
    server_verifier(tmp_path, "b").verify(certificate(tmp_path / "b.pem"), [])
    assert certificate(tmp_path / "b.pem").not_valid_after_utc == NOW + timedelta(days=2)


def test_nothing_is_overwritten_and_nothing_is_left_of_a_failed_call(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted(["a"]), NOW)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CannotMake, match="a\\.key"):
        make_certificates(tmp_path, Wanted(["a"], ["ann"]), NOW)
    (tmp_path / "ben.pem").write_text("mine")
    with pytest.raises(CannotMake, match="ben\\.pem"):
        make_certificates(tmp_path, Wanted(["c"], ["ann", "ben"]), NOW)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {**before, tmp_path / "ben.pem": b"mine"}


def test_no_certificate_outlives_its_ca(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted(["a"]), NOW)
    late = NOW + timedelta(days=3600)
    make_certificates(tmp_path, Wanted(["b"]), late)
    ends = certificate(tmp_path / "ca.pem").not_valid_after_utc
    assert certificate(tmp_path / "b.pem").not_valid_after_utc == ends
    with pytest.raises(CannotMake, match="expired"):
        make_certificates(tmp_path, Wanted(["c"]), ends)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(["a:51015"]),
        Wanted(["../a"]),
        Wanted(["-a"]),
        Wanted(["a" * 254]),
        Wanted(clients=["../ann"]),
        Wanted(clients=[""]),
        Wanted(clients=["ca"]),
        Wanted(["a"], ["a"]),
        Wanted(["a"], days=0),
    ],
)
def test_what_makes_no_sense_is_refused_and_writes_nothing(tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(CannotMake):
        make_certificates(tmp_path / "new", wanted, NOW)
    assert not list(tmp_path.glob("new/*"))


def test_another_ca_or_half_of_one_is_refused(tmp_path: Path) -> None:
    make_certificates(tmp_path, Wanted(["a"]), NOW)
    (tmp_path / "ca.key").write_bytes((tmp_path / "a.key").read_bytes())
    with pytest.raises(CannotMake, match="not the key"):
        make_certificates(tmp_path, Wanted(["b"]), NOW)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(CannotMake, match=r"ca\.key"):
        make_certificates(tmp_path, Wanted(["b"]), NOW)


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "central_server", "certs", str(tmp_path), "--host", "a"]
    first = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert first.returncode == 0 and f"{tmp_path / 'a.pem'}\n" in first.stdout
    again = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert again.returncode == 1 and again.stderr.count("\n") == 1 and "a.key" in again.stderr
