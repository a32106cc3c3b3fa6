//! What admins write: filter trees, the policies that carry them, and the version of the whole set.

pub mod cases;
pub mod destination;
pub mod filter_tree;
pub mod pack;

use arrow::datatypes::Schema;
use serde::Serialize;
use uuid::Uuid;

pub use crate::catalog::PolicyKind;
pub use destination::DestinationPolicy;
pub use filter_tree::FilterTree;

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
    /// The policy it comes from; `None` for a draft.
    pub policy_id: Option<Uuid>,
    /// Its kind.
    pub kind: PolicyKind,
    /// The policy's name, for errors and explanations.
    pub name: String,
    /// The records that may pass.
    pub filter_tree: FilterTree,
}

/// The version of a workspace's whole set of policies; the first is 1.
pub type Revision = u64;

/// All policies of one workspace at one revision: what guards are compiled from.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySet {
    /// The workspace.
    pub workspace_id: Uuid,
    /// Its current revision.
    pub revision: Revision,
    /// Where set, a (model, destination type) without a destination policy sends nothing.
    pub require_destination_policy: bool,
    /// Every destination policy, enabled or not.
    pub destination_policies: Vec<DestinationPolicy>,
}

impl PolicySet {
    /// The enabled destination policies that cover a model for a destination type, by the
    /// columns it was saved with or by those it has now.
    pub fn for_destination<'a>(
        &'a self,
        model: &'a crate::catalog::Model,
        schema: &'a Schema,
        destination_type: &'a str,
    ) -> impl Iterator<Item = &'a DestinationPolicy> {
        self.destination_policies.iter().filter(move |policy| {
            policy.enabled
                && policy.destination_type == destination_type
                && (policy.covers(model) || policy.covers_with(model, schema))
        })
    }
}

/// A change to what guards are compiled from. Each one that is committed makes a revision.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Creates a destination policy, or replaces the one with its id.
    PutDestinationPolicy(Box<DestinationPolicy>),
    /// Removes a destination policy.
    DeleteDestinationPolicy(Uuid),
    /// Switches the workspace's demand for a destination policy.
    RequireDestinationPolicy(bool),
    /// Creates a model, or replaces the one with its id.
    PutModel(Box<crate::catalog::Model>),
}
