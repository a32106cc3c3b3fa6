//! Refuses plans that build values without bound.
//!
//! The memory pool sees what operators gather, and not the batch that an expression makes: thirty
//! levels of `x || x` make a thousand million copies of `x` in one. So before a plan is optimised
//! it is told how large its values can become, as a multiple of the values that its tables hold
//! and as bytes that its own literals and numbers add. It is told, too, how large an expression
//! becomes when columns are replaced by what they stand for, as the optimiser does.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::common::{Column, DFSchema, Result as EngineResult, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, WindowFunctionDefinition};

use super::fault::{FaultKind, QueryFault, planning};
use super::gate::subquery;
use super::{Bounds, calls};

/// How often a value of a table may be repeated in one value, and in the new values of one row.
pub(super) const MOST_COPIES: u64 = 256;
/// The same for what `string_agg` and `array_agg` gather, which may be large to begin with.
const MOST_COPIES_GATHERED: u64 = 16;
/// What each column that comes in adds to the copies that a row may have.
const COPIES_FOR_EACH_COLUMN: u64 = 8;
/// Bytes that literals and numbers may add to a batch, where queries have less memory than that.
const LEAST_BATCH_BYTES: u64 = 64 << 20;
/// How much larger than a plan its expressions may become.
const MOST_UNFOLDED: u64 = 4;

/// How large a value can become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Copies of a value of a table.
    pub(super) copies: u64,
    /// Bytes beside those.
    pub(super) bytes: u64,
    /// Expressions that it takes to compute it from columns of tables.
    pub(super) unfolded: u64,
    /// Whether it may differ from row to row.
    pub(super) varies: bool,
    /// Whether values of many rows are gathered in it.
    pub(super) gathered: bool,
}

impl Size {
    /// A value of a table.
    const CELL: Size = Size {
        copies: 1,
        bytes: 0,
        unfolded: 1,
        varies: true,
        gathered: false,
    };
    /// What nothing is known of: any copy of it is one too many.
    const UNKNOWN: Size = Size {
        copies: MOST_COPIES,
        ..Size::CELL
    };

    /// All of them in one value.
    pub(super) fn sum(parts: &[Size]) -> Size {
        parts.iter().fold(Size::default(), |sum, part| Size {
            copies: sum.copies.saturating_add(part.copies),
            bytes: sum.bytes.saturating_add(part.bytes),
            ..sum.beside(*part)
        })
    }

    /// One of them.
    pub(super) fn largest(parts: &[Size]) -> Size {
        parts.iter().fold(Size::default(), |most, part| Size {
            copies: most.copies.max(part.copies),
            bytes: most.bytes.max(part.bytes),
            ..most.beside(*part)
        })
    }

    /// A value of few bytes that is computed from them.
    pub(super) fn small(parts: &[Size], bytes: u64) -> Size {
        Size {
            copies: 0,
            bytes,
            gathered: false,
            ..Size::sum(parts)
        }
    }

    /// The same value so many times.
    pub(super) fn times(self, times: u64) -> Size {
        Size {
            copies: self.copies.saturating_mul(times),
            bytes: self.bytes.saturating_mul(times),
            ..self
        }
    }

    /// The same value and some bytes.
    pub(super) fn and(self, bytes: u64) -> Size {
        Size {
            bytes: self.bytes.saturating_add(bytes),
            ..self
        }
    }

    fn beside(self, other: Size) -> Size {
        Size {
            unfolded: self.unfolded.saturating_add(other.unfolded),
            varies: self.varies || other.varies,
            gathered: self.gathered || other.gathered,
            ..self
        }
    }
}

/// Refuses a plan whose values or expressions can become too large.
pub(super) fn check(plan: &LogicalPlan, bounds: &Bounds) -> Result<(), QueryFault> {
    columns(plan, None, bounds).map(drop)
}

/// The columns that expressions can name: those of the inputs of an operator, and, in a subquery,
/// those of the operators around it.
struct Scope<'a> {
    inputs: Vec<(&'a DFSchema, &'a [Size])>,
    around: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn find(&self, column: &Column) -> Option<Size> {
        self.inputs.iter().find_map(|(schema, sizes)| {
            let index = schema.maybe_index_of_column(column)?;
            sizes.get(index).copied()
        })
    }

    fn find_around(&self, column: &Column) -> Option<Size> {
        let around = self.around?;
        around.find(column).or_else(|| around.find_around(column))
    }
}

