//! A table that filters inside its own scan, behind a barrier.
//!
//! DataFusion merges a filter above a scan with those below it, and evaluates the user's part
//! first where it likes to: an error or a count would tell of rows that a policy hides. So the
//! guard is applied inside one operator that has no children to show: nothing can be moved below
//! it, and what it reads has no plan, no statistics and no metrics. Only predicates that are
//! harmless ([`super::harmless`]) are evaluated inside.
//!
//! What leaves it is cut into batches of one size, because operators evaluate AND and CASE batch by
//! batch: whether a division is reached could else depend on how many hidden rows lie between
//! visible ones.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{BatchCoalescer, filter_record_batch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::apply::GuardError;
use super::compact::compact_batch;
use super::compile::Guard;
use super::content::{Findings, Leaving};
use super::harmless::is_harmless;
use super::leaf::definitely;
use super::sighting::{Keys, Witness, sightings};

/// A table that cannot be read, or not be judged. Why is for the log of whoever runs the server:
/// it may tell of rows that the asker does not see.
#[derive(Debug, thiserror::Error)]
#[error("table \"{table}\" cannot be read")]
pub struct TableFault {
    /// The table.
    pub table: String,
    /// Why; its text may quote a row.
    pub cause: Box<DataFusionError>,
}

/// A row that may be seen has a value that does not fit its column.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(String);

fn unread(table: &str, cause: DataFusionError) -> DataFusionError {
    DataFusionError::External(Box::new(TableFault {
        table: table.to_owned(),
        cause: Box::new(cause),
    }))
}

/// A model as queries see it: its rows that the guard lets pass.
#[derive(Clone, Debug)]
pub struct GuardedTable {
    name: String,
    rows: Arc<dyn TableProvider>,
    /// Those that content policies look at.
    content_columns: Vec<String>,
    guard: Arc<Guard>,
    watch: Option<Watch>,
}

/// Who is told what content policies find in a table.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Takes it in.
    pub witness: Witness,
    /// The model.
    pub model_id: Uuid,
    /// The columns that identify its records.
    pub primary_key: Vec<String>,
    /// What the digests of keys are salted with.
    pub salt: Uuid,
}

impl GuardedTable {
    /// The rows of a table that a guard lets pass. The guard was compiled against its schema.
    ///
    /// A scan of the table may have one text column more than was asked for, which marks the rows
    /// in which a value does not fit its column: such a row ends the read where it may be seen,
    /// and only there.
    pub fn new(name: &str, rows: Arc<dyn TableProvider>, guard: Arc<Guard>) -> GuardedTable {
        GuardedTable {
            name: name.to_owned(),
            rows,
            content_columns: guard.content_columns(),
            guard,
            watch: None,
        }
    }

    /// The same, with somebody who is told what content policies find in it. Where the guard has
    /// such policies, there must be somebody.
    pub fn watched(self, watch: Watch) -> GuardedTable {
        GuardedTable {
            watch: Some(watch),
            ..self
        }
    }

    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The guard's columns and those that `filters` read, besides the wanted ones, ascending.
    fn read_columns(&self, wanted: &[usize], filters: &[Expr]) -> Result<Vec<usize>> {
        let schema = self.rows.schema();
        let mut read: BTreeSet<usize> = wanted.iter().copied().collect();
        for column in self.guard.columns().iter().chain(&self.content_columns) {
            read.insert(schema.index_of(column)?);
        }
        for filter in filters {
            for column in filter.column_refs() {
                read.insert(schema.index_of(&column.name)?);
            }
        }
        Ok(read.into_iter().collect())
    }
}

#[async_trait]
impl TableProvider for GuardedTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let schema = self.rows.schema();
        let support = filters
            .iter()
            .map(|filter| match is_harmless(filter, &schema) {
                // Were they evaluated above as well, the rows that come up would depend on what
                // could be pruned, and so on hidden rows.
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.rows.schema();
        let wanted = match projection {
            Some(wanted) => wanted.clone(),
            None => (0..schema.fields().len()).collect(),
        };
        let read = self.read_columns(&wanted, filters)?;
        let read_schema = Arc::new(schema.project(&read)?);
        // Evaluated where there is but one table, its columns need not name it.
        let condition = conjunction(filters.iter().cloned().map(unnormalize_col));
        let predicate = match &condition {
            Some(condition) => {
                let named = DFSchema::try_from(Arc::clone(&read_schema))?;
                Some(state.create_physical_expr(condition.clone(), &named)?)
            }
            None => None,
        };
        let rows = match self.guard.withholds_all() {
            // Nothing is asked of the source for somebody who sees nothing of it.
            true => None,
            false => {
                let rows = self.rows.scan(state, Some(&read), filters, None).await;
                Some(rows.map_err(|cause| unread(&self.name, cause))?)
            }
        };
        let marked = rows
            .as_ref()
            .is_some_and(|rows| rows.schema().fields().len() == read.len() + 1);
        let places = wanted
            .iter()
            .filter_map(|at| read.iter().position(|other| other == at))
            .collect();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema.project(&wanted)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let barrier = Barrier {
            table: self.name.clone(),
            rows,
            guard: Arc::clone(&self.guard),
            predicate,
            condition,
            places,
            marked,
            watch: self.watch.clone(),
            properties: Arc::new(properties),
        };
        Ok(Arc::new(barrier))
    }
}

