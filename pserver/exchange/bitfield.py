"""Which pieces a peer has. Packed, as it is sent and stored: bit 7 of byte 0 is piece 0. Or flags: a byte a piece.

Planning wants flags (they can be searched with `find`), everything else the packed form.
"""

_FLAGS_OF_BYTE = tuple(bytes((byte >> (7 - bit)) & 1 for bit in range(8)) for byte in range(256))
_DIGITS = bytes.maketrans(b"\0\1", b"01")


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


def set_bit(packed: bytearray, piece: int) -> None:
    """Mark one piece in the packed form."""
    packed[piece >> 3] |= 0x80 >> (piece & 7)
