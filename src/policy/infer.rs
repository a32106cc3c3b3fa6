//! The types that columns must have for filter trees to make sense: for records that come
//! without types, where nothing else tells them. What cannot be told is a fault, not a guess.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use chrono::NaiveDate;
use serde_json::Value;

use super::Fault;
use super::filter_tree::{Condition, FilterTree, MAX_DEPTH, Operator};

/// The largest whole number below which a float holds every other.
const FLOAT_HOLDS: u64 = 1 << 53;

/// The columns that trees read, by name. A column that `known` has is of the type it has there;
/// the type of any other follows from the conditions. With `nested` a dotted path leads into an
/// object; otherwise it is a name like any other.
///
/// Each tree comes with the place where it stands, which the paths of faults begin with.
///
/// # Errors
///
/// Conditions that contradict each other, and columns of which no condition tells the type.
pub fn columns(
    trees: &[(String, &FilterTree)],
    known: &Schema,
    nested: bool,
) -> Result<SchemaRef, Vec<Fault>> {
    let mut root = Node::default();
    let mut faults = Vec::new();
    for (place, tree) in trees {
        walk(tree, place.clone(), &mut |condition, path| {
            let column = condition.column.as_str();
            let whole = !nested || known.field_with_name(column).is_ok();
            let parts: Vec<_> = match whole {
                true => vec![column],
                false => column.split('.').take(MAX_DEPTH + 1).collect(),
            };
            if parts.len() > MAX_DEPTH {
                let message = format!("objects nest deeper than {MAX_DEPTH}");
                faults.push(Fault::new(path, message));
                return;
            }
            let node = parts.into_iter().fold(&mut root, |node, part| {
                node.children.entry(part).or_default()
            });
            node.clues.push(Clue {
                kinds: kinds(condition),
                wide: values(condition).iter().any(is_wide),
                path,
            });
        });
    }
    let mut fields = Vec::with_capacity(root.children.len());
    for (name, node) in &root.children {
        let data_type = match (known.field_with_name(name), node.first()) {
            (Ok(field), _) if node.children.is_empty() => Ok(field.data_type().clone()),
            (Ok(field), Some(clue)) => {
                let data_type = field.data_type();
                let message = format!("column \"{name}\" is of type {data_type} and has no parts");
                Err(Fault::new(&clue.path, message))
            }
            (_, _) => node.data_type(name),
        };
        match data_type {
            Ok(data_type) => fields.push(Field::new(*name, data_type, true)),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(Arc::new(Schema::new(fields))),
        false => Err(faults),
    }
}

fn walk<'a>(tree: &'a FilterTree, path: String, each: &mut impl FnMut(&'a Condition, String)) {
    match tree {
        FilterTree::And(children) | FilterTree::Or(children) => {
            for (i, child) in children.iter().enumerate() {
                walk(child, format!("{path}.children[{i}]"), each);
            }
        }
        FilterTree::Not(child) => walk(child, format!("{path}.children[0]"), each),
        FilterTree::Condition(condition) => each(condition, path),
    }
}

/// A column, or an object with columns in it.
#[derive(Default)]
struct Node<'a> {
    clues: Vec<Clue>,
    children: BTreeMap<&'a str, Node<'a>>,
}

/// What one condition tells of its column.
struct Clue {
    path: String,
    /// What the column may be, the likeliest first; `None` if anything.
    kinds: Option<Vec<Kind>>,
    /// Whether it names a whole number that only integers hold for sure.
    wide: bool,
}

