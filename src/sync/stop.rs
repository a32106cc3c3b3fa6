//! Why a run comes to its end before the end of its records.

use super::batches::ReadError;
use crate::guard::GuardError;
use crate::guard::registry::NoGuard;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::wire::stream::StreamError;

/// Why a run came to its end before the end of its records.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// A fault: the run is failed.
    #[error("{0}")]
    Failed(String),
    /// The destination does not answer, after every retry: the run is failed.
    #[error("{0}")]
    Unavailable(String),
    /// The bytes of an upload are not what they should be, or stopped coming: the run is failed.
    #[error(transparent)]
    Stream(StreamError),
    /// An upload that was to go on is not the one that began: the run is failed.
    #[error(
        "the records are not those that were sent before with this Idempotency-Key: send them again as they were, or under another key"
    )]
    Differs,
    /// A fault of ours: the run is failed.
    #[error("an internal fault ended the run")]
    Internal,
    /// A policy that cannot be compiled, or is demanded and missing, a column that nobody has
    /// checked, or compliance, which does not let the sync run: the run is blocked.
    #[error("{0}")]
    Blocked(String),
    /// Somebody cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The process is to end: another one resumes, or the sender of an upload does.
    #[error(
        "the upload was interrupted because the server was stopped: send it again with the same Idempotency-Key to go on where it stopped"
    )]
    Drained,
    /// The sync was changed while compliance was asked about it: the run begins anew, an upload is
    /// failed.
    #[error("the sync was changed as the upload began: send it again")]
    Changed,
    /// Another worker holds the run, or the store is out of reach: nothing may be written.
    #[error("{0}")]
    Lost(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Stop::Failed(format!("{error}; it was deleted")),
            error => Stop::Lost(error),
        }
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Stop::Failed(error.to_string())
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Source(error) => error.into(),
            ReadError::Stream(error) => Stop::Stream(error),
            ReadError::Broke => Stop::Internal,
        }
    }
}

impl From<SinkError> for Stop {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Retry { .. } => Stop::Unavailable(error.to_string()),
            error => Stop::Failed(error.to_string()),
        }
    }
}

impl From<NoGuard> for Stop {
    fn from(error: NoGuard) -> Self {
        Stop::Blocked(error.to_string())
    }
}

impl From<GuardError> for Stop {
    fn from(error: GuardError) -> Self {
        match error {
            GuardError::Engine => Stop::Failed(error.to_string()),
            GuardError::Schema { .. } | GuardError::Column(_) => Stop::Blocked(error.to_string()),
        }
    }
}
