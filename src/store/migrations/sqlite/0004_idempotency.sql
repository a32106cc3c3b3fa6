-- A request under a key that a caller chose, so that it has its effect once. Without a status it
-- is being done, or nobody knows what became of it.
CREATE TABLE idempotency_keys (
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key_text TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    status INTEGER,
    headers TEXT,
    body TEXT,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (account_id, key_text)
) STRICT;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
