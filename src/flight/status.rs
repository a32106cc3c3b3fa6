//! Why a call fails, as gRPC has it.

use tonic::{Code, Status};

use crate::guard::session::FaultKind;
use crate::query::QueryError;
use crate::store::StoreError;

/// Most bytes of a message: it travels as a header, which clients bound.
const MESSAGE_BYTES: usize = 4096;

/// No key, or none that works. Why is not said.
pub(super) fn stranger() -> Status {
    Status::unauthenticated(
        "missing or invalid credentials: give `authorization: Bearer API-KEY`, or Basic with the account's e-mail address and an API key",
    )
}

/// A fault of the inside, which is told to the log alone.
pub(super) fn internal(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "a Flight SQL call failed");
    Status::internal("an internal fault ended the call")
}

/// The store refused, or could not be reached.
pub(super) fn store_fault(error: &StoreError) -> Status {
    match error {
        StoreError::NotFound(_) => Status::not_found(error.to_string()),
        StoreError::Conflict(_)
        | StoreError::Refused { .. }
        | StoreError::Stale
        | StoreError::LeaseLost => Status::aborted(error.to_string()),
        StoreError::Unavailable(_) => {
            tracing::error!(%error, "the store is not available");
            Status::unavailable("the store is not available: try again later")
        }
        StoreError::Corrupt(_) => internal(error),
    }
}

/// Why a query was not answered, or not to its end.
pub(super) fn query_fault(error: &QueryError) -> Status {
    let code = match error {
        QueryError::Fault(fault) => fault_code(fault.kind),
        QueryError::Unauthenticated => return stranger(),
        QueryError::NoWorkspace | QueryError::NoMember => Code::NotFound,
        QueryError::Forbidden(_) => Code::PermissionDenied,
        QueryError::Busy(_) | QueryError::TooManyRows(_) => Code::ResourceExhausted,
        QueryError::TimedOut(_) => Code::DeadlineExceeded,
        QueryError::Changed => Code::Aborted,
        QueryError::Refused { model, faults } => {
            tracing::warn!(model, ?faults, "policies do not compile");
            Code::FailedPrecondition
        }
        QueryError::Source(_) => Code::Unavailable,
        QueryError::Store(error) => return store_fault(error),
        QueryError::Internal => Code::Internal,
    };
    Status::new(code, shortened(error.to_string()))
}

fn fault_code(kind: FaultKind) -> Code {
    match kind {
        FaultKind::Syntax
        | FaultKind::UndefinedColumn
        | FaultKind::UndefinedFunction
        | FaultKind::Type
        | FaultKind::Parameters
        | FaultKind::DivisionByZero
        | FaultKind::InvalidCast
        | FaultKind::Overflow
        | FaultKind::Computation => Code::InvalidArgument,
        FaultKind::UndefinedTable => Code::NotFound,
        FaultKind::Unsupported => Code::Unimplemented,
        FaultKind::NotPermitted => Code::PermissionDenied,
        FaultKind::TooComplex | FaultKind::Memory => Code::ResourceExhausted,
        FaultKind::Internal => Code::Internal,
    }
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        message.push_str(" ...");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_message_is_cut_between_characters() {
        assert_eq!(shortened("ä".into()), "ä");
        let cut = shortened(format!("x{}", "ä".repeat(MESSAGE_BYTES)));
        assert!(
            cut.len() <= MESSAGE_BYTES + 4 && cut.ends_with("ä ..."),
            "{}",
            cut.len()
        );
    }
}
