"""Some 600 names that no honest person gives a file: ways out of a folder in every disguise, and plain nonsense."""

from itertools import product

CLIMBS = [
    "../", "..\\", "./../", "../.", "a/../../", "..//", "//../", "....//", ".../", "..;/", "..%2f", "..%5c", "%2e%2e/",
    "%2e%2e%2f", "%252e%252e%252f", "..%c0%af", "..%25c0%25af", "..%ef%bc%8f", "%uff0e%uff0e/", "\uff0e\uff0e/",
    "..\uff0f", "..\u2215", "..\u2044", "\u2025/", ".\u200b./", "\u202e../", "..\0/", "../\0", "..\n/", " ../", "../ ",
    "..\t/", ".\u00ad./", "\ufeff../", "..\x7f/",
]  # fmt: skip
ROOTS = [
    "/", "//", "///", "\\", "\\\\", "/./", "/../", "C:\\", "C:/", "file://", "file:///", "/proc/self/root/",
    "/proc/self/cwd/", "/proc/self/fd/3/", "/dev/fd/3/", "/dev/stdin/../", "~/", "~root/", "$HOME/", "%HOME%/",
    "\\\\?\\C:\\", "//localhost/", "http://127.0.0.1/", "\0/", "|", "`id`", "$(id)",
]  # fmt: skip
LINKS = [
    "link", "link/", "linked", "linked/secret.txt", "linked/../secret.txt", "linked/.", "up", "up/outside/secret.txt",
    "up/../outside/secret.txt", "docs/up", "docs/up/state/client-token", "root", "root/etc/passwd", "loop/loop/loop",
    "proc/self/environ", "fifo", "hard/../link", "docs/../link", "./link", "link/../link", "LINK", "link\0.txt",
]  # fmt: skip
PLAIN = [
    "", ".", "..", "...", "/", "//", "./", "../", "a/", "/a", "a//b", "a/./b", "a/../b", "a/..", ".hidden", "a/.hidden",
    ".p2p-partial", ".p2p-partial/x", ".p2p-partial/../x", "a/.p2p-partial/x", "-rf", "--", "*", "?", "[a]", "{a,b}",
    "a:b", "CON", "nul.txt", "COM1", "a.", "a ", " a", "\u00a0", "\t", "\n", "a\nb", "a\rb", "a\x1b[31mb", "\x7f",
    "\x01", "\u2028", "\u202egpj.exe", "e\u0301", "\ufb01", "\u212b", "\ud800", "a\udcffb", "\U0010ffff",
    "\U000e0001", "a\0b", "\0", "x" * 255, "x" * 256, "ä" * 127, "ä" * 128, "x" * 1024, "x" * 5000,
    "/".join(["x" * 200] * 5),
    "/".join(["x" * 200] * 6), "a/" * 511 + "a", "a/" * 512 + "a", "a/" * 3000, "(2)", "a (2)", "a.tar.gz",
    "secret.txt", "id:" + "a" * 64, "id:../x",
    "sha256:" + "0" * 64, "sha256:../../x", "null", "None", "true", "0", "-1", "1e999",
]  # fmt: skip
TARGETS = ["outside/secret.txt", "state/client-token", "etc/passwd"]


def odd_names() -> list[str]:
    """All of them, each once."""
    climbing = ["".join((climb * depth, target)) for climb, depth, target in product(CLIMBS, (1, 2, 4, 9), TARGETS)]
    rooted = [root + target for root, target in product(ROOTS, TARGETS)]
    inside = [f"docs/{climb * 2}outside/secret.txt" for climb in CLIMBS]
    return list(dict.fromkeys([*climbing, *rooted, *inside, *LINKS, *PLAIN]))
