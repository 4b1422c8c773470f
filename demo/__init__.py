"""A locator and peers as real processes on loopback: for playing (`cluster`), for the demo, and for the tests."""
