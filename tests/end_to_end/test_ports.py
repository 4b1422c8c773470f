"""The ports of the tests' own servers: two servers never get the same."""

import random

from demo.processes import free_port


class Owner:
    """Something that a port belongs to."""


def test_a_port_is_nobody_elses_while_its_owner_lives() -> None:
    """Also one at which nobody listens (yet, or for a moment): tests that run at once used to be given the same."""
    owner, another = Owner(), Owner()
    number = random.getstate()
    port = free_port(owner)
    random.setstate(number)
    assert free_port(another) != port
    del owner
    random.setstate(number)
    assert free_port(another) == port
