-- What the PostgreSQL protocol checks a key by (SCRAM-SHA-256 with 4096 iterations). Keys that
-- were made before have no row: their text is not known.
CREATE TABLE key_verifiers (
    key_id BLOB NOT NULL PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL
) STRICT;

-- What the salts of accounts are derived from; it has one row.
CREATE TABLE deployment (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL
) STRICT;
INSERT INTO deployment (id, secret) VALUES (1, randomblob(32));
