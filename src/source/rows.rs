//! Rows that this room reads itself, and the table that shows them to DataFusion.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::SourceError;
use super::condition::{Condition, conditions};

/// How many bytes of values a batch may hold before it is handed on, however few rows it has:
/// wide rows must not make a large batch a huge one.
pub(super) const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What one read asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Indices into the schema, in the order wanted.
    pub(super) columns: Vec<usize>,
    /// Whether the order has to be that of the primary key.
    pub(super) ordered: bool,
    /// Records to leave out at the beginning.
    pub(super) skip: u64,
    /// Most rows of a batch.
    pub(super) batch_rows: usize,
    /// Rows for which one of these is not true may be left out, but need not be.
    pub(super) conditions: Vec<Condition>,
    /// Whether a value that does not fit its column is NULL, and its row marked in one column
    /// more; else it ends the read. For rows that can mark.
    pub(super) marked: bool,
}

/// The column of marks: NULL, or what does not fit in the row. No column of a database has that
/// name.
pub(super) fn with_marks(schema: &Schema) -> SchemaRef {
    let mark = Arc::new(Field::new("\0misfit", DataType::Utf8, true));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([mark]).collect();
    Arc::new(Schema::new(fields))
}

/// Rows that can be streamed again and again.
pub(super) trait Rows: Debug + Send + Sync {
    /// All columns.
    fn schema(&self) -> SchemaRef;

    /// Whether they can mark the rows in which a value does not fit.
    fn can_mark(&self) -> bool {
        false
    }

    /// Streams what is wanted.
    fn stream(
        self: Arc<Self>,
        wanted: Wanted,
    ) -> BoxStream<'static, Result<RecordBatch, SourceError>>;
}

/// The schema of the columns at `indices`.
pub(super) fn projected(schema: &Schema, indices: &[usize]) -> SchemaRef {
    let fields: Vec<_> = indices
        .iter()
        .filter_map(|at| schema.fields().get(*at).cloned())
        .collect();
    Arc::new(Schema::new(fields))
}

/// Where a reading task puts its batches; it waits while the reader is behind.
pub(super) struct Outlet {
    sender: mpsc::Sender<RecordBatch>,
}

impl Outlet {
    /// Hands on a batch. `false`: nobody reads any more.
    pub(super) async fn send(&self, batch: RecordBatch) -> bool {
        self.sender.send(batch).await.is_ok()
    }
}

/// Runs a reading task and streams what it puts into its outlet. The stream ends cleanly only if
/// the task did; dropping the stream stops the task.
pub(super) fn produce<F, T>(task: F) -> BoxStream<'static, Result<RecordBatch, SourceError>>
where
    F: FnOnce(Outlet) -> T,
    T: Future<Output = Result<(), SourceError>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let running = task(Outlet { sender });
    // Spawned on the first poll, because a stream may be made where no runtime is.
    enum State<T> {
        Idle(T),
        Running(AbortOnDropHandle<Result<(), SourceError>>),
        Ended,
    }
    let state = (State::Idle(running), receiver);
    stream::unfold(state, |(mut state, mut receiver)| async move {
        if let State::Idle(task) = state {
            state = State::Running(AbortOnDropHandle::new(tokio::spawn(task)));
        }
        let State::Running(handle) = state else {
            return None;
        };
        if let Some(batch) = receiver.recv().await {
            return Some((Ok(batch), (State::Running(handle), receiver)));
        }
        let error = match handle.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error,
            Err(_) => SourceError::Failed("the reader stopped unexpectedly".into()),
        };
        Some((Err(error), (State::Ended, receiver)))
    })
    .boxed()
}

/// Leaves out the first `skip` rows of a stream.
pub(super) fn skipping(
    batches: BoxStream<'static, Result<RecordBatch, SourceError>>,
    skip: u64,
) -> BoxStream<'static, Result<RecordBatch, SourceError>> {
    if skip == 0 {
        return batches;
    }
    batches
        .try_filter_map({
            let mut left = skip;
            move |batch| {
                let rows = batch.num_rows();
                let kept = match usize::try_from(left) {
                    Ok(left) if left < rows => Some(batch.slice(left, rows - left)),
                    _ => None,
                };
                left = left.saturating_sub(rows as u64);
                std::future::ready(Ok(kept))
            }
        })
        .boxed()
}

/// Rows as a DataFusion table of one partition.
#[derive(Debug)]
pub(super) struct RowsTable {
    rows: Arc<dyn Rows>,
    marked: bool,
}

impl RowsTable {
    pub(super) fn new(rows: Arc<dyn Rows>) -> RowsTable {
        RowsTable {
            rows,
            marked: false,
        }
    }

    /// The same with the column of marks behind those of each scan, where the rows can mark.
    pub(super) fn marking(rows: Arc<dyn Rows>) -> RowsTable {
        RowsTable {
            marked: rows.can_mark(),
            rows,
        }
    }
}

#[async_trait]
impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // A reader gives rows that a filter does not want, too: it is applied by whoever asked.
        let schema = self.rows.schema();
        Ok(filters
            .iter()
            .map(
                |filter| match conditions(std::slice::from_ref(*filter), &schema).is_empty() {
                    true => TableProviderFilterPushDown::Unsupported,
                    false => TableProviderFilterPushDown::Inexact,
                },
            )
            .collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = self.rows.schema();
        let columns = match projection {
            Some(columns) => columns.clone(),
            None => (0..schema.fields().len()).collect(),
        };
        let conditions = conditions(filters, &schema);
        // So many rows may come before the first that the filters want.
        let limit = limit.filter(|_| filters.is_empty());
        let mut schema = projected(&schema, &columns);
        if self.marked {
            schema = with_marks(&schema);
        }
        let partition = RowsPartition {
            rows: Arc::clone(&self.rows),
            columns,
            conditions,
            marked: self.marked,
            schema: Arc::clone(&schema),
        };
        Ok(Arc::new(StreamingTableExec::try_new(
            schema,
            vec![Arc::new(partition)],
            None,
            None,
            false,
            limit,
        )?))
    }
}

#[derive(Debug)]
struct RowsPartition {
    rows: Arc<dyn Rows>,
    columns: Vec<usize>,
    conditions: Vec<Condition>,
    marked: bool,
    schema: SchemaRef,
}

impl PartitionStream for RowsPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = Arc::clone(&self.rows).stream(Wanted {
            columns: self.columns.clone(),
            ordered: false,
            skip: 0,
            batch_rows: context.session_config().batch_size(),
            conditions: self.conditions.clone(),
            marked: self.marked,
        });
        let batches = batches.map_err(|error| DataFusionError::External(Box::new(error)));
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        ))
    }
}
