//! Predicates that may be evaluated on rows before a policy hides them: they can neither fail nor
//! tell anything, because they only compare a column with literals of its own type.
//!
//! A query's predicates are judged as they are when they reach a table's scan. By then they were
//! coerced and simplified, so little of what people write looks as they wrote it:
//!
//! | written | arrives |
//! | --- | --- |
//! | `id = 5`, `id = '5'` on Int32 | `id = Int32(5)`: a cast of the column moves to the literal where it loses nothing |
//! | `id = 1.5`, `id < 99999999999` on Int32 | a cast of the column stays: not harmless |
//! | `f > 1` | `f > Float64(1)` on Float64; on Float32 a cast of the column stays |
//! | `name = 'x'` on Utf8View | `name = Utf8View("x")` |
//! | `day = '2024-01-01'`, `at >= TIMESTAMP '...'` | literals of the column's type, unit and zone |
//! | `at >= DATE '...'`, `CAST(at AS DATE) = ...` | a cast of the column stays |
//! | `id BETWEEN 1 AND 3` | `id >= 1 AND id <= 3`; `NOT BETWEEN` becomes `<` OR `>` |
//! | `id IN (1, 2, 3)` | up to three: `id = 1 OR id = 2 OR id = 3`; more stay a list |
//! | `name LIKE 'x'` | `name = 'x'` |
//! | `ok = true`, `ok = false`, `NOT ok` | `ok`, `NOT ok` |
//! | `id = $1` | a literal, once the parameter is bound |

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

/// Whether a predicate cannot fail and cannot reveal: a column compared with literals of its own
/// type, `IN` a list of them, `BETWEEN` two, `IS [NOT] NULL`, or `LIKE` with a literal prefix; and
/// AND and OR of such.
pub fn is_harmless(predicate: &Expr, schema: &Schema) -> bool {
    // Chains of OR can be long: no recursion.
    let mut open = vec![predicate];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And | Operator::Or,
                right,
            }) => open.extend([left.as_ref(), right.as_ref()]),
            test if is_test(test, schema) => {}
            _ => return false,
        }
    }
    true
}

/// One test of one column.
fn is_test(expr: &Expr, schema: &Schema) -> bool {
    let compares = |column: &Expr, literals: &[&Expr]| {
        column_type(column, schema).is_some_and(|data_type| {
            is_comparable(data_type)
                && literals
                    .iter()
                    .all(|literal| is_literal(literal, data_type))
        })
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            is_comparison(*op) && (compares(left, &[right]) || compares(right, &[left]))
        }
        Expr::InList(InList { expr, list, .. }) => compares(expr, &list.iter().collect::<Vec<_>>()),
        Expr::Between(Between {
            expr, low, high, ..
        }) => compares(expr, &[low, high]),
        Expr::Like(like) => is_prefix(like, schema),
        Expr::IsNull(column) | Expr::IsNotNull(column) => {
            column_type(column, schema).is_some_and(is_comparable)
        }
        Expr::Column(_) => is_boolean(expr, schema),
        Expr::Not(column)
        | Expr::IsTrue(column)
        | Expr::IsNotTrue(column)
        | Expr::IsFalse(column)
        | Expr::IsNotFalse(column)
        | Expr::IsUnknown(column)
        | Expr::IsNotUnknown(column) => is_boolean(column, schema),
        _ => false,
    }
}

/// The type of what is a column and nothing but a column.
fn column_type<'s>(expr: &Expr, schema: &'s Schema) -> Option<&'s DataType> {
    let Expr::Column(column) = expr else {
        return None;
    };
    let (_, field) = schema.column_with_name(&column.name)?;
    Some(field.data_type())
}

fn is_boolean(expr: &Expr, schema: &Schema) -> bool {
    column_type(expr, schema) == Some(&DataType::Boolean)
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
    )
}

/// Types whose values compare without a conversion: nothing nested, and no dictionaries, whose
/// keys have to be looked up.
fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(_, _) => true,
        other => other.is_numeric(),
    }
}

/// A value of exactly that type. A decimal of another scale, or a time of another unit or zone,
/// would have to be cast.
fn is_literal(expr: &Expr, data_type: &DataType) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null() && value.data_type() == *data_type)
}

