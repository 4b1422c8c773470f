-- The transfers of a peer, version 1. Times are Unix seconds, sizes bytes, ids 32 bytes but for the transfer's own.

CREATE TABLE transfers (
    id           TEXT    PRIMARY KEY,
    kind         TEXT    NOT NULL,
    label        TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    created      REAL    NOT NULL,
    ended        REAL,
    error_code   TEXT,
    error_detail TEXT,
    tree         INTEGER NOT NULL,
    asker        TEXT,
    hints        TEXT    NOT NULL,  -- JSON: [[peer id, name, url], ..]
    files_total  INTEGER NOT NULL,
    bytes_total  INTEGER NOT NULL,
    files_done   INTEGER NOT NULL DEFAULT 0,
    bytes_done   INTEGER NOT NULL DEFAULT 0   -- the sum over its items
) WITHOUT ROWID;
CREATE INDEX transfers_by_state ON transfers (state, created);

CREATE TABLE items (
    transfer_id  TEXT    NOT NULL,
    number       INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    final_name   TEXT,
    file_id      BLOB    NOT NULL,
    size         INTEGER NOT NULL,
    sha256       BLOB,
    alternatives BLOB    NOT NULL,  -- file ids, one after another
    state        TEXT    NOT NULL,
    bytes_done   INTEGER NOT NULL DEFAULT 0,
    error        TEXT,
    PRIMARY KEY (transfer_id, number)
) WITHOUT ROWID;
CREATE INDEX items_open ON items (transfer_id, number) WHERE state IN ('queued', 'running', 'placing');

-- Of the items that have a partial file: what is known of it. inode: once all pieces are there, the partial's own.
CREATE TABLE recorded (
    transfer_id  TEXT    NOT NULL,
    number       INTEGER NOT NULL,
    manifest     BLOB    NOT NULL,
    bitfield     BLOB    NOT NULL,
    inode        INTEGER NOT NULL,
    PRIMARY KEY (transfer_id, number)
) WITHOUT ROWID;

CREATE TABLE targets (
    transfer_id  TEXT    NOT NULL,
    peer_id      TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    url          TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    bytes_done   INTEGER NOT NULL,
    error        TEXT,
    offer_id     TEXT,
    PRIMARY KEY (transfer_id, peer_id)
) WITHOUT ROWID;
