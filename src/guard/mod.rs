//! Judgement: a guard is compiled from requirements against a schema, applied to batches, and can
//! explain itself. No network, no database, no clock.
//!
//! `compile` turns filter trees into plans (`plan`: sets of values, merged; `ordinal` and
//! `literal`: what those values are), and plans into expressions (`expression`, with the leaves
//! that DataFusion lacks in `leaf`). `apply` evaluates them and `explain` says why. `requirements`
//! picks the policies that concern a model, a destination type and a principal; `registry` holds
//! the policies that are in force, and the guards compiled from them. `content` looks at what
//! leaves (`gathered`: the values of what goes on as bytes; `presence`: which rows have a value):
//! `detect` finds what detectors know, and `judging` asks about the rest. `table` is a model as
//! queries see it, filtered behind a barrier that no part of a query passes but what `harmless`
//! lets through; `session` is SQL over such tables and nothing else.

pub mod apply;
pub(crate) mod compact;
pub mod compile;
pub mod content;
pub mod detect;
pub mod explain;
mod expression;
mod gathered;
pub mod harmless;
pub mod judging;
mod leaf;
mod literal;
mod ordinal;
mod plan;
mod presence;
pub mod registry;
mod requirements;
pub mod session;
pub mod sighting;
pub mod table;

pub use apply::{GuardError, Guarded, Judgement, Verdict, mapped_schema};
pub use compile::{Guard, PolicyFault};
pub use content::{Finding, Findings, Leaving};
pub use explain::Explanation;
pub use gathered::Gathered;
pub use judging::{Judge, Question, Undecided};
pub use registry::Registry;
pub use requirements::requirements;
