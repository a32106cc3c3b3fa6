//! Compliance: policies, instances, declared facts, solutions, snapshots, attestations and
//! templates. They belong to the organisation; what is done to them stands in its audit
//! chain, and what concerns a resource of a workspace in that of the workspace.

mod attestations;
mod dashboard;
mod grounds;
mod instances;
pub(super) mod listing;
mod metrics;
mod overrides;
mod policies;
mod resources;
mod snapshots;
mod solutions;
mod standing;
mod templates;
mod verified_templates;

pub use attestations::AttestationFilter;
pub use dashboard::Figures;
pub use instances::InstanceFilter;
pub use policies::PolicyFilter;
pub use snapshots::{PolicyVersions, SnapshotFilter};
pub use solutions::SolutionFilter;
pub use templates::TemplateFilter;
