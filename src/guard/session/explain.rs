//! Shows a plan to whoever made the query: its operators, and nothing that lies below a guard.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::fault::{FaultKind, QueryFault};

/// The columns of an explanation.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("plan_type", DataType::Utf8, false),
        Field::new("plan", DataType::Utf8, false),
    ]))
}

/// A plan in words. Neither statistics nor metrics are shown, since they count rows.
pub(super) fn show(
    logical: &LogicalPlan,
    physical: &dyn ExecutionPlan,
) -> Result<RecordBatch, QueryFault> {
    let logical = logical.display_indent().to_string();
    let physical = displayable(physical).indent(false).to_string();
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(StringArray::from(vec!["logical_plan", "physical_plan"])),
            Arc::new(StringArray::from(vec![
                logical.trim_end(),
                physical.trim_end(),
            ])),
        ],
    )
    .map_err(|_| QueryFault::new(FaultKind::Internal, "the plan cannot be shown"))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    #[test]
    fn a_plan_is_shown_as_two_rows_without_counts() {
        let logical = LogicalPlanBuilder::empty(true).build().unwrap();
        let physical = EmptyExec::new(Arc::new(Schema::empty()));
        let shown = show(&logical, &physical).unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&[shown])
            .unwrap()
            .to_string();
        assert!(text.contains("logical_plan") && text.contains("EmptyExec"));
        assert!(!text.contains("statistics") && !text.contains("metrics"));
    }
}
