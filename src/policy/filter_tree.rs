//! Filter trees: the grammar that destination policies, access policies and previews share.
//! A tree describes the records that **may pass**; a record passes only where it is TRUE.
//!
//! Parsing looks at the document alone and reports every fault with its JSON path. Whether the
//! columns exist and the values fit them is judged by `guard::compile`.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::Fault;

/// How deep groups may nest.
pub const MAX_DEPTH: usize = 64;

/// A parsed filter tree. In a document a group has at least one child.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterTree {
    /// TRUE where every child is.
    And(Vec<FilterTree>),
    /// TRUE where any child is; without children nowhere.
    Or(Vec<FilterTree>),
    /// TRUE where the child is FALSE; NULL stays NULL.
    Not(Box<FilterTree>),
    /// A test of one column.
    Condition(Condition),
}

/// A test of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Column name, or a dotted path into a struct.
    pub column: String,
    /// What is tested.
    pub operator: Operator,
    /// What it is compared with; `None` for operators that take none.
    pub value: Option<Value>,
    /// Whether text is compared byte for byte (the default) or without regard to case.
    pub case_sensitive: bool,
    /// The zone in which dates and times without one are meant; UTC if absent.
    pub timezone: Option<chrono_tz::Tz>,
}

macro_rules! operators {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// The test that a condition makes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operator { $($(#[$doc])* $variant),* }

        impl Operator {
            /// Every operator.
            pub const ALL: &'static [Operator] = &[$(Operator::$variant),*];

            /// Its name in a document.
            pub fn name(self) -> &'static str {
                match self { $(Operator::$variant => $name),* }
            }
        }
    };
}

operators! {
    /// The same value.
    Equals = "equals",
    /// Another value.
    NotEquals = "not_equals",
    /// One of the values.
    In = "in",
    /// None of the values.
    NotIn = "not_in",
    /// Above the value.
    GreaterThan = "greater_than",
    /// The value or above.
    GreaterThanOrEqual = "greater_than_or_equal",
    /// Below the value.
    LessThan = "less_than",
    /// The value or below.
    LessThanOrEqual = "less_than_or_equal",
    /// From low to high, both included.
    Between = "between",
    /// Below low or above high.
    NotBetween = "not_between",
    /// Has the text somewhere.
    Contains = "contains",
    /// Has the text nowhere.
    NotContains = "not_contains",
    /// Begins with the text.
    StartsWith = "starts_with",
    /// Does not begin with the text.
    NotStartsWith = "not_starts_with",
    /// Ends with the text.
    EndsWith = "ends_with",
    /// Does not end with the text.
    NotEndsWith = "not_ends_with",
    /// The regular expression is found somewhere.
    Matches = "matches",
    /// Is true.
    IsTrue = "is_true",
    /// Is false.
    IsFalse = "is_false",
    /// Is NULL.
    IsNull = "is_null",
    /// Is not NULL.
    IsNotNull = "is_not_null",
    /// Is NULL or has no characters or elements.
    IsEmpty = "is_empty",
    /// Has characters or elements.
    IsNotEmpty = "is_not_empty",
    /// Between `now` minus the span and `now`, both included.
    WithinLast = "within_last",
    /// Before `now` minus the span, or after `now`.
    NotWithinLast = "not_within_last",
    /// Between `now` and `now` plus the span, both included.
    WithinNext = "within_next",
    /// The list has one of the values.
    ListContainsAny = "list_contains_any",
    /// The list has all of the values.
    ListContainsAll = "list_contains_all",
}

/// The shape of value an operator takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    None,
    Scalar,
    Scalars,
    Pair,
    Text,
    Regex,
    Span,
}

impl Shape {
    pub(super) const ALL: &'static [Shape] = &[
        Shape::None,
        Shape::Scalar,
        Shape::Scalars,
        Shape::Pair,
        Shape::Text,
        Shape::Regex,
        Shape::Span,
    ];
}

impl Operator {
    fn named(name: &str) -> Option<Operator> {
        Operator::ALL
            .iter()
            .copied()
            .find(|operator| operator.name() == name)
    }

