-- Content policies. A deleted one stays, for the violations that it found.
CREATE TABLE content_policies (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID REFERENCES workspaces (id),
    source_id UUID,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    risk TEXT NOT NULL CHECK (risk IN ('LOW', 'MEDIUM', 'HIGH')),
    action BIGINT NOT NULL CHECK (action BETWEEN 0 AND 2),
    created_by UUID NOT NULL REFERENCES accounts (id),
    created_at TIMESTAMPTZ NOT NULL,
    updated_by UUID NOT NULL REFERENCES accounts (id),
    updated_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    CHECK (workspace_id IS NOT NULL OR source_id IS NULL)
);
CREATE INDEX content_policies_workspace ON content_policies (workspace_id, source_id);

-- One row for each policy and each run, stream or query in which it found something.
CREATE TABLE content_sightings (
    id UUID NOT NULL PRIMARY KEY,
    policy_id UUID NOT NULL REFERENCES content_policies (id),
    passage_id UUID NOT NULL,
    via TEXT NOT NULL CHECK (via IN ('sync', 'upload', 'stream', 'query')),
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    source_id UUID NOT NULL,
    model_id UUID NOT NULL,
    run_id UUID,
    account_id UUID NOT NULL REFERENCES accounts (id),
    -- The strictest that was taken.
    action BIGINT NOT NULL CHECK (action BETWEEN 0 AND 2),
    records BIGINT NOT NULL,
    -- How many violations of it are in content_violations: they are bounded.
    kept BIGINT NOT NULL,
    -- The columns and detectors, each pair once: [["column", "detector"], ...].
    found TEXT NOT NULL,
    first_at TIMESTAMPTZ NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    -- How many of the records somebody was told of, and when that was last.
    told BIGINT NOT NULL,
    told_at TIMESTAMPTZ,
    UNIQUE (passage_id, model_id, policy_id)
);
CREATE INDEX content_sightings_last ON content_sightings (last_at DESC NULLS LAST, id DESC);
CREATE INDEX content_sightings_policy ON content_sightings (policy_id, last_at, id);
CREATE INDEX content_sightings_untold ON content_sightings (last_at, id)
    WHERE action >= 1 AND records > told;

-- No value of a record stands here, but the key by which it is found again.
CREATE TABLE content_violations (
    id UUID NOT NULL PRIMARY KEY,
    sighting_id UUID NOT NULL REFERENCES content_sightings (id) ON DELETE CASCADE,
    action BIGINT NOT NULL CHECK (action BETWEEN 0 AND 2),
    place BIGINT NOT NULL,
    record TEXT NOT NULL,
    column_name TEXT NOT NULL,
    detector TEXT NOT NULL,
    shape TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL,
    UNIQUE (sighting_id, place, column_name, detector)
);
CREATE INDEX content_violations_at ON content_violations (at DESC NULLS LAST, id DESC);

-- Where alerts go.
CREATE TABLE alert_channels (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    channel_type TEXT NOT NULL CHECK (channel_type IN ('webhook', 'slack')),
    url TEXT NOT NULL,
    secret TEXT,
    enabled BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, name)
);

-- What is told where. A sighting is told of once it has been quiet for a while, and again if more
-- came afterwards.
CREATE TABLE alert_deliveries (
    id UUID NOT NULL PRIMARY KEY,
    sighting_id UUID NOT NULL REFERENCES content_sightings (id) ON DELETE CASCADE,
    channel_id UUID NOT NULL REFERENCES alert_channels (id) ON DELETE CASCADE,
    -- The records that the message tells of.
    records BIGINT NOT NULL,
    -- The alert as it is told: a repeated message says the same.
    alert TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    attempts BIGINT NOT NULL,
    attempted_at TIMESTAMPTZ,
    -- When it is tried next; NULL once it is delivered or given up.
    next_at TIMESTAMPTZ,
    delivered_at TIMESTAMPTZ,
    last_error TEXT,
    UNIQUE (sighting_id, channel_id, records)
);
CREATE INDEX alert_deliveries_next ON alert_deliveries (next_at, channel_id);
CREATE INDEX alert_deliveries_waiting ON alert_deliveries (channel_id) WHERE next_at IS NOT NULL;
CREATE INDEX alert_deliveries_attempted ON alert_deliveries (channel_id, attempted_at);
