//! `syncguard test`.

use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::syncguard;
use crate::support::{repository_file, temporary_folder};

const PACK: &str = "\
version: 1
policies:
- name: not <from> Germany & co
  destination_type: webhook
  filter_tree: {type: condition, condition_type: property, column: country, operator: not_in, value: [DE]}
- name: only recent
  destination_type: webhook
  filter_tree: {type: condition, condition_type: property, column: seen, operator: within_last, value: {value: 7, unit: days}}
";
const HEAD: &str = "\
version: 1
now: 2026-01-08T00:00:00Z
schema: {country: string, seen: timestamp}
cases:
";
const HOLDS: &str = "\
- name: a recent record passes
  destination_type: webhook
  record: {country: FR, seen: '2026-01-02T00:00:00Z'}
  expect: passes
- name: an old one does not
  destination_type: webhook
  record: {country: FR, seen: '2025-12-24T00:00:00Z'}
  expect: {withheld_by: [only recent]}
- name: files are free
  destination_type: file
  record: {country: DE}
  expect: passes
";
/// The secret stands for a row value: no output shows it.
const FAILS: &str = "\
- name: Germany \"passes\"
  destination_type: webhook
  records:
  - {country: Secretland, seen: '2026-01-02T00:00:00Z'}
  - {country: DE}
  expect: passes
";

struct Packs {
    folder: PathBuf,
    _folder: TempDir,
}

impl Packs {
    fn new(files: &[(&str, &str)]) -> Packs {
        let (guard, folder) = temporary_folder();
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Packs {
            folder,
            _folder: guard,
        }
    }

    fn path(&self, name: &str) -> String {
        shown(&self.folder.join(name))
    }
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn cases(of: &[&str]) -> String {
    format!("{HEAD}{}", of.concat())
}

#[test]
fn the_packs_of_this_repository_hold() {
    let rules = repository_file("rules");
    let done = syncguard(["test", &shown(&rules)], &[]).exits(0);
    let report = done.json();
    assert_eq!(report["holds"], true);
    assert!(report["cases"].as_u64().unwrap() > 0, "{report:#}");
    // Without a path it is the folder `rules` that is meant.
    let bare = std::process::Command::new(env!("CARGO_BIN_EXE_syncguard"))
        .arg("test")
        .current_dir(rules.parent().unwrap())
        .output()
        .unwrap();
    assert!(bare.status.success());
}

#[test]
fn cases_that_hold_exit_with_0() {
    let packs = Packs::new(&[
        ("a.yaml", PACK),
        ("a.cases.yaml", &cases(&[HOLDS])),
        ("below/b.yml", PACK),
        ("below/b.cases.yml", &cases(&[HOLDS])),
        ("notes.txt", "no pack"),
    ]);
    let report = syncguard(["test", &packs.path("")], &[]).exits(0).json();
    assert_eq!(report["holds"], true);
    assert_eq!(report["cases"], 6);
    assert_eq!(report["packs"].as_array().map(Vec::len), Some(2));
    let text = syncguard(["test", "--format", "text", &packs.path("a.yaml")], &[]).exits(0);
    assert!(
        text.out.contains("a.yaml: 3 of 3 cases hold"),
        "{}",
        text.out
    );
    let xml = syncguard(["test", "--format", "junit", &packs.path("a.yaml")], &[]).exits(0);
    assert!(!xml.out.contains("<failure"), "{}", xml.out);
    assert_eq!(xml.out.matches("<testcase ").count(), 3, "{}", xml.out);
}

#[test]
fn a_case_that_fails_is_shown_with_its_record_in_every_format() {
    let packs = Packs::new(&[("a.yaml", PACK), ("a.cases.yaml", &cases(&[HOLDS, FAILS]))]);
    let file = packs.path("a.yaml");
    let report = syncguard(["test", "--format", "json", &file], &[]).exits(1);
    assert_eq!(
        report.json(),
        json!({
            "holds": false, "cases": 4, "failed": 1, "faults": 0,
            "packs": [{
                "file": file,
                "faults": [],
                "cases": [
                    {"name": "a recent record passes", "destination_type": "webhook", "records": 1, "failures": []},
                    {"name": "an old one does not", "destination_type": "webhook", "records": 1, "failures": []},
                    {"name": "files are free", "destination_type": "file", "records": 1, "failures": []},
                    {"name": "Germany \"passes\"", "destination_type": "webhook", "records": 2, "failures": [{
                        "record": 2,
                        "expected": "passes",
                        "passes": false,
                        "withheld_by": ["not <from> Germany & co", "only recent"],
                    }]},
                ],
            }],
        })
    );
    let text = syncguard(["test", "--format", "text", &file], &[]).exits(1);
    for line in [
        "a.yaml: 3 of 4 cases hold",
        "failed  Germany \"passes\", to webhook",
        "record 2: expected to pass; it is withheld by \"not <from> Germany & co\", \"only recent\"",
        "FAILED: packs 1, cases 4, failed 1, faults 0",
    ] {
        assert!(text.out.contains(line), "{line}\n{}", text.out);
    }
    let xml = syncguard(["test", "--format", "junit", &file], &[]).exits(1);
    for part in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"syncguard\" tests=\"4\" failures=\"1\"",
        " name=\"Germany &quot;passes&quot;\">",
        "it is withheld by &quot;not &lt;from&gt; Germany &amp; co&quot;, &quot;only recent&quot;</failure>",
        "</testsuites>\n",
    ] {
        assert!(xml.out.contains(part), "{part}\n{}", xml.out);
    }
    for done in [report, text, xml] {
        assert!(!done.out.contains("Secretland") && !done.err.contains("Secretland"));
    }
}

