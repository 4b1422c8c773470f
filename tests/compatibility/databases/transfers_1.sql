-- transfers, schema version 1, as the release that had it left it: its schema, then its rows.

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

INSERT INTO transfers VALUES ('0008b9ff', 'incoming', 'theirs.txt', 'failed', 10.0, 12.0, 'unavailable', 'no source', 0, 'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', '[]', 1, 3, 0, 0);
INSERT INTO transfers VALUES ('ee81bdac', 'upload', 'mine.txt', 'running', 8.0, NULL, NULL, NULL, 0, NULL, '[]', 1, 10, 0, 0);
INSERT INTO transfers VALUES ('f576e9b9', 'download', 'docs/', 'paused', 5.0, NULL, NULL, NULL, 1, NULL, '[["abababababababababababababababababababababababababababababababab", "bob", "http://192.0.2.1:8001"]]', 2, 150, 0, 60);
INSERT INTO items VALUES ('0008b9ff', 0, 'theirs.txt', NULL, x'0808080808080808080808080808080808080808080808080808080808080808', 3, NULL, x'', 'queued', 0, NULL);
INSERT INTO items VALUES ('ee81bdac', 0, 'mine.txt', NULL, x'0606060606060606060606060606060606060606060606060606060606060606', 10, x'0707070707070707070707070707070707070707070707070707070707070707', x'', 'queued', 0, NULL);
INSERT INTO items VALUES ('f576e9b9', 0, 'docs/a', NULL, x'0101010101010101010101010101010101010101010101010101010101010101', 100, NULL, x'', 'running', 60, NULL);
INSERT INTO items VALUES ('f576e9b9', 1, 'docs/b', NULL, x'0202020202020202020202020202020202020202020202020202020202020202', 50, x'0303030303030303030303030303030303030303030303030303030303030303', x'04040404040404040404040404040404040404040404040404040404040404040505050505050505050505050505050505050505050505050505050505050505', 'queued', 0, NULL);
INSERT INTO recorded VALUES ('f576e9b9', 0, x'6d616e6966657374', x'c0', 7);
INSERT INTO targets VALUES ('ee81bdac', 'abababababababababababababababababababababababababababababababab', 'bob', 'http://192.0.2.1:8001', 'running', 4, NULL, 'offer-1');
PRAGMA user_version = 1;
