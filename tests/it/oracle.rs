//! A second reading of filter trees: one row at a time, in three-valued logic, written from the
//! meaning of the grammar and not from the guard. Slow and plain on purpose.

mod cells;
mod literals;

use std::cmp::Ordering;

use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use syncguard::policy::filter_tree::{
    ColumnPath, Condition, FilterTree, Operator, TimeSpan, resolve,
};

use self::cells::{Cell, cell_at};
use self::literals::{coerce, moment, shifted};

/// A tree that fits its schema, ready to judge rows.
pub(crate) enum Judge {
    And(Vec<Judge>),
    Or(Vec<Judge>),
    Not(Box<Judge>),
    Test(Box<Test>),
}

/// One condition with its literals brought to the column's type.
pub(crate) struct Test {
    column: ColumnPath,
    operator: Operator,
    literals: Vec<Cell>,
    regex: Option<Regex>,
    fold: bool,
}

impl Judge {
    /// Brings a tree to a schema, or gives the JSON paths of all conditions that do not fit.
    pub(crate) fn new(
        tree: &FilterTree,
        schema: &Schema,
        now: DateTime<Utc>,
    ) -> Result<Judge, Vec<String>> {
        let mut refused = vec![];
        match prepare(tree, schema, now, "$", &mut refused) {
            Some(judge) if refused.is_empty() => Ok(judge),
            _ => Err(refused),
        }
    }

    /// The part of the tree that a JSON path leads to.
    pub(crate) fn at(&self, path: &str) -> &Judge {
        let mut judge = self;
        for step in path.split(".children[").skip(1) {
            let index: usize = step
                .trim_end_matches(']')
                .parse()
                .expect("a path to a condition");
            judge = match judge {
                Judge::And(children) | Judge::Or(children) => &children[index],
                Judge::Not(child) => child,
                Judge::Test(_) => panic!("{path} leads below a condition"),
            };
        }
        judge
    }