/// `LIKE 'prefix%'`, without another wildcard and without an escape, which `\` always is.
fn is_prefix(like: &Like, schema: &Schema) -> bool {
    let Expr::Literal(pattern, _) = like.pattern.as_ref() else {
        return false;
    };
    let (ScalarValue::Utf8(Some(text))
    | ScalarValue::LargeUtf8(Some(text))
    | ScalarValue::Utf8View(Some(text))) = pattern
    else {
        return false;
    };
    !like.case_insensitive
        && like.escape_char.is_none()
        && column_type(&like.expr, schema) == Some(&pattern.data_type())
        && text
            .strip_suffix('%')
            .is_some_and(|prefix| !prefix.contains(['%', '_', '\\']))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::datatypes::{Field, TimeUnit};
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    use datafusion::logical_expr::{LogicalPlan, col, lit};
    use datafusion::prelude::SessionContext;

    use super::*;

    fn schema() -> Schema {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
        let at =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        Schema::new(
            [
                ("id", DataType::Int32),
                ("big", DataType::Int64),
                ("f", DataType::Float64),
                ("price", DataType::Decimal128(10, 2)),
                ("ok", DataType::Boolean),
                ("name", DataType::Utf8View),
                ("plain", DataType::Utf8),
                ("bytes", DataType::Binary),
                ("day", DataType::Date32),
                ("at", at(None)),
                ("instant", at(Some("UTC"))),
                ("kind", dictionary),
                ("list", list),
            ]
            .map(|(name, data_type)| Field::new(name, data_type, true))
            .to_vec(),
        )
    }

    /// What the optimizer leaves of a WHERE above the table's scan.
    async fn arrived(predicate: &str) -> Vec<Expr> {
        let context = SessionContext::new();
        context
            .register_batch("t", RecordBatch::new_empty(Arc::new(schema())))
            .unwrap();
        let frame = context
            .sql(&format!("SELECT * FROM t WHERE {predicate}"))
            .await
            .unwrap();
        let plan = frame.into_optimized_plan().unwrap();
        let mut found = Vec::new();
        plan.apply(|node| {
            if let LogicalPlan::Filter(filter) = node {
                found.push(filter.predicate.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        found
    }

    #[tokio::test]
    async fn only_comparisons_with_literals_of_the_column_are_harmless() {
        for (predicate, expected) in [
            ("id = 5", true),
            ("5 = id", true),
            ("id <> 5", true),
            ("id < 5", true),
            ("5 >= id", true),
            ("id = '5'", true),
            ("big > 9007199254740993", true),
            ("f >= 1.5", true),
            ("f <> 1", true),
            ("price = 12.5", true),
            ("price > 5", true),
            ("name = 'x'", true),
            ("plain < 'x'", true),
            ("name > plain", false),
            ("day = '2024-01-01'", true),
            ("day >= DATE '2024-01-01'", true),
            ("at < TIMESTAMP '2024-01-01T00:00:00'", true),
            ("id IN (1, 2)", true),
            ("id IN (1, 2, 3, 4, 5)", true),
            ("id NOT IN (1, 2, 3, 4, 5)", true),
            ("name IN ('a', 'b', 'c', 'd', 'e')", true),
            ("id BETWEEN 1 AND 3", true),
            ("id NOT BETWEEN 1 AND 3", true),
            ("day BETWEEN '2024-01-01' AND '2024-02-01'", true),
            ("name IS NULL", true),
            ("name IS NOT NULL", true),
            ("name LIKE 'abc%'", true),
            ("plain LIKE 'abc%'", true),
            ("name NOT LIKE 'abc%'", true),
            ("ok", true),
            ("NOT ok", true),
            ("ok = false", true),
            ("ok IS TRUE", true),
            ("ok IS NOT FALSE", true),
            ("ok IS UNKNOWN", true),
            ("id = 5 AND (name = 'x' OR day IS NULL)", true),
            // Something is computed, or fails, or depends on another column.
            ("id + 1 = 5", false),
            ("1 / id = 0", false),
            ("id = big", false),
            ("id = 1.5", false),
            ("id < 99999999999", false),
            ("CAST(name AS INT) > 0", false),
            ("CAST(at AS DATE) = DATE '2024-01-01'", false),
            ("lower(name) = 'x'", false),
            ("name LIKE '%abc'", false),
            ("name LIKE 'a_c%'", false),
            ("name LIKE 'a%c%'", false),
            ("name LIKE 'a\\%%'", false),
            ("name ILIKE 'abc%'", false),
            ("name LIKE plain", false),
            ("id IN (1, 2, 3, big)", false),
            ("random() > 0.5", false),
            ("id = 5 OR 1 / id = 0", false),
            ("id = 5 AND (name = 'x' OR CAST(name AS INT) = 1)", false),
            ("list IS NULL", false),
            ("kind = 'x'", false),
        ] {
            let schema = schema();
            let found = arrived(predicate).await;
            assert!(!found.is_empty(), "{predicate} left no filter");
            let harmless = found.iter().all(|expr| is_harmless(expr, &schema));
            assert_eq!(harmless, expected, "{predicate} arrived as {found:?}");
        }
    }

    #[test]
    fn literal_of_another_type_is_not_harmless() {
        let schema = schema();
        let decimal = |value, scale| lit(ScalarValue::Decimal128(Some(value), 10, scale));
        let micros = |zone: Option<&str>| {
            lit(ScalarValue::TimestampMicrosecond(
                Some(0),
                zone.map(Into::into),
            ))
        };
        let null = lit(ScalarValue::Int32(None));
        for (predicate, expected) in [
            (col("id").eq(lit(5_i32)), true),
            (col("id").eq(lit(5_i64)), false),
            (col("id").eq(null.clone()), false),
            (col("id").in_list(vec![lit(1_i32), null], false), false),
            (
                col("name").eq(lit(ScalarValue::Utf8View(Some("x".into())))),
                true,
            ),
            (col("name").eq(lit("x")), false),
            (col("price").gt(decimal(100, 2)), true),
            (col("price").gt(decimal(100, 1)), false),
            (col("at").gt(micros(None)), true),
            (col("at").gt(micros(Some("UTC"))), false),
            (col("instant").gt(micros(Some("UTC"))), true),
            (
                col("instant").gt(lit(ScalarValue::TimestampNanosecond(
                    Some(0),
                    Some("UTC".into()),
                ))),
                false,
            ),
            (col("missing").eq(lit(5_i32)), false),
            (col("missing").is_null(), false),
            (col("id"), false),
            (lit(true), false),
        ] {
            assert_eq!(is_harmless(&predicate, &schema), expected, "{predicate}");
        }
    }
}
