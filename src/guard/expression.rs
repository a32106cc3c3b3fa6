//! Plans as DataFusion expressions: its own where it has them (they can be pushed into a scan),
//! ours where it has not.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column as ColumnExpr, IsNotNullExpr, IsNullExpr, in_list, lit,
};

use super::compile::element_type;
use super::leaf::{FoldedSet, Leaf, Patterns, StructField, Test, ValueTest, single_column_schema};
use super::ordinal::{Intervals, Ordinal, Zero, scalar};
use super::plan::{Column, Plan, Values};

/// More ranges than this are searched by halving instead of one after the other.
const RANGES_IN_TURN: usize = 3;

/// What judges a row.
#[derive(Clone, Debug)]
pub(super) enum Judge {
    /// Every row passes, or none.
    Always(bool),
    /// The rows pass for which the expression is TRUE.
    Where(Arc<dyn PhysicalExpr>),
}

type Expr = Arc<dyn PhysicalExpr>;

/// A plan as an expression over the columns `inputs` of the schema.
pub(super) fn express(plan: &Plan, schema: &Schema, inputs: &[usize]) -> Result<Judge> {
    let schema = schema.project(inputs)?;
    Ok(match plan {
        Plan::Always(constant) => Judge::Always(*constant),
        other => Judge::Where(
            Scope {
                schema: &schema,
                inputs,
            }
            .plan(other)?,
        ),
    })
}

struct Scope<'a> {
    /// The columns that are read.
    schema: &'a Schema,
    /// Their indices in the model's schema.
    inputs: &'a [usize],
}

impl Scope<'_> {
    fn plan(&self, plan: &Plan) -> Result<Expr> {
        match plan {
            Plan::Always(constant) => Ok(lit(*constant)),
            Plan::All(parts) => self.joined(parts, Operator::And),
            Plan::Any(parts) => self.joined(parts, Operator::Or),
            Plan::Values(column, values) => {
                let expr = self.column(column)?;
                match &column.data_type {
                    DataType::Dictionary(_, data_type) => looked_up(expr, data_type, values),
                    data_type => express_values(expr, data_type, values, self.schema),
                }
            }
        }
    }

    fn joined(&self, parts: &[Plan], operator: Operator) -> Result<Expr> {
        let parts = parts
            .iter()
            .map(|part| self.plan(part))
            .collect::<Result<Vec<_>>>()?;
        Ok(balanced(parts, operator).unwrap_or_else(|| lit(operator == Operator::And)))
    }

    fn column(&self, column: &Column) -> Result<Expr> {
        let lost = || internal_datafusion_err!("a column left the schema while it was compiled");
        let index = self
            .inputs
            .iter()
            .position(|i| *i == column.root)
            .ok_or_else(lost)?;
        let field = self.schema.fields().get(index).ok_or_else(lost)?;
        let mut expr: Expr = Arc::new(ColumnExpr::new(field.name(), index));
        let mut data_type = field.data_type();
        for child in &column.children {
            let DataType::Struct(fields) = data_type else {
                return Err(lost());
            };
            let field = fields.get(*child).ok_or_else(lost)?;
            expr = Arc::new(StructField::new(expr, *child, field));
            data_type = field.data_type();
        }
        Ok(expr)
    }
}

/// Joins expressions as a balanced tree, so that a thousand of them nest ten deep.
fn balanced(mut parts: Vec<Expr>, operator: Operator) -> Option<Expr> {
    while parts.len() > 1 {
        let mut joined = Vec::with_capacity(parts.len().div_ceil(2));
        let mut pairs = parts.into_iter();
        while let Some(left) = pairs.next() {
            joined.push(match pairs.next() {
                Some(right) => binary(left, operator, right),
                None => left,
            });
        }
        parts = joined;
    }
    parts.pop()
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Arc::new(BinaryExpr::new(left, operator, right))
}

/// The values of a dictionary are judged once each, not once a row.
fn looked_up(expr: Expr, data_type: &DataType, values: &Values) -> Result<Expr> {
    let schema = single_column_schema(data_type);
    let column: Expr = Arc::new(ColumnExpr::new("value", 0));
    let nulls = match values {
        Values::Ordinals { nulls, .. }
        | Values::Texts { nulls, .. }
        | Values::Presence { nulls, .. } => *nulls,
        _ => false,
    };
    let values = ValueTest(express_values(column, data_type, values, &schema)?);
    Ok(Arc::new(Leaf::new(
        expr,
        Test::Dictionary { values, nulls },
    )))
}

