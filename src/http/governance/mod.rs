//! `/governance`: compliance, as seed 000 has it. One file per noun; `officer` tells who may do
//! what, `page` is what all lists share.

pub(crate) mod attestations;
pub(crate) mod compliance;
pub(crate) mod enforcement;
pub(crate) mod instances;
pub(crate) mod officer;
pub(crate) mod overrides;
mod page;
pub(crate) mod policies;
pub(crate) mod resources;
pub(crate) mod snapshots;
pub(crate) mod solutions;
pub(crate) mod templates;
