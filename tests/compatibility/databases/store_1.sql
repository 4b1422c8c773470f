-- store, schema version 1, as the release that had it left it: its schema, then its rows.

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

INSERT INTO peers VALUES (1, x'ad18f95c9b2a7aa228bdcf4514cedeffed7d8452e2d93773716adacead60f8ad', 'ann', 'http://ann.example:8001', '1.0', 0, 0, 1, x'1d8370b2bcaf040a9a57397aa39cd7bb', NULL, x'cccb64f70de231465192552de22ece56', 2, 2, 2, 2, 20, NULL, NULL, NULL, NULL, 0, 0, 0);
INSERT INTO peers VALUES (2, x'7733e66de4978268c398350bf93544d98e8b4f808bf1d70245682105c1c5f47b', 'ben', 'http://ben.example:8001', '1.0', 0, 0, 1, x'7396fc1d11f239a8623a5794e0cba31f', NULL, x'', 0, 1, 1, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO files VALUES (1, x'82ab12b2435ae43d63b98f7bb21e68babc2310c160b6bf691c0122d7b1e2e181', 10, x'b9f34848cdcd7b2c8612a8963a9f58235f082b848019f449c860c746df0457f6');
INSERT INTO files VALUES (2, x'6f3238b62347724b0bf91ae3bbd2471569ecfe3dd7a774825734de2e1af05f11', 10, x'53fbb88bccc7775aec1be7dbe6f663d4d7bacb178d8aca208239fcb8e3865cf5');
INSERT INTO files VALUES (3, x'1849af841d1f8f41d5baf968bd5d9653a0d64667b7d02f93580ec497f69d5fc4', 10, x'e5e8d75ef20eaeecbb2162e44dc99348ac775a99c55e115d91e03594c00895d6');
INSERT INTO names VALUES (1, 'docs/a');
INSERT INTO names VALUES (2, 'docs/b');
INSERT INTO names VALUES (3, 'café');
INSERT INTO holdings VALUES (1, 1, 2, 2, 1, 1);
INSERT INTO holdings VALUES (3, 1, 2, 2, 3, 1);
INSERT INTO loose VALUES (2, 2);
PRAGMA user_version = 1;
