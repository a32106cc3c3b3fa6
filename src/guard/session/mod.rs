//! A session: SQL over guarded tables, and nothing else.
//!
//! A session is made for one principal at one moment and holds no state that outlives a statement.
//! Its tables are [`GuardedTable`]s and descriptions that a door brings; there is no other way to
//! put a table into it. `measure` bounds a text before it is parsed, `gate` says which statements and plans are accepted, `growth` and `calls`
//! how large their values can become, `functions` which functions there are, `explain` shows a
//! plan, and `fault` says why something is refused without a word about rows.

mod calls;
mod explain;
mod fault;
mod functions;
mod gate;
mod growth;
mod in_order;
mod measure;
mod pieces;
#[cfg(test)]
mod planned;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF, Volatility};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

pub use fault::{FaultKind, QueryFault};
use gate::Accepted;
use in_order::KeepOrder;
pub use measure::measure;

use super::apply::Guarded;
use super::table::GuardedTable;
use crate::policy::Revision;

/// The schema that the tables of a principal are in.
pub const PUBLIC: &str = "public";

/// The highest number of a parameter, as in PostgreSQL's protocol.
const MOST_PARAMETERS: usize = 65_535;

/// An error of whoever reads a table.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The tables that a principal may read, each behind its guard.
#[async_trait]
pub trait Tables: std::fmt::Debug + Send + Sync {
    /// The table of a name; `None` if there is none. An error comes back as
    /// [`RunFault::Table`].
    async fn table(&self, name: &str) -> Result<Option<GuardedTable>, BoxError>;
}

/// What a door adds to a session: tables that describe it, such as a client's catalog queries
/// read, and functions over them. They hold no records.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Schemas, their tables, and the rows of those.
    pub schemas: BTreeMap<String, BTreeMap<String, RecordBatch>>,
    /// Functions that need no row of any model.
    pub functions: Vec<Arc<ScalarUDF>>,
}

/// What a statement may ask of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that operators may hold before they spill or give up.
    pub memory_bytes: usize,
    /// Bytes of its text.
    pub text_bytes: usize,
    /// Operators and expressions of its plan.
    pub plan_nodes: usize,
    /// Rows of a batch.
    pub batch_rows: usize,
}

/// What is the same in every session: functions, rules and options.
static TEMPLATE: LazyLock<SessionState> = LazyLock::new(|| {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_collect_statistics(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.execution.enable_recursive_ctes = false;
    // They would only be refused by the guarded tables.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // In DataFusion 55 it panics on some plans ("entered unreachable code").
    options.optimizer.enable_topk_aggregation = false;
    options.explain.show_statistics = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_expr_planners(functions::planners())
        .with_scalar_functions(functions::scalar())
        .with_higher_order_functions(functions::higher_order())
        .with_aggregate_functions(functions::aggregate())
        .with_window_functions(functions::window())
        .with_physical_optimizer_rule(Arc::new(KeepOrder))
        .build()
});

/// How many times the memory of a query it may take of the temporary folder.
const SPILL: u64 = 16;

/// SQL over the tables of one principal.
#[derive(Debug)]
pub struct Session {
    state: Arc<SessionState>,
    bounds: Bounds,
    revision: Revision,
}

impl Session {
    /// A session whose tables are known as `"catalog"."public"."name"`, and need only the name.
    /// `now` is what `now()` answers.
    pub fn open(
        catalog: &str,
        tables: Arc<dyn Tables>,
        extras: &Extras,
        bounds: Bounds,
        revision: Revision,
        now: DateTime<Utc>,
    ) -> Result<Session, QueryFault> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(bounds.memory_bytes)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default()
                    .with_mode(DiskManagerMode::OsTmpDirectory)
                    .with_max_temp_directory_size(bounds.memory_bytes as u64 * SPILL),
            )
            .build_arc()
            .map_err(fault::planning)?;
        let schemas = MemoryCatalogProvider::new();
        let public: Arc<dyn SchemaProvider> = Arc::new(Public(tables));
        schemas
            .register_schema(PUBLIC, public)
            .map_err(fault::planning)?;
        for (name, described) in &extras.schemas {
            let schema = MemorySchemaProvider::new();
            for (table, rows) in described {
                let rows = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])
                    .map_err(fault::planning)?;
                schema
                    .register_table(table.clone(), Arc::new(rows))
                    .map_err(fault::planning)?;
            }
            schemas
                .register_schema(name, Arc::new(schema))
                .map_err(fault::planning)?;
        }
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(catalog.to_owned(), Arc::new(schemas));
        let mut state = TEMPLATE.clone();
        for function in &extras.functions {
            state
                .register_udf(Arc::clone(function))
                .map_err(fault::planning)?;
        }
        let config = state
            .config()
            .clone()
            .with_batch_size(bounds.batch_rows)
            .with_default_catalog_and_schema(catalog, PUBLIC);
        let props = ExecutionProps::new().with_query_execution_start_time(now);
        let state = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_runtime_env(runtime)
            .with_catalog_list(Arc::new(catalogs))
            .with_execution_props(props)
            .build();
        Ok(Session {
            state: Arc::new(state),
            bounds,
            revision,
        })
    }

    /// Plans one statement: a SELECT, or EXPLAIN of one.
    pub async fn plan(&self, sql: &str) -> Result<Plan, RunFault> {
        let (statement, explained) = match gate::parse(sql, &self.bounds)? {
            Accepted::Query(statement) => (statement, false),
            Accepted::Explain(statement) => (statement, true),
        };
        let logical = self
            .state
            .statement_to_plan(statement)
            .await
            .map_err(before_the_first_row)?;
        gate::check(&logical, &self.bounds)?;
        let schema = answered(&self.state, &logical);
        Ok(Plan {
            schema,
            state: Arc::clone(&self.state),
            logical,
            explained,
            bounds: self.bounds,
            revision: self.revision,
        })
    }
}

