-- Custom roles, groups, access policies. System roles stand in no table: the program knows them.

ALTER TABLE api_keys ADD COLUMN last_used_at TEXT;

CREATE TABLE roles (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE member_groups (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    role_id BLOB,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;
CREATE INDEX member_groups_role ON member_groups (workspace_id, role_id);
CREATE INDEX members_role ON members (workspace_id, role_id);

-- Only members of the workspace are in its groups.
CREATE TABLE group_members (
    workspace_id BLOB NOT NULL,
    group_id BLOB NOT NULL,
    account_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (group_id, account_id),
    FOREIGN KEY (workspace_id, group_id) REFERENCES member_groups (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES members (workspace_id, account_id)
) STRICT;
CREATE INDEX group_members_account ON group_members (workspace_id, account_id);

CREATE TABLE access_categories (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    unassigned TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE access_policies (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    category_id BLOB NOT NULL,
    parent_model_id BLOB,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    filter_tree TEXT NOT NULL,
    created_by BLOB NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (category_id, name),
    FOREIGN KEY (workspace_id, category_id) REFERENCES access_categories (workspace_id, id),
    FOREIGN KEY (workspace_id, parent_model_id) REFERENCES models (workspace_id, id)
) STRICT;
CREATE INDEX access_policies_model ON access_policies (workspace_id, parent_model_id);

CREATE TABLE access_policy_assignments (
    id BLOB NOT NULL PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    subset_id BLOB NOT NULL,
    group_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (subset_id, group_id),
    FOREIGN KEY (workspace_id, subset_id) REFERENCES access_policies (workspace_id, id),
    FOREIGN KEY (workspace_id, group_id) REFERENCES member_groups (workspace_id, id)
) STRICT;
CREATE INDEX access_policy_assignments_group ON access_policy_assignments (workspace_id, group_id);
