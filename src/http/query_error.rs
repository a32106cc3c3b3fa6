//! What a query that is not answered tells whoever asked.
//!
//! What is wrong with a statement, or with what it asks for, is 422: its `code` says what kind of
//! fault it is, and `details` where in the request it lies. A query that takes too long or gives
//! too much is such a fault, too: asking for it again does not help, asking for less does.

use super::error::ApiError;
use crate::guard::session::{FaultKind, QueryFault};
use crate::query::QueryError;
use crate::wire::WireError;

/// Where the parts of a query stand in a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    statement: &'static str,
    parameters: &'static str,
    account: &'static str,
}

impl Places {
    /// A body that is the statement.
    pub(crate) const TEXT: Places = Places::of("$", "$", "$");
    /// A body in JSON.
    pub(crate) const JSON: Places = Places::of("$.sql", "$.params", "$.account_id");
    /// A statement that was made of a path and its parameters.
    pub(crate) const QUERY: Places = Places::of("$query", "$query", "$query.account_id");

    const fn of(
        statement: &'static str,
        parameters: &'static str,
        account: &'static str,
    ) -> Places {
        Places {
            statement,
            parameters,
            account,
        }
    }

    /// 422: a fault of the statement.
    pub(crate) fn fault(self, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::query(code, self.statement, message)
    }
}

/// Why there is no answer.
pub(crate) fn query_error(error: QueryError, places: Places) -> ApiError {
    match error {
        QueryError::Fault(fault) => query_fault(fault, places),
        QueryError::Unauthenticated => ApiError::unauthorized(),
        QueryError::NoWorkspace => ApiError::not_found("workspace"),
        QueryError::Forbidden(message) => ApiError::forbidden(message),
        QueryError::NoMember => ApiError::fault(places.account, error.to_string()),
        QueryError::Busy(_) => ApiError::too_many_queries(error.to_string()),
        QueryError::TimedOut(_) => places.fault("query_timed_out", error.to_string()),
        QueryError::TooManyRows(_) => places.fault("too_many_rows", error.to_string()),
        QueryError::Changed => ApiError::conflict(error.to_string()),
        QueryError::Refused {
            ref model,
            ref faults,
        } => {
            tracing::warn!(model, ?faults, "policies do not compile against a model");
            ApiError::conflict(error.to_string())
        }
        QueryError::Source(_) => ApiError::unreadable(error.to_string()),
        QueryError::Store(error) => error.into(),
        QueryError::Internal => ApiError::internal(&error),
    }
}

fn query_fault(fault: QueryFault, places: Places) -> ApiError {
    let (code, place) = match fault.kind {
        FaultKind::Syntax => ("syntax_error", places.statement),
        FaultKind::UndefinedTable => ("undefined_table", places.statement),
        FaultKind::UndefinedColumn => ("undefined_column", places.statement),
        FaultKind::UndefinedFunction => ("undefined_function", places.statement),
        FaultKind::Type => ("type_mismatch", places.statement),
        FaultKind::Unsupported => ("not_supported", places.statement),
        FaultKind::NotPermitted => ("statement_not_accepted", places.statement),
        FaultKind::TooComplex => ("too_complex", places.statement),
        FaultKind::Parameters => ("invalid_parameters", places.parameters),
        FaultKind::DivisionByZero => ("division_by_zero", places.statement),
        FaultKind::InvalidCast => ("invalid_cast", places.statement),
        FaultKind::Overflow => ("numeric_overflow", places.statement),
        FaultKind::Computation => ("computation_failed", places.statement),
        FaultKind::Memory => ("memory_exceeded", places.statement),
        FaultKind::Internal => return ApiError::internal(&fault),
    };
    ApiError::query(code, place, fault.message)
}

/// Why an answer cannot be written down in the format that was asked for.
pub(crate) fn unwritable(error: &WireError, places: Places) -> ApiError {
    match error {
        WireError::Unsupported { .. } | WireError::Value { .. } => {
            let message = format!("{error}: cast it, or choose another format");
            places.fault("not_representable", message)
        }
        WireError::Repeated { .. } => {
            let message = format!("{error}: give one of them an alias, or choose another format");
            places.fault("not_representable", message)
        }
        WireError::Io(_) | WireError::Encode { .. } => ApiError::internal(error),
    }
}
