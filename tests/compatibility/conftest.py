"""The wire of the release before accounts, made once."""

import pytest

from tests.compatibility.old_wire import BEFORE_ACCOUNTS, OldWire


@pytest.fixture(scope="session")
def old() -> OldWire:
    """Its messages and rpcs."""
    return OldWire(BEFORE_ACCOUNTS)
