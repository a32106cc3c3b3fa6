-- Compliance. All of it belongs to the one organisation; `organization_id` tells whose a template
-- is, because some come with syncguard. Documents are JSON text. A resource's id is text: a UUID
-- in its usual form is one of the catalog, and its workspace stands beside it.

CREATE TABLE organizations (
    id UUID NOT NULL PRIMARY KEY,
    -- The one that this installation serves.
    is_own BOOLEAN NOT NULL,
    name TEXT NOT NULL
);
INSERT INTO organizations (id, is_own, name) VALUES
    (gen_random_uuid(), TRUE, 'default'),
    ('00000000-0000-0000-0000-000000000000', FALSE, 'syncguard');

CREATE TABLE compliance_templates (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    definition TEXT NOT NULL,
    target_resource_types TEXT NOT NULL,
    frameworks TEXT NOT NULL,
    tags TEXT NOT NULL,
    is_public BOOLEAN NOT NULL,
    is_verified BOOLEAN NOT NULL,
    published BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    average_rating DOUBLE PRECISION,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (organization_id, name)
);

-- What a published template was before each change, as the API showed it.
CREATE TABLE compliance_template_versions (
    template_id UUID NOT NULL REFERENCES compliance_templates (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (template_id, version)
);

CREATE TABLE compliance_template_reviews (
    template_id UUID NOT NULL REFERENCES compliance_templates (id) ON DELETE CASCADE,
    account_id UUID NOT NULL REFERENCES accounts (id),
    rating BIGINT NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (template_id, account_id)
);

CREATE TABLE compliance_policies (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    category TEXT NOT NULL,
    severity TEXT NOT NULL,
    rules TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    template_id UUID REFERENCES compliance_templates (id) ON DELETE SET NULL,
    template_version BIGINT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (organization_id, name)
);
CREATE INDEX compliance_policies_template ON compliance_policies (template_id);

CREATE TABLE compliance_instances (
    id UUID NOT NULL PRIMARY KEY,
    policy_id UUID NOT NULL REFERENCES compliance_policies (id),
    resource_type TEXT NOT NULL,
    resource_id TEXT COLLATE "C" NOT NULL,
    workspace_id UUID REFERENCES workspaces (id),
    -- The workspace again, with zeros for a resource outside the catalog: a purview is a list of
    -- these.
    realm UUID NOT NULL CHECK (realm = coalesce(workspace_id, '00000000-0000-0000-0000-000000000000')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'submitted', 'approved', 'denied')),
    -- What the last submission came to, and whether that was compliant.
    result TEXT,
    compliant BOOLEAN,
    submitted_at TIMESTAMPTZ,
    submitted_by UUID REFERENCES accounts (id),
    reviewed_at TIMESTAMPTZ,
    reviewed_by UUID REFERENCES accounts (id),
    conditions TEXT NOT NULL,
    reason TEXT,
    remediation TEXT,
    -- From a denial until the next approval.
    is_held BOOLEAN NOT NULL,
    override_document TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (policy_id, resource_type, resource_id)
);
-- A list of instances is counted from compliance_instance_counts and walked along one of these, in
-- its order: they have all that its filters ask for, except the resource, of which there are few.
CREATE INDEX compliance_instances_created ON compliance_instances (created_at, id)
    INCLUDE (status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_updated ON compliance_instances (updated_at, id)
    INCLUDE (status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_submitted ON compliance_instances (submitted_at, id)
    INCLUDE (status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_reviewed ON compliance_instances (reviewed_at, id)
    INCLUDE (status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_status ON compliance_instances (status, id)
    INCLUDE (resource_type, policy_id, realm);
CREATE INDEX compliance_instances_type ON compliance_instances (resource_type, id)
    INCLUDE (status, policy_id, realm);
CREATE INDEX compliance_instances_resource ON compliance_instances (resource_id, id)
    INCLUDE (status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_policy ON compliance_instances (policy_id, id)
    INCLUDE (status, resource_type, realm);
CREATE INDEX compliance_instances_realm ON compliance_instances (realm, id)
    INCLUDE (status, resource_type, policy_id);
-- NULL is last in either direction.
CREATE INDEX compliance_instances_submitted_last ON compliance_instances
    (submitted_at DESC NULLS LAST, id DESC) INCLUDE (status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_reviewed_last ON compliance_instances
    (reviewed_at DESC NULLS LAST, id DESC) INCLUDE (status, resource_type, policy_id, realm);
-- A short list is found by these, and sorted.
CREATE INDEX compliance_instances_of_policy ON compliance_instances
    (policy_id, status, resource_type, realm, id);
CREATE INDEX compliance_instances_of_status ON compliance_instances
    (status, resource_type, realm, policy_id, id);

-- How many instances there are of each kind: kept by the triggers below, so that the length of a
-- list of 100,000 and the figures over all are sums of a few rows. `compliant` is -1 before there
-- is a result.
CREATE TABLE compliance_instance_counts (
    policy_id UUID NOT NULL,
    realm UUID NOT NULL,
    resource_type TEXT NOT NULL,
    status TEXT NOT NULL,
    compliant BIGINT NOT NULL,
    instances BIGINT NOT NULL,
    PRIMARY KEY (policy_id, realm, resource_type, status, compliant)
);

-- How many instances were made in each hour (UTC), such as '2026-01-31T09'.
CREATE TABLE compliance_instances_by_hour (
    hour TEXT NOT NULL,
    realm UUID NOT NULL,
    instances BIGINT NOT NULL,
    PRIMARY KEY (hour, realm)
);

-- Once for a statement, and in one order: two transactions that each change several counts do not
-- wait for each other.
CREATE FUNCTION compliance_instances_count_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO compliance_instance_counts AS c
    SELECT policy_id, realm, resource_type, status, coalesce(compliant::INT, -1), count(*)
    FROM new_rows GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (policy_id, realm, resource_type, status, compliant)
    DO UPDATE SET instances = c.instances + excluded.instances;
    INSERT INTO compliance_instances_by_hour AS c
    SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'), realm, count(*)
    FROM new_rows GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (hour, realm) DO UPDATE SET instances = c.instances + excluded.instances;
    RETURN NULL;
END
$$;
CREATE FUNCTION compliance_instances_count_old() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO compliance_instance_counts AS c
    SELECT policy_id, realm, resource_type, status, coalesce(compliant::INT, -1), -count(*)
    FROM old_rows GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (policy_id, realm, resource_type, status, compliant)
    DO UPDATE SET instances = c.instances + excluded.instances;
    INSERT INTO compliance_instances_by_hour AS c
    SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24'), realm, -count(*)
    FROM old_rows GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (hour, realm) DO UPDATE SET instances = c.instances + excluded.instances;
    RETURN NULL;
END
$$;
CREATE FUNCTION compliance_instances_count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO compliance_instance_counts AS c
    SELECT policy_id, realm, resource_type, status, coalesce(compliant::INT, -1), sum(change)
    FROM (
        SELECT policy_id, realm, resource_type, status, compliant, 1 AS change FROM new_rows
        UNION ALL
        SELECT policy_id, realm, resource_type, status, compliant, -1 FROM old_rows
    ) changes
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(change) <> 0 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (policy_id, realm, resource_type, status, compliant)
    DO UPDATE SET instances = c.instances + excluded.instances;
    RETURN NULL;
END
$$;
CREATE TRIGGER compliance_instances_count_new AFTER INSERT ON compliance_instances
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION compliance_instances_count_new();
CREATE TRIGGER compliance_instances_count_old AFTER DELETE ON compliance_instances
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION compliance_instances_count_old();
CREATE TRIGGER compliance_instances_count_changed AFTER UPDATE ON compliance_instances
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION compliance_instances_count_changed();

CREATE TABLE compliance_comments (
    instance_id UUID NOT NULL REFERENCES compliance_instances (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    account_id UUID NOT NULL REFERENCES accounts (id),
    comment TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (instance_id, seq)
);

-- Facts that somebody declared, by dotted path.
CREATE TABLE compliance_declarations (
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    workspace_id UUID REFERENCES workspaces (id),
    facts TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (resource_type, resource_id)
);
CREATE INDEX compliance_declarations_workspace ON compliance_declarations (workspace_id);

CREATE TABLE compliance_solutions (
    id UUID NOT NULL PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    team TEXT,
    owner TEXT,
    -- A policy of it changed and its snapshot is still to be taken.
    snapshot_due BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE compliance_solution_policies (
    solution_id UUID NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    policy_id UUID NOT NULL REFERENCES compliance_policies (id) ON DELETE CASCADE,
    PRIMARY KEY (solution_id, policy_id)
);
CREATE INDEX compliance_solution_policies_policy ON compliance_solution_policies (policy_id);

CREATE TABLE compliance_solution_models (
    solution_id UUID NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    model_id TEXT NOT NULL,
    PRIMARY KEY (solution_id, model_id)
);

CREATE TABLE compliance_snapshots (
    id UUID NOT NULL PRIMARY KEY,
    solution_id UUID NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    snapshot_type TEXT NOT NULL,
    frozen BOOLEAN NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    total_policies BIGINT NOT NULL,
    compliant_policies BIGINT NOT NULL,
    non_compliant_policies BIGINT NOT NULL,
    -- The policies, the resources with their facts, and what came of each check.
    content TEXT NOT NULL,
    digest TEXT,
    -- For a scheduled one, the time it was due: two processes take it once.
    due_at TIMESTAMPTZ,
    approved_at TIMESTAMPTZ,
    approved_by UUID REFERENCES accounts (id),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (solution_id, due_at)
);
-- All that the dashboard and the history read, so that they leave the long rows alone.
CREATE INDEX compliance_snapshots_solution ON compliance_snapshots
    (solution_id, created_at, id, score, total_policies, compliant_policies);
CREATE INDEX compliance_snapshots_age ON compliance_snapshots (created_at, id);
CREATE INDEX compliance_snapshots_frozen ON compliance_snapshots (created_at, id) WHERE frozen;

CREATE FUNCTION compliance_snapshots_stay_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a frozen snapshot is never changed';
END
$$;

CREATE TRIGGER compliance_snapshots_stay_frozen BEFORE UPDATE ON compliance_snapshots
FOR EACH ROW WHEN (OLD.frozen) EXECUTE FUNCTION compliance_snapshots_stay_frozen();

CREATE TABLE compliance_attestations (
    id UUID NOT NULL PRIMARY KEY,
    solution_id UUID NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    snapshot_id UUID NOT NULL REFERENCES compliance_snapshots (id) ON DELETE CASCADE,
    attestation_type TEXT NOT NULL,
    evidence TEXT NOT NULL,
    expiration TIMESTAMPTZ,
    attested_by UUID NOT NULL REFERENCES accounts (id),
    attested_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    revoked_by UUID REFERENCES accounts (id),
    revocation_reason TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX compliance_attestations_solution ON compliance_attestations (solution_id, created_at);
CREATE INDEX compliance_attestations_age ON compliance_attestations (created_at, id);
CREATE INDEX compliance_attestations_snapshot ON compliance_attestations (snapshot_id);
