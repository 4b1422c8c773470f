-- The index of a share, version 1. Names are NFC; raw_name is what the disk has. Ids are 32 bytes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;
-- epoch: 16 bytes, made with the index. sequence: of the newest change. pruned: changes up to this sequence can no
-- longer be listed, for the tombstones are gone. folder: the identity of the folder that was indexed.

CREATE TABLE files (
    id             INTEGER PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    raw_name       BLOB    NOT NULL UNIQUE,
    size           INTEGER NOT NULL,
    mtime_ns       INTEGER NOT NULL,
    ctime_ns       INTEGER NOT NULL,
    inode          INTEGER NOT NULL,
    file_id        BLOB    NOT NULL,
    sha256         BLOB    NOT NULL,
    sha256_checked INTEGER NOT NULL,
    sequence       INTEGER NOT NULL UNIQUE
);
CREATE INDEX files_by_id ON files (file_id);
CREATE INDEX files_by_sha256 ON files (sha256);
CREATE INDEX files_unchecked ON files (id) WHERE sha256_checked = 0;

-- The piece hashes of every file id in `files`.
CREATE TABLE manifests (
    file_id      BLOB PRIMARY KEY,
    piece_hashes BLOB NOT NULL
) WITHOUT ROWID;

-- Tombstones: names that were shared and are no longer.
CREATE TABLE removed (
    name     TEXT    PRIMARY KEY,
    sequence INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;

-- The words of the names; its text lies in `files`.
CREATE VIRTUAL TABLE words USING fts5 (
    name, content = 'files', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3'
);
CREATE TRIGGER words_added AFTER INSERT ON files BEGIN
    INSERT INTO words (rowid, name) VALUES (new.id, new.name);
END;
CREATE TRIGGER words_removed AFTER DELETE ON files BEGIN
    INSERT INTO words (words, rowid, name) VALUES ('delete', old.id, old.name);
END;
