//! Roles, groups and members of a workspace.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::{Uuid, uuid};

use super::{CATALOG_AGE, Permissions};

/// Owner: everything.
pub const OWNER: Uuid = uuid!("00000000-0000-0000-0000-000000000001");
/// Admin: everything except billing and handing over ownership.
pub const ADMIN: Uuid = uuid!("00000000-0000-0000-0000-000000000002");
/// Member: standard access, no workspace settings and no policies.
pub const MEMBER: Uuid = uuid!("00000000-0000-0000-0000-000000000003");

/// A set of permissions with a name.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Role {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to; `None` for a system role, which every workspace has.
    #[schema(required)]
    pub workspace_id: Option<Uuid>,
    /// Unique in the workspace, system roles included.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is a system role, which cannot be changed.
    pub is_system: bool,
    /// What it allows.
    pub permissions: Permissions,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// The three system roles, in the order of their ids.
pub fn system_roles() -> [Role; 3] {
    let standard = Permissions::where_(|category, action| {
        !["workspace", "governance"].contains(&category) || action == "read"
    });
    let role = |id, name: &str, description: &str, permissions| Role {
        id,
        workspace_id: None,
        name: name.to_owned(),
        description: description.to_owned(),
        is_system: true,
        permissions,
        created_at: DateTime::UNIX_EPOCH + CATALOG_AGE,
        updated_at: DateTime::UNIX_EPOCH + CATALOG_AGE,
    };
    [
        role(
            OWNER,
            "owner",
            "Full access to all workspace resources",
            Permissions::ALL,
        ),
        role(
            ADMIN,
            "admin",
            "Full access except billing and ownership transfer",
            Permissions::ALL,
        ),
        role(
            MEMBER,
            "member",
            "Standard access; cannot manage workspace settings",
            standard,
        ),
    ]
}

/// The system role with an id.
pub fn system_role(id: Uuid) -> Option<Role> {
    system_roles().into_iter().find(|role| role.id == id)
}

/// Members of a workspace who share a role, and the access policies assigned to them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Group {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The role that its members have besides their own.
    #[schema(required)]
    pub role_id: Option<Uuid>,
    /// That role's name.
    #[schema(required)]
    pub role_name: Option<String>,
    /// How many members it had when it was read.
    pub member_count: i64,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// An account's place in a group.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GroupMember {
    /// The group.
    pub group_id: Uuid,
    /// The account.
    pub account_id: Uuid,
    /// The account's e-mail address.
    pub email: String,
    /// The account's display name.
    pub name: String,
    /// The account's picture.
    #[schema(required)]
    pub avatar_url: Option<String>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// An account's place in a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Member {
    /// The account.
    pub account_id: Uuid,
    /// The role it has there.
    pub role_id: Uuid,
    /// The account's e-mail address.
    pub email: String,
    /// The account's display name.
    pub name: String,
    /// The account's picture.
    #[schema(required)]
    pub avatar_url: Option<String>,
    /// When it joined.
    pub created_at: DateTime<Utc>,
}
