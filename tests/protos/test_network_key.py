"""What is refused as a network key, and that keys which were really drawn are not."""

import base64
import random

import pytest

from protos.network_key import new_key, weakness


@pytest.mark.parametrize(
    "key",
    [
        "",
        "too short to be a secret of ours",
        "k" * 32,
        "ab" * 20,
        "axxQ9aQ9xa9QQxa99axQaxQ9xaaQ9Qx9a",
        "0123456789abcdef" * 2,
        "deadbeefcafe1234" * 2 + "deadbe",
        "0123456789abcdefghijklmnopqrstuv",
        "zyxwvutsrqponmlkjihgfedcba9876543",
        "changeme-changeme-please-thanks-x7",
        "CHANGE_ME_to-a-long-random-string-1",
        "replace-this-with-output-of-openssl-rand",
        "your-network-key-goes-here-32-bytes-min",
        "example-key-of-the-documentation-1234",
        "secret-of-the-lab-1234567890-xyzzy",
        "my-secret-p2p-network-key-2024-xyzzy",
    ],
)
def test_what_people_type_and_copy_is_refused(key: str) -> None:
    said = weakness(key.encode()[:31] if key.startswith("too short") else key.encode())
    assert said is not None
    assert not key or key not in said  # the key is not told


def test_what_was_drawn_is_taken() -> None:
    """Fair draws, the same in each run."""
    drawn = random.Random(1)
    for _ in range(1000):
        key = drawn.randbytes(32)
        for text in (key, key[:16].hex().encode(), key.hex().encode(), base64.b64encode(key), base64.b32encode(key)):
            assert weakness(text) is None, text


def test_our_own_keys_and_a_good_sentence_are_taken() -> None:
    keys = [new_key() for _ in range(1000)]
    assert len(set(keys)) == 1000 and {len(key) for key in keys} == {64}
    assert not [key for key in keys if weakness(key.encode())]
    assert weakness(b"seven drowsy otters juggle marmalade at noon") is None


def test_bytes_that_are_no_text_are_judged_too() -> None:
    assert weakness(bytes(range(100, 200))) == "is a row of neighbouring characters"
    assert weakness(bytes((7 * number * number) % 251 for number in range(40))) is None
