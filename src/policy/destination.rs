//! Destination policies (seed 003): which records may be sent to a destination type.

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{FilterTree, PolicyKind, Requirement, filter_tree};
use crate::catalog::Model;

/// A destination policy. Its filter tree describes the records that **may** be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationPolicy {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it belongs to.
    pub workspace_id: Uuid,
    /// The model it applies to; `None`: every model of the workspace that has all its columns.
    pub parent_model_id: Option<Uuid>,
    /// The destination type it restricts, such as `facebook_ads`.
    pub destination_type: String,
    /// Display name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The tree, parsed.
    pub filter_tree: FilterTree,
    /// The tree as it was written, which is what the API reads back.
    pub filter_tree_json: Value,
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
    /// Whether the policy governs a model: it names the model, or names none and the model's
    /// saved schema has every column that the tree reads.
    pub fn covers(&self, model: &Model) -> bool {
        self.covers_with(model, &model.schema)
    }

    /// Whether the policy governs a model that turns out to have these columns. A source may
    /// have gained columns since the model was saved.
    pub fn covers_with(&self, model: &Model, schema: &Schema) -> bool {
        match self.parent_model_id {
            Some(id) => id == model.id,
            None => {
                let mut columns = self.filter_tree.columns().into_iter();
                columns.all(|column| filter_tree::schema_has(schema, column))
            }
        }
    }

    /// The policy as a requirement of a guard.
    pub fn requirement(&self) -> Requirement {
        Requirement {
            policy_id: Some(self.id),
            kind: PolicyKind::Destination,
            name: self.name.clone(),
            filter_tree: self.filter_tree.clone(),
        }
    }
}
