-- Content policies. A deleted one stays, for the violations that it found.
CREATE TABLE content_policies (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB REFERENCES workspaces (id),
    source_id BLOB,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    risk TEXT NOT NULL CHECK (risk IN ('LOW', 'MEDIUM', 'HIGH')),
    action INTEGER NOT NULL CHECK (action BETWEEN 0 AND 2),
    created_by BLOB NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    updated_by BLOB NOT NULL REFERENCES accounts (id),
    updated_at TEXT NOT NULL,
    deleted_at TEXT,
    CHECK (workspace_id IS NOT NULL OR source_id IS NULL)
) STRICT;
CREATE INDEX content_policies_workspace ON content_policies (workspace_id, source_id);

-- One row for each policy and each run, stream or query in which it found something.
CREATE TABLE content_sightings (
    id BLOB NOT NULL PRIMARY KEY,
    policy_id BLOB NOT NULL REFERENCES content_policies (id),
    passage_id BLOB NOT NULL,
    via TEXT NOT NULL CHECK (via IN ('sync', 'upload', 'stream', 'query')),
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    source_id BLOB NOT NULL,
    model_id BLOB NOT NULL,
    run_id BLOB,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    -- The strictest that was taken.
    action INTEGER NOT NULL CHECK (action BETWEEN 0 AND 2),
    records INTEGER NOT NULL,
    -- How many violations of it are in content_violations: they are bounded.
    kept INTEGER NOT NULL,
    -- The columns and detectors, each pair once: [["column", "detector"], ...].
    found TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    -- How many of the records somebody was told of, and when that was last.
    told INTEGER NOT NULL,
    told_at TEXT,
    UNIQUE (passage_id, model_id, policy_id)
) STRICT;
CREATE INDEX content_sightings_last ON content_sightings (last_at, id);
CREATE INDEX content_sightings_policy ON content_sightings (policy_id, last_at, id);
CREATE INDEX content_sightings_untold ON content_sightings (last_at, id)
    WHERE action >= 1 AND records > told;

-- No value of a record stands here, but the key by which it is found again.
CREATE TABLE content_violations (
    id BLOB NOT NULL PRIMARY KEY,
    sighting_id BLOB NOT NULL REFERENCES content_sightings (id) ON DELETE CASCADE,
    action INTEGER NOT NULL CHECK (action BETWEEN 0 AND 2),
    place INTEGER NOT NULL,
    record TEXT NOT NULL,
    column_name TEXT NOT NULL,
    detector TEXT NOT NULL,
    shape TEXT NOT NULL,
    at TEXT NOT NULL,
    UNIQUE (sighting_id, place, column_name, detector)
) STRICT;
CREATE INDEX content_violations_at ON content_violations (at, id);

-- Where alerts go.
CREATE TABLE alert_channels (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    channel_type TEXT NOT NULL CHECK (channel_type IN ('webhook', 'slack')),
    url TEXT NOT NULL,
    secret TEXT,
    enabled INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, name)
) STRICT;

-- What is told where. A sighting is told of once it has been quiet for a while, and again if more
-- came afterwards.
CREATE TABLE alert_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    sighting_id BLOB NOT NULL REFERENCES content_sightings (id) ON DELETE CASCADE,
    channel_id BLOB NOT NULL REFERENCES alert_channels (id) ON DELETE CASCADE,
    -- The records that the message tells of.
    records INTEGER NOT NULL,
    -- The alert as it is told: a repeated message says the same.
    alert TEXT NOT NULL,
    created_at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    attempted_at TEXT,
    -- When it is tried next; NULL once it is delivered or given up.
    next_at TEXT,
    delivered_at TEXT,
    last_error TEXT,
    UNIQUE (sighting_id, channel_id, records)
) STRICT;
CREATE INDEX alert_deliveries_next ON alert_deliveries (next_at, channel_id);
CREATE INDEX alert_deliveries_waiting ON alert_deliveries (channel_id) WHERE next_at IS NOT NULL;
CREATE INDEX alert_deliveries_attempted ON alert_deliveries (channel_id, attempted_at);