fn express_values(
    column: Expr,
    data_type: &DataType,
    values: &Values,
    schema: &Schema,
) -> Result<Expr> {
    let leaf = |test| -> Expr { Arc::new(Leaf::new(Arc::clone(&column), test)) };
    Ok(match values {
        Values::Ordinals {
            nulls,
            nans,
            set,
            domain,
        } => {
            let present = match (nans, set.is_empty()) {
                (true, _) => Some(not_null(&column)),
                (false, true) => None,
                (false, false) => Some(
                    Ordinals {
                        column: &column,
                        data_type,
                        domain: *domain,
                        schema,
                    }
                    .within(set)?,
                ),
            };
            or_null(&column, *nulls, present)
        }
        Values::Texts {
            nulls,
            fold,
            complement,
            set,
        } => {
            let present = match (set.is_empty(), complement) {
                (true, true) => Some(not_null(&column)),
                (true, false) => None,
                _ if *fold => Some(leaf(Test::Folded {
                    texts: FoldedSet::new(set.iter().cloned()),
                    negated: *complement,
                })),
                _ => {
                    let texts = set
                        .iter()
                        .map(|text| text_scalar(data_type, text))
                        .collect();
                    Some(listed(&column, texts, *complement, schema)?)
                }
            };
            or_null(&column, *nulls, present)
        }
        Values::Patterns {
            fold,
            negated,
            patterns,
        } => {
            let patterns = Patterns::new(patterns.iter().cloned().collect(), *fold)
                .map_err(|error| internal_datafusion_err!("patterns do not combine: {error}"))?;
            leaf(Test::Text {
                patterns,
                negated: *negated,
            })
        }
        Values::Presence { nulls, values } => {
            or_null(&column, *nulls, values.then(|| not_null(&column)))
        }
        Values::EmptyList { negated } => leaf(Test::EmptyList { negated: *negated }),
        Values::Lists { negated, each } => {
            let lost = || internal_datafusion_err!("{data_type} has no elements");
            let element = element_type(data_type).ok_or_else(lost)?;
            let schema = single_column_schema(element);
            let each = each.iter().map(|values| {
                let column: Expr = Arc::new(ColumnExpr::new("value", 0));
                Ok(ValueTest(match element {
                    DataType::Dictionary(_, data_type) => looked_up(column, data_type, values)?,
                    _ => express_values(column, element, values, &schema)?,
                }))
            });
            leaf(Test::List {
                each: each.collect::<Result<_>>()?,
                negated: *negated,
            })
        }
    })
}

fn not_null(column: &Expr) -> Expr {
    Arc::new(IsNotNullExpr::new(Arc::clone(column)))
}

fn or_null(column: &Expr, nulls: bool, present: Option<Expr>) -> Expr {
    match (nulls, present) {
        (false, Some(present)) => present,
        (false, None) => lit(false),
        (true, None) => Arc::new(IsNullExpr::new(Arc::clone(column))),
        (true, Some(present)) => binary(
            Arc::new(IsNullExpr::new(Arc::clone(column))),
            Operator::Or,
            present,
        ),
    }
}

fn text_scalar(data_type: &DataType, text: &str) -> ScalarValue {
    let text = Some(text.to_owned());
    match data_type {
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(text),
        DataType::Utf8View => ScalarValue::Utf8View(text),
        _ => ScalarValue::Utf8(text),
    }
}

/// `column = value`, or `column IN (values)`; with `negated` the opposite.
fn listed(
    column: &Expr,
    mut values: Vec<ScalarValue>,
    negated: bool,
    schema: &Schema,
) -> Result<Expr> {
    if values.len() == 1
        && let Some(value) = values.pop()
    {
        let operator = if negated {
            Operator::NotEq
        } else {
            Operator::Eq
        };
        return Ok(binary(Arc::clone(column), operator, lit(value)));
    }
    in_list(
        Arc::clone(column),
        values.into_iter().map(lit).collect(),
        &negated,
        schema,
    )
}

struct Ordinals<'a> {
    column: &'a Expr,
    data_type: &'a DataType,
    domain: (Ordinal, Ordinal),
    schema: &'a Schema,
}

impl Ordinals<'_> {
    /// A non-empty set of values that are neither NULL nor NaN.
    fn within(&self, set: &Intervals) -> Result<Expr> {
        let float = self.data_type.is_floating();
        if let Some(points) = set.as_points() {
            return listed(self.column, self.scalars(&points)?, false, self.schema);
        }
        if let Some(points) = set.complement(self.domain).as_points() {
            let all = self.range(self.domain.0, self.domain.1)?;
            if points.is_empty() {
                return Ok(all);
            }
            let others = listed(self.column, self.scalars(&points)?, true, self.schema)?;
            // NaN is none of the points either.
            return Ok(if float {
                binary(all, Operator::And, others)
            } else {
                others
            });
        }
        if set.pieces().len() > RANGES_IN_TURN {
            let test = Test::Ranges(set.pieces().to_vec());
            return Ok(Arc::new(Leaf::new(Arc::clone(self.column), test)));
        }
        let ranges = set
            .pieces()
            .iter()
            .map(|(low, high)| self.range(*low, *high));
        let ranges = ranges.collect::<Result<Vec<_>>>()?;
        Ok(balanced(ranges, Operator::Or).unwrap_or_else(|| lit(false)))
    }

    fn scalar(&self, ordinal: Ordinal, zero: Zero) -> Result<ScalarValue> {
        scalar(self.data_type, ordinal, zero)
            .ok_or_else(|| internal_datafusion_err!("no literal of type {}", self.data_type))
    }

    /// The values of points; both zeros for a float zero.
    fn scalars(&self, points: &[Ordinal]) -> Result<Vec<ScalarValue>> {
        let mut values = Vec::with_capacity(points.len() + 1);
        for point in points {
            values.push(self.scalar(*point, Zero::Positive)?);
            if self.data_type.is_floating() && *point == Ordinal::ZERO {
                values.push(self.scalar(*point, Zero::Negative)?);
            }
        }
        Ok(values)
    }

    /// From `low` to `high`. An end of the type's own range needs no test, except that floats
    /// are always bounded on both sides: Arrow's kernels put NaN beyond the infinities.
    fn range(&self, low: Ordinal, high: Ordinal) -> Result<Expr> {
        let float = self.data_type.is_floating();
        let bound = |operator, value| binary(Arc::clone(self.column), operator, lit(value));
        if low == high && !float {
            return Ok(bound(Operator::Eq, self.scalar(low, Zero::Positive)?));
        }
        let mut ends = Vec::with_capacity(2);
        if float || low > self.domain.0 {
            ends.push(bound(Operator::GtEq, self.scalar(low, Zero::Negative)?));
        }
        if float || high < self.domain.1 {
            ends.push(bound(Operator::LtEq, self.scalar(high, Zero::Positive)?));
        }
        Ok(balanced(ends, Operator::And).unwrap_or_else(|| not_null(self.column)))
    }
}
