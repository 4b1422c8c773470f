"""What two headers of tus 1.0 say: Upload-Metadata and Upload-Checksum."""

import base64

from pserver.model import InvalidRequest

CHECKSUMS = ("sha1", "sha256")


def parse_metadata(header: str) -> dict[str, str]:
    """The pairs of an Upload-Metadata header: `key BASE64,key BASE64`. InvalidRequest."""
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    try:
        return {key: base64.b64decode(value.strip(), validate=True).decode() for key, _, value in pairs}
    except ValueError:
        raise InvalidRequest("Upload-Metadata: each value must be UTF-8 text in base64") from None


def parse_checksum(header: str) -> tuple[str, bytes]:
    """The algorithm and digest of an Upload-Checksum header: `sha256 BASE64`. InvalidRequest."""
    algorithm, _, digest = header.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise InvalidRequest(f"Upload-Checksum: the algorithm must be one of {', '.join(CHECKSUMS)}")
    try:
        return algorithm, base64.b64decode(digest.strip(), validate=True)
    except ValueError:  # not base64, or not even ASCII
        raise InvalidRequest("Upload-Checksum: the digest must be base64") from None
