//! Conditions: what a reader may leave rows out for.
//!
//! A condition is a hint. A reader gives at least the rows for which all of them are true, and
//! may give others: whoever asked checks again.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

/// A test of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// The column's index in the schema.
    pub(super) column: usize,
    /// What holds of its value.
    pub(super) test: Test,
}

/// What holds of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    IsNull,
    IsNotNull,
    /// It equals one of these.
    OneOf(Vec<Value>),
    /// It lies on that side of this.
    Side(Side, Value),
}

/// A side of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Below,
    UpTo,
    From,
    Above,
}

impl Side {
    /// The operator that stands between the column and the value.
    pub(super) fn operator(self) -> &'static str {
        match self {
            Side::Below => "<",
            Side::UpTo => "<=",
            Side::From => ">=",
            Side::Above => ">",
        }
    }
}

/// A value of the column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Boolean(bool),
    Integer(i64),
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00, in UTC if the column has a zone.
    Moment(i64),
}

/// The conditions in some filters that have to be true together. What is not known is left out.
pub(super) fn conditions(filters: &[Expr], schema: &Schema) -> Vec<Condition> {
    filters
        .iter()
        .flat_map(|filter| joined_by(filter, Operator::And))
        .flat_map(|part| known(part, schema))
        .collect()
}

/// The parts of a chain of ANDs or ORs. Such chains can be long: no recursion.
fn joined_by(expr: &Expr, by: Operator) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == by => {
                open.extend([right.as_ref(), left.as_ref()]);
            }
            part => parts.push(part),
        }
    }
    parts
}

fn known(expr: &Expr, schema: &Schema) -> Vec<Condition> {
    if let Expr::Between(Between {
        expr,
        negated: false,
        low,
        high,
    }) = expr
    {
        return [(Side::From, low), (Side::UpTo, high)]
            .into_iter()
            .filter_map(|(side, bound)| {
                let (column, data_type) = column(expr, schema)?;
                let test = Test::Side(side, value(bound, data_type)?);
                Some(Condition { column, test })
            })
            .collect();
    }
    let parts = joined_by(expr, Operator::Or);
    let one = match parts.as_slice() {
        [part] => single(part, schema),
        parts => one_of(parts, schema),
    };
    one.into_iter().collect()
}

/// `a = 1 OR a = 2`, as a short list arrives.
fn one_of(parts: &[&Expr], schema: &Schema) -> Option<Condition> {
    let mut all = Vec::new();
    let mut of = None;
    for part in parts {
        let Condition {
            column,
            test: Test::OneOf(values),
        } = single(part, schema)?
        else {
            return None;
        };
        if *of.get_or_insert(column) != column {
            return None;
        }
        all.extend(values);
    }
    Some(Condition {
        column: of?,
        test: Test::OneOf(all),
    })
}

fn single(expr: &Expr, schema: &Schema) -> Option<Condition> {
    let is = |expr: &Expr, truth: bool| {
        let (column, data_type) = column(expr, schema)?;
        let test = Test::OneOf(vec![Value::Boolean(truth)]);
        (*data_type == DataType::Boolean).then_some(Condition { column, test })
    };
    match expr {
        Expr::Column(_) => is(expr, true),
        Expr::IsTrue(inner) => is(inner, true),
        Expr::Not(inner) | Expr::IsFalse(inner) => is(inner, false),
        Expr::IsNull(inner) => Some(Condition {
            column: column(inner, schema)?.0,
            test: Test::IsNull,
        }),
        Expr::IsNotNull(inner) => Some(Condition {
            column: column(inner, schema)?.0,
            test: Test::IsNotNull,
        }),
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => {
            let (column, data_type) = column(expr, schema)?;
            let values = list
                .iter()
                .map(|item| value(item, data_type))
                .collect::<Option<Vec<_>>>()?;
            Some(Condition {
                column,
                test: Test::OneOf(values),
            })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (of, op, literal) = match column(left, schema) {
                Some(of) => (of, *op, right),
                None => (column(right, schema)?, op.swap()?, left),
            };
            let (column, data_type) = of;
            let value = value(literal, data_type)?;
            let test = match op {
                Operator::Eq => Test::OneOf(vec![value]),
                Operator::Lt => Test::Side(Side::Below, value),
                Operator::LtEq => Test::Side(Side::UpTo, value),
                Operator::GtEq => Test::Side(Side::From, value),
                Operator::Gt => Test::Side(Side::Above, value),
                _ => return None,
            };
            Some(Condition { column, test })
        }
        _ => None,
    }
}