impl Node<'_> {
    /// The first clue of the column or of what is in it.
    fn first(&self) -> Option<&Clue> {
        let below = || self.children.values().find_map(Node::first);
        self.clues.first().or_else(below)
    }

    /// The type of a column of this name, or of this path.
    fn data_type(&self, name: &str) -> Result<DataType, Fault> {
        let mut candidates = Kind::ALL.to_vec();
        // The clue that left the fewest of them.
        let mut narrowed: Option<&Clue> = None;
        for clue in &self.clues {
            let Some(kinds) = &clue.kinds else { continue };
            let rest: Vec<_> = candidates
                .iter()
                .copied()
                .filter(|kind| kinds.contains(kind))
                .collect();
            if rest.is_empty() {
                let message = match narrowed.filter(|_| !kinds.is_empty()) {
                    Some(other) => format!(
                        "column \"{name}\" would have to hold {} here, and {} at {}",
                        named(kinds),
                        named(&candidates),
                        other.path
                    ),
                    None => format!("column \"{name}\" is compared with values of several types"),
                };
                return Err(Fault::new(&clue.path, message));
            }
            if rest.len() < candidates.len() {
                narrowed = Some(clue);
            }
            candidates = rest;
        }
        if let Some(below) = self.children.values().find_map(Node::first) {
            return match narrowed {
                None => self.fields(name),
                Some(clue) => {
                    let (holds, path) = (named(&candidates), &below.path);
                    let message = format!(
                        "column \"{name}\" would have to hold {holds}, and parts at {path}"
                    );
                    Err(Fault::new(&clue.path, message))
                }
            };
        }
        let wide = self.clues.iter().any(|clue| clue.wide);
        match (candidates.first(), narrowed) {
            (Some(kind), Some(_)) => Ok(kind.data_type(wide)),
            _ => {
                let path = self.first().map_or("$", |clue| &clue.path);
                let message =
                    format!("nothing tells what column \"{name}\" holds: its type must be given");
                Err(Fault::new(path, message))
            }
        }
    }

    fn fields(&self, name: &str) -> Result<DataType, Fault> {
        let fields = self.children.iter().map(|(part, node)| {
            let data_type = node.data_type(&format!("{name}.{part}"))?;
            Ok(Field::new(*part, data_type, true))
        });
        Ok(DataType::Struct(fields.collect::<Result<Fields, Fault>>()?))
    }
}

/// What a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Boolean,
    Number,
    Date,
    Timestamp,
    Texts,
    Numbers,
    Booleans,
}

impl Kind {
    /// The likeliest first.
    const ALL: [Kind; 8] = [
        Kind::Text,
        Kind::Boolean,
        Kind::Number,
        Kind::Date,
        Kind::Timestamp,
        Kind::Texts,
        Kind::Numbers,
        Kind::Booleans,
    ];

    fn data_type(self, wide: bool) -> DataType {
        let number = match wide {
            true => DataType::Int64,
            false => DataType::Float64,
        };
        let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Boolean => DataType::Boolean,
            Kind::Number => number,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Texts => list(DataType::Utf8),
            Kind::Numbers => list(number),
            Kind::Booleans => list(DataType::Boolean),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Boolean => "booleans",
            Kind::Number => "numbers",
            Kind::Date => "dates",
            Kind::Timestamp => "timestamps",
            Kind::Texts => "lists of text",
            Kind::Numbers => "lists of numbers",
            Kind::Booleans => "lists of booleans",
        }
    }
}

fn named(kinds: &[Kind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(" or ")
}

/// What the column of a condition may hold; `None` if anything.
fn kinds(condition: &Condition) -> Option<Vec<Kind>> {
    use Operator::*;
    let of_each = |kinds: fn(&Value) -> &'static [Kind]| {
        let mut common = Kind::ALL.to_vec();
        for value in values(condition) {
            common.retain(|kind| kinds(value).contains(kind));
        }
        common
    };
    Some(match condition.operator {
        IsNull | IsNotNull => return None,
        IsTrue | IsFalse => vec![Kind::Boolean],
        Contains | NotContains | StartsWith | NotStartsWith | EndsWith | NotEndsWith | Matches => {
            vec![Kind::Text]
        }
        IsEmpty | IsNotEmpty => vec![Kind::Text, Kind::Texts, Kind::Numbers, Kind::Booleans],
        WithinLast | NotWithinLast | WithinNext => vec![Kind::Timestamp],
        Equals | NotEquals | In | NotIn => of_each(equal_to),
        GreaterThan | GreaterThanOrEqual | LessThan | LessThanOrEqual | Between | NotBetween => {
            of_each(beside)
        }
        ListContainsAny | ListContainsAll => of_each(among),
    })
}

