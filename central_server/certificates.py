"""`central-server certs`: a CA of one's own, and certificates of it for the locator and for clients.

Everything lies in one folder: `ca.pem` and `ca.key`, made at the first call and used at later ones, and for each
certificate NAME.pem and NAME.key. Keys are readable by their owner only. No file is ever overwritten, and if one cannot
be written, none of the call's is left. The CA's key is needed only to make more; keep it off the locator.
"""

import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
DAYS = 365
_CLOCKS_APART = timedelta(hours=1)  # valid from so long ago on, for machines whose clocks are behind
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class CannotMake(Exception):
    """The certificates cannot be made: the message says why. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One certificate for all of `hosts` (names and addresses), and one for each of `clients`; good for `days`."""

    hosts: Sequence[str] = ()
    clients: Sequence[str] = ()
    days: int = DAYS


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class _Period:
    begins: datetime
    ends: datetime


def make_certificates(folder: Path, wanted: Wanted, now: datetime) -> list[Path]:
    """Make what is wanted, and the CA if `folder` has none; the files written. `now` has its zone. CannotMake."""
    names, period = _checked(wanted), _Period(now, now + _days(wanted.days))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _writing() as written:
            authority = _authority(folder, now, written)
            for name, extensions in names:
                _issue(authority, folder / name, extensions, period, written)
        return written
    except OSError as error:
        raise CannotMake(f"{error.filename or folder}: {error.strerror}; no file is ever overwritten") from error


def _checked(wanted: Wanted) -> list[tuple[str, list[x509.ExtensionType]]]:
    """The name of each certificate and what it is good for."""
    if not wanted.hosts and not wanted.clients:
        raise CannotMake("say what for: --host NAME (or an address) for the locator, --client NAME for a peer")
    found: list[tuple[str, list[x509.ExtensionType]]] = []
    if wanted.hosts:
        alternatives = x509.SubjectAlternativeName([_host(host) for host in wanted.hosts])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        found.append((wanted.hosts[0].replace(":", "_"), [alternatives, usage]))
    for client in wanted.clients:
        if not _CLIENT.fullmatch(client):
            raise CannotMake(f"--client {client!r}: a name has 1 to 64 letters, digits, '.', '_' and '-'")
        alternatives = x509.SubjectAlternativeName([x509.DNSName(client)])
        found.append((client, [alternatives, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]))
    if len({"ca", *(name for name, _ in found)}) <= len(found):
        raise CannotMake("two certificates would have the same name, or that of the CA")
    return found


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not _HOST.fullmatch(text):
        raise CannotMake(f"--host {text!r} is neither a host's name nor an address (without a port)")
    return x509.DNSName(text)


def _days(days: int) -> timedelta:
    if not 1 <= days <= CA_DAYS:
        raise CannotMake(f"--days {days}: should be 1 to {CA_DAYS}")
    return timedelta(days=days)


def _authority(folder: Path, now: datetime, written: list[Path]) -> _Authority:
    """The CA that lies in `folder`, else a new one."""
    certificate_file, key_file = folder / "ca.pem", folder / "ca.key"
    if certificate_file.exists() or key_file.exists():
        return _read_authority(certificate_file, key_file)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"P2P file sharing CA {now:%Y-%m-%d}")])
    certificate = (
        _builder(name, name, key.public_key(), _Period(now, now + timedelta(days=CA_DAYS)))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    _write_both(certificate_file, key_file, certificate, key, written)
    return _Authority(certificate, key)


def _read_authority(certificate_file: Path, key_file: Path) -> _Authority:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise CannotMake(f"{certificate_file} and {key_file} are no CA: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CannotMake(f"{key_file} is not the key of {certificate_file}")
    return _Authority(certificate, key)


def _issue(
    authority: _Authority,
    path: Path,
    extensions: Sequence[x509.ExtensionType],
    period: _Period,
    written: list[Path],
) -> None:
    """A key and its certificate, which ends with its CA at the latest."""
    last = authority.certificate.not_valid_after_utc
    if last <= period.begins:
        raise CannotMake("the CA has expired: make a new one in another folder")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.name[:64])])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = _builder(
        subject, authority.certificate.subject, key.public_key(), _Period(period.begins, min(period.ends, last))
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    for extension in (_usage(ca=False), issuer_key, *extensions):
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.KeyUsage))
    certificate = builder.sign(authority.key, SHA256())
    _write_both(Path(f"{path}.pem"), Path(f"{path}.key"), certificate, key, written)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, period: _Period
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    dated = builder.not_valid_before(period.begins - _CLOCKS_APART).not_valid_after(period.ends)
    return dated.serial_number(x509.random_serial_number())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_both(
    certificate_file: Path,
    key_file: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    written: list[Path],
) -> None:
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(key_file, secret, 0o600, written)
    _write(certificate_file, certificate.public_bytes(Encoding.PEM), 0o644, written)


def _write(path: Path, content: bytes, mode: int, written: list[Path]) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        written.append(path)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _writing() -> Iterator[list[Path]]:
    """A list for the files written; if what follows fails, they are removed again."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
