//! A batch that is refused as a whole is split by halves, down to the record that is bad.

use async_trait::async_trait;

use super::{SinkError, Written};
use crate::guard::Guarded;

/// What one attempt on some rows told.
pub(super) enum Outcome {
    /// The destination has them all.
    Delivered,
    /// The destination has none, because of at least one among them. Why, without any value.
    Refused(String),
    /// The attempt ended without an outcome.
    Stopped(SinkError),
}

#[async_trait]
pub(super) trait Attempt: Send {
    /// Delivers all of the rows, or none of them.
    async fn attempt(&mut self, rows: &Guarded) -> Outcome;
}

/// Delivers rows from the first to the last, the left half before the right one.
pub(super) async fn by_halves(sink: &mut dyn Attempt, rows: &Guarded) -> Written {
    let mut written = Written::default();
    let mut open = vec![(0, rows.num_rows())];
    while let Some((offset, len)) = open.pop() {
        if len == 0 {
            continue;
        }
        match sink.attempt(&rows.slice(offset, len)).await {
            Outcome::Delivered => written.settled += len,
            Outcome::Refused(reason) if len == 1 => {
                written.settled += 1;
                written.rejected += 1;
                written.rejection.get_or_insert(reason);
            }
            Outcome::Refused(_) => {
                let left = len / 2;
                open.push((offset + left, len - left));
                open.push((offset, left));
            }
            Outcome::Stopped(error) => {
                written.stopped = Some(error);
                break;
            }
        }
    }
    written
}