/// Checks that a pack which cannot be judged fails, and names these faults in every format.
#[track_caller]
fn check_faults(packs: &Packs, faults: &[(&str, &str)]) {
    let folder = packs.path("");
    let report = syncguard(["test", &folder], &[]).exits(1).json();
    assert_eq!(report["holds"], false);
    let found: Vec<_> = report["packs"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|pack| pack["faults"].as_array().unwrap())
        .map(|fault| {
            (
                fault["file"].as_str().unwrap(),
                fault["path"].as_str().unwrap(),
            )
        })
        .collect();
    let expected: Vec<_> = faults
        .iter()
        .map(|(file, path)| (packs.path(file), *path))
        .collect();
    let same = found.len() == expected.len()
        && found
            .iter()
            .zip(&expected)
            .all(|(found, expected)| found.0 == expected.0 && found.1 == expected.1);
    assert!(same, "expected {expected:#?}\nfound {report:#}");
    for format in ["text", "junit"] {
        let done = syncguard(["test", "--format", format, &folder], &[]).exits(1);
        for (file, path) in &expected {
            let place = format!("{file}: {path}: ");
            assert!(done.out.contains(&place), "{place}\n{}", done.out);
        }
    }
}

#[test]
fn a_broken_pack_shows_every_fault_with_file_and_path() {
    let broken = "\
version: 2
policies:
- nam: a
  destination_type: x
  filter_tree: {type: condition, condition_type: property, column: c, operator: like}
";
    let packs = Packs::new(&[
        ("a.yaml", broken),
        ("a.cases.yaml", "version: 1\ncases: [7]"),
    ]);
    check_faults(
        &packs,
        &[
            ("a.yaml", "$.version"),
            ("a.yaml", "$.policies[0].nam"),
            ("a.yaml", "$.policies[0].name"),
            ("a.yaml", "$.policies[0].filter_tree.operator"),
            ("a.cases.yaml", "$.now"),
            ("a.cases.yaml", "$.schema"),
            ("a.cases.yaml", "$.cases[0]"),
        ],
    );
}

#[test]
fn a_pack_without_cases_and_cases_without_a_pack_fail() {
    let packs = Packs::new(&[("a.yaml", PACK), ("b.cases.yaml", &cases(&[HOLDS]))]);
    check_faults(&packs, &[("a.cases.yaml", "$"), ("b.yaml", "$")]);
}

#[test]
fn a_pack_that_does_not_fit_the_columns_of_its_cases_fails_at_its_place() {
    let text = "- {name: a, destination_type: webhook, record: {seen: 7}}\n\
                - {name: b, destination_type: webhook, record: {}}\n";
    let other = PACK.replace(
        "operator: not_in, value: [DE]",
        "operator: not_in, value: [7]",
    );
    let packs = Packs::new(&[("a.yaml", &other), ("a.cases.yaml", &cases(&[text]))]);
    // Once, although it stands in the way of two cases.
    check_faults(&packs, &[("a.yaml", "$.policies[0].filter_tree.value[0]")]);
    let packs = Packs::new(&[("a.yaml", PACK), ("a.cases.yaml", &cases(&[text]))]);
    check_faults(&packs, &[("a.cases.yaml", "$.cases[0].records[0].seen")]);
}

#[test]
fn paths_without_a_pack_are_an_error() {
    let packs = Packs::new(&[("notes.txt", "no pack")]);
    let empty = syncguard(["test", &packs.path("")], &[]).exits(1);
    assert!(empty.err.contains("no policy pack"), "{}", empty.err);
    let missing = syncguard(["test", &packs.path("nowhere")], &[]).exits(1);
    assert!(missing.err.contains("nowhere: "), "{}", missing.err);
}
