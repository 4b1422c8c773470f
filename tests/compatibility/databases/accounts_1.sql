-- accounts, schema version 1, as the release that had it left it: its schema, then its rows.

-- The accounts in SQLite, schema version 1 (PRAGMA user_version). Times are seconds of Unix time.

CREATE TABLE users (
    user_no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,              -- as Argon2 writes it, with salt and parameters
    role TEXT NOT NULL CHECK (role IN ('member', 'admin')),
    disabled INTEGER NOT NULL,
    created REAL NOT NULL,
    placed INTEGER NOT NULL DEFAULT 0    -- how many placements it has
) STRICT;

CREATE TABLE sessions (
    digest BLOB PRIMARY KEY,             -- the SHA-256 of the token, which is nowhere
    user_no INTEGER NOT NULL,
    began REAL NOT NULL,
    expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_no, began);
CREATE INDEX sessions_by_end ON sessions (expires);

-- That a user's upload placed a file at a peer (target). With an order id, that peer is to drop it: `ordered_by` says
-- so, in their own name or as an admin. Once it has, the row goes.
CREATE TABLE placements (
    file_id BLOB NOT NULL,
    user_no INTEGER NOT NULL,
    target BLOB NOT NULL,
    placed REAL NOT NULL,
    order_id BLOB UNIQUE,
    ordered_by INTEGER,
    as_admin INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (file_id, user_no, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX orders ON placements (target) WHERE order_id IS NOT NULL;
CREATE TRIGGER placed AFTER INSERT ON placements BEGIN
    UPDATE users SET placed = placed + 1 WHERE user_no = new.user_no;
END;
CREATE TRIGGER dropped AFTER DELETE ON placements BEGIN
    UPDATE users SET placed = placed - 1 WHERE user_no = old.user_no;
END;

INSERT INTO users VALUES (1, 'ann', 'hash', 'member', 0, 1000000.0, 0);  -- the trigger counts
INSERT INTO sessions VALUES (x'd33fb48ab5adff269ae172b29a6913ff04f6f266207a7a8e976f2ecd571d4492', 1, 1000000.0, 1000010.0);
INSERT INTO placements VALUES (x'39aac93919e644bc384a2c14a24d6c8c4b57159cc1b54d2c469d79be97d1bf51', 1, x'b137e4837b8479cb75f3e26ab819a26c74fa435f329ce9139a14bfbc2428734d', 1000000.0, x'9f3835ee33c0566f8750c34eb22f6a73', 1, 0);
PRAGMA user_version = 1;
