//! DataFusion as this room uses it: bounded memory, one partition, and of SQL one SELECT over
//! the table `files`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::Statement;
use futures::stream::{self, BoxStream, StreamExt};

use super::sql_table::{SqlTable, is_steady};
use super::{SourceError, redact};

/// How much memory the sorts and aggregates of all models together may use before they spill.
const MEMORY: usize = 512 * 1024 * 1024;

/// One pool for the process: many models at once need no more than one.
static POOL: LazyLock<Arc<dyn MemoryPool>> = LazyLock::new(|| Arc::new(FairSpillPool::new(MEMORY)));

/// A session that runs what this room plans.
pub(super) fn session(batch_rows: usize) -> Result<SessionContext, SourceError> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::clone(&POOL))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory),
        )
        .build_arc()
        .map_err(redact::running)?;
    Ok(SessionContext::new_with_state(complete(state(
        batch_rows, runtime,
    ))))
}

/// What listing files and reading their heads takes: no function of SQL.
pub(super) fn listing() -> Result<SessionState, SourceError> {
    let runtime = RuntimeEnvBuilder::new().build_arc();
    Ok(state(1024, runtime.map_err(redact::running)?).build())
}

/// Settings of this room over the resources of a caller: whatever the caller's settings are, files
/// are scanned in one partition, in their order, and without statistics.
fn state(batch_rows: usize, runtime: Arc<RuntimeEnv>) -> SessionStateBuilder {
    let mut config = SessionConfig::new()
        .with_batch_size(batch_rows)
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_collect_statistics(false);
    let options = config.options_mut();
    // Column names are taken as they are written, quoted or not.
    options.sql_parser.enable_ident_normalization = false;
    options.execution.enable_recursive_ctes = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
}

/// With the functions of SQL, but none that makes a table.
fn complete(state: SessionStateBuilder) -> SessionState {
    state
        .with_default_features()
        .with_table_functions(HashMap::new())
        .build()
}

/// What planning SQL takes, over the resources of a caller.
pub(super) fn planning(caller: &dyn Session) -> SessionState {
    complete(state(
        caller.config().batch_size(),
        Arc::clone(caller.runtime_env()),
    ))
}

/// What scanning files takes, without the functions that only SQL needs.
pub(super) fn scanning(caller: &dyn Session) -> SessionState {
    state(
        caller.config().batch_size(),
        Arc::clone(caller.runtime_env()),
    )
    .build()
}

/// A query over tables that DataFusion reads.
#[derive(Debug)]
pub(super) struct Planned {
    plan: LogicalPlan,
    order: Vec<String>,
    schema: SchemaRef,
    table: Arc<dyn TableProvider>,
    is_steady: bool,
}

impl Planned {
    /// All of a table, in its own order.
    pub(super) fn table_scan(table: Arc<dyn TableProvider>) -> Result<Planned, SourceError> {
        let plan = LogicalPlanBuilder::scan("files", provider_as_source(Arc::clone(&table)), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(redact::planning)?;
        Ok(Planned {
            plan,
            order: Vec::new(),
            schema: table.schema(),
            table,
            is_steady: true,
        })
    }

    /// One SELECT over the table `files`, ordered by the columns `order`.
    pub(super) async fn sql(
        sql: &str,
        table: Arc<dyn TableProvider>,
        order: &[String],
    ) -> Result<Planned, SourceError> {
        let context = session(8192)?;
        context
            .register_table("files", table)
            .map_err(redact::planning)?;
        let state = context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state
            .sql_to_statement(sql, &dialect)
            .map_err(redact::planning)?;
        let is_query = matches!(
            &statement,
            EngineStatement::Statement(inner) if matches!(inner.as_ref(), Statement::Query(_))
        );
        if !is_query {
            return Err(SourceError::Query("it must be one SELECT statement".into()));
        }
        let plan = state
            .statement_to_plan(statement)
            .await
            .map_err(redact::planning)?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(redact::planning)?;
        let plan = plain_names(plan)?;
        let schema: SchemaRef = Arc::new(Schema::new(plan.schema().as_arrow().fields().clone()));
        let table = Arc::new(SqlTable::new(plan.clone(), Arc::clone(&schema)));
        let is_steady = is_steady(&plan).map_err(redact::planning)?;
        Ok(Planned {
            plan,
            order: order.to_vec(),
            schema,
            table,
            is_steady,
        })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub(super) fn table(&self) -> Arc<dyn TableProvider> {
        Arc::clone(&self.table)
    }

    /// Whether the same files give the same rows, whenever they are read.
    pub(super) fn is_steady(&self) -> bool {
        self.is_steady
    }

    /// Streams the columns at `indices` without the first `skip` rows.
    pub(super) async fn read(
        &self,
        indices: &[usize],
        skip: u64,
        batch_rows: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, SourceError>>, SourceError> {
        let context = session(batch_rows)?;
        let mut frame = DataFrame::new(context.state(), self.plan.clone());
        if !self.order.is_empty() {
            let order = self
                .order
                .iter()
                .map(|name| column(name).sort(true, false))
                .collect();
            frame = frame.sort(order).map_err(redact::planning)?;
        }
        if skip > 0 {
            let skip = usize::try_from(skip).map_err(|_| {
                SourceError::Failed("more records are to be skipped than can be".into())
            })?;
            frame = frame.limit(skip, None).map_err(redact::planning)?;
        }
        let columns: Vec<_> = indices
            .iter()
            .filter_map(|at| self.schema.fields().get(*at))
            .map(|field| column(field.name()))
            .collect();
        let frame = frame.select(columns).map_err(redact::planning)?;
        let batches = frame.execute_stream().await.map_err(redact::running)?;
        Ok(batches
            .flat_map(move |batch| match batch {
                Ok(batch) => stream::iter(pieces(batch, batch_rows)).boxed(),
                Err(error) => stream::iter([Err(redact::running(error))]).boxed(),
            })
            .boxed())
    }
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Names the plan's columns without the tables they come from.
fn plain_names(plan: LogicalPlan) -> Result<LogicalPlan, SourceError> {
    let columns: Vec<_> = plan
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(field.name())
        })
        .collect();
    LogicalPlanBuilder::from(plan)
        .project(columns)
        .and_then(LogicalPlanBuilder::build)
        .map_err(redact::planning)
}

/// An operator may hand on more rows at once than the batch size.
fn pieces(batch: RecordBatch, batch_rows: usize) -> Vec<Result<RecordBatch, SourceError>> {
    (0..batch.num_rows())
        .step_by(batch_rows)
        .map(|start| Ok(batch.slice(start, batch_rows.min(batch.num_rows() - start))))
        .collect()
}
