"""The peers that run as services of this machine. Each leaves `client.env` and its token in /run/pserver/NAME."""

from pathlib import Path

SERVICES = Path("/run/pserver")


def service_files(services: Path) -> list[Path]:
    """The settings that they have left for their clients, by name."""
    try:
        return sorted(services.glob("*/client.env"))
    except OSError:
        return []


def who_may_read(token_file: Path) -> str:
    """What a person should do who may not read that client token."""
    try:
        import grp

        group = grp.getgrgid(token_file.stat().st_gid).gr_name
    except (ImportError, KeyError, OSError):  # no such thing on Windows; a group without a name; a hidden file
        return "Is the PServer running as another user?"
    return (
        f"Its people are the group {group}: with sudo usermod -aG {group} $USER, and a new login, you are one of them; "
        "or use sudo"
    )
