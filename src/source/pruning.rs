//! Files that DataFusion reads, scanned in their order, without the parts that a filter rules out.
//!
//! DataFusion hands a filter to a file's reader in a rule of its optimizer, which sees no more
//! than what stands directly above the scan. A table that filters behind a barrier has nothing
//! there, so the filter is handed on here, when the scan is made. A reader uses it to skip row
//! groups and pages by what Parquet says of them; whoever asked checks the rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::engine;
use crate::guard::harmless::is_harmless;

/// Files as a table of one partition.
#[derive(Debug)]
pub(super) struct FilesTable {
    listing: ListingTable,
}

impl FilesTable {
    pub(super) fn new(listing: ListingTable) -> FilesTable {
        FilesTable { listing }
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        self.listing.schema()
    }

    fn table_type(&self) -> TableType {
        self.listing.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.listing.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let state = engine::scanning(state);
        // So many rows may come before the first that the filters want.
        let limit = limit.filter(|_| filters.is_empty());
        let plan = self.listing.scan(&state, projection, &[], limit).await?;
        let schema = self.schema();
        let taken = filters
            .iter()
            .flat_map(split_conjunction)
            .filter(|part| prunes(part, &schema))
            .map(|part| unnormalize_col(part.clone()));
        let Some(predicate) = conjunction(taken) else {
            return Ok(plan);
        };
        let pruned = plan
            .downcast_ref::<DataSourceExec>()
            .and_then(|scan| scan.downcast_to_file_source::<ParquetSource>());
        let Some((config, source)) = pruned else {
            return Ok(plan);
        };
        let columns = DFSchema::try_from(schema)?;
        let predicate = state.create_physical_expr(predicate, &columns)?;
        let source = source.with_predicate(predicate);
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(Arc::new(source))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Whether a filter rules out only what it is not true for. NaN is greater than all numbers, but
/// greater than no maximum that a file tells, and a file may not tell of its NULLs.
pub(super) fn prunes(filter: &Expr, schema: &Schema) -> bool {
    let is_told = |part: &Expr| match part {
        Expr::IsNull(_) | Expr::IsUnknown(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => false,
        Expr::Column(column) => schema
            .column_with_name(&column.name)
            .is_some_and(|(_, field)| {
                !matches!(
                    field.data_type(),
                    DataType::Float16 | DataType::Float32 | DataType::Float64
                )
            }),
        _ => true,
    };
    let mut told = is_harmless(filter, schema);
    // The walk itself cannot fail: nothing in it does.
    let walked = filter.apply(|part| {
        told &= is_told(part);
        Ok(TreeNodeRecursion::Continue)
    });
    told && walked.is_ok()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn what_statistics_may_not_tell_rules_nothing_out() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("f", DataType::Float64, true),
            Field::new("ok", DataType::Boolean, true),
        ]);
        let id = || col("id").eq(lit(1_i64));
        let f = || col("f").gt(lit(1.0));
        for (filter, expected) in [
            (id(), true),
            (col("id").is_not_null(), true),
            (col("ok"), true),
            (id().and(col("ok")), true),
            (f(), false),
            (id().or(f()), false),
            (col("f").is_not_null(), false),
            (col("id").is_null(), false),
            (id().or(col("id").is_null()), false),
            (col("ok").is_not_true(), false),
            (col("id").eq(lit(1_i32)), false),
        ] {
            assert_eq!(prunes(&filter, &schema), expected, "{filter}");
        }
    }
}
