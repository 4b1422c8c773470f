-- share, schema version 1, as the release that had it left it: its schema, then its rows.

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

INSERT INTO meta VALUES ('epoch', x'bedb68db467f6a697f725e7b7cc764ca');
INSERT INTO meta VALUES ('folder', 'some folder');
INSERT INTO meta VALUES ('pruned', 0);
INSERT INTO meta VALUES ('sequence', 5);
INSERT INTO files VALUES (1, 'docs/report.txt', x'646f63732f7265706f72742e747874', 8, 1795170411005340229, 1795170411005340229, 3548992, x'5e9db751f613bf89419c4b73bde4ea2f15d230bf072c93601afcf33e576da18b', x'90bd35df60f1e27d2236245a4a49f73e1dfb01936f2c2159c70a2bde93eb2977', 1, 1);
INSERT INTO files VALUES (2, 'Café.txt', x'436166c3a92e747874', 6, 1795170411009433965, 1795170411009433965, 3548998, x'f5e9d28f5d3e5a78d704daa2ceca90f0e2081c606a9c87621cef8500a17b5b0b', x'37290d74ac4d186e3a8e5785d259d2ec04fac91ae28092e7620ec8bc99e830aa', 1, 2);
INSERT INTO files VALUES (4, 'empty', x'656d707479', 0, 1795170411016566382, 1795170411016566382, 3549001, x'17098c6d97f87e1cabd52c64353c217a75f7748108ef1b6ed91100e482e20690', x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 0, 4);
INSERT INTO manifests VALUES (x'17098c6d97f87e1cabd52c64353c217a75f7748108ef1b6ed91100e482e20690', x'');
INSERT INTO manifests VALUES (x'5e9db751f613bf89419c4b73bde4ea2f15d230bf072c93601afcf33e576da18b', x'33d702541f5142b2932937f4b69739a876e0882e361992800f0f226632362eee');
INSERT INTO manifests VALUES (x'f5e9d28f5d3e5a78d704daa2ceca90f0e2081c606a9c87621cef8500a17b5b0b', x'3bd22735f404137a4db29540da0433f1937ecd5e2a8f90f0e0e282e703e1eff3');
INSERT INTO removed VALUES ('gone.txt', 5);
PRAGMA user_version = 1;
