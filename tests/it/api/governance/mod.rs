//! `/governance`: one file per noun, as seed 000 has them.

mod admission;
mod attestations;
mod compliance;
mod enforcement;
mod instances;
mod overrides;
mod policies;
mod random_steps;
mod resources;
mod snapshots;
mod solution_scores;
mod solutions;
mod templates;
