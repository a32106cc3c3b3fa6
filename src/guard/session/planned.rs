//! Plans for tests, of a session with the functions of queries and two tables.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use super::fault::{QueryFault, planning};
use super::gate::{Accepted, parse};
use super::{Bounds, functions};

/// The bounds that the server has if nothing else is said.
pub(super) const BOUNDS: Bounds = Bounds {
    memory_bytes: 256 << 20,
    text_bytes: 256 << 10,
    plan_nodes: 5_000,
    batch_rows: 8_192,
};

/// The plan of a statement, as it is before it is optimised. There are `t` and `u`.
pub(super) fn plan(sql: &str) -> Result<LogicalPlan, QueryFault> {
    let state = SessionStateBuilder::new()
        .with_scalar_functions(functions::scalar())
        .with_aggregate_functions(functions::aggregate())
        .with_window_functions(functions::window())
        .with_higher_order_functions(functions::higher_order())
        .with_expr_planners(functions::planners())
        .build();
    let context = SessionContext::new_with_state(state);
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("x", DataType::Utf8, true),
        Field::new("y", DataType::Utf8, true),
        Field::new("n", DataType::Float64, true),
        Field::new(
            "tags",
            DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            true,
        ),
    ]));
    for name in ["t", "u"] {
        context
            .register_batch(name, RecordBatch::new_empty(schema.clone()))
            .map_err(planning)?;
    }
    let (Accepted::Query(statement) | Accepted::Explain(statement)) = parse(sql, &BOUNDS)?;
    futures::executor::block_on(context.state().statement_to_plan(statement)).map_err(planning)
}
