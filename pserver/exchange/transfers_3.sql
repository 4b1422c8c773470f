-- The transfers of a peer, version 3: who placed which file here, by an upload from another peer (placed.py).

-- user: '' is this peer's own people. landed: the file is in the share, under that name.
CREATE TABLE placed (
    file_id      BLOB    NOT NULL,
    user         TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    transfer_id  TEXT    NOT NULL,
    landed       INTEGER NOT NULL,
    PRIMARY KEY (file_id, user)
) WITHOUT ROWID;
CREATE INDEX placed_by_transfer ON placed (transfer_id);
