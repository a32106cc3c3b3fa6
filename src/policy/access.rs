//! Access policies (seed 003): which records the members of a group may see.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::filter_tree::FilterDocument;
use super::{PolicyKind, Requirement, Scope};
use crate::catalog::Model;

/// What a category decides about a principal who has no policy of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unassigned {
    /// They see no record of a model that the category covers.
    #[default]
    Deny,
    /// The category does not restrict them.
    Allow,
}

/// A dimension along which records are shared out, such as region or brand. It covers the models
/// that its policies cover or have covered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccessCategory {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// Display name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it decides about a principal who has no policy of it.
    pub unassigned: Unassigned,
    /// What it covers although its policies do so no more. Callers of the API are not shown it;
    /// revisions and the audit log tell of it.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub once_covered: BTreeSet<Scope>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

/// An access policy. Its filter tree describes the records that the members of the groups it is
/// assigned to **may** see. Of one category they see what any of their policies opens; every
/// category must agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccessPolicy {
    /// Identifier.
    pub id: Uuid,
    /// Its category.
    pub category_id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// The model it applies to; `None`: every model of the workspace that has all its columns.
    #[schema(required)]
    pub parent_model_id: Option<Uuid>,
    /// Display name, unique in its category.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The records that may be seen.
    pub filter_tree: FilterDocument,
    /// The account that created it.
    pub created_by: Uuid,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl AccessPolicy {
    /// Whether the policy governs a model that has these columns.
    pub fn covers(&self, model: &Model, schema: &Schema) -> bool {
        let columns = || self.filter_tree.tree().columns();
        super::covers(self.parent_model_id, columns, model, schema)
    }

    /// The policy alone as a requirement of a guard: to see whether it compiles.
    pub fn requirement(&self) -> Requirement {
        Requirement {
            policy_id: Some(self.id),
            kind: PolicyKind::Access,
            name: self.name.clone(),
            filter_tree: self.filter_tree.tree().clone(),
        }
    }
}

/// An access policy's place with a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Assignment {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// The access policy.
    pub subset_id: Uuid,
    /// The group whose members it opens records to.
    pub group_id: Uuid,
    /// Creation time.
    pub created_at: DateTime<Utc>,
}
