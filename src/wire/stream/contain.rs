//! Decoders that may panic, kept from taking more with them than their stream.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::StreamError;

/// Runs work that may panic on hostile bytes. Whatever it worked on must not be used again if it
/// did.
///
/// Errors: it panicked. `what` names what it worked on.
pub(super) fn contain<T>(
    what: impl FnOnce() -> String,
    work: impl FnOnce() -> T,
) -> Result<T, StreamError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| StreamError::Malformed {
        what: format!("the decoder gave up on {}", what()),
    })
}

/// Runs a decoder that may refuse bytes or panic on them. Its own words are not passed on: they
/// may quote values.
///
/// Errors: it did one or the other.
pub(super) fn decode<T, E>(
    what: impl Fn() -> String,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, StreamError> {
    contain(&what, work)?.map_err(|_| StreamError::Malformed {
        what: format!("{} cannot be decoded: the bytes are damaged", what()),
    })
}
