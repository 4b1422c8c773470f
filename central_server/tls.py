"""TLS for gRPC: the server's credentials, from files that are read again when they change.

A certificate that was renewed counts from the next handshake on; connections that stand keep theirs until they reach
their age. Files that cannot be used (half written, say) are told in the log, and the old ones go on.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from central_server.connections import TlsFiles

_Stamp = tuple[tuple[int, int, int], ...]
_log = logging.getLogger(__name__)


class UnusableTls(Exception):
    """A certificate, key or CA cannot be used: the message names the file and says why."""


def server_credentials(files: TlsFiles, now: Callable[[], datetime]) -> grpc.ServerCredentials:
    """For grpc.aio's add_secure_port. `now` gives the time with its zone. UnusableTls."""
    renewing = Renewing(files, now)
    return grpc.dynamic_ssl_server_credentials(
        renewing.configuration,
        renewing.changed,  # type: ignore[arg-type]  # the stubs lack the None that means "no change"
        require_client_authentication=files.client_ca is not None,
    )


class Renewing:
    """What the files say; looked at anew before each handshake. gRPC calls it from threads of its own."""

    def __init__(self, files: TlsFiles, now: Callable[[], datetime]) -> None:
        self._files = files
        self._now = now
        self._lock = threading.Lock()
        self._seen = self._stamp()
        self.configuration = _configuration(files, now())

    def changed(self) -> "grpc.ServerCertificateConfiguration | None":
        """The new configuration, if the files have changed since the last call and can be used; else None."""
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp == self._seen:
                    return None
                self._seen = stamp
                found = _configuration(self._files, self._now())
            except UnusableTls as error:
                _log.error("TLS goes on with the old certificate: %s", error)
                return None
        _log.info("TLS: %s was read again", self._files.certificate)
        return found

    def _stamp(self) -> _Stamp:
        try:
            found = [path.stat() for path in _paths(self._files)]
        except OSError as error:
            raise UnusableTls(f"{error.filename}: {error.strerror}") from error
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in found)


def _configuration(files: TlsFiles, now: datetime) -> "grpc.ServerCertificateConfiguration":
    """Read, check and hand to gRPC, which would say nothing of what is wrong."""
    chain, key = _read(files.certificate), _read(files.key)
    certificate = _certificates(files.certificate, chain)[0]
    if _private(files.key, key).public_key() != certificate.public_key():
        raise UnusableTls(f"{files.key} is not the key of the certificate in {files.certificate}")
    if certificate.not_valid_after_utc <= now:
        raise UnusableTls(f"{files.certificate}: it expired at {certificate.not_valid_after_utc:%F %R} UTC")
    roots = None
    if files.client_ca is not None:
        roots = _read(files.client_ca)
        _certificates(files.client_ca, roots)
    return grpc.ssl_server_certificate_configuration([(key, chain)], roots)


def _private(path: Path, text: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(text, None)
    except (ValueError, TypeError) as error:
        raise UnusableTls(f"{path} is no unencrypted private key in PEM: {error}") from None


def _certificates(path: Path, text: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise UnusableTls(f"{path} holds no certificate in PEM: {error}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableTls(f"{path}: {error.strerror}") from error


def _paths(files: TlsFiles) -> list[Path]:
    return [path for path in (files.certificate, files.key, files.client_ca) if path is not None]
