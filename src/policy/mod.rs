//! What admins write: filter trees, the policies that carry them, and the version of the whole set.

pub mod access;
pub mod cases;
pub mod change;
pub mod content;
pub mod cover;
pub mod destination;
pub mod difference;
mod filter_schema;
pub mod filter_tree;
pub mod fold;
pub mod infer;
pub mod pack;
pub mod pack_text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Schema;
use serde::Serialize;
use uuid::Uuid;

use crate::catalog::Model;
pub use crate::catalog::PolicyKind;
pub use access::{AccessCategory, AccessPolicy, Assignment, Unassigned};
pub use change::{Change, Edit};
pub use content::ContentPolicy;
pub use cover::Scope;
pub use destination::DestinationPolicy;
pub use filter_tree::{FilterDocument, FilterTree};

/// One thing wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// JSON path in the document, such as `$.children[1].value`.
    pub path: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Fault {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Fault {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// One condition that a record must meet to pass: all requirements of a guard are joined by AND.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The policy it comes from, or the category of access policies; `None` for a draft.
    pub policy_id: Option<Uuid>,
    /// Its kind.
    pub kind: PolicyKind,
    /// The policy's or category's name, for errors and explanations.
    pub name: String,
    /// The records that may pass.
    pub filter_tree: FilterTree,
}

/// The version of a workspace's whole set of policies; the first is 1.
pub type Revision = u64;

/// All policies of one workspace at one revision: what guards are compiled from. Objects are by
/// id, which is by age.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySet {
    /// The workspace.
    pub workspace_id: Uuid,
    /// Its current revision.
    pub revision: Revision,
    /// Where set, a (model, destination type) without a destination policy sends nothing.
    pub require_destination_policy: bool,
    /// Every destination policy, enabled or not.
    pub destination_policies: BTreeMap<Uuid, Arc<DestinationPolicy>>,
    /// Every category of access policies.
    pub access_categories: BTreeMap<Uuid, Arc<AccessCategory>>,
    /// Every access policy.
    pub access_policies: BTreeMap<Uuid, Arc<AccessPolicy>>,
    /// Which groups have which access policies.
    pub assignments: BTreeMap<Uuid, Arc<Assignment>>,
    /// Every content policy of the workspace, of its sources and of the organisation.
    pub content_policies: BTreeMap<Uuid, Arc<ContentPolicy>>,
}

impl PolicySet {
    /// The enabled destination policies that cover a model for a destination type, by the
    /// columns it was saved with or by those it has now: a source may have gained columns since.
    pub fn for_destination<'a>(
        &'a self,
        model: &'a Model,
        schema: &'a Schema,
        destination_type: &'a str,
    ) -> impl Iterator<Item = &'a DestinationPolicy> {
        let policies = self.destination_policies.values().map(Arc::as_ref);
        policies.filter(move |policy| {
            policy.enabled
                && policy.destination_type == destination_type
                && (policy.covers(model, &model.schema) || policy.covers(model, schema))
        })
    }

    /// The content policies that are for the records of a source.
    pub fn for_content(&self, source_id: Uuid) -> impl Iterator<Item = &Arc<ContentPolicy>> {
        let policies = self.content_policies.values();
        policies.filter(move |policy| policy.covers(self.workspace_id, source_id))
    }

    /// The access policies that are assigned to any of some groups.
    pub fn assigned_to(&self, groups: &[Uuid]) -> BTreeSet<Uuid> {
        self.assignments
            .values()
            .filter(|assignment| groups.contains(&assignment.group_id))
            .map(|assignment| assignment.subset_id)
            .collect()
    }
}

/// Whether a policy governs a model that has these columns: it names the model, or names none and
/// the model has every column that it reads.
fn covers<'a, C: IntoIterator<Item = &'a str>>(
    parent: Option<Uuid>,
    columns: impl FnOnce() -> C,
    model: &Model,
    schema: &Schema,
) -> bool {
    match parent {
        Some(id) => id == model.id,
        None => {
            let mut columns = columns().into_iter();
            columns.all(|column| filter_tree::schema_has(schema, column))
        }
    }
}
