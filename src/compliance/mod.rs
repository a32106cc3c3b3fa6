//! Compliance (seed 000): which syncs may run at all.
//!
//! A policy is a list of rules over the facts of a resource. An instance binds a policy to a
//! resource and is reviewed; a solution groups policies and models, and its snapshots and
//! attestations are the record of how it stood. Plain data, state machines, and the evaluation of
//! rules as a pure function: no I/O, no clock.

pub mod attestation;
pub mod declaration;
pub mod derived;
pub mod enforcement;
pub mod fact;
pub mod history;
pub mod id;
pub mod instance;
pub mod landscape;
pub mod metrics;
pub mod page;
pub mod policy;
pub mod policy_text;
pub mod rule;
pub mod snapshot;
pub mod solution;
pub mod template;
pub mod template_pack;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use attestation::{
    Attestation, AttestationStatus, AttestationSummary, AttestationType, Evidence, TypeCounts,
};
pub use declaration::Declaration;
pub use derived::{LastRun, Way};
pub use enforcement::{Action, Admission, Breach, Check, CheckedPolicy, Enforcement, Standing};
pub use fact::{Fact, Facts, Origin};
pub use id::{
    AttestationId, InstanceId, OrganizationId, PolicyId, SnapshotId, SolutionId, TemplateId,
};
pub use instance::{CheckResult, Comment, Instance, InstanceStatus, Override, Refusal};
pub use landscape::Landscape;
pub use metrics::Metrics;
pub use page::{Listed, Page, Purview, Sort};
pub use policy::{Policy, PolicyCategory, PolicyStatus, Severity};
pub use rule::{Operator, Rule, RuleOutcome};
pub use snapshot::{Snapshot, SnapshotType};
pub use solution::{
    AssessedPolicy, AssessedResource, Assessment, Binding, Ground, Ownership, Score, Solution,
    SolutionStatus,
};
pub use template::{PolicyDefinition, Review, Template, TemplateCategory};

/// What can be governed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ResourceType {
    /// A source.
    Addon,
    /// A destination.
    App,
    /// A sync.
    Workflow,
    /// A model.
    Model,
}

impl ResourceType {
    /// All of them, in the order in which the API lists them.
    pub const ALL: [ResourceType; 4] = [
        ResourceType::Addon,
        ResourceType::App,
        ResourceType::Workflow,
        ResourceType::Model,
    ];

    /// Its word in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            ResourceType::Addon => "addon",
            ResourceType::App => "app",
            ResourceType::Workflow => "workflow",
            ResourceType::Model => "model",
        }
    }

    /// The type with that word.
    pub fn of(word: &str) -> Option<ResourceType> {
        ResourceType::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A resource by its type and id: an object of the catalog, whose id is a UUID, or something
/// outside, which has any other id and only such facts as somebody declares.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// What it is.
    pub resource_type: ResourceType,
    /// Its id; a UUID is in its usual form, in small letters.
    pub id: String,
}

impl Resource {
    /// A resource; an id that is a UUID in any form is one of the catalog.
    pub fn new(resource_type: ResourceType, id: &str) -> Resource {
        let id = match Uuid::try_parse(id) {
            Ok(uuid) => uuid.to_string(),
            Err(_) => id.to_owned(),
        };
        Resource { resource_type, id }
    }

    /// The id in the catalog; `None` for a resource outside.
    pub fn catalog_id(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.id).ok()
    }
}

/// A resource, and the workspace it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Located {
    /// The resource.
    pub resource: Resource,
    /// Its workspace; `None` for a resource outside, which is the organisation's.
    pub workspace_id: Option<Uuid>,
}
