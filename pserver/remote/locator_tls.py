"""TLS to a locator: the credentials of a channel, and what a failed handshake means in words that help."""

from pathlib import Path

import grpc

from pserver.settings import LocatorTls

# What gRPC's words hold -> what to tell the person, with the settings to look at. The first that fits.
_WITH_TLS: tuple[tuple[str, str], ...] = (
    ("WRONG_VERSION_NUMBER", "it does not speak TLS, but PSERVER_LOCATOR_CA is set here"),
    ("certificate has expired", "its certificate has expired, by the clock here"),
    ("certificate is not yet valid", "its certificate is not valid yet, by the clock here"),
    ("Hostname Verification", "its certificate is for another name or address"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not of the CA that PSERVER_LOCATOR_CA names"),
    # TLS 1.3 tells a client nothing of why its certificate was not taken.
    (
        "Socket closed",
        "it closed the connection as it began; probably it wants a certificate that it can accept: see "
        "PSERVER_LOCATOR_CERT and PSERVER_LOCATOR_KEY",
    ),
)
_WITHOUT: tuple[tuple[str, str], ...] = (
    ("Socket closed", "it closed the connection as it began; probably it speaks TLS: set PSERVER_LOCATOR_CA"),
)


def credentials(tls: LocatorTls) -> grpc.ChannelCredentials:
    """Read once: a certificate renewed later counts after a restart of the peer. OSError."""
    key = None if tls.key is None else Path(tls.key).read_bytes()
    certificate = None if tls.certificate is None else Path(tls.certificate).read_bytes()
    return grpc.ssl_channel_credentials(Path(tls.ca).read_bytes(), key, certificate)


def meaning(details: str, *, secure: bool) -> str | None:
    """What gRPC's `details` of a failed connection mean if TLS is the likely reason; `secure`: TLS was tried."""
    if not details.startswith("failed to connect"):
        return None
    return next((told for words, told in (_WITH_TLS if secure else _WITHOUT) if words in details), None)
