//! Filter trees by example: `fixtures/filter_trees/*.json`.
//!
//! Each file is an array of cases, each case one outcome:
//! - `document` with `faults`: what parsing finds wrong;
//! - `columns` with `faults`: what compiling against those columns finds wrong;
//! - `columns` with `passes` and `withholds`: records on both sides of the tree.
//!
//! A fault is `path: text`, where the text is a part of the message. The tree of a case with
//! columns may be written short: `["country", "in", ["DE"]]` is a condition, and
//! `["name", "equals", "x", {"case_sensitive": false}]` one with more keys.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use syncguard::guard::Guard;
use syncguard::policy::{Fault, FilterTree, PolicyKind, Requirement};

use crate::columns::{batch, schema};
use crate::oracle::Judge;
use crate::support::repository_file;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// The tree as it is, for faults of parsing.
    document: Option<Value>,
    /// The tree, perhaps short.
    tree: Option<Value>,
    columns: Option<Map<String, Value>>,
    now: Option<DateTime<Utc>>,
    faults: Option<Vec<String>>,
    #[serde(default)]
    passes: Vec<Map<String, Value>>,
    #[serde(default)]
    withholds: Vec<Map<String, Value>>,
}

#[test]
fn every_example_has_its_outcome() {
    let folder = repository_file("fixtures/filter_trees");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut wrong = vec![];
    let mut names = std::collections::HashSet::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().display();
        let cases: Vec<Case> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        for case in cases {
            assert!(
                names.insert(case.name.clone()),
                "{file}: two cases are {}",
                case.name
            );
            if let Err(message) = check(&case) {
                wrong.push(format!("{file}: {}: {message}", case.name));
            }
        }
    }
    assert!(
        names.len() > 100,
        "only {} examples were found",
        names.len()
    );
    assert!(
        wrong.is_empty(),
        "{} examples fail:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn check(case: &Case) -> Result<(), String> {
    let now = case
        .now
        .unwrap_or_else(|| "2024-03-31T12:30:00Z".parse().unwrap());
    if let Some(document) = &case.document {
        let faults = FilterTree::parse(document).err().unwrap_or_default();
        return compare(case.faults.as_deref().unwrap_or_default(), &faults);
    }
    let document = written_out(case.tree.as_ref().ok_or("neither a document nor a tree")?);
    let filter_tree = FilterTree::parse(&document).map_err(|faults| format!("{faults:?}"))?;
    let schema = schema(case.columns.as_ref().ok_or("no columns")?);
    let requirement = Requirement {
        policy_id: None,
        kind: PolicyKind::Draft,
        name: case.name.clone(),
        filter_tree,
    };
    let guard = Guard::compile(&schema, std::slice::from_ref(&requirement), now, 1);
    let oracle = Judge::new(&requirement.filter_tree, &schema, now);
    if let Some(expected) = &case.faults {
        let faults: Vec<_> = guard
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|fault| fault.fault)
            .collect();
        compare(expected, &faults)?;
        return oracle
            .err()
            .map(|_| ())
            .ok_or("the oracle accepts it".into());
    }
    let guard = guard.map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(|fault| fault.fault.to_string()).collect();
        format!("refused: {}", faults.join("; "))
    })?;
    let oracle = oracle.map_err(|paths| format!("the oracle refuses {paths:?}"))?;
    let records = [case.passes.clone(), case.withholds.clone()].concat();
    if records.is_empty() {
        return Err("no records".into());
    }
    let batch = batch(&schema, &records);
    let verdict = guard
        .apply(&batch, syncguard::guard::Leaving::All)
        .map_err(|error| error.to_string())?;
    for (row, record) in records.iter().enumerate() {
        let expected = row < case.passes.len();
        let said = verdict.passes().value(row);
        if said != expected {
            let outcome = if said { "passes" } else { "is withheld" };
            return Err(format!("{} {outcome}", json!(record)));
        }
        let second = oracle.passes(&batch, row);
        if (second == Some(true)) != expected {
            return Err(format!("the oracle says {second:?} of {}", json!(record)));
        }
    }
    Ok(())
}

/// Compares faults with `path: part of the message`, in any order.
fn compare(expected: &[String], faults: &[Fault]) -> Result<(), String> {
    let same = |expected: &str, fault: &Fault| {
        let (path, text) = expected.split_once(": ").unwrap_or((expected, ""));
        fault.path == path && fault.message.contains(text)
    };
    let missing = expected
        .iter()
        .find(|e| !faults.iter().any(|fault| same(e, fault)));
    if expected.is_empty() || missing.is_some() || expected.len() != faults.len() {
        let found: Vec<_> = faults.iter().map(Fault::to_string).collect();
        return Err(format!("expected {expected:?}, found {found:?}"));
    }
    Ok(())
}

/// A tree with its short conditions written out.
fn written_out(tree: &Value) -> Value {
    match tree {
        Value::Array(parts) => {
            let mut condition = json!({
                "type": "condition",
                "condition_type": "property",
                "column": parts[0],
                "operator": parts[1],
            });
            if let Some(value) = parts.get(2).filter(|value| !value.is_null()) {
                condition["value"] = value.clone();
            }
            for (key, value) in parts
                .get(3)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                condition[key.as_str()] = value.clone();
            }
            condition
        }
        Value::Object(group) if group.contains_key("children") => {
            let mut group = group.clone();
            if let Some(Value::Array(children)) = group.get_mut("children") {
                for child in children {
                    *child = written_out(child);
                }
            }
            Value::Object(group)
        }
        other => other.clone(),
    }
}
