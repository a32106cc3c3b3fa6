//! The integration tests: one binary, because each one links the whole engine. `scripts/test`
//! runs them with what they need.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and may tell about itself"
)]

mod access;
mod api;
mod audit_verify;
mod cli;
mod columns;
mod compliance_rules;
mod compliance_story;
mod content;
mod differential;
mod escalation;
mod filter_trees;
mod flight;
mod judge;
mod kill;
mod leak;
mod oracle;
mod pg;
mod programs;
mod queries;
mod query_clients;
mod receiver;
mod rig;
mod rules;
mod sinks;
mod sources;
mod store_suite;
mod streams;
mod support;
mod sync_runs;
