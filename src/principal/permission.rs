//! The permission catalog of seed 003, and sets of its permissions.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// One entry of the catalog: category, action, and what it allows.
const CATALOG: [(&str, &str, &str); 40] = [
    ("sources", "read", "View sources and connection details"),
    ("sources", "write", "Create and update sources"),
    ("sources", "delete", "Delete sources"),
    ("models", "read", "View models and their columns"),
    ("models", "write", "Create and update models"),
    ("models", "delete", "Delete models"),
    ("destinations", "read", "View destinations"),
    ("destinations", "write", "Create and update destinations"),
    ("destinations", "delete", "Delete destinations"),
    ("syncs", "read", "View syncs and their runs"),
    ("syncs", "write", "Create and update syncs"),
    ("syncs", "delete", "Delete syncs"),
    ("syncs", "trigger", "Start and cancel runs"),
    ("audiences", "read", "View audiences"),
    ("audiences", "write", "Create and update audiences"),
    ("audiences", "delete", "Delete audiences"),
    ("traits", "read", "View computed attributes"),
    ("traits", "write", "Create and update computed attributes"),
    ("traits", "delete", "Delete computed attributes"),
    ("identity_graphs", "read", "View identity resolution graphs"),
    (
        "identity_graphs",
        "write",
        "Create and update identity resolution graphs",
    ),
    (
        "identity_graphs",
        "delete",
        "Delete identity resolution graphs",
    ),
    ("identity_graphs", "trigger", "Run identity resolution"),
    ("journeys", "read", "View journeys"),
    ("journeys", "write", "Create and update journeys"),
    ("journeys", "delete", "Delete journeys"),
    ("journeys", "activate", "Start and stop journeys"),
    ("events", "read", "View event streams"),
    ("events", "write", "Create and update event streams"),
    ("events", "delete", "Delete event streams"),
    ("loaders", "read", "View data loaders"),
    ("loaders", "write", "Create and update data loaders"),
    ("loaders", "delete", "Delete data loaders"),
    ("loaders", "trigger", "Run data loaders"),
    (
        "governance",
        "read",
        "View roles, groups, policies, revisions and the audit log",
    ),
    ("governance", "write", "Change roles, groups and policies"),
    ("insights", "read", "View analytics and monitoring"),
    ("workspace", "read", "View workspace settings and members"),
    ("workspace", "write", "Change workspace settings"),
    ("workspace", "members", "Add, change and remove members"),
];

/// A permission as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Permission {
    /// Identifier; the same everywhere.
    pub id: Uuid,
    /// Category and action, such as `sources.read`.
    pub key: String,
    /// The category.
    pub category: &'static str,
    /// What it allows.
    pub description: &'static str,
    /// When the catalog was drawn up.
    pub created_at: DateTime<Utc>,
}

/// A set of permissions of the catalog. In JSON it is the array of their keys, in catalog order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u64);

impl Permissions {
    /// No permission.
    pub const NONE: Permissions = Permissions(0);
    /// Every permission of the catalog.
    pub const ALL: Permissions = Permissions((1 << CATALOG.len()) - 1);

    /// The permission with a key such as `syncs.trigger`; `None` if the catalog has none.
    pub fn of(key: &str) -> Option<Permissions> {
        let (category, action) = key.split_once('.')?;
        CATALOG
            .iter()
            .position(|(c, a, _)| *c == category && *a == action)
            .map(|bit| Permissions(1 << bit))
    }

    /// Those of the catalog that a test accepts by category and action.
    pub fn where_(accepts: impl Fn(&str, &str) -> bool) -> Permissions {
        CATALOG
            .iter()
            .enumerate()
            .filter(|(_, (category, action, _))| accepts(category, action))
            .fold(Permissions::NONE, |set, (bit, _)| {
                set | Permissions(1 << bit)
            })
    }

    /// Whether every permission of `other` is in this set.
    pub fn contains(self, other: Permissions) -> bool {
        other.0 & !self.0 == 0
    }

    /// Those that `other` lacks.
    pub fn without(self, other: Permissions) -> Permissions {
        Permissions(self.0 & !other.0)
    }

    /// Those that both have.
    pub fn in_common(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The keys, in catalog order.
    pub fn keys(self) -> Vec<String> {
        self.entries()
            .map(|(_, c, a, _)| format!("{c}.{a}"))
            .collect()
    }

    /// The entries of the catalog, as the API lists them.
    pub fn listed(self) -> Vec<Permission> {
        self.entries()
            .map(|(bit, category, action, description)| Permission {
                // The catalog is the same in every installation, and so are its ids.
                id: Uuid::from_u128((1 << 64) + bit as u128 + 1),
                key: format!("{category}.{action}"),
                category,
                description,
                created_at: DateTime::UNIX_EPOCH + super::CATALOG_AGE,
            })
            .collect()
    }

    fn entries(self) -> impl Iterator<Item = (usize, &'static str, &'static str, &'static str)> {
        CATALOG
            .iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(bit, (category, action, description))| (bit, *category, *action, *description))
    }
}

impl std::ops::BitOr for Permissions {
    type Output = Permissions;

    fn bitor(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Permissions) {
        *self = *self | other;
    }
}

impl std::fmt::Debug for Permissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.keys())
    }
}

impl ToSchema for Permissions {}

impl PartialSchema for Permissions {
    fn schema() -> RefOr<Schema> {
        let key = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Permissions::ALL.keys()));
        let keys = ArrayBuilder::new()
            .description(Some("Keys of permissions, in the order of the catalog."))
            .items(key);
        RefOr::T(keys.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalog_is_that_of_the_seed() {
        let listed = Permissions::ALL.listed();
        assert_eq!(listed.len(), 40);
        let categories: BTreeSet<_> = listed.iter().map(|entry| entry.category).collect();
        assert_eq!(categories.len(), 13);
        let keys: BTreeSet<_> = listed.iter().map(|entry| &entry.key).collect();
        let ids: BTreeSet<_> = listed.iter().map(|entry| entry.id).collect();
        assert_eq!((keys.len(), ids.len()), (40, 40));
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let read = Permissions::of("sources.read").unwrap();
        let trigger = Permissions::of("syncs.trigger").unwrap();
        let both = read | trigger;
        assert_eq!(both.keys(), ["sources.read", "syncs.trigger"]);
        assert!(both.contains(read) && !read.contains(both));
        assert_eq!(both.without(read), trigger);
        assert_eq!(both.in_common(read), read);
        for unknown in ["", "sources", "sources.fly", "sources:read", "*"] {
            assert_eq!(Permissions::of(unknown), None, "{unknown}");
        }
    }
}
