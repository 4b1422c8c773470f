"""Moving what was written from the write-ahead log into the database, in a thread of its own.

A checkpoint waits for the disk (fsync); here it holds up neither the writer nor any reader. Should writes outrun it,
the writer is made to checkpoint itself once the log has grown to `MOST_PAGES`.
"""

import logging
import sqlite3
import threading
from pathlib import Path

from central_server.store_sqlite.file import connect

MOST_PAGES = 65_536  # of 4 KiB
_log = logging.getLogger(__name__)


class Checkpoints:
    """`due()` after each commit; checkpoints follow one after the other."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._due = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="store-checkpoints", daemon=True)
        self._thread.start()

    def due(self) -> None:
        """Something was written."""
        self._due.set()

    def close(self) -> None:
        """Finish, end the thread, close the connection. May wait for the disk."""
        self._ending = True
        self._due.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._ending:
                return
            try:
                # PASSIVE: does what it can without waiting for anybody.
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                _log.warning("the write-ahead log could not be moved into the database: %s", error)