/// The schema `public`: the tables of the principal.
#[derive(Debug)]
struct Public(Arc<dyn Tables>);

#[async_trait]
impl SchemaProvider for Public {
    /// None are listed: whoever names a table is told whether it is there.
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match self.0.table(name).await {
            Ok(Some(table)) => Ok(Some(Arc::new(table))),
            Ok(None) => Ok(None),
            Err(error) => Err(DataFusionError::External(error)),
        }
    }

    fn table_exist(&self, _: &str) -> bool {
        false
    }
}

/// A statement that was accepted and planned.
#[derive(Clone, Debug)]
pub struct Plan {
    state: Arc<SessionState>,
    logical: LogicalPlan,
    schema: SchemaRef,
    /// Whether it is to be shown, not run.
    explained: bool,
    bounds: Bounds,
    revision: Revision,
}

impl Plan {
    /// The types of the parameters `$1`, `$2`, ..., where the text tells them.
    pub fn parameters(&self) -> Result<Vec<Option<DataType>>, QueryFault> {
        let found = self
            .logical
            .get_parameter_types()
            .map_err(fault::planning)?;
        let mut types = Vec::new();
        for (name, data_type) in found {
            let place = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
            let Some(at) = place.filter(|n| (1..=MOST_PARAMETERS).contains(n)) else {
                return Err(QueryFault::new(
                    FaultKind::Parameters,
                    format!("parameter {name} has no place: write $1 to ${MOST_PARAMETERS}"),
                ));
            };
            if types.len() < at {
                types.resize(at, None);
            }
            if let Some(slot) = types.get_mut(at - 1) {
                *slot = data_type;
            }
        }
        Ok(types)
    }