    pub(super) fn shape(self) -> Shape {
        use Operator::*;
        match self {
            Equals | NotEquals | GreaterThan | GreaterThanOrEqual | LessThan | LessThanOrEqual => {
                Shape::Scalar
            }
            In | NotIn | ListContainsAny | ListContainsAll => Shape::Scalars,
            Between | NotBetween => Shape::Pair,
            Contains | NotContains | StartsWith | NotStartsWith | EndsWith | NotEndsWith => {
                Shape::Text
            }
            Matches => Shape::Regex,
            IsTrue | IsFalse | IsNull | IsNotNull | IsEmpty | IsNotEmpty => Shape::None,
            WithinLast | NotWithinLast | WithinNext => Shape::Span,
        }
    }
}

/// A unit of time in a relative condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// 60 seconds.
    Minutes,
    /// 3,600 seconds.
    Hours,
    /// Calendar days in the condition's zone.
    Days,
    /// Seven calendar days.
    Weeks,
    /// Calendar months; the day is cut to the length of the month.
    Months,
    /// Twelve calendar months.
    Years,
}

/// A span of time: `{"value": 7, "unit": "days"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// How many units; not negative.
    pub value: u32,
    /// The unit.
    pub unit: TimeUnit,
}

impl TimeSpan {
    /// Reads a span from a condition's value; the fault's path is relative to that value.
    pub fn parse(value: &Value) -> Result<TimeSpan, Fault> {
        let expected = r#"expected {"value": 7, "unit": "days"}"#;
        let Some(object) = value.as_object() else {
            return Err(Fault::new("", expected));
        };
        if let Some(key) = object.keys().find(|key| *key != "value" && *key != "unit") {
            return Err(Fault::new(
                format!(".{key}"),
                format!("unknown key; {expected}"),
            ));
        }
        let count = object
            .get("value")
            .and_then(Value::as_u64)
            .and_then(|n| u32::try_from(n).ok());
        let Some(count) = count else {
            return Err(Fault::new(
                ".value",
                "expected a whole number from 0 to 4294967295",
            ));
        };
        let unit = match object.get("unit").and_then(Value::as_str) {
            Some("minutes") => TimeUnit::Minutes,
            Some("hours") => TimeUnit::Hours,
            Some("days") => TimeUnit::Days,
            Some("weeks") => TimeUnit::Weeks,
            Some("months") => TimeUnit::Months,
            Some("years") => TimeUnit::Years,
            _ => {
                let units = "expected one of minutes, hours, days, weeks, months, years";
                return Err(Fault::new(".unit", units));
            }
        };
        Ok(TimeSpan { value: count, unit })
    }
}

/// A filter tree and the document it was read from, which is what the API reads back. In JSON it
/// is that document.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterDocument {
    tree: FilterTree,
    json: Value,
}

impl FilterDocument {
    /// Parses a document, or reports every fault in it.
    pub fn parse(json: Value) -> Result<FilterDocument, Vec<Fault>> {
        let tree = FilterTree::parse(&json)?;
        Ok(FilterDocument { tree, json })
    }

    /// What it means.
    pub fn tree(&self) -> &FilterTree {
        &self.tree
    }

    /// What was written.
    pub fn json(&self) -> &Value {
        &self.json
    }
}

impl Serialize for FilterDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FilterDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        FilterDocument::parse(json).map_err(|faults| match faults.first() {
            Some(fault) => serde::de::Error::custom(fault),
            None => serde::de::Error::custom("not a filter tree"),
        })
    }
}

impl FilterTree {
    /// Parses a document, or reports every fault in it.
    pub fn parse(document: &Value) -> Result<FilterTree, Vec<Fault>> {
        let mut faults = Vec::new();
        let tree = node(document, "$", 0, &mut faults);
        match tree {
            Some(tree) if faults.is_empty() => Ok(tree),
            _ => Err(faults),
        }
    }

    /// The columns that the tree reads, as written.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::new();
        self.visit(&mut |condition| {
            columns.insert(condition.column.as_str());
        });
        columns
    }

    /// Whether the tree's meaning depends on the time of its use.
    pub fn is_relative(&self) -> bool {
        let mut relative = false;
        self.visit(&mut |condition| relative |= matches!(condition.operator.shape(), Shape::Span));
        relative
    }

    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Condition)) {
        match self {
            FilterTree::And(children) | FilterTree::Or(children) => {
                children.iter().for_each(|child| child.visit(f));
            }
            FilterTree::Not(child) => child.visit(f),
            FilterTree::Condition(condition) => f(condition),
        }
    }
}

