-- What the PostgreSQL protocol checks a key by (SCRAM-SHA-256 with 4096 iterations). Keys that
-- were made before have no row: their text is not known.
CREATE TABLE key_verifiers (
    key_id UUID NOT NULL PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    stored_key BYTEA NOT NULL,
    server_key BYTEA NOT NULL
);

-- What the salts of accounts are derived from; it has one row.
CREATE TABLE deployment (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret BYTEA NOT NULL
);
INSERT INTO deployment (id, secret)
    VALUES (1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