    /// The columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        match self.explained {
            true => explain::schema(),
            false => Arc::clone(&self.schema),
        }
    }

    /// Gives the parameters their values, each cast to the type that the text asks for.
    pub fn bind(self, values: &[ScalarValue]) -> Result<Plan, QueryFault> {
        let types = self.parameters()?;
        if types.len() != values.len() {
            return Err(QueryFault::new(
                FaultKind::Parameters,
                format!(
                    "the statement takes {} parameters, and {} values were given",
                    types.len(),
                    values.len()
                ),
            ));
        }
        if values.is_empty() {
            return Ok(self);
        }
        let cast = types.iter().zip(values).enumerate().map(|(at, pair)| {
            let (Some(wanted), value) = pair else {
                return Ok(pair.1.clone());
            };
            value.cast_to(wanted).map_err(|_| {
                QueryFault::new(
                    FaultKind::Parameters,
                    format!("the value of ${} is no {wanted}", at + 1),
                )
            })
        });
        let values = cast.collect::<Result<Vec<_>, _>>()?;
        let logical = self
            .logical
            .with_param_values(values)
            .map_err(fault::planning)?;
        // A text that was short when it was a parameter may be long now.
        gate::check(&logical, &self.bounds)?;
        let schema = answered(&self.state, &logical);
        Ok(Plan {
            logical,
            schema,
            ..self
        })
    }

    /// The names of the principal's tables that it reads, once each, in alphabetical order.
    pub fn tables(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        // It visits, and nothing in it fails.
        let _ = self.logical.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && scan.table_name.schema().is_none_or(|name| name == PUBLIC)
            {
                names.insert(scan.table_name.table().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        names.into_iter().collect()
    }

    /// Whether it is to be shown, not run.
    pub fn is_explained(&self) -> bool {
        self.explained
    }

    /// Whether the same rows give the same answer whenever it is run.
    pub fn is_deterministic(&self) -> bool {
        let mut fixed = !self.explained;
        let _ = self.logical.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::ScalarFunction(call) = expr {
                        fixed &= call.func.signature().volatility == Volatility::Immutable;
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        fixed
    }

    /// Runs it. An error ends the stream.
    pub async fn run(self) -> Result<BoxStream<'static, Result<Guarded, RunFault>>, RunFault> {
        let revision = self.revision;
        let logical = self
            .state
            .optimize(&self.logical)
            .map_err(before_the_first_row)?;
        let physical = self
            .state
            .query_planner()
            .create_physical_plan(&logical, self.state.as_ref())
            .await
            .map_err(before_the_first_row)?;
        if self.explained {
            let shown = explain::show(&logical, physical.as_ref())?;
            let shown = Guarded::derived(shown, revision);
            return Ok(stream::iter([Ok(shown)]).boxed());
        }
        let context = Arc::new(TaskContext::from(self.state.as_ref()));
        let schema = self.schema();
        let rows = execute_stream(physical, context).map_err(before_the_first_row)?;
        let most = self.bounds.batch_rows;
        Ok(rows
            .flat_map(move |batch| {
                let batch = batch.and_then(|batch| named(&batch, &schema));
                let pieces = match batch {
                    Ok(batch) => pieces::cut(batch, most).into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(fault::running(error))],
                };
                stream::iter(pieces)
            })
            .map_ok(move |piece| Guarded::derived(piece, revision))
            .boxed())
    }
}

/// The columns of a plan's answer, as the engine's coercion leaves them; any may be NULL. They have
/// no table's name and no marks.
fn answered(state: &SessionState, plan: &LogicalPlan) -> SchemaRef {
    let options = state.config_options();
    let analysed = state
        .analyzer()
        .execute_and_check(plan.clone(), options, |_, _| {});
    // Where types cannot be told before parameters have values, or do not fit, the text alone
    // tells; whatever is wrong with it is told when it is run.
    let plan = analysed.as_ref().unwrap_or(plan);
    let fields = plan.schema().fields().iter();
    let fields: Fields = fields
        .map(|field| Field::new(field.name(), field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// A batch with the columns that were announced.
fn named(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns
        .map(
            |(column, field)| match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                // The optimiser may have chosen another layout for the same values.
                false => cast(column, field.data_type()),
            },
        )
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// An error of planning, unless it is a table's own.
fn before_the_first_row(error: DataFusionError) -> RunFault {
    match error.find_root() {
        DataFusionError::External(_) | DataFusionError::ArrowError(..) => fault::running(error),
        _ => RunFault::Query(fault::planning(error)),
    }
}

/// Why a statement was not planned, or did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunFault {
    /// The query's fault, or ours.
    #[error(transparent)]
    Query(#[from] QueryFault),
    /// The table's: an error of whoever reads it, as it came.
    #[error(transparent)]
    Table(BoxError),
}
