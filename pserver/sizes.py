"""Sizes as a person reads them."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def human_size(count: float) -> str:
    """That many bytes: "0 bytes", "1023 bytes", "1.0 KiB", "3.4 GiB"."""
    if count < 1024:
        return f"{int(count)} bytes" if count != 1 else "1 byte"
    for unit in _UNITS:
        count /= 1024
        if count < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{count:.1f} {unit}"
