-- The audit log. A chain is `organisation` or `workspace:ID`. Nothing refers to other tables: the
-- log outlives what it tells of.

-- The last line of each chain; whoever appends holds its row.
CREATE TABLE audit_heads (
    chain TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;

-- `line` is the text that was hashed; the columns between `seq` and `previous` are copies of
-- what it says, to filter by.
CREATE TABLE audit_lines (
    chain TEXT NOT NULL,
    seq INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    account_id BLOB NOT NULL,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id BLOB,
    revision INTEGER,
    previous TEXT NOT NULL,
    line TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
) STRICT;

CREATE TRIGGER audit_lines_not_changed BEFORE UPDATE ON audit_lines
BEGIN
    SELECT RAISE(ABORT, 'audit lines are never changed');
END;

CREATE TRIGGER audit_lines_not_removed BEFORE DELETE ON audit_lines
BEGIN
    SELECT RAISE(ABORT, 'audit lines are never removed');
END;

-- INSERT OR REPLACE removes a row without asking the trigger above.
CREATE TRIGGER audit_lines_not_replaced BEFORE INSERT ON audit_lines
WHEN EXISTS (SELECT 1 FROM audit_lines WHERE chain = NEW.chain AND seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'audit lines are never replaced');
END;
