"""The central locator: who is here and who has what. It never sees a byte of a file."""

__version__ = "0.1.0"
