//! Who asks, and what they may do: accounts, API keys and their scopes; the permission catalog,
//! roles and groups of seed 003.

mod key;
mod permission;
mod role;
mod scram;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub use key::{ApiKey, KeyText, is_scope};
pub use permission::{Permission, Permissions};
pub use role::{ADMIN, Group, GroupMember, MEMBER, Member, OWNER, Role, system_role, system_roles};
pub use scram::{ITERATIONS, SaltSecret, Verifier};

/// The catalog and the system roles date from 2024-01-01, as in seed 003: this long after 1970.
const CATALOG_AGE: TimeDelta = TimeDelta::seconds(1_704_067_200);

/// A person or a program that holds API keys.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Account {
    /// Identifier.
    pub id: Uuid,
    /// Unique e-mail address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Picture.
    #[schema(required)]
    pub avatar_url: Option<String>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// A caller who was authenticated: an account through one of its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The account.
    pub account: Account,
    /// The key that was used.
    pub key_id: Uuid,
    /// The key's scopes.
    pub scopes: Vec<String>,
}

impl Principal {
    /// The permissions that the key's scopes cover, whatever its account may do.
    pub fn scope(&self) -> Permissions {
        key::in_scope(&self.scopes)
    }

    /// Whether the key's scopes let it review compliance.
    pub fn may_review(&self) -> bool {
        let reviews = |scope: &String| matches!(scope.as_str(), "*" | "governance:review");
        self.scopes.iter().any(reviews)
    }
}

/// Who changes something, when, and by which request: what the audit log tells of every change.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// The account.
    pub account_id: Uuid,
    /// The key it used; `None` where a process of ours acts for it.
    pub key_id: Option<Uuid>,
    /// The request, as its answer names it.
    pub request_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Act {
    /// What a process of ours does for an account, without a request.
    pub fn on_behalf_of(account_id: Uuid, at: DateTime<Utc>) -> Act {
        Act {
            account_id,
            key_id: None,
            request_id: None,
            at,
        }
    }
}

/// Where an account stands in a workspace at one moment: what it may do there, and what decides
/// about the rows it sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The workspace.
    pub workspace_id: Uuid,
    /// The account.
    pub account_id: Uuid,
    /// The revision of the workspace's policies at that moment.
    pub revision: u64,
    /// The member's own role.
    pub role_id: Uuid,
    /// The permissions of that role and of the roles of the member's groups.
    pub permissions: Permissions,
    /// The member's groups, ascending.
    pub groups: Vec<Uuid>,
}

impl Standing {
    /// Whether access policies leave the account alone as long as none is assigned to a group of
    /// theirs. Only the member's own role counts: a group widens permissions, never rows.
    pub fn is_unrestricted(&self) -> bool {
        [OWNER, ADMIN].contains(&self.role_id)
    }
}