/// How large the columns of a plan can become. It recurses as deep as the plan, which is bounded.
fn columns(
    plan: &LogicalPlan,
    around: Option<&Scope<'_>>,
    bounds: &Bounds,
) -> Result<Vec<Size>, QueryFault> {
    let mut inputs: Vec<(&DFSchema, Vec<Size>)> = Vec::new();
    for input in plan.inputs() {
        // A lateral subquery names columns of what stands before it.
        let scope = Scope {
            inputs: borrowed(&inputs),
            around,
        };
        let sizes = columns(input, Some(&scope), bounds)?;
        inputs.push((input.schema(), sizes));
    }
    let rows = plan
        .max_rows()
        .map_or(bounds.batch_rows, |rows| rows.min(bounds.batch_rows));
    let scope = Scope {
        inputs: borrowed(&inputs),
        around,
    };
    let mut sizes = Vec::new();
    let mut fault = None;
    plan.apply_expressions(|expr| {
        let mut walk = Walk {
            scope: &scope,
            bounds,
            rows: rows as u64,
            open: vec![Vec::new()],
            fault: None,
        };
        expr.visit(&mut walk)?;
        fault = walk.fault;
        sizes.extend(walk.open.pop().and_then(|last| last.first().copied()));
        Ok(match fault {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })
    .map_err(planning)?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    let incoming: Vec<Size> = inputs
        .iter()
        .flat_map(|(_, sizes)| sizes)
        .copied()
        .collect();
    if matches!(plan, LogicalPlan::Join(_)) && incoming.iter().any(|size| size.gathered) {
        return Err(too_complex(
            "what string_agg or array_agg gathers cannot be joined to other rows, since each of \
             them would hold it: join first, and gather then"
                .to_owned(),
        ));
    }
    let outgoing = outgoing(plan, &inputs, &incoming, sizes);
    bound_row(plan, &incoming, &outgoing, rows as u64, bounds)?;
    Ok(outgoing)
}

fn borrowed<'a>(inputs: &'a [(&'a DFSchema, Vec<Size>)]) -> Vec<(&'a DFSchema, &'a [Size])> {
    inputs
        .iter()
        .map(|(schema, sizes)| (*schema, sizes.as_slice()))
        .collect()
}

/// The columns that an operator hands on, from those that it takes and its expressions.
fn outgoing(
    plan: &LogicalPlan,
    inputs: &[(&DFSchema, Vec<Size>)],
    incoming: &[Size],
    expressions: Vec<Size>,
) -> Vec<Size> {
    let fields = plan.schema().fields();
    let anything = || Size::largest(&[incoming, expressions.as_slice()].concat());
    let mut sizes = match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) => {
            vec![Size::CELL; fields.len()]
        }
        LogicalPlan::Projection(_) => expressions.clone(),
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.group_expr.len();
            expressions
                .iter()
                .enumerate()
                .map(|(index, size)| Size {
                    unfolded: if index < groups { size.unfolded } else { 1 },
                    ..*size
                })
                .collect()
        }
        LogicalPlan::Window(_) => incoming
            .iter()
            .copied()
            .chain(expressions.iter().map(|size| Size {
                unfolded: 1,
                ..*size
            }))
            .collect(),
        LogicalPlan::Limit(_) => incoming
            .iter()
            .map(|size| Size {
                unfolded: 1,
                ..*size
            })
            .collect(),
        LogicalPlan::Union(_) => (0..fields.len())
            .map(|index| {
                let each: Vec<Size> = inputs
                    .iter()
                    .filter_map(|(_, sizes)| sizes.get(index).copied())
                    .collect();
                Size::largest(&each)
            })
            .collect(),
        LogicalPlan::Values(_) => (0..fields.len())
            .map(|index| {
                let columns = fields.len().max(1);
                let each: Vec<Size> = expressions
                    .iter()
                    .skip(index)
                    .step_by(columns)
                    .copied()
                    .collect();
                Size {
                    unfolded: 1,
                    varies: true,
                    ..Size::largest(&each)
                }
            })
            .collect(),
        LogicalPlan::Unnest(unnest) => unnest
            .dependency_indices
            .iter()
            .map(|index| incoming.get(*index).copied().unwrap_or(Size::UNKNOWN))
            .collect(),
        // A semi join hands on one side.
        LogicalPlan::Join(_) if fields.len() < incoming.len() => inputs
            .iter()
            .map(|(_, sizes)| sizes)
            .find(|sizes| sizes.len() == fields.len())
            .cloned()
            .unwrap_or_default(),
        _ => incoming.to_vec(),
    };
    if sizes.len() != fields.len() {
        sizes = vec![anything(); fields.len()];
    }
    for (size, field) in sizes.iter_mut().zip(fields) {
        if is_small(field.data_type()) {
            *size = Size {
                copies: 0,
                bytes: 0,
                gathered: false,
                ..*size
            };
        }
    }
    sizes
}

