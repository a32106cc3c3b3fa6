//! Random trees on random batches: the guard says what the oracle says.
//!
//! `SYNCGUARD_DIFFERENTIAL_CASES` sets how many trees are tried, `SYNCGUARD_DIFFERENTIAL_SEED`
//! repeats a run whose failure printed it.

pub(crate) mod trees;
pub(crate) mod world;

use std::cell::Cell;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::Value;
use syncguard::guard::Guard;
use syncguard::guard::explain::Outcome;
use syncguard::policy::filter_tree::{FilterTree, resolve};
use syncguard::policy::{PolicyKind, Requirement};
use uuid::Uuid;

use self::trees::trees;
use self::world::{Worlds, places};
use crate::oracle::Judge;

pub(crate) fn requirement(number: usize, document: &Value) -> Requirement {
    let filter_tree = FilterTree::parse(document)
        .unwrap_or_else(|faults| panic!("the document does not parse: {faults:?}\n{document}"));
    Requirement {
        policy_id: Some(Uuid::from_u128(number as u128)),
        kind: PolicyKind::Destination,
        name: format!("policy {number}"),
        filter_tree,
    }
}

/// Runs a property with a seed that a failure prints.
pub(crate) fn run<S: Strategy>(
    cases: u32,
    strategy: impl Fn() -> S,
    property: impl Fn(&Worlds, S::Value) -> Result<(), TestCaseError>,
) {
    let seed = match std::env::var("SYNCGUARD_DIFFERENTIAL_SEED") {
        Ok(seed) => seed
            .parse()
            .expect("SYNCGUARD_DIFFERENTIAL_SEED is a whole number"),
        Err(_) => rand::random::<u64>(),
    };
    let worlds = Worlds::new(seed);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    if let Err(error) = runner.run(&strategy(), |value| property(&worlds, value)) {
        panic!("SYNCGUARD_DIFFERENTIAL_SEED={seed} repeats this:\n{error}");
    }
}

pub(crate) fn cases() -> u32 {
    match std::env::var("SYNCGUARD_DIFFERENTIAL_CASES") {
        Ok(cases) => cases
            .parse()
            .expect("SYNCGUARD_DIFFERENTIAL_CASES is a whole number"),
        Err(_) => 2_000,
    }
}

/// A row as text, for a failure: only the columns that the tree names.
fn show(batch: &RecordBatch, row: usize, tree: &FilterTree) -> String {
    let mut roots: Vec<usize> = tree
        .columns()
        .iter()
        .filter_map(|name| resolve(&batch.schema(), name).ok().map(|p| p.root))
        .collect();
    roots.sort_unstable();
    roots.dedup();
    let row = batch.slice(row, 1).project(&roots).unwrap();
    arrow::util::pretty::pretty_format_batches(&[row])
        .map_or_else(|error| error.to_string(), |table| table.to_string())
}

#[test]
fn guard_and_oracle_agree_on_every_row() {
    let strategy = || (trees(), places(), any::<u8>());
    let accepted = Cell::new(0u32);
    let refused = Cell::new(0u32);
    run(cases(), strategy, |worlds, (sketch, place, moment)| {
        let now = worlds.columns.now(moment);
        let document = sketch.document(&worlds.columns);
        let requirement = requirement(0, &document);
        let schema = &worlds.columns.schema;
        let oracle = Judge::new(&requirement.filter_tree, schema, now);
        let guard = Guard::compile(schema, std::slice::from_ref(&requirement), now, 1);
        let (judge, guard) = match (oracle, guard) {
            (Ok(judge), Ok(guard)) => (judge, guard),
            (Err(paths), Err(faults)) => {
                refused.set(refused.get() + 1);
                let found: Vec<_> = faults
                    .iter()
                    .map(|fault| fault.fault.path.as_str())
                    .collect();
                for path in &paths {
                    prop_assert!(
                        found.iter().any(|found| below(found, path)),
                        "no fault for the condition at {path}, only for {found:?}: {document}"
                    );
                }
                for fault in &faults {
                    prop_assert!(
                        paths.iter().any(|path| below(&fault.fault.path, path)),
                        "a needless fault {}: {document}",
                        fault.fault
                    );
                }
                return Ok(());
            }
            (Ok(_), Err(faults)) => {
                let faults: Vec<_> = faults.iter().map(|f| f.fault.to_string()).collect();
                return Err(TestCaseError::fail(format!(
                    "refused {document}: {faults:?}"
                )));
            }
            (Err(paths), Ok(_)) => {
                return Err(TestCaseError::fail(format!(
                    "accepted {document}: wrong at {paths:?}"
                )));
            }
        };
        accepted.set(accepted.get() + 1);
        let batch = worlds.slice(place);
        let verdict = match guard.apply(&batch, syncguard::guard::Leaving::All) {
            Ok(verdict) => verdict,
            Err(error) => return Err(TestCaseError::fail(format!("{error}: {document}"))),
        };
        prop_assert_eq!(verdict.passes().len(), batch.num_rows());
        for row in 0..batch.num_rows() {
            let expected = judge.passes(&batch, row);
            prop_assert!(
                verdict.passes().value(row) == (expected == Some(true)),
                "row {row} at {now}: the oracle says {expected:?}, the guard says {}: {document}\n{}",
                verdict.passes().value(row),
                show(&batch, row, &requirement.filter_tree)
            );
        }
        let passing = verdict.passes().count_set_bits();
        prop_assert_eq!(verdict.guarded().num_rows(), passing);
        if place.start.is_multiple_of(16) {
            let mask = BooleanArray::new(verdict.passes().clone(), None);
            let expected = filter_record_batch(&batch, &mask).unwrap();
            prop_assert_eq!(verdict.guarded().batch(), &expected);
        }
        Ok(())
    });
    let (accepted, refused) = (accepted.get(), refused.get());
    assert!(
        accepted > refused,
        "too few trees fit: {accepted} of {}",
        accepted + refused
    );
}

