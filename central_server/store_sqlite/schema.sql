-- The locator's index in SQLite, schema version 1 (PRAGMA user_version).
--
-- Generations make the switch to a new snapshot one update, however many files it has. Each holding was announced
-- in generation `since` and was last confirmed in generation `seen`; a peer shows one generation at a time, so a
-- holding is visible while since <= peers.generation <= seen. A delta writes into the generation shown. A snapshot
-- fills a hidden generation that was never used before; its end makes that one the generation shown. Whatever is
-- visible in neither is garbage, which the sweeper drops.

CREATE TABLE peers (
    peer_no INTEGER PRIMARY KEY,
    peer_id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    version TEXT NOT NULL,
    free_bytes INTEGER NOT NULL,         -- as registered; heartbeats do not come here
    accepts_uploads INTEGER NOT NULL,
    reachable INTEGER NOT NULL,
    lease_id BLOB,                       -- NULL: the lease ended
    ended REAL,                          -- when it did
    epoch BLOB NOT NULL DEFAULT x'',
    sequence INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 1,
    newest_generation INTEGER NOT NULL DEFAULT 1,
    files INTEGER NOT NULL DEFAULT 0,    -- of the generation shown
    size INTEGER NOT NULL DEFAULT 0,
    hidden_generation INTEGER,           -- NULL: no snapshot in the making
    hidden_epoch BLOB,
    hidden_sequence INTEGER,
    hidden_parts INTEGER,
    hidden_files INTEGER,
    hidden_size INTEGER,
    swept_to INTEGER                     -- the sweeper has looked at names up to this one; NULL: no garbage here
);

-- What holders say: two that differ in size or sha256 for one file id are two rows, so a liar changes nobody else's.
CREATE TABLE files (
    file_no INTEGER PRIMARY KEY,
    file_id BLOB NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL
);
-- Hashes come in random order, so each new file touches a page somewhere in these two: eight bytes tell files apart
-- well enough, and keep the indexes small.
CREATE INDEX files_by_id ON files (substr(file_id, 1, 8));
CREATE INDEX files_by_sha256 ON files (substr(sha256, 1, 8));

CREATE TABLE names (
    name_no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE holdings (
    name_no INTEGER NOT NULL,
    peer_no INTEGER NOT NULL,
    since INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    file_no INTEGER NOT NULL,
    flags INTEGER NOT NULL,              -- 1: sha256 checked, 2: partial
    PRIMARY KEY (name_no, peer_no, since)
) WITHOUT ROWID;
CREATE INDEX holdings_by_file ON holdings (file_no, peer_no, name_no, since);
CREATE INDEX holdings_by_peer ON holdings (peer_no, name_no, since);

-- Names and files that may have lost their last holding. The sweeper looks.
CREATE TABLE loose (
    name_no INTEGER NOT NULL,
    file_no INTEGER NOT NULL
);
CREATE TRIGGER holding_gone AFTER DELETE ON holdings BEGIN
    INSERT INTO loose (name_no, file_no) VALUES (old.name_no, old.file_no);
END;

-- The words of names. Only which names have a word is kept (detail=none), and prefixes of up to three letters have
-- lists of their own, so that a search for "a" walks one list instead of merging those of a hundred thousand words.
CREATE VIRTUAL TABLE words USING fts5 (
    name,
    content = 'names',
    content_rowid = 'name_no',
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '1 2 3',
    detail = none,
    columnsize = 0
);
-- Merge a level of the word index once it has eight parts instead of four: a tenth off the cost of a new name.
INSERT INTO words (words, rank) VALUES ('automerge', 8);
CREATE TRIGGER name_found AFTER INSERT ON names BEGIN
    INSERT INTO words (rowid, name) VALUES (new.name_no, new.name);
END;
CREATE TRIGGER name_gone AFTER DELETE ON names BEGIN
    INSERT INTO words (words, rowid, name) VALUES ('delete', old.name_no, old.name);
END;