    /// TRUE, FALSE or NULL.
    pub(crate) fn passes(&self, batch: &RecordBatch, row: usize) -> Option<bool> {
        match self {
            Judge::And(children) => {
                let verdicts: Vec<_> = children.iter().map(|c| c.passes(batch, row)).collect();
                if verdicts.contains(&Some(false)) {
                    Some(false)
                } else if verdicts.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            Judge::Or(children) => {
                let verdicts: Vec<_> = children.iter().map(|c| c.passes(batch, row)).collect();
                if verdicts.contains(&Some(true)) {
                    Some(true)
                } else if verdicts.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            Judge::Not(child) => child.passes(batch, row).map(|verdict| !verdict),
            Judge::Test(test) => test.passes(&cell_at(batch, &test.column, row)),
        }
    }
}

fn prepare(
    tree: &FilterTree,
    schema: &Schema,
    now: DateTime<Utc>,
    path: &str,
    refused: &mut Vec<String>,
) -> Option<Judge> {
    let mut all = |children: &[FilterTree]| -> Option<Vec<Judge>> {
        let judges: Vec<_> = children
            .iter()
            .enumerate()
            .map(|(i, child)| {
                prepare(
                    child,
                    schema,
                    now,
                    &format!("{path}.children[{i}]"),
                    refused,
                )
            })
            .collect();
        judges.into_iter().collect()
    };
    match tree {
        FilterTree::And(children) => all(children).map(Judge::And),
        FilterTree::Or(children) => all(children).map(Judge::Or),
        FilterTree::Not(child) => {
            let child = all(std::slice::from_ref(child))?.pop()?;
            Some(Judge::Not(Box::new(child)))
        }
        FilterTree::Condition(condition) => {
            let test = Test::new(condition, schema, now);
            if test.is_none() {
                refused.push(path.to_owned());
            }
            test.map(|test| Judge::Test(Box::new(test)))
        }
    }
}

/// What kinds of test a type of column allows.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    Null,
    Bool,
    Number,
    Text,
    Date,
    Timestamp,
    Time,
    List,
    Opaque,
}

fn family(data_type: &DataType) -> Family {
    use DataType::*;
    match data_type {
        Null => Family::Null,
        Boolean => Family::Bool,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Family::Number,
        Float16 | Float32 | Float64 => Family::Number,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => Family::Number,
        Utf8 | LargeUtf8 | Utf8View => Family::Text,
        Date32 | Date64 => Family::Date,
        Timestamp(..) => Family::Timestamp,
        Time32(_) | Time64(_) => Family::Time,
        List(_) | LargeList(_) | FixedSizeList(..) => Family::List,
        Dictionary(_, value) => family(value),
        _ => Family::Opaque,
    }
}

impl Test {
    fn new(condition: &Condition, schema: &Schema, now: DateTime<Utc>) -> Option<Test> {
        use Operator::*;
        let column = resolve(schema, &condition.column).ok()?;
        let family = family(&column.data_type);
        let ordered = matches!(
            family,
            Family::Number | Family::Date | Family::Timestamp | Family::Time
        );
        let fits = match condition.operator {
            IsNull | IsNotNull => true,
            IsEmpty | IsNotEmpty => matches!(family, Family::Text | Family::List | Family::Null),
            IsTrue | IsFalse => family == Family::Bool,
            Equals | NotEquals => ordered || matches!(family, Family::Text | Family::Bool),
            In | NotIn => ordered || family == Family::Text,
            GreaterThan | GreaterThanOrEqual | LessThan | LessThanOrEqual | Between
            | NotBetween => ordered,
            Contains | NotContains | StartsWith | NotStartsWith | EndsWith | NotEndsWith
            | Matches => family == Family::Text,
            WithinLast | NotWithinLast | WithinNext => {
                matches!(family, Family::Date | Family::Timestamp)
            }
            ListContainsAny | ListContainsAll => family == Family::List,
        };
        if !fits {
            return None;
        }
        let value = condition.value.as_ref();
        let mut regex = None;
        let zone = condition.timezone.unwrap_or(Tz::UTC);
        let fold = !condition.case_sensitive;
        let coerced = |values: &[Value], data_type: &DataType| -> Option<Vec<Cell>> {
            values
                .iter()
                .map(|value| coerce(value, data_type, zone, fold))
                .collect()
        };
        let literals = match condition.operator {
            IsNull | IsNotNull | IsEmpty | IsNotEmpty | IsTrue | IsFalse => vec![],
            Equals | NotEquals | GreaterThan | GreaterThanOrEqual | LessThan | LessThanOrEqual => {
                coerced(std::slice::from_ref(value?), &column.data_type)?
            }
            In | NotIn => coerced(value?.as_array()?, &column.data_type)?,
            Between | NotBetween => {
                let ends = coerced(value?.as_array()?, &column.data_type)?;
                if compare(&ends[0], &ends[1])? == Ordering::Greater {
                    return None;
                }
                ends
            }
            Contains | NotContains | StartsWith | NotStartsWith | EndsWith | NotEndsWith => {
                vec![Cell::Text(folded(value?.as_str()?, fold))]
            }
            Matches => {
                let pattern = RegexBuilder::new(value?.as_str()?)
                    .case_insensitive(fold)
                    .build();
                regex = Some(pattern.ok()?);
                vec![]
            }
            WithinLast | NotWithinLast | WithinNext => {
                let span = TimeSpan::parse(value?).ok()?;
                let ends = if condition.operator == WithinNext {
                    [now, shifted(now, span, true, zone)?]
                } else {
                    [shifted(now, span, false, zone)?, now]
                };
                ends.iter()
                    .map(|end| moment(*end, &column.data_type, zone))
                    .collect()
            }
            ListContainsAny | ListContainsAll => {
                coerced(value?.as_array()?, element_type(&column.data_type)?)?
            }
        };
        Some(Test {
            column,
            operator: condition.operator,
            literals,
            regex,
            fold,
        })
    }