fn node(value: &Value, path: &str, depth: usize, faults: &mut Vec<Fault>) -> Option<FilterTree> {
    let Some(object) = value.as_object() else {
        faults.push(Fault::new(
            path,
            "expected an object: a group or a condition",
        ));
        return None;
    };
    if depth >= MAX_DEPTH {
        faults.push(Fault::new(
            path,
            format!("groups nest deeper than {MAX_DEPTH}"),
        ));
        return None;
    }
    match object.get("type").and_then(Value::as_str) {
        Some("condition") => condition(object, path, faults).map(FilterTree::Condition),
        Some(kind @ ("and" | "or" | "not")) => {
            unknown_keys(object, &["type", "children"], path, faults);
            let children = children(object, path, depth, faults)?;
            match kind {
                "and" => Some(FilterTree::And(children)),
                "or" => Some(FilterTree::Or(children)),
                _ => {
                    let [child] = <[FilterTree; 1]>::try_from(children)
                        .map_err(|children| {
                            let message = format!("not takes one child, found {}", children.len());
                            faults.push(Fault::new(format!("{path}.children"), message));
                        })
                        .ok()?;
                    Some(FilterTree::Not(Box::new(child)))
                }
            }
        }
        _ => {
            let message = "expected one of and, or, not, condition";
            faults.push(Fault::new(format!("{path}.type"), message));
            None
        }
    }
}

fn children(
    object: &Map<String, Value>,
    path: &str,
    depth: usize,
    faults: &mut Vec<Fault>,
) -> Option<Vec<FilterTree>> {
    let path = format!("{path}.children");
    match object.get("children").and_then(Value::as_array) {
        None => faults.push(Fault::new(
            path,
            "expected an array of groups and conditions",
        )),
        Some(items) if items.is_empty() => {
            faults.push(Fault::new(
                path,
                "an empty group decides nothing: give it a child",
            ));
        }
        Some(items) => {
            let nodes: Vec<_> = items
                .iter()
                .enumerate()
                .map(|(i, item)| node(item, &format!("{path}[{i}]"), depth + 1, faults))
                .collect();
            return nodes.into_iter().collect();
        }
    }
    None
}

fn condition(
    object: &Map<String, Value>,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Condition> {
    let known = [
        "type",
        "condition_type",
        "column",
        "operator",
        "value",
        "case_sensitive",
        "timezone",
    ];
    let before = faults.len();
    unknown_keys(object, &known, path, faults);
    let mut fault = |key: &str, message: String| {
        faults.push(Fault::new(format!("{path}.{key}"), message));
    };
    if object.get("condition_type").and_then(Value::as_str) != Some("property") {
        fault("condition_type", "expected \"property\"".into());
    }
    let column = match object.get("column").and_then(Value::as_str) {
        Some(column) if !column.is_empty() => column,
        _ => {
            fault("column", "expected the name of a column".into());
            ""
        }
    };
    let case_sensitive = match object.get("case_sensitive") {
        None => true,
        Some(Value::Bool(case_sensitive)) => *case_sensitive,
        Some(_) => {
            fault("case_sensitive", "expected true or false".into());
            true
        }
    };
    let timezone = match object
        .get("timezone")
        .map(|zone| zone.as_str().map(str::parse))
    {
        None => None,
        Some(Some(Ok(zone))) => Some(zone),
        Some(_) => {
            fault(
                "timezone",
                "expected an IANA time zone such as \"Europe/Berlin\"".into(),
            );
            None
        }
    };
    let operator = object
        .get("operator")
        .and_then(Value::as_str)
        .and_then(Operator::named);
    match operator {
        None => {
            let names: Vec<_> = Operator::ALL
                .iter()
                .map(|operator| operator.name())
                .collect();
            fault("operator", format!("expected one of {}", names.join(", ")));
        }
        Some(operator) => {
            if let Err(wrong) = check_value(operator, object.get("value")) {
                fault(&format!("value{}", wrong.path), wrong.message);
            }
        }
    }
    if faults.len() > before {
        return None;
    }
    Some(Condition {
        column: column.to_owned(),
        operator: operator?,
        value: object.get("value").cloned(),
        case_sensitive,
        timezone,
    })
}

/// Checks the shape of a condition's value; the fault's path is relative to the value.
fn check_value(operator: Operator, value: Option<&Value>) -> Result<(), Fault> {
    let name = operator.name();
    let fault = |message: String| Err(Fault::new("", message));
    match (operator.shape(), value) {
        (Shape::None, None) => Ok(()),
        (Shape::None, Some(_)) => fault(format!("{name} takes no value: leave it out")),
        (Shape::Scalar, Some(value)) => check_scalar(value, ""),
        (Shape::Scalars, Some(Value::Array(values))) if !values.is_empty() => check_scalars(values),
        (Shape::Scalars, _) => fault(format!("{name} takes a non-empty array")),
        (Shape::Pair, Some(Value::Array(values))) if values.len() == 2 => check_scalars(values),
        (Shape::Pair, _) => fault(format!("{name} takes [low, high]")),
        (Shape::Text, Some(Value::String(_))) => Ok(()),
        (Shape::Text, _) => fault(format!("{name} takes a string")),
        (Shape::Regex, Some(Value::String(pattern))) => match regex::Regex::new(pattern) {
            Ok(_) => Ok(()),
            Err(error) => fault(format!("not a regular expression: {error}")),
        },
        (Shape::Regex, _) => fault(format!("{name} takes a regular expression as a string")),
        (Shape::Span, Some(value)) => TimeSpan::parse(value).map(|_| ()),
        (Shape::Scalar | Shape::Span, None) => fault(format!("{name} needs a value")),
    }
}

fn check_scalars(values: &[Value]) -> Result<(), Fault> {
    values
        .iter()
        .enumerate()
        .try_for_each(|(i, value)| check_scalar(value, &format!("[{i}]")))
}

fn check_scalar(value: &Value, path: &str) -> Result<(), Fault> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(()),
        Value::Null => Err(Fault::new(
            path,
            "nothing equals NULL: use is_null or is_not_null instead",
        )),
        Value::Array(_) | Value::Object(_) => Err(Fault::new(
            path,
            "expected a string, a number, true or false",
        )),
    }
}

