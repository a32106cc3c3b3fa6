//! Faults as clients are told of them: a code that PostgreSQL has for such a thing, and words
//! that tell of no row.

use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use crate::guard::session::{FaultKind, QueryFault};
use crate::query::QueryError;
use crate::store::StoreError;

/// Something that went wrong, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    /// The SQLSTATE.
    pub(super) code: &'static str,
    /// What is wrong and what to do about it.
    pub(super) message: String,
    /// Whether the connection ends with it.
    pub(super) is_fatal: bool,
}

impl Fault {
    /// A fault that ends the statement.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: message.into(),
            is_fatal: false,
        }
    }

    /// A fault that ends the connection.
    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Fault {
        Fault {
            is_fatal: true,
            ..Fault::new(code, message)
        }
    }

    /// A client that does not keep to the protocol.
    pub(super) fn protocol(message: impl Into<String>) -> Fault {
        Fault::fatal("08P01", message)
    }

    /// Something that is not done here.
    pub(super) fn unsupported(message: impl Into<String>) -> Fault {
        Fault::new("0A000", message)
    }

    /// A text that is not understood.
    pub(super) fn syntax(message: impl Into<String>) -> Fault {
        Fault::new("42601", message)
    }

    /// A fault of ours.
    pub(super) fn internal() -> Fault {
        Fault::new("XX000", "an internal fault ended the statement")
    }

    /// A statement that its client gave up.
    pub(super) fn canceled() -> Fault {
        Fault::new("57014", "canceling statement due to user request")
    }

    /// Tells the client.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let severity = if self.is_fatal { "FATAL" } else { "ERROR" };
        let error = ErrorResponse::new(fields(severity, self.code, &self.message));
        encode(&error, out);
    }
}

/// Tells the client something that stops nothing.
pub(super) fn warn(code: &str, message: &str, out: &mut BytesMut) {
    encode(&NoticeResponse::new(fields("WARNING", code, message)), out);
}

/// Appends a message. One that is too long to be one is left out, and the client is told.
pub(super) fn encode<M: Message>(message: &M, out: &mut BytesMut) {
    let start = out.len();
    if let Err(error) = message.encode(out) {
        tracing::error!(%error, "a message cannot be written");
        out.truncate(start);
        Fault::internal().write(out);
    }
}

fn fields(severity: &str, code: &str, message: &str) -> Vec<(u8, String)> {
    // A zero byte would end the field, and what follows would be read as another.
    let message = message.replace('\0', "\u{fffd}");
    vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', code.to_owned()),
        (b'M', message),
    ]
}

impl From<QueryFault> for Fault {
    fn from(fault: QueryFault) -> Fault {
        let code = match fault.kind {
            FaultKind::Syntax => "42601",
            FaultKind::UndefinedTable => "42P01",
            FaultKind::UndefinedColumn => "42703",
            FaultKind::UndefinedFunction => "42883",
            FaultKind::Type => "42804",
            FaultKind::Unsupported => "0A000",
            FaultKind::NotPermitted => "42501",
            FaultKind::TooComplex => "54001",
            FaultKind::Parameters => "22023",
            FaultKind::DivisionByZero => "22012",
            FaultKind::InvalidCast => "22P02",
            FaultKind::Overflow => "22003",
            FaultKind::Computation => "22000",
            FaultKind::Memory => "53200",
            FaultKind::Internal => "XX000",
        };
        Fault::new(code, fault.message)
    }
}

impl From<QueryError> for Fault {
    fn from(error: QueryError) -> Fault {
        let message = error.to_string();
        match error {
            QueryError::Fault(fault) => fault.into(),
            QueryError::Unauthenticated => Fault::fatal("28000", message),
            QueryError::NoWorkspace => Fault::fatal("3D000", message),
            QueryError::Forbidden(_) => Fault::new("42501", message),
            QueryError::NoMember => Fault::new("42704", message),
            QueryError::Busy(_) => Fault::new("53300", message),
            QueryError::TimedOut(_) => Fault::new("57014", message),
            QueryError::TooManyRows(_) => Fault::new("54000", message),
            QueryError::Changed => Fault::new("40001", message),
            QueryError::Refused { model, faults } => {
                tracing::warn!(model, faults = faults.len(), "policies do not compile");
                Fault::new("55000", message)
            }
            QueryError::Source(_) => Fault::new("58000", message),
            QueryError::Store(error) => error.into(),
            QueryError::Internal => Fault::internal(),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        tracing::warn!(%error, "the store did not serve a client of the PostgreSQL protocol");
        Fault::new(
            "57P03",
            "the server cannot look things up at the moment: try again later",
        )
    }
}

/// Why a statement, or the whole connection, comes to an end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The client is told.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is nobody left to be told.
    #[error("the client is gone")]
    Gone,
}

impl From<QueryError> for Trouble {
    fn from(error: QueryError) -> Trouble {
        Trouble::Fault(error.into())
    }
}

impl From<QueryFault> for Trouble {
    fn from(fault: QueryFault) -> Trouble {
        Trouble::Fault(fault.into())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Fault(error.into())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(_: std::io::Error) -> Trouble {
        Trouble::Gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_byte_in_a_message_makes_no_second_field() {
        let mut out = BytesMut::new();
        Fault::new("42601", "no \"a\0Cgone\"").write(&mut out);
        assert_eq!(out.first(), Some(&b'E'));
        let length = u32::from_be_bytes(out[1..5].try_into().expect("4 bytes"));
        assert_eq!(length as usize, out.len() - 1);
        let texts: Vec<&[u8]> = out[5..].split(|byte| *byte == 0).collect();
        let expected = [
            "SERROR",
            "VERROR",
            "C42601",
            "Mno \"a\u{fffd}Cgone\"",
            "",
            "",
        ];
        assert_eq!(texts, expected.map(str::as_bytes));
    }
}
