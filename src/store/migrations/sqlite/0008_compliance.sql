-- Compliance. All of it belongs to the one organisation; `organization_id` tells whose a template
-- is, because some come with syncguard. Documents are JSON text. A resource's id is text: a UUID
-- in its usual form is one of the catalog, and its workspace stands beside it.

CREATE TABLE organizations (
    id BLOB NOT NULL PRIMARY KEY,
    -- The one that this installation serves.
    is_own INTEGER NOT NULL,
    name TEXT NOT NULL
) STRICT;
INSERT INTO organizations (id, is_own, name) VALUES
    (randomblob(16), 1, 'default'),
    (zeroblob(16), 0, 'syncguard');

CREATE TABLE compliance_templates (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    definition TEXT NOT NULL,
    target_resource_types TEXT NOT NULL,
    frameworks TEXT NOT NULL,
    tags TEXT NOT NULL,
    is_public INTEGER NOT NULL,
    is_verified INTEGER NOT NULL,
    published INTEGER NOT NULL,
    version INTEGER NOT NULL,
    average_rating REAL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;

-- What a published template was before each change, as the API showed it.
CREATE TABLE compliance_template_versions (
    template_id BLOB NOT NULL REFERENCES compliance_templates (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (template_id, version)
) STRICT;

CREATE TABLE compliance_template_reviews (
    template_id BLOB NOT NULL REFERENCES compliance_templates (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (template_id, account_id)
) STRICT;

CREATE TABLE compliance_policies (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    category TEXT NOT NULL,
    severity TEXT NOT NULL,
    rules TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    template_id BLOB REFERENCES compliance_templates (id) ON DELETE SET NULL,
    template_version INTEGER,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;
CREATE INDEX compliance_policies_template ON compliance_policies (template_id);

CREATE TABLE compliance_instances (
    id BLOB NOT NULL PRIMARY KEY,
    policy_id BLOB NOT NULL REFERENCES compliance_policies (id),
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    workspace_id BLOB REFERENCES workspaces (id),
    -- The workspace again, with zeros for a resource outside the catalog: a purview is a list of
    -- these.
    realm BLOB NOT NULL CHECK (realm = coalesce(workspace_id, zeroblob(16))),
    status TEXT NOT NULL CHECK (status IN ('pending', 'submitted', 'approved', 'denied')),
    -- What the last submission came to, and whether that was compliant.
    result TEXT,
    compliant INTEGER,
    submitted_at TEXT,
    submitted_by BLOB REFERENCES accounts (id),
    reviewed_at TEXT,
    reviewed_by BLOB REFERENCES accounts (id),
    conditions TEXT NOT NULL,
    reason TEXT,
    remediation TEXT,
    -- From a denial until the next approval.
    is_held INTEGER NOT NULL,
    override_document TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (policy_id, resource_type, resource_id)
) STRICT;
-- A list of instances is counted from compliance_instance_counts and walked along one of these, in
-- its order: they have all that its filters ask for, except the resource, of which there are few.
CREATE INDEX compliance_instances_created ON compliance_instances
    (created_at, id, status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_updated ON compliance_instances
    (updated_at, id, status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_submitted ON compliance_instances
    (submitted_at, id, status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_reviewed ON compliance_instances
    (reviewed_at, id, status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_status ON compliance_instances
    (status, id, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_type ON compliance_instances
    (resource_type, id, status, policy_id, realm);
CREATE INDEX compliance_instances_resource ON compliance_instances
    (resource_id, id, status, resource_type, policy_id, realm);
CREATE INDEX compliance_instances_policy ON compliance_instances
    (policy_id, id, status, resource_type, realm);
CREATE INDEX compliance_instances_realm ON compliance_instances
    (realm, id, status, resource_type, policy_id);
-- A short list is found by these, and sorted.
CREATE INDEX compliance_instances_of_policy ON compliance_instances
    (policy_id, status, resource_type, realm, id);
CREATE INDEX compliance_instances_of_status ON compliance_instances
    (status, resource_type, realm, policy_id, id);

-- How many instances there are of each kind: kept by the triggers below, so that the length of a
-- list of 100,000 and the figures over all are sums of a few rows. `compliant` is -1 before there
-- is a result.
CREATE TABLE compliance_instance_counts (
    policy_id BLOB NOT NULL,
    realm BLOB NOT NULL,
    resource_type TEXT NOT NULL,
    status TEXT NOT NULL,
    compliant INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    PRIMARY KEY (policy_id, realm, resource_type, status, compliant)
) STRICT, WITHOUT ROWID;

-- How many instances were made in each hour (UTC), such as '2026-01-31T09'.
CREATE TABLE compliance_instances_by_hour (
    hour TEXT NOT NULL,
    realm BLOB NOT NULL,
    instances INTEGER NOT NULL,
    PRIMARY KEY (hour, realm)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER compliance_instances_count_new AFTER INSERT ON compliance_instances
BEGIN
    INSERT INTO compliance_instance_counts
    VALUES (NEW.policy_id, NEW.realm, NEW.resource_type, NEW.status,
        coalesce(NEW.compliant, -1), 1)
    ON CONFLICT (policy_id, realm, resource_type, status, compliant)
    DO UPDATE SET instances = instances + 1;
    INSERT INTO compliance_instances_by_hour
    VALUES (substr(NEW.created_at, 1, 13), NEW.realm, 1)
    ON CONFLICT (hour, realm) DO UPDATE SET instances = instances + 1;
END;
CREATE TRIGGER compliance_instances_count_old AFTER DELETE ON compliance_instances
BEGIN
    UPDATE compliance_instance_counts SET instances = instances - 1
    WHERE policy_id = OLD.policy_id AND realm = OLD.realm
      AND resource_type = OLD.resource_type AND status = OLD.status
      AND compliant = coalesce(OLD.compliant, -1);
    UPDATE compliance_instances_by_hour SET instances = instances - 1
    WHERE hour = substr(OLD.created_at, 1, 13) AND realm = OLD.realm;
END;
CREATE TRIGGER compliance_instances_count_changed
AFTER UPDATE OF status, compliant ON compliance_instances
BEGIN
    UPDATE compliance_instance_counts SET instances = instances - 1
    WHERE policy_id = OLD.policy_id AND realm = OLD.realm
      AND resource_type = OLD.resource_type AND status = OLD.status
      AND compliant = coalesce(OLD.compliant, -1);
    INSERT INTO compliance_instance_counts
    VALUES (NEW.policy_id, NEW.realm, NEW.resource_type, NEW.status,
        coalesce(NEW.compliant, -1), 1)
    ON CONFLICT (policy_id, realm, resource_type, status, compliant)
    DO UPDATE SET instances = instances + 1;
END;

CREATE TABLE compliance_comments (
    instance_id BLOB NOT NULL REFERENCES compliance_instances (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    comment TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (instance_id, seq)
) STRICT;

-- Facts that somebody declared, by dotted path.
CREATE TABLE compliance_declarations (
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    workspace_id BLOB REFERENCES workspaces (id),
    facts TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (resource_type, resource_id)
) STRICT;
CREATE INDEX compliance_declarations_workspace ON compliance_declarations (workspace_id);

CREATE TABLE compliance_solutions (
    id BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    team TEXT,
    owner TEXT,
    -- A policy of it changed and its snapshot is still to be taken.
    snapshot_due INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (organization_id, name)
) STRICT;

CREATE TABLE compliance_solution_policies (
    solution_id BLOB NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    policy_id BLOB NOT NULL REFERENCES compliance_policies (id) ON DELETE CASCADE,
    PRIMARY KEY (solution_id, policy_id)
) STRICT;
CREATE INDEX compliance_solution_policies_policy ON compliance_solution_policies (policy_id);

CREATE TABLE compliance_solution_models (
    solution_id BLOB NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    model_id TEXT NOT NULL,
    PRIMARY KEY (solution_id, model_id)
) STRICT;

CREATE TABLE compliance_snapshots (
    id BLOB NOT NULL PRIMARY KEY,
    solution_id BLOB NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    snapshot_type TEXT NOT NULL,
    frozen INTEGER NOT NULL,
    score REAL NOT NULL,
    total_policies INTEGER NOT NULL,
    compliant_policies INTEGER NOT NULL,
    non_compliant_policies INTEGER NOT NULL,
    -- The policies, the resources with their facts, and what came of each check.
    content TEXT NOT NULL,
    digest TEXT,
    -- For a scheduled one, the time it was due: two processes take it once.
    due_at TEXT,
    approved_at TEXT,
    approved_by BLOB REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (solution_id, due_at)
) STRICT;
-- All that the dashboard and the history read, so that they leave the long rows alone.
CREATE INDEX compliance_snapshots_solution ON compliance_snapshots
    (solution_id, created_at, id, score, total_policies, compliant_policies);
CREATE INDEX compliance_snapshots_age ON compliance_snapshots (created_at, id);
CREATE INDEX compliance_snapshots_frozen ON compliance_snapshots (created_at, id) WHERE frozen;

CREATE TRIGGER compliance_snapshots_stay_frozen BEFORE UPDATE ON compliance_snapshots
WHEN OLD.frozen
BEGIN
    SELECT RAISE(ABORT, 'a frozen snapshot is never changed');
END;

CREATE TABLE compliance_attestations (
    id BLOB NOT NULL PRIMARY KEY,
    solution_id BLOB NOT NULL REFERENCES compliance_solutions (id) ON DELETE CASCADE,
    snapshot_id BLOB NOT NULL REFERENCES compliance_snapshots (id) ON DELETE CASCADE,
    attestation_type TEXT NOT NULL,
    evidence TEXT NOT NULL,
    expiration TEXT,
    attested_by BLOB NOT NULL REFERENCES accounts (id),
    attested_at TEXT NOT NULL,
    revoked_at TEXT,
    revoked_by BLOB REFERENCES accounts (id),
    revocation_reason TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX compliance_attestations_solution ON compliance_attestations (solution_id, created_at);
CREATE INDEX compliance_attestations_age ON compliance_attestations (created_at, id);
CREATE INDEX compliance_attestations_snapshot ON compliance_attestations (snapshot_id);
