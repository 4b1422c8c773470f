"""Statements about users and their sessions. Each runs inside a transaction of the caller's."""

import sqlite3

from central_server.people import NoRoom, Session, User, UserTaken

_COLUMNS = "name, password, role, disabled, created"


def add(connection: sqlite3.Connection, user: User, most: int) -> None:
    """UserTaken, NoRoom."""
    if read(connection, user.name) is not None:
        raise UserTaken(user=user.name)
    [[count]] = connection.execute("SELECT count(*) FROM users")
    if count >= most:
        raise NoRoom(why=f"There are {count} accounts here already, and more are not allowed")
    connection.execute(
        f"INSERT INTO users ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608  # the names of our columns
        (user.name, user.password, user.role, user.disabled, user.created),
    )


def read(connection: sqlite3.Connection, name: str) -> User | None:
    """The account, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM users WHERE name = ?", (name,)).fetchone()  # noqa: S608  # as above
    return None if row is None else _user(row)


def read_all(connection: sqlite3.Connection) -> list[User]:
    """All of them, by name."""
    return [_user(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM users ORDER BY name")]  # noqa: S608  # as above


def set_password(
    connection: sqlite3.Connection, name: str, password: str, was: str | None, *, keep_sessions: bool
) -> bool:
    """False: there is no such account, or it has not the hash `was`."""
    changed = connection.execute(
        "UPDATE users SET password = :new WHERE name = :name AND (:was IS NULL OR password = :was)",
        {"name": name, "new": password, "was": was},
    ).rowcount
    if changed and not keep_sessions:
        _end_all(connection, name)
    return bool(changed)


def set_disabled(connection: sqlite3.Connection, name: str, *, disabled: bool) -> bool:
    """False: there is no such account."""
    changed = connection.execute("UPDATE users SET disabled = ? WHERE name = ?", (disabled, name)).rowcount
    if disabled:
        _end_all(connection, name)
    return bool(changed)


def begin_session(
    connection: sqlite3.Connection, user: User, digest: bytes, *, now: float, expires: float, most: int
) -> bool:
    """False: the account is not any more as `user` says."""
    known = connection.execute(
        "SELECT user_no FROM users WHERE name = ? AND password = ? AND NOT disabled", (user.name, user.password)
    ).fetchone()
    if known is None:
        return False
    connection.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
    connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (digest, known[0], now, expires))
    connection.execute(
        """
        DELETE FROM sessions WHERE digest IN (
            SELECT digest FROM sessions WHERE user_no = ? ORDER BY began DESC, digest = ? DESC LIMIT -1 OFFSET ?
        )
        """,
        (known[0], digest, most),
    )
    return True


def session(connection: sqlite3.Connection, digest: bytes, now: float) -> Session | None:
    """Whose session that is, if it is alive."""
    row = connection.execute(
        """
        SELECT name, role, expires FROM sessions JOIN users USING (user_no)
        WHERE digest = ? AND expires > ? AND NOT disabled
        """,
        (digest, now),
    ).fetchone()
    return None if row is None else Session(*row)


def end_sessions(connection: sqlite3.Connection, digest: bytes, now: float, *, everywhere: bool) -> int:
    """How many ended."""
    found = session(connection, digest, now)
    if found is None:
        return 0
    if everywhere:
        return _end_all(connection, found.user)
    return connection.execute("DELETE FROM sessions WHERE digest = ?", (digest,)).rowcount


def _end_all(connection: sqlite3.Connection, name: str) -> int:
    return connection.execute(
        "DELETE FROM sessions WHERE user_no = (SELECT user_no FROM users WHERE name = ?)", (name,)
    ).rowcount


def _user(row: tuple[str, str, str, int, float]) -> User:
    name, password, role, disabled, created = row
    return User(name, password, "admin" if role == "admin" else "member", bool(disabled), created)
