"""The store in SQLite: one file, nothing to install. `store.py` says what it promises."""

from central_server.store_sqlite.file import CannotOpen
from central_server.store_sqlite.store import SQLiteStore

__all__ = ["CannotOpen", "SQLiteStore"]