    fn passes(&self, cell: &Cell) -> Option<bool> {
        use Operator::*;
        let empty = match cell {
            Cell::Null => true,
            Cell::Text(text) => text.is_empty(),
            Cell::List(elements) => elements.is_empty(),
            _ => false,
        };
        match (self.operator, cell) {
            (IsNull, _) => return Some(*cell == Cell::Null),
            (IsNotNull, _) => return Some(*cell != Cell::Null),
            (IsEmpty, _) => return Some(empty),
            (IsNotEmpty, _) => return Some(!empty),
            (_, Cell::Null) => return None,
            _ => {}
        }
        if let (Some(regex), Cell::Text(text)) = (&self.regex, cell) {
            return Some(regex.is_match(text));
        }
        let folded = match cell {
            Cell::Text(text) => Cell::Text(folded(text, self.fold)),
            cell => cell.clone(),
        };
        let to = |index: usize| compare(&folded, &self.literals[index]);
        let among = || -> Option<bool> {
            let orders: Option<Vec<_>> = (0..self.literals.len()).map(to).collect();
            orders.map(|orders| orders.contains(&Ordering::Equal))
        };
        let between = || Some(to(0)? != Ordering::Less && to(1)? != Ordering::Greater);
        let text = |found: fn(&str, &str) -> bool| match (&folded, &self.literals[0]) {
            (Cell::Text(text), Cell::Text(part)) => Some(found(text, part)),
            _ => unreachable!("text against text"),
        };
        match self.operator {
            IsTrue => Some(*cell == Cell::Bool(true)),
            IsFalse => Some(*cell == Cell::Bool(false)),
            Equals | In => among(),
            NotEquals | NotIn => among().map(|found| !found),
            GreaterThan => to(0).map(|order| order == Ordering::Greater),
            GreaterThanOrEqual => to(0).map(|order| order != Ordering::Less),
            LessThan => to(0).map(|order| order == Ordering::Less),
            LessThanOrEqual => to(0).map(|order| order != Ordering::Greater),
            Between | WithinLast | WithinNext => between(),
            NotBetween | NotWithinLast => between().map(|inside| !inside),
            Contains => text(|text, part| text.contains(part)),
            NotContains => text(|text, part| !text.contains(part)),
            StartsWith => text(|text, part| text.starts_with(part)),
            NotStartsWith => text(|text, part| !text.starts_with(part)),
            EndsWith => text(|text, part| text.ends_with(part)),
            NotEndsWith => text(|text, part| !text.ends_with(part)),
            ListContainsAny => Some(self.literals.iter().any(|value| self.has(cell, value))),
            ListContainsAll => Some(self.literals.iter().all(|value| self.has(cell, value))),
            Matches | IsNull | IsNotNull | IsEmpty | IsNotEmpty => unreachable!("answered above"),
        }
    }

    /// Whether a list has an element that equals the value.
    fn has(&self, list: &Cell, value: &Cell) -> bool {
        let Cell::List(elements) = list else {
            unreachable!("a list")
        };
        elements.iter().any(|element| {
            let element = match element {
                Cell::Null => return false,
                Cell::Text(text) => Cell::Text(folded(text, self.fold)),
                element => element.clone(),
            };
            compare(&element, value) == Some(Ordering::Equal)
        })
    }
}

fn folded(text: &str, fold: bool) -> String {
    if fold {
        text.chars().flat_map(char::to_lowercase).collect()
    } else {
        text.to_owned()
    }
}

/// The order of two values of one type; `None` where one is NaN.
fn compare(a: &Cell, b: &Cell) -> Option<Ordering> {
    match (a, b) {
        (Cell::Bool(a), Cell::Bool(b)) => Some(a.cmp(b)),
        (Cell::Int(a), Cell::Int(b)) => Some(a.cmp(b)),
        (Cell::Decimal(a), Cell::Decimal(b)) => Some(a.cmp(b)),
        (Cell::Float(a), Cell::Float(b)) => a.partial_cmp(b),
        (Cell::Text(a), Cell::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Cell::Date(a), Cell::Date(b)) => Some(a.cmp(b)),
        (Cell::Timestamp(a), Cell::Timestamp(b)) => Some(a.cmp(b)),
        (Cell::Time(a), Cell::Time(b)) => Some(a.cmp(b)),
        _ => unreachable!("compared {a:?} with {b:?}"),
    }
}

fn element_type(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => Some(element.data_type()),
        DataType::Dictionary(_, value) => element_type(value),
        _ => None,
    }
}