fn column<'s>(expr: &Expr, schema: &'s Schema) -> Option<(usize, &'s DataType)> {
    let Expr::Column(column) = expr else {
        return None;
    };
    let (at, field) = schema.column_with_name(&column.name)?;
    Some((at, field.data_type()))
}

/// A literal of exactly that type, if the databases have it. Floats and decimals are left out:
/// they compare otherwise there.
fn value(expr: &Expr, data_type: &DataType) -> Option<Value> {
    let Expr::Literal(literal, _) = expr else {
        return None;
    };
    if literal.data_type() != *data_type {
        return None;
    }
    match literal {
        ScalarValue::Boolean(Some(truth)) => Some(Value::Boolean(*truth)),
        ScalarValue::Int16(Some(number)) => Some(Value::Integer((*number).into())),
        ScalarValue::Int32(Some(number)) => Some(Value::Integer((*number).into())),
        ScalarValue::Int64(Some(number)) => Some(Value::Integer(*number)),
        ScalarValue::Utf8View(Some(text)) => Some(Value::Text(text.clone())),
        ScalarValue::Date32(Some(days)) => Some(Value::Date(*days)),
        ScalarValue::TimestampMicrosecond(Some(micros), _)
            if matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) =>
        {
            Some(Value::Moment(*micros))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Int32, true),
            Field::new("name", DataType::Utf8View, true),
            Field::new("ok", DataType::Boolean, true),
            Field::new("f", DataType::Float64, true),
        ])
    }

    fn one_of(column: usize, values: &[i64]) -> Condition {
        let values = values.iter().map(|n| Value::Integer(*n)).collect();
        let test = Test::OneOf(values);
        Condition { column, test }
    }

    fn side(side: Side, value: i64) -> Condition {
        let test = Test::Side(side, Value::Integer(value));
        Condition { column: 0, test }
    }

    fn is(column: usize, test: Test) -> Condition {
        Condition { column, test }
    }

    #[test]
    fn what_is_known_becomes_conditions() {
        let five = || lit(5_i32);
        let text = |text: &str| lit(ScalarValue::Utf8View(Some(text.into())));
        let truth = |truth| is(2, Test::OneOf(vec![Value::Boolean(truth)]));
        for (filter, expected) in [
            (col("id").eq(five()), vec![one_of(0, &[5])]),
            (col("t.id").eq(five()), vec![one_of(0, &[5])]),
            (five().lt(col("id")), vec![side(Side::Above, 5)]),
            (col("id").lt_eq(five()), vec![side(Side::UpTo, 5)]),
            (
                col("id").between(lit(1_i32), five()),
                vec![side(Side::From, 1), side(Side::UpTo, 5)],
            ),
            (
                col("id").in_list(vec![lit(1_i32), five()], false),
                vec![one_of(0, &[1, 5])],
            ),
            (
                col("id")
                    .eq(lit(1_i32))
                    .or(col("id").eq(five()))
                    .or(col("id").eq(lit(7_i32))),
                vec![one_of(0, &[1, 5, 7])],
            ),
            (
                col("id").gt(lit(1_i32)).and(col("name").is_null()),
                vec![side(Side::Above, 1), is(1, Test::IsNull)],
            ),
            (col("f").is_not_null(), vec![is(3, Test::IsNotNull)]),
            (
                col("name").eq(text("x")),
                vec![is(1, Test::OneOf(vec![Value::Text("x".into())]))],
            ),
            (col("ok"), vec![truth(true)]),
            (!col("ok"), vec![truth(false)]),
            // Of an AND the known part, of an OR all or nothing.
            (
                col("id").eq(five()).and(col("f").gt(lit(1.0))),
                vec![one_of(0, &[5])],
            ),
            (col("id").eq(five()).or(col("f").gt(lit(1.0))), vec![]),
            (col("id").eq(five()).or(col("ok")), vec![]),
            (col("id").lt(lit(1_i32)).or(col("id").gt(five())), vec![]),
            // Another type, another operator, another shape.
            (col("id").eq(lit(5_i64)), vec![]),
            (col("id").eq(lit(ScalarValue::Int32(None))), vec![]),
            (col("id").not_eq(five()), vec![]),
            (col("id").in_list(vec![five()], true), vec![]),
            (col("id").not_between(lit(1_i32), five()), vec![]),
            (col("name").like(text("x%")), vec![]),
            ((col("id") + five()).eq(five()), vec![]),
            (col("missing").eq(five()), vec![]),
        ] {
            let found = conditions(std::slice::from_ref(&filter), &schema());
            assert_eq!(found, expected, "{filter}");
        }
    }
}
