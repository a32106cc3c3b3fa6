//! Rules from JSON, with every fault at once.

use std::cmp::Ordering;

use serde_json::Value;

use super::scale::Scale;
use super::{Operator, Rule, compiled};
use crate::policy::Fault;
use crate::policy::difference::decimal;
use crate::policy::filter_tree::unknown_keys;

/// Most rules of a policy.
pub const MOST_RULES: usize = 200;
/// Most characters of a field.
pub const MOST_OF_A_FIELD: usize = 200;
/// Most items of an array that is a value.
const MOST_ITEMS: usize = 1000;
/// Most characters of a text in a value.
const MOST_OF_A_TEXT: usize = 1000;

/// Reads rules from JSON; every fault with its path below `path`, such as `$.rules`.
pub fn read(value: &Value, path: &str) -> Result<Vec<Rule>, Vec<Fault>> {
    let Value::Array(items) = value else {
        return Err(vec![Fault::new(path, "expected an array of rules")]);
    };
    if items.len() > MOST_RULES {
        let message = format!(
            "expected at most {MOST_RULES} rules, found {}: make two policies of them",
            items.len()
        );
        return Err(vec![Fault::new(path, message)]);
    }
    let mut faults = Vec::new();
    let mut rules = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        rules.extend(rule(item, &format!("{path}[{i}]"), &mut faults));
    }
    match faults.is_empty() {
        true => Ok(rules),
        false => Err(faults),
    }
}

/// One rule; `None` where it has faults that make it none.
fn rule(item: &Value, path: &str, faults: &mut Vec<Fault>) -> Option<Rule> {
    let Value::Object(object) = item else {
        let message = "expected an object with field, operator and value";
        faults.push(Fault::new(path, message));
        return None;
    };
    unknown_keys(object, &["field", "operator", "value"], path, faults);
    let given = |key: &str| object.get(key).filter(|value| !value.is_null());
    let field = match given("field") {
        Some(Value::String(field)) if is_field(field) => Some(field.clone()),
        given => {
            let message = format!(
                "{}expected the dotted path of a fact, such as encryption.atRest: words of \
                 letters, digits, _ and -, at most {MOST_OF_A_FIELD} characters",
                missing(given)
            );
            faults.push(Fault::new(format!("{path}.field"), message));
            None
        }
    };
    let operator = given("operator")
        .and_then(Value::as_str)
        .and_then(Operator::of);
    let Some(operator) = operator else {
        let words = Operator::ALL.map(Operator::as_str).join(", ");
        let message = format!("{}expected one of {words}", missing(given("operator")));
        faults.push(Fault::new(format!("{path}.operator"), message));
        return None;
    };
    let value = given("value");
    faults.extend(
        value_faults(operator, value)
            .into_iter()
            .map(|fault| Fault::new(format!("{path}.value{}", fault.path), fault.message)),
    );
    Some(Rule {
        field: field?,
        operator,
        value: value.cloned(),
    })
}

fn missing(given: Option<&Value>) -> &'static str {
    match given {
        Some(_) => "",
        None => "missing; ",
    }
}

/// Whether a text is the dotted path of a fact.
pub fn is_field(text: &str) -> bool {
    let is_word = |word: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !word.is_empty() && word.bytes().all(known)
    };
    text.len() <= MOST_OF_A_FIELD && text.split('.').all(is_word)
}

/// What is wrong with the value of an operator, with paths that are relative to the value.
fn value_faults(operator: Operator, value: Option<&Value>) -> Vec<Fault> {
    let name = operator.as_str();
    let expected = |what: &str| {
        let message = format!("{}{name} takes {what}", missing(value));
        vec![Fault::new("", message)]
    };
    match (operator, value) {
        (Operator::Exists | Operator::NotExists, None) => Vec::new(),
        (Operator::Exists | Operator::NotExists, Some(_)) => expected("no value: leave it out"),
        (Operator::Equals | Operator::NotEquals, Some(Value::Array(items))) => items_faults(items),
        (Operator::Equals | Operator::NotEquals, Some(value)) => scalar_fault(value, ""),
        (Operator::Equals | Operator::NotEquals, None) => {
            expected("a text, a number, true or false, or an array of such")
        }
        (Operator::In | Operator::NotIn, Some(Value::Array(items))) if !items.is_empty() => {
            items_faults(items)
        }
        (Operator::In | Operator::NotIn, _) => {
            expected("a non-empty array of texts, numbers, true or false")
        }
        (Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte, value) => {
            match value.and_then(Scale::of) {
                Some(_) => Vec::new(),
                None => expected("a number, or a version such as \"1.2\""),
            }
        }
        (Operator::Between, Some(Value::Array(items))) => match items.as_slice() {
            [low, high] => match (Scale::of(low), Scale::of(high)) {
                (Some(Scale::Number(_)), Some(Scale::Version(_)))
                | (Some(Scale::Version(_)), Some(Scale::Number(_))) => {
                    expected("[low, high]: two numbers, or two versions such as \"1.2\"")
                }
                (Some(low), Some(high)) if low.order(&high) == Some(Ordering::Greater) => {
                    expected("[low, high], the lower first")
                }
                (Some(_), Some(_)) => Vec::new(),
                _ => expected("[low, high]: two numbers, or two versions such as \"1.2\""),
            },
            _ => expected("[low, high], which are two"),
        },
        (Operator::Between, _) => expected("[low, high]"),
        (Operator::Contains | Operator::NotContains, Some(value)) => match value {
            Value::String(text) if text.is_empty() => {
                expected("something that is not empty: every text has nothing in it")
            }
            value => scalar_fault(value, ""),
        },
        (Operator::Contains | Operator::NotContains, None) => {
            expected("a text, a number, true or false")
        }
        (Operator::StartsWith | Operator::EndsWith, Some(value @ Value::String(text)))
            if !text.is_empty() =>
        {
            scalar_fault(value, "")
        }
        (Operator::StartsWith | Operator::EndsWith, _) => expected("a text that is not empty"),
        (Operator::Matches, Some(value @ Value::String(pattern))) => {
            let faults = scalar_fault(value, "");
            match compiled(pattern) {
                _ if !faults.is_empty() => faults,
                Ok(_) => Vec::new(),
                Err(error) => expected(&format!("a regular expression; this is none: {error}")),
            }
        }
        (Operator::Matches, _) => expected("a regular expression, as a text"),
    }
}

fn items_faults(items: &[Value]) -> Vec<Fault> {
    if items.len() > MOST_ITEMS {
        let message = format!("expected at most {MOST_ITEMS} items, found {}", items.len());
        return vec![Fault::new("", message)];
    }
    let item = |(i, item): (usize, &Value)| scalar_fault(item, &format!("[{i}]"));
    items.iter().enumerate().flat_map(item).collect()
}

fn scalar_fault(value: &Value, path: &str) -> Vec<Fault> {
    let message = match value {
        Value::Bool(_) => return Vec::new(),
        Value::Number(number) if decimal(&number.to_string()).is_some() => return Vec::new(),
        Value::String(text) if text.chars().count() <= MOST_OF_A_TEXT => return Vec::new(),
        Value::String(_) => format!("expected a text of at most {MOST_OF_A_TEXT} characters"),
        _ => "expected a text, a number, true or false".to_owned(),
    };
    vec![Fault::new(path, message)]
}
