//! SQL over files as a table. It is planned as a whole when it is scanned, in this room's own
//! session, so nothing of a caller's query is mixed into it but filters that cannot make it fail.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, TableProviderFilterPushDown, TableType, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;

use super::engine;
use super::pruning::prunes;

/// A planned SELECT.
#[derive(Debug)]
pub(super) struct SqlTable {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl SqlTable {
    pub(super) fn new(plan: LogicalPlan, schema: SchemaRef) -> SqlTable {
        SqlTable { plan, schema }
    }

    /// The parts of a filter that may be evaluated together with the SELECT.
    fn taken<'f>(&self, filter: &'f Expr) -> Vec<&'f Expr> {
        split_conjunction(filter)
            .into_iter()
            .filter(|part| {
                prunes(part, &self.schema)
                    && part.column_refs().into_iter().all(|column| {
                        self.schema
                            .column_with_name(&column.name)
                            .is_some_and(|(at, _)| is_plain(&self.plan, at))
                    })
            })
            .collect()
    }
}

#[async_trait]
impl TableProvider for SqlTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.taken(filter).is_empty() {
                true => TableProviderFilterPushDown::Unsupported,
                false => TableProviderFilterPushDown::Inexact,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut frame = DataFrame::new(engine::planning(state), self.plan.clone());
        for part in filters.iter().flat_map(|filter| self.taken(filter)) {
            frame = frame.filter(unnormalize_col(part.clone()))?;
        }
        if let Some(projection) = projection {
            let columns = projection
                .iter()
                .filter_map(|at| self.schema.fields().get(*at))
                .map(|field| Expr::Column(Column::new_unqualified(field.name())))
                .collect::<Vec<_>>();
            frame = frame.select(columns)?;
        }
        if filters.is_empty() && limit.is_some() {
            frame = frame.limit(0, limit)?;
        }
        frame.create_physical_plan().await
    }
}

/// Whether a column of a plan is one of the files' as it is. A comparison with such a column may
/// be evaluated on rows that the SELECT leaves out: it does not fail on them, as it might if it had
/// to compute the column first.
fn is_plain(mut plan: &LogicalPlan, mut at: usize) -> bool {
    loop {
        plan = match plan {
            LogicalPlan::TableScan(_) => return true,
            LogicalPlan::Projection(projection) => {
                let Some(mut expr) = projection.expr.get(at) else {
                    return false;
                };
                while let Expr::Alias(alias) = expr {
                    expr = &alias.expr;
                }
                let Expr::Column(column) = expr else {
                    return false;
                };
                let Some(below) = projection.input.schema().maybe_index_of_column(column) else {
                    return false;
                };
                at = below;
                &projection.input
            }
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => &sort.input,
            _ => return false,
        };
    }
}

/// Whether a plan asks for neither the time nor chance.
pub(super) fn is_steady(plan: &LogicalPlan) -> Result<bool> {
    let mut steady = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::ScalarFunction(call) = part {
                    steady &= call.func.signature().volatility == Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(steady)
}
