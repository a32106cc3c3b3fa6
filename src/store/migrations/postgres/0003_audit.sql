-- The audit log. A chain is `organisation` or `workspace:ID`. Nothing refers to other tables: the
-- log outlives what it tells of.

-- The last line of each chain; whoever appends holds its row.
CREATE TABLE audit_heads (
    chain TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

-- `line` is the text that was hashed; the columns between `seq` and `previous` are copies of
-- what it says, to filter by.
CREATE TABLE audit_lines (
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    account_id UUID NOT NULL,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id UUID,
    revision BIGINT,
    previous TEXT NOT NULL,
    line TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
);

CREATE FUNCTION audit_lines_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit lines are never changed or removed';
END
$$;

CREATE TRIGGER audit_lines_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_lines
FOR EACH STATEMENT EXECUTE FUNCTION audit_lines_stay();
