//! Destination policies (seed 003): which records may be sent to a destination type.

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::filter_tree::FilterDocument;
use super::{PolicyKind, Requirement};
use crate::catalog::Model;

/// A destination policy. Its filter tree describes the records that **may** be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DestinationPolicy {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// The model it applies to; `None`: every model of the workspace that has all its columns.
    #[schema(required)]
    pub parent_model_id: Option<Uuid>,
    /// The destination type it restricts, such as `facebook_ads`.
    pub destination_type: String,
    /// Display name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The records that may be sent.
    pub filter_tree: FilterDocument,
    /// Whether it is in force.
    pub enabled: bool,
    /// The account that created it.
    pub created_by: Uuid,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl DestinationPolicy {
    /// Whether the policy governs a model that has these columns.
    pub fn covers(&self, model: &Model, schema: &Schema) -> bool {
        let columns = || self.filter_tree.tree().columns();
        super::covers(self.parent_model_id, columns, model, schema)
    }

    /// The policy as a requirement of a guard.
    pub fn requirement(&self) -> Requirement {
        Requirement {
            policy_id: Some(self.id),
            kind: PolicyKind::Destination,
            name: self.name.clone(),
            filter_tree: self.filter_tree.tree().clone(),
        }
    }
}
