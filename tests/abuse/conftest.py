"""The worlds of the end-to-end tests, for the tests that attack them."""

from tests.end_to_end.conftest import empty_world, world

__all__ = ["empty_world", "world"]
