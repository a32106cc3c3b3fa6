-- The same tables as in SQLite.

-- At most one row: two that would both make the first account wait for each other on it.
CREATE TABLE bootstrap (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE accounts (
    id UUID NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar_url TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX accounts_email ON accounts (lower(email));

CREATE TABLE api_keys (
    id UUID NOT NULL PRIMARY KEY,
    account_id UUID NOT NULL REFERENCES accounts (id),
    public_id TEXT NOT NULL UNIQUE,
    digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX api_keys_account ON api_keys (account_id);

CREATE TABLE workspaces (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    require_destination_policy BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE members (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    account_id UUID NOT NULL REFERENCES accounts (id),
    role_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, account_id)
);
CREATE INDEX members_account ON members (account_id);

-- References between objects of a workspace carry the workspace, so that none can lead into
-- another one.
CREATE TABLE sources (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    source_type TEXT NOT NULL,
    config TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE models (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL,
    name TEXT NOT NULL,
    source_id UUID NOT NULL,
    table_name TEXT,
    sql_text TEXT,
    primary_key TEXT NOT NULL,
    schema_ipc BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, source_id) REFERENCES sources (workspace_id, id),
    CHECK ((table_name IS NULL) <> (sql_text IS NULL))
);
CREATE INDEX models_source ON models (workspace_id, source_id);

CREATE TABLE destinations (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    destination_type TEXT NOT NULL,
    config TEXT NOT NULL,
    rate_limit TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE syncs (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL,
    name TEXT NOT NULL,
    model_id UUID NOT NULL,
    destination_id UUID NOT NULL,
    mode TEXT NOT NULL,
    mapping TEXT,
    environment TEXT NOT NULL,
    schedule TEXT,
    enabled BOOLEAN NOT NULL,
    owner_id UUID NOT NULL REFERENCES accounts (id),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name),
    FOREIGN KEY (workspace_id, model_id) REFERENCES models (workspace_id, id),
    FOREIGN KEY (workspace_id, destination_id) REFERENCES destinations (workspace_id, id)
);
CREATE INDEX syncs_model ON syncs (workspace_id, model_id);
CREATE INDEX syncs_destination ON syncs (workspace_id, destination_id);

CREATE TABLE destination_policies (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    parent_model_id UUID,
    destination_type TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    filter_tree TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_by UUID NOT NULL REFERENCES accounts (id),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    -- One policy of a pack becomes one for each destination type, under one name.
    UNIQUE (workspace_id, name, destination_type),
    FOREIGN KEY (workspace_id, parent_model_id) REFERENCES models (workspace_id, id)
);
CREATE INDEX destination_policies_model ON destination_policies (workspace_id, parent_model_id);

CREATE TABLE revisions (
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    revision BIGINT NOT NULL,
    author_id UUID NOT NULL REFERENCES accounts (id),
    change TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (workspace_id, revision)
);

CREATE TABLE runs (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL,
    sync_id UUID NOT NULL,
    account_id UUID NOT NULL REFERENCES accounts (id),
    status TEXT NOT NULL CHECK (
        status IN ('queued', 'running', 'succeeded', 'failed', 'blocked', 'cancelled')
    ),
    rows_read BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    withheld BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    invalid BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    withheld_by TEXT NOT NULL,
    policy_revisions TEXT NOT NULL,
    checkpoint_rows BIGINT NOT NULL,
    checkpoint_last_row TEXT,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    error TEXT,
    cancel_requested BOOLEAN NOT NULL,
    lease_worker TEXT,
    lease_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    FOREIGN KEY (workspace_id, sync_id) REFERENCES syncs (workspace_id, id),
    CONSTRAINT runs_balanced CHECK (
        rows_read = delivered + withheld + rejected + invalid + failed
    )
);
CREATE INDEX runs_sync ON runs (workspace_id, sync_id, created_at);
CREATE INDEX runs_open ON runs (sync_id, created_at) WHERE status IN ('queued', 'running');
