//! `syncguard detectors`.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::syncguard;
use crate::support::{repository_file, temporary_folder};

/// The least recall and precision of a detector over the corpus, in percent, where it is another
/// than `FLOOR`: what is found only by words near, or in shapes without a check digit, is found
/// less surely.
const FLOORS: &[(&str, f64, f64)] = &[];
const FLOOR: (f64, f64) = (90.0, 95.0);

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[test]
fn the_detectors_are_listed() {
    let list = syncguard(["detectors"], &[]).exits(0).json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 24);
    assert_eq!(
        list[0],
        json!({"name": "email", "about": "an e-mail address"})
    );
    let none = syncguard(["detectors", "--corpus", "-"], &[]).exits(0);
    assert!(
        none.out
            .ends_with("0 texts; in 0 nothing is to be found.\n")
    );
}

#[test]
fn a_corpus_is_counted_and_its_misses_written() {
    let (_guard, folder) = temporary_folder();
    let (corpus, misses) = (folder.join("corpus.ndjson"), folder.join("misses.ndjson"));
    let written = lines(&[
        json!({"text": "to ada@northwind.example", "column": "notes", "detectors": ["email"]}),
        json!({"text": "nobody here", "detectors": ["email"]}),
        json!({"text": "not bo@northwind.example", "column": null, "detectors": []}),
        json!({"text": "maybe cy@northwind.example", "detectors": [], "maybe": ["email"]}),
        json!({"text": "order 17", "column": "notes", "detectors": []}),
    ]);
    fs::write(&corpus, written).unwrap();
    let arguments = [
        "detectors".as_ref(),
        "--corpus".as_ref(),
        corpus.as_os_str(),
        "--misses".as_ref(),
        misses.as_os_str(),
    ];
    let done = syncguard(arguments, &[]).exits(0);
    assert!(
        done.out
            .contains("\n| `email` | 2 | 1 | 1 | 1 | 50.0 % | 50.0 % |\n"),
        "{}",
        done.out
    );
    assert!(
        done.out
            .ends_with("5 texts; in 3 nothing is to be found.\n")
    );
    assert_eq!(done.err, "");
    let misses: Vec<Value> = fs::read_to_string(&misses)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        misses,
        [
            json!({"line": 2, "detector": "email", "what": "missed", "found": null, "column": "",
                   "text": "nobody here"}),
            json!({"line": 3, "detector": "email", "what": "false alarm",
                   "found": "bo@northwind.example", "column": "",
                   "text": "not bo@northwind.example"}),
        ]
    );

    let arguments = [&arguments[..3], &["--json".as_ref()]].concat();
    let counted = syncguard(arguments, &[]).exits(0).json();
    assert_eq!(counted["texts"], 5);
    assert_eq!(
        counted["detectors"][0],
        json!({"detector": "email", "positives": 2, "found": 1, "missed": 1, "false_alarms": 1,
               "precision": 0.5, "recall": 0.5})
    );
}

#[test]
fn a_line_that_cannot_be_used_is_named_by_its_number_only() {
    let (_guard, folder) = temporary_folder();
    let corpus = folder.join("corpus.ndjson");
    for wrong in [
        json!({"text": "SECRET", "detectors": ["SECRET"]}).to_string(),
        json!({"text": ["SECRET"], "detectors": []}).to_string(),
        json!({"text": "SECRET"}).to_string(),
        json!({"text": "SECRET", "detectors": [], "SECRET": 1}).to_string(),
        "\"SECRET".to_owned(),
    ] {
        fs::write(
            &corpus,
            format!("{{\"text\": \"\", \"detectors\": []}}\n\n{wrong}\n"),
        )
        .unwrap();
        let arguments = [
            "detectors".as_ref(),
            "--corpus".as_ref(),
            corpus.as_os_str(),
        ];
        let done = syncguard(arguments, &[]).exits(1);
        assert!(done.err.contains("line 3 of "), "{}", done.err);
        assert!(!done.err.contains("SECRET"), "{}", done.err);
        assert_eq!(done.out, "");
    }
    let done = syncguard(["detectors", "--corpus", "/nonexistent/corpus"], &[]).exits(1);
    assert!(done.err.contains("cannot open"), "{}", done.err);
}

#[test]
fn every_detector_is_as_good_as_it_was() {
    let (_guard, folder) = temporary_folder();
    let corpus = folder.join("corpus.ndjson");
    let mut command = Command::new(repository_file("scripts/detector-corpus"));
    let data = repository_file("../shared/data");
    if data.is_dir() {
        command.arg("--data").arg(data);
    }
    let made = command
        .stdin(Stdio::null())
        .stdout(fs::File::create(&corpus).unwrap())
        .output()
        .unwrap_or_else(|error| panic!("this test needs python3: {error}"));
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}");

    let arguments = [
        "detectors".as_ref(),
        "--json".as_ref(),
        "--corpus".as_ref(),
        corpus.as_os_str(),
    ];
    let counted = syncguard(arguments, &[]).exits(0).json();
    assert!(counted["negatives"].as_u64().unwrap() >= 20_000);
    let floors: BTreeMap<_, _> = FLOORS
        .iter()
        .map(|(name, r, p)| (*name, (*r, *p)))
        .collect();
    let mut positives = 0;
    let mut below = Vec::new();
    for detector in counted["detectors"].as_array().unwrap() {
        let name = detector["detector"].as_str().unwrap();
        positives += detector["positives"].as_u64().unwrap();
        assert!(detector["positives"].as_u64().unwrap() >= 100, "{name}");
        let percent = |key: &str| detector[key].as_f64().unwrap_or_default() * 100.0;
        let (recall, precision) = floors.get(name).copied().unwrap_or(FLOOR);
        if percent("recall") < recall || percent("precision") < precision {
            below.push(detector.to_string());
        }
    }
    assert!(positives >= 2_400, "{positives}");
    assert!(below.is_empty(), "{}", below.join("\n"));
}
