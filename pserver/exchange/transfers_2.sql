-- The transfers of a peer, version 2: what each source gave, as JSON (given.py).

CREATE TABLE sources (
    transfer_id  TEXT PRIMARY KEY,
    given        TEXT NOT NULL
) WITHOUT ROWID;