/// What may be equal to a value. A date is text, unless other conditions take it for a date.
fn equal_to(value: &Value) -> &'static [Kind] {
    match value {
        Value::Bool(_) => &[Kind::Boolean],
        Value::Number(_) => &[Kind::Number],
        Value::String(text) => match read(text) {
            Kind::Date => &[Kind::Text, Kind::Date, Kind::Timestamp],
            Kind::Timestamp => &[Kind::Text, Kind::Timestamp],
            _ => &[Kind::Text],
        },
        _ => &[],
    }
}

/// What may be above or below a value.
fn beside(value: &Value) -> &'static [Kind] {
    match value {
        Value::Bool(_) => &[Kind::Boolean],
        Value::Number(_) => &[Kind::Number],
        Value::String(text) => match read(text) {
            Kind::Date => &[Kind::Date],
            Kind::Timestamp => &[Kind::Timestamp],
            _ => &[Kind::Text],
        },
        _ => &[],
    }
}

/// The lists that may have a value in them.
fn among(value: &Value) -> &'static [Kind] {
    match value {
        Value::Bool(_) => &[Kind::Booleans],
        Value::Number(_) => &[Kind::Numbers],
        Value::String(_) => &[Kind::Texts],
        _ => &[],
    }
}

/// Whether a text is a date, a date with a time, or just text.
fn read(text: &str) -> Kind {
    let Some((day, rest)) = text.split_at_checked(10) else {
        return Kind::Text;
    };
    let digits = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    if !digits(day) || NaiveDate::parse_from_str(day, "%Y-%m-%d").is_err() {
        return Kind::Text;
    }
    match rest.as_bytes() {
        [] => Kind::Date,
        [b'T' | b' ', digit, ..] if digit.is_ascii_digit() => Kind::Timestamp,
        _ => Kind::Text,
    }
}

