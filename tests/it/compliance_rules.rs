//! Rules of compliance: by example (`fixtures/compliance/*.json`), and what holds of all of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use serde_json::{Value, json};
use syncguard::compliance::rule::{Operator, Rule, evaluate, read};
use syncguard::compliance::{Fact, Facts};

use crate::support::repository_file;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    rule: Rule,
    facts: BTreeMap<String, Value>,
    passes: bool,
    /// A part of why it does not hold.
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultCase {
    name: String,
    rules: Value,
    /// `path: part of the message`.
    faults: Vec<String>,
}

fn cases<T: for<'de> Deserialize<'de>>(file: &str) -> Vec<T> {
    let path = repository_file(&format!("fixtures/compliance/{file}"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn facts(facts: &BTreeMap<String, Value>) -> Facts {
    let facts = facts.iter();
    Facts(
        facts
            .map(|(path, value)| (path.clone(), Fact::of_catalog(value.clone())))
            .collect(),
    )
}

#[test]
fn every_rule_has_its_outcome() {
    let cases: Vec<Case> = cases("rules.json");
    let mut names = BTreeSet::new();
    let mut operators = BTreeSet::new();
    for case in &cases {
        let name = &case.name;
        assert!(names.insert(name), "two cases are {name}");
        operators.insert((case.rule.operator.as_str(), case.passes));
        let outcome = evaluate(&case.rule, &facts(&case.facts));
        assert_eq!(outcome.passed, case.passes, "{name}: {:?}", outcome.reason);
        assert_eq!(outcome.reason.is_none(), case.passes, "{name}");
        let reason = outcome.reason.unwrap_or_default();
        let part = case.reason.as_deref().unwrap_or_default();
        assert!(reason.contains(part), "{name}: {reason}");
        assert!(reason.len() < 400, "{name}: {reason}");
        assert_eq!(outcome.field, case.rule.field, "{name}");
    }
    // Each operator holds somewhere, and somewhere does not.
    assert_eq!(operators.len(), 2 * Operator::ALL.len(), "{operators:?}");
}

#[test]
fn every_fault_of_rules_is_told() {
    for case in cases::<FaultCase>("rule_faults.json") {
        let name = &case.name;
        let read = read(&case.rules, "$.rules");
        if case.faults.is_empty() {
            let rules = read.unwrap();
            assert_eq!(Some(rules.len()), case.rules.as_array().map(Vec::len));
            // What was read is what is kept.
            let kept: Vec<Rule> = serde_json::from_value(json!(rules)).unwrap();
            assert_eq!(kept, rules, "{name}");
            continue;
        }
        let faults = read.unwrap_err();
        assert_eq!(faults.len(), case.faults.len(), "{name}: {faults:?}");
        for (fault, expected) in faults.iter().zip(&case.faults) {
            let (path, part) = expected.split_once(": ").unwrap_or((expected, ""));
            assert_eq!(fault.path, path, "{name}: {faults:?}");
            assert!(fault.message.contains(part), "{name}: {fault}");
        }
    }
}

#[test]
fn the_words_of_operators_are_those_of_documents() {
    for operator in Operator::ALL {
        assert_eq!(json!(operator), operator.as_str());
        assert_eq!(Operator::of(operator.as_str()), Some(operator));
    }
    assert_eq!(Operator::of("equal"), None);
}

const TEXTS: [&str; 12] = [
    "",
    "a",
    "ab",
    "1.2",
    "1.10",
    "1.2.0",
    "7",
    "(",
    "^a",
    "true",
    "\u{1f600}",
    "-1",
];
const NUMBERS: [&str; 12] = [
    "0",
    "-0.0",
    "1",
    "1.0",
    "1e0",
    "1.2",
    "-1",
    "9007199254740993",
    "1e400",
    "-1e400",
    "1e-400",
    "1e99999999999999999999",
];

fn scalars() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        select(&NUMBERS[..]).prop_map(|text| serde_json::from_str(text).unwrap()),
        select(&TEXTS[..]).prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        4 => scalars(),
        2 => prop::collection::vec(scalars(), 0..4).prop_map(Value::Array),
        1 => scalars().prop_map(|value| json!({"a": value})),
    ]
}

fn outcome(operator: Operator, value: &Option<Value>, fact: Option<&Value>) -> bool {
    let rule = Rule {
        field: "f".to_owned(),
        operator,
        value: value.clone(),
    };
    let known = fact.map(|value| ("f".to_owned(), value.clone()));
    let outcome = evaluate(&rule, &facts(&known.into_iter().collect()));
    assert_eq!(outcome.passed, outcome.reason.is_none());
    outcome.passed
}

proptest! {
    /// Whatever the rule says and whatever is known: an answer, and none that contradicts another.
    #[test]
    fn no_rule_holds_together_with_its_opposite(
        value in prop::option::of(values()),
        fact in values(),
    ) {
        let holds = |operator| outcome(operator, &value, Some(&fact));
        for (one, other) in [
            (Operator::Equals, Operator::NotEquals),
            (Operator::In, Operator::NotIn),
            (Operator::Contains, Operator::NotContains),
            (Operator::Exists, Operator::NotExists),
            (Operator::Gt, Operator::Lte),
            (Operator::Gte, Operator::Lt),
            (Operator::Gt, Operator::Lt),
        ] {
            prop_assert!(!(holds(one) && holds(other)), "{one:?} {other:?}");
        }
        let same = holds(Operator::Gte) && holds(Operator::Lte);
        prop_assert!(!(same && holds(Operator::Gt)));
        for operator in Operator::ALL {
            holds(operator);
        }
    }

    #[test]
    fn missing_fact_meets_not_exists_alone(value in prop::option::of(values())) {
        for operator in Operator::ALL {
            for fact in [None, Some(&Value::Null)] {
                let expected = operator == Operator::NotExists;
                prop_assert_eq!(outcome(operator, &value, fact), expected, "{:?}", operator);
            }
        }
    }

    /// What is read is sound: its value fits its operator, whatever the fact.
    #[test]
    fn rule_that_was_read_fits_its_operator(
        operator in select(&Operator::ALL[..]),
        value in prop::option::of(values()),
        fact in values(),
    ) {
        let document = json!([{"field": "f", "operator": operator, "value": value}]);
        if let Ok(rules) = read(&document, "$") {
            let known = BTreeMap::from([("f".to_owned(), fact)]);
            let reason = evaluate(&rules[0], &facts(&known)).reason.unwrap_or_default();
            prop_assert!(!reason.contains("anew") && !reason.contains("has none"), "{}", reason);
        }
    }
}
