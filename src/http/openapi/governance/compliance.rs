//! `/governance/compliance`.

use serde_json::json;

use super::{Named, Parameter};
use crate::http::governance::compliance::MOST_DAYS;

pub(super) fn schemas() -> Named {
    Vec::new()
}

pub(super) fn parameters() -> Vec<Parameter> {
    vec![
        (
            "governance-compliance.solutionId",
            "This solution alone.",
            super::sought(),
        ),
        (
            "governance-compliance.days",
            "How many days before today to begin with.",
            json!({"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 30}),
        ),
    ]
}