/// Whether all values of a type take the same few bytes.
pub(super) fn is_small(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_small(values),
        other => other.is_primitive() || matches!(other, DataType::Boolean | DataType::Null),
    }
}

/// Bounds a row of an operator as a whole: many values may be as bad as a large one.
fn bound_row(
    plan: &LogicalPlan,
    incoming: &[Size],
    outgoing: &[Size],
    rows: u64,
    bounds: &Bounds,
) -> Result<(), QueryFault> {
    let new: Vec<Size> = match plan {
        LogicalPlan::Projection(projection) => outgoing
            .iter()
            .zip(&projection.expr)
            .filter(|(_, expr)| !matches!(expr, Expr::Column(_)))
            .map(|(size, _)| *size)
            .collect(),
        _ => Vec::new(),
    };
    let most = (incoming.len() as u64)
        .saturating_mul(COPIES_FOR_EACH_COLUMN)
        .saturating_add(MOST_COPIES);
    let new = Size::sum(&new);
    if new.copies > most {
        return Err(too_many_copies(most));
    }
    bound_bytes(Size::sum(outgoing).bytes, rows, bounds)
}

fn bound_bytes(bytes: u64, rows: u64, bounds: &Bounds) -> Result<(), QueryFault> {
    let most = (bounds.memory_bytes as u64).max(LEAST_BATCH_BYTES) / rows.max(1);
    if bytes > most {
        return Err(too_complex(format!(
            "literals, repeat, lpad, rpad and their like make rows of more than {most} bytes: use \
             shorter ones"
        )));
    }
    Ok(())
}

/// Walks an expression from its leaves up.
struct Walk<'a> {
    scope: &'a Scope<'a>,
    bounds: &'a Bounds,
    rows: u64,
    /// The parts of each expression that is being walked, as far as they are known.
    open: Vec<Vec<Size>>,
    fault: Option<QueryFault>,
}

impl<'n> TreeNodeVisitor<'n> for Walk<'_> {
    type Node = Expr;

    fn f_down(&mut self, _expr: &'n Expr) -> EngineResult<TreeNodeRecursion> {
        self.open.push(Vec::new());
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, expr: &'n Expr) -> EngineResult<TreeNodeRecursion> {
        let parts = self.open.pop().unwrap_or_default();
        match self.size(expr, &parts) {
            Ok(size) => {
                if let Some(around) = self.open.last_mut() {
                    around.push(size);
                }
                Ok(TreeNodeRecursion::Continue)
            }
            Err(fault) => {
                self.fault = Some(fault);
                Ok(TreeNodeRecursion::Stop)
            }
        }
    }
}

