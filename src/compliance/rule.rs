//! Rules: one fact, one operator, one value. Checked when a policy is saved, evaluated against
//! the facts of a resource.

mod evaluation;
mod reading;
mod scale;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use evaluation::evaluate;
pub use reading::{MOST_OF_A_FIELD, MOST_RULES, is_field, read};

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Dotted path of the fact, such as `encryption.inTransit`.
    pub field: String,
    /// How the fact and the value are compared.
    pub operator: Operator,
    /// What it is compared with; none for `exists` and `not_exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// How a fact is compared with the value of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// It is the value.
    Equals,
    /// It is there, of the same kind as the value, and not the value.
    NotEquals,
    /// It is one of the values.
    In,
    /// It is there, of the same kind as one of the values, and none of them.
    NotIn,
    /// It is larger: a number, or a dotted version compared part by part. Beside a version, only
    /// a whole number is one.
    Gt,
    /// It is larger or the same.
    Gte,
    /// It is smaller.
    Lt,
    /// It is smaller or the same.
    Lte,
    /// The list has the value, or the text has the part.
    Contains,
    /// It is there, and the list lacks the value or the text the part. A list that is not empty
    /// has an item of the value's kind.
    NotContains,
    /// The text begins so.
    StartsWith,
    /// The text ends so.
    EndsWith,
    /// The text matches the regular expression somewhere.
    Matches,
    /// The fact is there.
    Exists,
    /// The fact is not there.
    NotExists,
    /// It lies between two numbers or versions, both included.
    Between,
}

impl Operator {
    /// All of them, in the order in which messages name them.
    pub const ALL: [Operator; 16] = [
        Operator::Equals,
        Operator::NotEquals,
        Operator::In,
        Operator::NotIn,
        Operator::Gt,
        Operator::Gte,
        Operator::Lt,
        Operator::Lte,
        Operator::Between,
        Operator::Contains,
        Operator::NotContains,
        Operator::StartsWith,
        Operator::EndsWith,
        Operator::Matches,
        Operator::Exists,
        Operator::NotExists,
    ];

    /// Its word in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Equals => "equals",
            Operator::NotEquals => "not_equals",
            Operator::In => "in",
            Operator::NotIn => "not_in",
            Operator::Gt => "gt",
            Operator::Gte => "gte",
            Operator::Lt => "lt",
            Operator::Lte => "lte",
            Operator::Between => "between",
            Operator::Contains => "contains",
            Operator::NotContains => "not_contains",
            Operator::StartsWith => "starts_with",
            Operator::EndsWith => "ends_with",
            Operator::Matches => "matches",
            Operator::Exists => "exists",
            Operator::NotExists => "not_exists",
        }
    }

    /// The operator with that word.
    pub fn of(word: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleOutcome {
    /// The fact it is about.
    pub field: String,
    /// How it compares.
    pub operator: Operator,
    /// Whether it holds.
    pub passed: bool,
    /// The fact as it was; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
    /// Why it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Most bytes that a compiled expression may take.
const MOST_OF_A_PATTERN: usize = 1 << 20;

/// The expression of `matches`.
fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(MOST_OF_A_PATTERN)
        .build()
}
