"""Which pieces a peer has. Packed, as it is sent and stored: bit 7 of byte 0 is piece 0. Or flags: a byte a piece.

A partial file keeps flags. Planning wants sets that can be combined: a mask, an int whose bit n is piece n. Everything
else has the packed form.
"""

_FLAGS_OF_BYTE = tuple(bytes((byte >> (7 - bit)) & 1 for bit in range(8)) for byte in range(256))
_DIGITS = bytes.maketrans(b"\0\1", b"01")
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def packed_bytes(pieces: int) -> int:
    """How long the packed form is."""
    return -(-pieces // 8)


def unpack(packed: bytes, pieces: int) -> bytearray:
    """Flags (0 or 1 a piece); ValueError if `packed` is not a bitfield of that many pieces."""
    if len(packed) != packed_bytes(pieces):
        raise ValueError(f"a bitfield of {pieces} pieces has {packed_bytes(pieces)} bytes, not {len(packed)}")
    flags = bytearray().join(map(_FLAGS_OF_BYTE.__getitem__, packed))
    if any(flags[pieces:]):
        raise ValueError("the spare bits of a bitfield are 0")
    del flags[pieces:]
    return flags


def pack(flags: bytes | bytearray) -> bytes:
    """The packed form of flags that are 0 or 1."""
    if not flags:
        return b""
    length = packed_bytes(len(flags))
    digits = bytes(flags).ljust(length * 8, b"\0").translate(_DIGITS)
    return int(digits, 2).to_bytes(length)


def to_mask(packed: bytes, pieces: int) -> int:
    """The mask of the packed form; ValueError if `packed` is not a bitfield of that many pieces."""
    if len(packed) != packed_bytes(pieces):
        raise ValueError(f"a bitfield of {pieces} pieces has {packed_bytes(pieces)} bytes, not {len(packed)}")
    mask = int.from_bytes(packed.translate(_TURNED), "little")
    if mask >> pieces:
        raise ValueError("the spare bits of a bitfield are 0")
    return mask


def from_mask(mask: int, pieces: int) -> bytes:
    """The packed form of a mask."""
    return mask.to_bytes(packed_bytes(pieces), "little").translate(_TURNED)


def mask_of_flags(flags: bytes | bytearray) -> int:
    """The mask of flags that are 0 or 1."""
    return to_mask(pack(flags), len(flags))


def first_of(mask: int) -> int | None:
    """The lowest piece in the mask."""
    return (mask & -mask).bit_length() - 1 if mask else None


def run_mask(first: int, end: int) -> int:
    """The mask of the pieces `first`..`end`-1."""
    return ((1 << max(end - first, 0)) - 1) << first


def pieces_of(mask: int) -> list[int]:
    """The pieces in the mask, lowest first."""
    return [piece for piece, digit in enumerate(reversed(f"{mask:b}")) if digit == "1"]
