//! What becomes of a rule: whether it holds, and in plain words why it does not.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::Facts;
use super::scale::Scale;
use super::{Operator, Rule, RuleOutcome, compiled};
use crate::policy::difference::alike;

/// Most characters of a value that a reason shows.
const SHOWN: usize = 120;

/// What becomes of a rule, given the facts of a resource.
///
/// A fact that is missing, or that nothing is known of (`null`), fails every operator but
/// `not_exists`; `exists` also holds for a group of facts, such as `encryption` where
/// `encryption.atRest` is there. A fact of another kind than the rule compares with fails every
/// operator: whether `"no"` is not `true` is not for a rule to guess. So does a list that has no
/// item of the kind that `contains` or `not_contains` looks for, unless it is empty, and a number
/// with a fraction beside a version: which version 1.10 was meant to be cannot be told any more.
pub fn evaluate(rule: &Rule, facts: &Facts) -> RuleOutcome {
    let field = &rule.field;
    let fact = value(facts, field);
    let failure = match (rule.operator, fact) {
        (Operator::Exists, Some(_)) => None,
        (Operator::Exists, None) => match member(facts, field) {
            Some(_) => None,
            None => Some(missing(facts, field)),
        },
        (Operator::NotExists, Some(fact)) => {
            Some(format!("expected no fact {field}, found {}", shown(fact)))
        }
        (Operator::NotExists, None) => {
            member(facts, field).map(|member| format!("expected no fact {field}, found {member}"))
        }
        (_, None) => Some(missing(facts, field)),
        (_, Some(fact)) => judged(rule, fact),
    };
    RuleOutcome {
        field: field.clone(),
        operator: rule.operator,
        passed: failure.is_none(),
        actual: fact.cloned(),
        reason: failure,
    }
}

/// The value of a fact that is known.
fn value<'a>(facts: &'a Facts, field: &str) -> Option<&'a Value> {
    let value = &facts.get(field)?.value;
    Some(value).filter(|value| !value.is_null())
}

/// The first fact of a group that is known, such as `encryption.atRest` of `encryption`.
fn member<'a>(facts: &'a Facts, group: &str) -> Option<&'a str> {
    let start = format!("{group}.");
    facts
        .0
        .range(start.clone()..)
        .take_while(|(path, _)| path.starts_with(&start))
        .find(|(_, fact)| !fact.value.is_null())
        .map(|(path, _)| path.as_str())
}

fn missing(facts: &Facts, field: &str) -> String {
    match member(facts, field) {
        Some(member) => {
            format!("the fact {field} is missing: it is a group of facts, such as {member}")
        }
        None => format!(
            "the fact {field} is missing: the catalog does not tell it of this resource, and it \
             has not been declared; where it holds, declare it"
        ),
    }
}

/// Why a rule does not hold for a fact, if it does not.
fn judged(rule: &Rule, fact: &Value) -> Option<String> {
    let field = &rule.field;
    let Some(value) = &rule.value else {
        let operator = rule.operator.as_str();
        return Some(format!(
            "{field}: {operator} takes a value, and the rule has none"
        ));
    };
    let why = match holds(rule.operator, value, fact) {
        Ok(true) => return None,
        Ok(false) => String::new(),
        Err(why) => format!(", {why}"),
    };
    let expected = expectation(rule.operator, value);
    Some(format!(
        "{field}: expected {expected}, found {}{why}",
        shown(fact)
    ))
}

