-- Custom roles, groups, access policies. System roles stand in no table: the program knows them.

ALTER TABLE api_keys ADD COLUMN last_used_at TIMESTAMPTZ;

CREATE TABLE roles (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE member_groups (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    role_id UUID,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
);
CREATE INDEX member_groups_role ON member_groups (workspace_id, role_id);
CREATE INDEX members_role ON members (workspace_id, role_id);

-- Only members of the workspace are in its groups.
CREATE TABLE group_members (
    workspace_id UUID NOT NULL,
    group_id UUID NOT NULL,
    account_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (group_id, account_id),
    FOREIGN KEY (workspace_id, group_id) REFERENCES member_groups (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES members (workspace_id, account_id)
);
CREATE INDEX group_members_account ON group_members (workspace_id, account_id);

CREATE TABLE access_categories (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL REFERENCES workspaces (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    unassigned TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE access_policies (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL,
    category_id UUID NOT NULL,
    parent_model_id UUID,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    filter_tree TEXT NOT NULL,
    created_by UUID NOT NULL REFERENCES accounts (id),
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (workspace_id, id),
    UNIQUE (category_id, name),
    FOREIGN KEY (workspace_id, category_id) REFERENCES access_categories (workspace_id, id),
    FOREIGN KEY (workspace_id, parent_model_id) REFERENCES models (workspace_id, id)
);
CREATE INDEX access_policies_model ON access_policies (workspace_id, parent_model_id);

CREATE TABLE access_policy_assignments (
    id UUID NOT NULL PRIMARY KEY,
    workspace_id UUID NOT NULL,
    subset_id UUID NOT NULL,
    group_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (subset_id, group_id),
    FOREIGN KEY (workspace_id, subset_id) REFERENCES access_policies (workspace_id, id),
    FOREIGN KEY (workspace_id, group_id) REFERENCES member_groups (workspace_id, id)
);
CREATE INDEX access_policy_assignments_group ON access_policy_assignments (workspace_id, group_id);