/// Reads rows, drops those that the guard withholds, and shows nothing of it.
#[derive(Debug)]
struct Barrier {
    table: String,
    /// `None` where the guard lets nothing pass.
    rows: Option<Arc<dyn ExecutionPlan>>,
    guard: Arc<Guard>,
    /// Over the columns that are read.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// The predicate as the query has it: which columns are read besides is not told.
    condition: Option<Expr>,
    /// The columns that are shown, as indices into those that are read.
    places: Vec<usize>,
    /// Whether one column more is read, which marks the rows in which a value does not fit.
    marked: bool,
    watch: Option<Watch>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let columns: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        write!(
            f,
            "GuardedScan: table={}, columns=[{}]",
            self.table,
            columns.join(", ")
        )?;
        match &self.condition {
            Some(condition) => write!(f, ", where={condition}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &str {
        "GuardedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: what it reads is nobody's to see or to change.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        childless(self, &children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        childless(self, &children)
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
        let schema = self.schema();
        let rows = match &self.rows {
            Some(rows) => in_order(Arc::clone(rows), Arc::clone(&context)),
            None => stream::empty().boxed(),
        };
        let batch_rows = context.session_config().batch_size();
        Ok(Box::pin(Visible {
            table: self.table.clone(),
            rows: Some(rows),
            guard: Arc::clone(&self.guard),
            predicate: self.predicate.clone(),
            places: self.places.clone(),
            marked: self.marked,
            watch: self.watch.clone(),
            read: 0,
            coalescer: BatchCoalescer::new(Arc::clone(&schema), batch_rows),
            schema,
        }))
    }
}

fn childless(
    barrier: Arc<Barrier>,
    children: &[Arc<dyn ExecutionPlan>],
) -> Result<Arc<dyn ExecutionPlan>> {
    match children {
        [] => Ok(barrier),
        _ => Err(DataFusionError::Internal(
            "a guarded scan has no children".to_owned(),
        )),
    }
}

/// All partitions of a plan, one after the other: the rows come in the same order each time.
pub(super) fn in_order(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let partitions = plan.properties().output_partitioning().partition_count();
    stream::iter(0..partitions)
        .map(move |partition| plan.execute(partition, Arc::clone(&context)))
        .try_flatten()
        .boxed()
}

/// The rows that pass, in batches of one size.
struct Visible {
    table: String,
    /// `None` once they have ended.
    rows: Option<BoxStream<'static, Result<RecordBatch>>>,
    guard: Arc<Guard>,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    places: Vec<usize>,
    /// Whether the last column marks the rows in which a value does not fit.
    marked: bool,
    watch: Option<Watch>,
    /// Rows that were read before.
    read: u64,
    coalescer: BatchCoalescer,
    schema: SchemaRef,
}

impl Visible {
    /// Tells what content policies found in a batch.
    ///
    /// Errors: nobody is there to be told. What is not on record does not leave.
    fn tell(&self, batch: &RecordBatch, findings: &[Findings]) -> Result<()> {
        let watch = self.watch.as_ref();
        let watch = watch.ok_or_else(|| DataFusionError::External(Box::new(GuardError::Engine)))?;
        let keys = Keys::of(batch, &watch.primary_key, findings, watch.salt);
        let record = |row| keys.of_row(row).unwrap_or_else(|| "a row".to_owned());
        let sightings = sightings(findings, |row| self.read + row as u64, record);
        watch.witness.enter(watch.model_id, sightings);
        Ok(())
    }

    fn take_in(&mut self, batch: &RecordBatch) -> Result<()> {
        let verdict = self
            .guard
            .apply(batch, Leaving::All)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        if !verdict.findings().is_empty() {
            self.tell(batch, verdict.findings())?;
        }
        self.read += batch.num_rows() as u64;
        let mut visible = verdict.guarded().batch().clone();
        if self.marked {
            // A value that does not fit was read as NULL.
            let marks = visible
                .columns()
                .last()
                .and_then(|c| c.as_string_opt::<i32>());
            if let Some(mark) = marks.and_then(|marks| marks.iter().flatten().next()) {
                return Err(DataFusionError::External(Box::new(Misfit(mark.to_owned()))));
            }
        }
        if let Some(predicate) = &self.predicate {
            let value = predicate.evaluate(&visible)?;
            let kept = definitely(value, visible.num_rows())?;
            visible = filter_record_batch(&visible, &BooleanArray::new(kept, None))?;
        }
        let mut shown = visible.project(&self.places)?;
        if shown.num_rows() < batch.num_rows() {
            // Dictionaries and views keep the values of rows that are gone: a cast would meet them,
            // and memory would be accounted for by their length.
            shown = compact_batch(&shown)?;
        }
        // A source may promise more of its columns than the table does, such as no NULLs.
        let options = RecordBatchOptions::new().with_row_count(Some(shown.num_rows()));
        let columns = shown.columns().to_vec();
        let schema = Arc::clone(&self.schema);
        let shown = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(self.coalescer.push_batch(shown)?)
    }
}

impl stream::Stream for Visible {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = self.coalescer.next_completed_batch() {
                return Poll::Ready(Some(Ok(batch)));
            }
            let Some(rows) = &mut self.rows else {
                return Poll::Ready(None);
            };
            let failed = match ready!(rows.poll_next_unpin(context)) {
                Some(Ok(batch)) => self.take_in(&batch).err(),
                Some(Err(cause)) => Some(cause),
                None => {
                    self.rows = None;
                    self.coalescer
                        .finish_buffered_batch()
                        .err()
                        .map(DataFusionError::from)
                }
            };
            if let Some(cause) = failed {
                self.rows = None;
                return Poll::Ready(Some(Err(unread(&self.table, cause))));
            }
        }
    }
}

impl RecordBatchStream for Visible {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
