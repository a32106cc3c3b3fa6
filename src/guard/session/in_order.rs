//! Operators between those of the engine.
//!
//! The branches of a UNION are partitions, which DataFusion would run at the same time and merge
//! as they come: which rows a LIMIT keeps would be chance. A query here runs in one thread, and the
//! same rows give the same answer. And some operators of the engine keep what they read without
//! accounting for it, or compute for long without a pause in which a query could be ended.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream::{self, BoxStream, StreamExt};

use super::super::table::in_order;

/// Rows of a batch without columns.
const ROWS_WITHOUT_COLUMNS: usize = 1 << 20;

/// Makes every place where partitions are merged keep their order, lets the joins pause, and
/// accounts for what windows keep.
#[derive(Debug)]
pub(super) struct KeepOrder;

impl PhysicalOptimizerRule for KeepOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(changed)?.data;
        Ok(
            match plan.properties().output_partitioning().partition_count() {
                0 | 1 => plan,
                _ => InOrder::of(plan, 0),
            },
        )
    }

    fn name(&self) -> &str {
        "keep_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn changed(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(merge) = node.downcast_ref::<CoalescePartitionsExec>() {
        let fetch = merge.fetch();
        let merged = InOrder::of(Arc::clone(merge.input()), 0);
        return Ok(Transformed::yes(match fetch {
            None => merged,
            fetch => Arc::new(GlobalLimitExec::new(merged, 0, fetch)),
        }));
    }
    // It keeps all that it reads, and then a copy of it, and accounts for neither.
    if node.downcast_ref::<WindowAggExec>().is_some() {
        return Ok(Transformed::yes(over(node, |input| InOrder::of(input, 2))?));
    }
    if node.downcast_ref::<CrossJoinExec>().is_some() {
        // A batch without columns takes no memory that is accounted for, and a join of such makes
        // one for each row.
        let node = over(node, |input| match input.schema().fields().is_empty() {
            true => InOrder::of(input, 0),
            false => input,
        })?;
        return Ok(Transformed::yes(Arc::new(CooperativeExec::new(node))));
    }
    let joins = node.downcast_ref::<HashJoinExec>().is_some()
        || node.downcast_ref::<NestedLoopJoinExec>().is_some();
    match joins {
        true => Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)))),
        false => Ok(Transformed::no(node)),
    }
}

/// A node over other inputs.
fn over(
    node: Arc<dyn ExecutionPlan>,
    change: impl Fn(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let inputs = node.children().into_iter().cloned().map(change).collect();
    node.replace_children(
        inputs,
        ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
    )
}

/// Reads the partitions of its input one after the other.
#[derive(Debug)]
struct InOrder {
    input: Arc<dyn ExecutionPlan>,
    /// How often whoever reads it keeps each batch.
    kept: usize,
    properties: Arc<PlanProperties>,
}

impl InOrder {
    fn of(input: Arc<dyn ExecutionPlan>, kept: usize) -> Arc<dyn ExecutionPlan> {
        let known = match input.properties().output_partitioning().partition_count() {
            1 => input.properties().equivalence_properties().clone(),
            _ => EquivalenceProperties::new(input.schema()),
        };
        let properties = PlanProperties::new(
            known,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Arc::new(InOrder {
            input,
            kept,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for InOrder {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOrder")
    }
}

impl ExecutionPlan for InOrder {
    fn name(&self) -> &str {
        "InOrder"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(InOrder::of(input, self.kept)),
            Err(_) => Err(DataFusionError::Internal(
                "reading in order takes one input".to_owned(),
            )),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        let mut rows = in_order(Arc::clone(&self.input), Arc::clone(&context));
        if schema.fields().is_empty() {
            rows = counted(Arc::clone(&schema), rows);
        }
        if self.kept > 0 {
            let account = MemoryConsumer::new("window").register(context.memory_pool());
            let kept = self.kept;
            // The account is closed when the stream is dropped, which is when its reader is.
            rows = rows
                .map(move |batch| {
                    let batch = batch?;
                    account.try_grow(batch.get_array_memory_size().saturating_mul(kept))?;
                    Ok(batch)
                })
                .boxed();
        }
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Rows without columns, in few batches.
fn counted(
    schema: SchemaRef,
    rows: BoxStream<'static, Result<RecordBatch>>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let batch = move |rows: usize| {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options);
        batch.map_err(DataFusionError::from)
    };
    stream::unfold((rows, false), move |(mut rows, ended)| {
        let batch = batch.clone();
        async move {
            if ended {
                return None;
            }
            let mut count = 0;
            while count < ROWS_WITHOUT_COLUMNS {
                match rows.next().await {
                    Some(Ok(more)) => count += more.num_rows(),
                    Some(Err(error)) => return Some((Err(error), (rows, true))),
                    None if count == 0 => return None,
                    None => return Some((batch(count), (rows, true))),
                }
            }
            Some((batch(count), (rows, false)))
        }
    })
    .boxed()
}
