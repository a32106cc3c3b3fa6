-- A request under a key that a caller chose, so that it has its effect once. Without a status it
-- is being done, or nobody knows what became of it.
CREATE TABLE idempotency_keys (
    account_id UUID NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key_text TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    status BIGINT,
    headers TEXT,
    body TEXT,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account_id, key_text)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