/// Whether a fault's path is that of a condition, or of something in it.
fn below(found: &str, condition: &str) -> bool {
    found
        .strip_prefix(condition)
        .is_some_and(|rest| !rest.starts_with(".children"))
}

#[test]
fn each_policy_withholds_as_many_rows_as_the_oracle_says() {
    let strategy = || (prop::collection::vec(trees(), 1..5), places(), any::<u8>());
    run(
        cases().div_ceil(4),
        strategy,
        |worlds, (sketches, place, moment)| {
            let now = worlds.columns.now(moment);
            let requirements: Vec<_> = sketches
                .iter()
                .enumerate()
                .map(|(i, sketch)| requirement(i, &sketch.document(&worlds.columns)))
                .collect();
            let schema = &worlds.columns.schema;
            let oracles: Vec<_> = requirements
                .iter()
                .map(|requirement| Judge::new(&requirement.filter_tree, schema, now))
                .collect();
            let guard = match Guard::compile(schema, &requirements, now, 1) {
                Ok(guard) => guard,
                Err(faults) => {
                    for (requirement, oracle) in requirements.iter().zip(&oracles) {
                        let blamed = faults.iter().any(|fault| fault.policy == requirement.name);
                        prop_assert_eq!(blamed, oracle.is_err(), "{}", &requirement.name);
                    }
                    return Ok(());
                }
            };
            let batch = worlds.slice(place);
            let verdict = guard
                .apply(&batch, syncguard::guard::Leaving::All)
                .map_err(|e| TestCaseError::fail(e.to_string()))?;
            let explanations = guard
                .explain(&batch)
                .map_err(|e| TestCaseError::fail(e.to_string()))?;
            let mut withheld = vec![0; requirements.len()];
            for (row, explanation) in explanations.iter().enumerate() {
                let mut withholding = vec![];
                for (index, oracle) in oracles.iter().enumerate() {
                    let Ok(judge) = oracle else {
                        let document = sketches[index].document(&worlds.columns);
                        return Err(TestCaseError::fail(format!("accepted {document}")));
                    };
                    if judge.passes(&batch, row) != Some(true) {
                        withheld[index] += 1;
                        withholding.push((requirements[index].policy_id, judge));
                    }
                }
                prop_assert_eq!(verdict.passes().value(row), withholding.is_empty());
                prop_assert_eq!(explanation.passes, withholding.is_empty());
                prop_assert_eq!(explanation.withheld_by.len(), withholding.len());
                for (policy, (id, judge)) in explanation.withheld_by.iter().zip(withholding) {
                    prop_assert_eq!(policy.policy_id, id);
                    prop_assert!(
                        !policy.conditions.is_empty(),
                        "row {row} is withheld by nothing"
                    );
                    for condition in &policy.conditions {
                        let expected = match judge.at(&condition.path).passes(&batch, row) {
                            Some(true) => Outcome::True,
                            Some(false) => Outcome::False,
                            None => Outcome::Null,
                        };
                        prop_assert_eq!(
                            condition.outcome,
                            expected,
                            "{} of row {}",
                            condition.path,
                            row
                        );
                    }
                }
            }
            let counted: Vec<_> = verdict
                .withheld_by(0, verdict.withheld())
                .map(|by| (by.policy_id, by.count))
                .collect();
            let expected: Vec<_> = requirements
                .iter()
                .zip(withheld)
                .filter(|(_, count)| *count > 0)
                .map(|(requirement, count)| (requirement.policy_id, count))
                .collect();
            prop_assert_eq!(counted, expected);
            Ok(())
        },
    );
}
