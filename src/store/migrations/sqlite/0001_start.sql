-- Identifiers are the 16 bytes of a UUID. Times are RFC 3339 text in UTC, which sorts as time
-- does. Documents are JSON text. The same tables as in PostgreSQL.

-- At most one row: two that would both make the first account wait for each other on it.
CREATE TABLE bootstrap (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar_url TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX accounts_email ON accounts (lower(email));

CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    public_id TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_account ON api_keys (account_id);

CREATE TABLE workspaces (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    require_destination_policy INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE members (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    account_id BLOB NOT NULL REFERENCES accounts (id),
    role_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, account_id)
) STRICT;
CREATE INDEX members_account ON members (account_id);

-- References between objects of a workspace carry the workspace, so that none can lead into
-- another one.
CREATE TABLE sources (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    source_type TEXT NOT NULL,
    config TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE models (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    name TEXT NOT NULL,
    source_id BLOB NOT NULL,
    table_name TEXT,
    sql_text TEXT,
    primary_key TEXT NOT NULL,
    schema_ipc BLOB NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, source_id) REFERENCES sources (workspace_id, id),
    CHECK ((table_name IS NULL) <> (sql_text IS NULL))
) STRICT;
CREATE INDEX models_source ON models (workspace_id, source_id);

CREATE TABLE destinations (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    destination_type TEXT NOT NULL,
    config TEXT NOT NULL,
    rate_limit TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE syncs (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    name TEXT NOT NULL,
    model_id BLOB NOT NULL,
    destination_id BLOB NOT NULL,
    mode TEXT NOT NULL,
    mapping TEXT,
    environment TEXT NOT NULL,
    schedule TEXT,
    enabled INTEGER NOT NULL,
    owner_id BLOB NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, model_id) REFERENCES models (workspace_id, id),
    FOREIGN KEY (workspace_id, destination_id) REFERENCES destinations (workspace_id, id)
) STRICT;
CREATE INDEX syncs_model ON syncs (workspace_id, model_id);
CREATE INDEX syncs_destination ON syncs (workspace_id, destination_id);

CREATE TABLE destination_policies (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    parent_model_id BLOB,
    destination_type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    filter_tree TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_by BLOB NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    -- One policy of a pack becomes one for each destination type, under one name.
    UNIQUE (workspace_id, name, destination_type),
    FOREIGN KEY (workspace_id, parent_model_id) REFERENCES models (workspace_id, id)
) STRICT;
CREATE INDEX destination_policies_model ON destination_policies (workspace_id, parent_model_id);

CREATE TABLE revisions (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    revision INTEGER NOT NULL,
    author_id BLOB NOT NULL REFERENCES accounts (id),
    change TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, revision)
) STRICT;

CREATE TABLE runs (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    sync_id BLOB NOT NULL,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    status TEXT NOT NULL CHECK (
        status IN ('queued', 'running', 'succeeded', 'failed', 'blocked', 'cancelled')
    ),
    rows_read INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    withheld INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    invalid INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    withheld_by TEXT NOT NULL,
    policy_revisions TEXT NOT NULL,
    checkpoint_rows INTEGER NOT NULL,
    checkpoint_last_row TEXT,
    started_at TEXT,
    finished_at TEXT,
    error TEXT,
    cancel_requested INTEGER NOT NULL,
    lease_worker TEXT,
    lease_until TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    FOREIGN KEY (workspace_id, sync_id) REFERENCES syncs (workspace_id, id),
    CONSTRAINT runs_balanced CHECK (
        rows_read = delivered + withheld + rejected + invalid + failed
    )
) STRICT;
CREATE INDEX runs_sync ON runs (workspace_id, sync_id, created_at);
CREATE INDEX runs_open ON runs (sync_id, created_at) WHERE status IN ('queued', 'running');