impl Walk<'_> {
    fn size(&self, expr: &Expr, parts: &[Size]) -> Result<Size, QueryFault> {
        let mut size = self.unbounded(expr, parts)?;
        if parts.is_empty() {
            // A leaf is not built here.
            return Ok(size);
        }
        if !matches!(expr, Expr::Alias(_)) {
            size.unfolded = size.unfolded.saturating_add(1);
        }
        let most = (self.bounds.plan_nodes as u64).saturating_mul(MOST_UNFOLDED);
        if size.unfolded > most {
            return Err(too_complex(format!(
                "a column stands for more than {most} expressions, since each level of subqueries \
                 names that of the level below more than once: name it once, or compute less"
            )));
        }
        let most = if size.gathered {
            MOST_COPIES_GATHERED
        } else {
            MOST_COPIES
        };
        if size.copies > most {
            return Err(too_many_copies(most));
        }
        bound_bytes(size.bytes, self.rows, self.bounds)?;
        Ok(size)
    }

    fn unbounded(&self, expr: &Expr, parts: &[Size]) -> Result<Size, QueryFault> {
        Ok(match expr {
            Expr::Column(column) => self.scope.find(column).unwrap_or(Size::CELL),
            Expr::OuterReferenceColumn(field, column) => {
                let size = self.scope.find_around(column).unwrap_or(Size::UNKNOWN);
                if is_small(field.data_type()) {
                    Size::small(&[size], 0)
                } else {
                    size
                }
            }
            Expr::Literal(value, _) => Size {
                bytes: literal_bytes(value),
                unfolded: 1,
                ..Size::default()
            },
            Expr::Placeholder(_) => Size {
                unfolded: 1,
                ..Size::default()
            },
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::StringConcat => Size::sum(parts),
                Operator::RegexMatch
                | Operator::RegexIMatch
                | Operator::RegexNotMatch
                | Operator::RegexNotIMatch => {
                    calls::constant_pattern(parts.get(1))?;
                    Size::small(parts, 0)
                }
                Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::Plus
                | Operator::Minus
                | Operator::Multiply
                | Operator::Divide
                | Operator::Modulo
                | Operator::And
                | Operator::Or
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom => Size::small(parts, 0),
                _ => Size::sum(parts),
            },
            Expr::SimilarTo(_) => {
                calls::constant_pattern(parts.get(1))?;
                Size::small(parts, 0)
            }
            Expr::Like(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Between(_)
            | Expr::InList(_) => Size::small(parts, 0),
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                self.subquery(expr)?;
                Size::small(&[parts, &[Size::CELL]].concat(), 0)
            }
            Expr::ScalarSubquery(_) => {
                let size = self.subquery(expr)?;
                if size.gathered && self.rows > 1 {
                    return Err(too_complex(
                        "what string_agg or array_agg gathers in a subquery cannot stand in each \
                         row: select it alone"
                            .to_owned(),
                    ));
                }
                size
            }
            Expr::Cast(cast) => cast_to(cast.field.data_type(), parts),
            Expr::TryCast(cast) => cast_to(cast.field.data_type(), parts),
            Expr::Case(_) => Size::largest(parts),
            Expr::ScalarFunction(call) => calls::size(call, parts)?,
            Expr::AggregateFunction(call) => {
                let most = Size::largest(parts);
                let gathers = calls::gathers(call.func.name());
                Size {
                    copies: if gathers {
                        most.copies.max(1)
                    } else {
                        most.copies
                    },
                    gathered: most.gathered || gathers,
                    varies: true,
                    ..most
                }
            }
            Expr::WindowFunction(call) => {
                let name = match &call.fun {
                    WindowFunctionDefinition::AggregateUDF(function) => function.name(),
                    WindowFunctionDefinition::WindowUDF(function) => function.name(),
                };
                if calls::is_slow_over_rows(name) {
                    return Err(too_complex(format!(
                        "{name} OVER (...) would go through all rows for each row: use GROUP BY"
                    )));
                }
                if calls::gathers(name) || parts.iter().any(|part| part.gathered) {
                    return Err(too_complex(format!(
                        "{name} OVER (...) would hold the values of all rows in each row: use \
                         GROUP BY"
                    )));
                }
                Size {
                    varies: true,
                    ..Size::largest(parts)
                }
            }
            _ => Size::sum(parts),
        })
    }

    /// The largest column of a subquery.
    fn subquery(&self, expr: &Expr) -> Result<Size, QueryFault> {
        let Some(plan) = subquery(expr) else {
            return Ok(Size::UNKNOWN);
        };
        let sizes = columns(&plan, Some(self.scope), self.bounds)?;
        Ok(Size {
            varies: true,
            ..Size::largest(&sizes)
        })
    }
}

fn cast_to(data_type: &DataType, parts: &[Size]) -> Size {
    if is_small(data_type) {
        return Size::small(parts, 0);
    }
    let size = Size::sum(parts);
    match data_type {
        // The text of a number, a date or a decimal.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if size.copies == 0 => {
            size.and(64)
        }
        other => size.and(declared_bytes(other)),
    }
}

/// Bytes that a type takes whatever the value.
fn declared_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeBinary(bytes) => u64::try_from(*bytes).unwrap_or(0),
        DataType::FixedSizeList(item, items) => u64::try_from(*items)
            .unwrap_or(0)
            .saturating_mul(declared_bytes(item.data_type()).max(16)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => declared_bytes(item.data_type()),
        DataType::Struct(fields) => fields
            .iter()
            .map(|field| declared_bytes(field.data_type()))
            .fold(0, u64::saturating_add),
        _ => 0,
    }
}

fn literal_bytes(value: &ScalarValue) -> u64 {
    if is_small(&value.data_type()) {
        return 0;
    }
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len) as u64
        }
        ScalarValue::Binary(bytes)
        | ScalarValue::LargeBinary(bytes)
        | ScalarValue::BinaryView(bytes) => bytes.as_ref().map_or(0, Vec::len) as u64,
        other => other.size() as u64,
    }
}

fn too_many_copies(most: u64) -> QueryFault {
    too_complex(format!(
        "expressions repeat the values of columns more than {most} times in one row: join fewer \
         of them"
    ))
}

pub(super) fn too_complex(message: String) -> QueryFault {
    QueryFault::new(FaultKind::TooComplex, message)
}

#[cfg(test)]
mod tests;