/// The values that a condition compares with.
fn values(condition: &Condition) -> &[Value] {
    match &condition.value {
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

fn is_wide(value: &Value) -> bool {
    value
        .as_i64()
        .is_some_and(|number| number.unsigned_abs() > FLOAT_HOLDS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Conditions as `(column, operator, value)`.
    fn infer(
        conditions: &[(&str, &str, Value)],
        known: &Schema,
        nested: bool,
    ) -> Result<SchemaRef, Vec<String>> {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(column, operator, value)| {
                let mut condition = json!({"type": "condition", "condition_type": "property",
                    "column": column, "operator": operator});
                if !value.is_null() {
                    condition["value"] = value.clone();
                }
                condition
            })
            .collect();
        let tree = FilterTree::parse(&json!({"type": "and", "children": conditions})).unwrap();
        let tree = FilterTree::Not(Box::new(tree));
        columns(&[("p: $".to_owned(), &tree)], known, nested)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, true)))
    }

    #[test]
    fn the_type_follows_from_the_conditions() {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let days = json!({"value": 7, "unit": "days"});
        let none = Value::Null;
        for (conditions, expected) in [
            (vec![("is_true", none.clone())], DataType::Boolean),
            (vec![("equals", json!(false))], DataType::Boolean),
            (vec![("equals", json!("DE"))], DataType::Utf8),
            (
                vec![("not_in", json!(["DE", "2026-01-01"]))],
                DataType::Utf8,
            ),
            (vec![("contains", json!("@"))], DataType::Utf8),
            (vec![("matches", json!("^a"))], DataType::Utf8),
            (vec![("is_empty", none.clone())], DataType::Utf8),
            (vec![("equals", json!("2026-01-01"))], DataType::Utf8),
            (vec![("greater_than", json!("high"))], DataType::Utf8),
            (vec![("in", json!([1, 2.5]))], DataType::Float64),
            (
                vec![("between", json!([0, 9_007_199_254_740_992_i64]))],
                DataType::Float64,
            ),
            (
                vec![("in", json!([1, 9_007_199_254_740_993_i64]))],
                DataType::Int64,
            ),
            (vec![("less_than", json!("2026-01-01"))], DataType::Date32),
            (
                vec![("between", json!(["2026-01-01", "2026-02-01"]))],
                DataType::Date32,
            ),
            (
                vec![("less_than", json!("2026-01-01T00:00:00Z"))],
                timestamp.clone(),
            ),
            (
                vec![("less_than", json!("2026-01-01 00:00:00"))],
                timestamp.clone(),
            ),
            (vec![("within_last", days.clone())], timestamp.clone()),
            (
                vec![("list_contains_any", json!(["a"]))],
                list(DataType::Utf8),
            ),
            (
                vec![("list_contains_all", json!([1]))],
                list(DataType::Float64),
            ),
            (
                vec![("list_contains_any", json!([true]))],
                list(DataType::Boolean),
            ),
            // What one condition leaves open, another decides.
            (
                vec![
                    ("not_equals", json!("2026-01-01")),
                    ("greater_than", json!("2025-01-01")),
                ],
                DataType::Date32,
            ),
            (
                vec![
                    ("not_equals", json!("2026-01-01")),
                    ("within_next", days.clone()),
                ],
                timestamp.clone(),
            ),
            (
                vec![
                    ("is_not_empty", none.clone()),
                    ("list_contains_any", json!([1])),
                ],
                list(DataType::Float64),
            ),
            (
                vec![("is_null", none.clone()), ("is_false", none.clone())],
                DataType::Boolean,
            ),
        ] {
            let named: Vec<_> = conditions
                .into_iter()
                .map(|(operator, value)| ("c", operator, value))
                .collect();
            let schema = infer(&named, &Schema::empty(), true);
            let schema = schema.unwrap_or_else(|faults| panic!("{named:?}: {faults:?}"));
            assert_eq!(schema.field(0).data_type(), &expected, "{named:?}");
        }
    }

    #[test]
    fn what_contradicts_or_tells_nothing_is_a_fault_with_its_path() {
        let none = Value::Null;
        for (conditions, expected) in [
            (
                vec![
                    ("c", "is_true", none.clone()),
                    ("c", "equals", json!("yes")),
                ],
                "p: $.children[0].children[1]: column \"c\" would have to hold text here, and \
                 booleans at p: $.children[0].children[0]",
            ),
            (
                vec![("c", "in", json!([1, "a"]))],
                "p: $.children[0].children[0]: column \"c\" is compared with values of several \
                 types",
            ),
            (
                vec![("c", "is_null", none.clone())],
                "p: $.children[0].children[0]: nothing tells what column \"c\" holds: its type \
                 must be given",
            ),
            (
                vec![
                    ("c", "greater_than", json!("2026-01-01")),
                    ("c", "less_than", json!("2026-01-01T00:00:00Z")),
                ],
                "p: $.children[0].children[1]: column \"c\" would have to hold timestamps here, \
                 and dates at p: $.children[0].children[0]",
            ),
            (
                vec![("c", "equals", json!(1)), ("c.d", "equals", json!(1))],
                "p: $.children[0].children[0]: column \"c\" would have to hold numbers, and parts \
                 at p: $.children[0].children[1]",
            ),
            (
                vec![("k.d", "equals", json!(1))],
                "p: $.children[0].children[0]: column \"k\" is of type Utf8 and has no parts",
            ),
        ] {
            let known = Schema::new(vec![Field::new("k", DataType::Utf8, true)]);
            assert_eq!(
                infer(&conditions, &known, true),
                Err(vec![expected.to_owned()])
            );
        }
    }

    #[test]
    fn a_dotted_path_leads_into_objects_where_there_are_any() {
        let conditions = [
            ("a.b.c", "is_true", Value::Null),
            ("a.d", "equals", json!("x")),
            ("a", "is_not_null", Value::Null),
            ("k.l", "is_null", Value::Null),
        ];
        let known = Schema::new(vec![Field::new("k.l", DataType::Date32, true)]);
        let boolean = Fields::from(vec![Field::new("c", DataType::Boolean, true)]);
        let parts = Fields::from(vec![
            Field::new("b", DataType::Struct(boolean), true),
            Field::new("d", DataType::Utf8, true),
        ]);
        let schema = infer(&conditions, &known, true).unwrap();
        assert_eq!(schema.field(0).data_type(), &DataType::Struct(parts));
        assert_eq!(schema.field(1).data_type(), &DataType::Date32);

        let flat = infer(&conditions[..2], &known, false).unwrap();
        let names: Vec<_> = flat
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        assert_eq!(names, ["a.b.c", "a.d"]);
    }
}
