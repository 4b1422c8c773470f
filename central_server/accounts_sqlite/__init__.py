"""The accounts in SQLite: one file of their own, which is never thrown away. `account_store.py` says what it promises.

file (opening) ← users, placements (statements) ← store (the verbs, in a thread).
"""

from central_server.accounts_sqlite.store import SQLiteAccounts

__all__ = ["SQLiteAccounts"]
