//! Judgement: a guard is compiled from requirements against a schema, applied to batches, and
//! can explain itself. No network, no database, no clock.
//!
//! `compile` turns filter trees into plans (`plan`: sets of values, merged; `ordinal` and
//! `literal`: what those values are), and plans into expressions (`expression`, with the leaves
//! that DataFusion lacks in `leaf`). `apply` evaluates them, `explain` says why, and `registry`
//! holds the policies that are in force.

pub mod apply;
pub mod compile;
pub mod explain;
mod expression;
mod leaf;
mod literal;
mod ordinal;
mod plan;
pub mod registry;

pub use apply::{GuardError, Guarded, Verdict, mapped_schema};
pub use compile::{Guard, PolicyFault};
pub use explain::Explanation;
pub use registry::Registry;