pub(crate) fn unknown_keys(
    object: &Map<String, Value>,
    known: &[&str],
    path: &str,
    faults: &mut Vec<Fault>,
) {
    for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
        let message = format!("unknown key; expected {}", known.join(", "));
        faults.push(Fault::new(format!("{path}.{key}"), message));
    }
}

/// Where a column stands in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPath {
    /// Index of the top-level column.
    pub root: usize,
    /// Index of the child at each struct below it.
    pub children: Vec<usize>,
    /// Type of the column the path ends at.
    pub data_type: DataType,
}

/// Why a column could not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No column bears the name, and no dotted path leads to one.
    Missing,
    /// Several columns bear it.
    Ambiguous,
}

/// Finds a column by its whole name, else by a dotted path into structs. Names are matched
/// exactly, case included.
pub fn resolve(schema: &Schema, column: &str) -> Result<ColumnPath, Unresolved> {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| (f.name().as_str(), f.data_type()))
        .collect();
    let (mut path, data_type) = descend(&fields, column)?;
    let root = path.remove(0);
    Ok(ColumnPath {
        root,
        children: path,
        data_type,
    })
}

fn descend(fields: &[(&str, &DataType)], name: &str) -> Result<(Vec<usize>, DataType), Unresolved> {
    let mut whole = fields
        .iter()
        .enumerate()
        .filter(|(_, (field, _))| *field == name);
    match (whole.next(), whole.next()) {
        (Some((index, (_, data_type))), None) => return Ok((vec![index], (*data_type).clone())),
        (Some(_), Some(_)) => return Err(Unresolved::Ambiguous),
        (None, _) => {}
    }
    let mut found = Err(Unresolved::Missing);
    for (index, (field, data_type)) in fields.iter().enumerate() {
        let Some(rest) = name
            .strip_prefix(field)
            .and_then(|rest| rest.strip_prefix('.'))
        else {
            continue;
        };
        let DataType::Struct(children) = data_type else {
            continue;
        };
        let children: Vec<_> = children
            .iter()
            .map(|f| (f.name().as_str(), f.data_type()))
            .collect();
        match (descend(&children, rest), &found) {
            (Err(Unresolved::Missing), _) => {}
            (Err(Unresolved::Ambiguous), _) | (Ok(_), Ok(_)) => return Err(Unresolved::Ambiguous),
            (Ok((path, data_type)), Err(_)) => {
                found = Ok(([vec![index], path].concat(), data_type));
            }
        }
    }
    found
}

/// Whether a schema has a column, by name or by dotted path.
pub fn schema_has(schema: &Schema, column: &str) -> bool {
    resolve(schema, column).is_ok()
}