/// Whether a fact is as a rule with this operator and value wants it; the error tells why they
/// cannot be compared.
fn holds(operator: Operator, value: &Value, fact: &Value) -> Result<bool, String> {
    match operator {
        Operator::Equals => same(value, fact),
        Operator::NotEquals => same(value, fact).map(|same| !same),
        Operator::In => one_of(value, fact),
        Operator::NotIn => one_of(value, fact).map(|found| !found),
        Operator::Gt => order(fact, value).map(Ordering::is_gt),
        Operator::Gte => order(fact, value).map(Ordering::is_ge),
        Operator::Lt => order(fact, value).map(Ordering::is_lt),
        Operator::Lte => order(fact, value).map(Ordering::is_le),
        Operator::Between => match value.as_array().map(Vec::as_slice) {
            Some([low, high]) => Ok(order(fact, low)?.is_ge() && order(fact, high)?.is_le()),
            _ => Err(unfit()),
        },
        Operator::Contains => has(value, fact),
        Operator::NotContains => has(value, fact).map(|found| !found),
        Operator::StartsWith => texts(value, fact).map(|(part, text)| text.starts_with(part)),
        Operator::EndsWith => texts(value, fact).map(|(part, text)| text.ends_with(part)),
        Operator::Matches => {
            let (pattern, text) = texts(value, fact)?;
            let pattern = compiled(pattern).map_err(|_| unfit())?;
            Ok(pattern.is_match(text))
        }
        // They look at no value.
        Operator::Exists | Operator::NotExists => Err(unfit()),
    }
}

fn same(value: &Value, fact: &Value) -> Result<bool, String> {
    match kind(value) == kind(fact) {
        true => Ok(alike(value, fact)),
        false => Err(differs(kind(value), fact)),
    }
}

fn one_of(values: &Value, fact: &Value) -> Result<bool, String> {
    let values = values.as_array().ok_or_else(unfit)?;
    let mut comparable = values.iter().filter(|value| kind(value) == kind(fact));
    let Some(first) = comparable.next() else {
        return Err(differs("one of those", fact));
    };
    Ok(alike(first, fact) || comparable.any(|value| alike(value, fact)))
}

fn order(fact: &Value, value: &Value) -> Result<Ordering, String> {
    let value = Scale::of(value).ok_or_else(unfit)?;
    let wanted = "a number or a version such as \"1.2\"";
    let fact_on_scale = Scale::of(fact).ok_or_else(|| differs(wanted, fact))?;
    fact_on_scale.order(&value).ok_or_else(|| {
        "where a number stands beside a version and cannot be one, as only a whole number from 0 \
         on can: write the version as a text, such as \"1.10\""
            .to_owned()
    })
}

fn has(value: &Value, fact: &Value) -> Result<bool, String> {
    match (fact, value) {
        (Value::Array(items), value) => {
            let is_comparable = items.iter().any(|item| kind(item) == kind(value));
            match is_comparable || items.is_empty() {
                true => Ok(items.iter().any(|item| alike(item, value))),
                false => Err(format!("a list in which no item is {}", kind(value))),
            }
        }
        (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
        (Value::String(_), _) => Err(differs("a list", fact)),
        _ => Err(differs("a list or a text", fact)),
    }
}

fn texts<'a>(value: &'a Value, fact: &'a Value) -> Result<(&'a str, &'a str), String> {
    let value = value.as_str().ok_or_else(unfit)?;
    let fact = fact.as_str().ok_or_else(|| differs("a text", fact))?;
    Ok((value, fact))
}

fn unfit() -> String {
    "and the rule's value does not fit its operator: save the policy anew".to_owned()
}

fn differs(wanted: &str, fact: &Value) -> String {
    format!("which is {} and not {wanted}", kind(fact))
}

/// What a value is, in plain words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What a rule wants, in plain words.
fn expectation(operator: Operator, value: &Value) -> String {
    let words = match operator {
        Operator::Equals => "",
        Operator::NotEquals => "anything but ",
        Operator::In => "one of ",
        Operator::NotIn => "none of ",
        Operator::Gt => "more than ",
        Operator::Gte => "at least ",
        Operator::Lt => "less than ",
        Operator::Lte => "at most ",
        Operator::Between => "something within ",
        Operator::Contains => "something that contains ",
        Operator::NotContains => "something that does not contain ",
        Operator::StartsWith => "a text that starts with ",
        Operator::EndsWith => "a text that ends with ",
        Operator::Matches => "a text that matches ",
        Operator::Exists | Operator::NotExists => "something other than ",
    };
    format!("{words}{}", shown(value))
}

/// A value as a reason shows it: its JSON, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
