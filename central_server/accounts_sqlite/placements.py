"""Statements about what people placed where, and the orders to drop it. Each runs inside the caller's transaction."""

import secrets
import sqlite3
from collections.abc import Sequence

from central_server.limits import SHORT_ID_BYTES
from central_server.people import NoRoom, Order


def place(
    connection: sqlite3.Connection, user: str, file_id: bytes, targets: Sequence[bytes], *, now: float, most: int
) -> None:
    """NoRoom: the user would have placed more than `most`."""
    connection.executemany(
        """
        INSERT INTO placements (file_id, user_no, target, placed)
        SELECT ?, user_no, ?, ? FROM users WHERE name = ?
        ON CONFLICT DO UPDATE SET placed = excluded.placed, order_id = NULL, ordered_by = NULL, as_admin = 0
        """,
        [(file_id, target, now, user) for target in targets],
    )
    over = connection.execute("SELECT 1 FROM users WHERE name = ? AND placed > ?", (user, most)).fetchone()
    if over is not None:
        raise NoRoom(
            why=f"You have placed files on other peers {most} times, and more are not allowed: drop some of them first "
            "(pclient remove NAME --everywhere)"
        )


def order_drops(connection: sqlite3.Connection, user: str, file_id: bytes, *, as_admin: bool) -> list[bytes]:
    """For which peers."""
    [[user_no]] = connection.execute("SELECT user_no FROM users WHERE name = ?", (user,))
    whose = {"user_no": user_no, "file_id": file_id, "as_admin": as_admin}
    rows = connection.execute(
        """
        SELECT user_no, target, order_id FROM placements
        WHERE file_id = :file_id AND (:as_admin OR user_no = :user_no)
        """,
        whose,
    ).fetchall()
    connection.executemany(
        """
        UPDATE placements SET order_id = :order_id,
            ordered_by = CASE WHEN as_admin THEN ordered_by ELSE :user_no END, as_admin = as_admin OR :as_admin
        WHERE file_id = :file_id AND user_no = :placed_by AND target = :target
        """,
        [
            {
                **whose,
                "placed_by": placed_by,
                "target": target,
                "order_id": order_id or secrets.token_bytes(SHORT_ID_BYTES),
            }
            for placed_by, target, order_id in rows
        ],
    )
    return sorted({target for _, target, _ in rows})


def orders(connection: sqlite3.Connection, target: bytes, limit: int) -> list[Order]:
    """Up to `limit` of those that wait for a peer."""
    rows = connection.execute(
        """
        SELECT order_id, file_id, name, as_admin FROM placements p JOIN users u ON u.user_no = p.ordered_by
        WHERE target = ? AND order_id IS NOT NULL LIMIT ?
        """,
        (target, limit),
    )
    return [Order(order_id, file_id, name, bool(as_admin)) for order_id, file_id, name, as_admin in rows]


def finish_orders(connection: sqlite3.Connection, target: bytes, order_ids: Sequence[bytes]) -> bool:
    """Whether others wait for that peer."""
    connection.executemany(
        "DELETE FROM placements WHERE order_id = ? AND target = ?", [(order_id, target) for order_id in order_ids]
    )
    return bool(orders(connection, target, 1))


def targets(connection: sqlite3.Connection) -> set[bytes]:
    """The peers for which orders wait."""
    rows = connection.execute("SELECT DISTINCT target FROM placements WHERE order_id IS NOT NULL")
    return {target for (target,) in rows}
