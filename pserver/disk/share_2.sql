-- The index of a share, version 2: files that are still being downloaded are announced too.

-- They have names, sequences and tombstones as files have. A name is in `files` or here, never in both.
CREATE TABLE partials (
    name     TEXT    PRIMARY KEY,
    file_id  BLOB    NOT NULL UNIQUE,
    size     INTEGER NOT NULL,
    sha256   BLOB    NOT NULL,
    sequence INTEGER NOT NULL UNIQUE
) WITHOUT ROWID;

-- Whatever file comes under the name is what is announced under it from then on.
CREATE TRIGGER partial_replaced AFTER INSERT ON files BEGIN
    DELETE FROM partials WHERE name = new.name;
END;
