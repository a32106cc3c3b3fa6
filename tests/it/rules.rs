//! Every policy pack under rules/ decides as its cases file says.

use std::collections::BTreeSet;
use std::path::Path;

use syncguard::guard::Guard;
use syncguard::policy::Requirement;
use syncguard::policy::cases::{self, Case, Cases, Expectation};
use syncguard::policy::pack::{self, Pack};
use syncguard::wire;

use crate::support::repository_file;

#[test]
fn every_pack_decides_as_its_cases_say() {
    let mut checked = 0;
    for entry in std::fs::read_dir(repository_file("rules")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !file.ends_with(".yaml") || file.ends_with(".cases.yaml") {
            continue;
        }
        checked += check_pack(&path);
    }
    assert!(checked > 0, "no pack under rules/ was checked");
}

/// Checks one pack against its cases, and returns how many there are.
fn check_pack(path: &Path) -> usize {
    let beside = path.with_extension("cases.yaml");
    let pack = pack::parse(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|faults| panic!("{}: {faults:#?}", path.display()));
    let text = std::fs::read_to_string(&beside)
        .unwrap_or_else(|error| panic!("{}: every pack has its cases: {error}", beside.display()));
    let cases =
        cases::parse(&text).unwrap_or_else(|faults| panic!("{}: {faults:#?}", beside.display()));
    let wrong: Vec<_> = cases
        .cases
        .iter()
        .flat_map(|case| check_case(&pack, &cases, case))
        .collect();
    assert!(
        wrong.is_empty(),
        "{}:\n{}",
        beside.display(),
        wrong.join("\n")
    );
    cases.cases.len()
}

/// What is wrong with a pack by one case.
fn check_case(pack: &Pack, cases: &Cases, case: &Case) -> Vec<String> {
    let requirements: Vec<_> = pack
        .policies
        .iter()
        .filter(|p| {
            p.governs(
                cases.model.as_deref(),
                &cases.schema,
                &case.destination_type,
            )
        })
        .map(|policy| policy.requirement())
        .collect();
    let together = passing(cases, case, &requirements);
    let alone: Vec<_> = requirements
        .iter()
        .map(|requirement| passing(cases, case, std::slice::from_ref(requirement)))
        .collect();
    let mut wrong = Vec::new();
    for (row, passes) in together.iter().enumerate() {
        let by: BTreeSet<_> = requirements
            .iter()
            .zip(&alone)
            .filter(|(_, passing)| !passing[row])
            .map(|(requirement, _)| requirement.name.as_str())
            .collect();
        let met = match &case.expect {
            Expectation::Passes => *passes,
            Expectation::Withheld => !passes,
            Expectation::WithheldBy(names) => {
                !passes && by == names.iter().map(String::as_str).collect()
            }
        };
        if !met || *passes != by.is_empty() {
            wrong.push(format!(
                "{}, record {row}: expected {:?}; passes: {passes}, withheld by {by:?}",
                case.name, case.expect
            ));
        }
    }
    wrong
}

/// Which records of a case pass a guard of the requirements.
fn passing(cases: &Cases, case: &Case, requirements: &[Requirement]) -> Vec<bool> {
    let guard = Guard::compile(&cases.schema, requirements, cases.now, 1)
        .unwrap_or_else(|faults| panic!("{}: does not compile: {faults:?}", case.name));
    let batch = wire::json::records_to_batch(&cases.schema, &case.records)
        .unwrap_or_else(|faults| panic!("{}: {faults:?}", case.name));
    guard.apply(&batch).unwrap().passes().iter().collect()
}
