//! Work on a thread of its own.
//!
//! Some operators of the engine compute for long without a pause in which their task could be
//! ended or another could run. On a thread of its own such a query takes its share of the
//! processors and nothing else: the system interrupts it, and whoever waits for it need not.

use std::future::Future;

use futures::future::{AbortHandle, abortable};
use tokio::sync::oneshot;

use super::{Querier, QueryError};

/// Bytes of a thread's stack: expressions are cloned and dropped recursively, and a statement may
/// nest them deeply.
const STACK: usize = 8 << 20;

/// Work under way. Dropping it ends the work at its next pause.
pub(super) struct Thread<T> {
    result: oneshot::Receiver<Result<T, QueryError>>,
    abort: AbortHandle,
}

impl Querier {
    /// Starts work on a thread of its own, once there is room for one more.
    pub(super) async fn thread<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<Thread<T>, QueryError> {
        let room = self.room.clone().acquire_owned().await;
        let room = room.map_err(|_| QueryError::Internal)?;
        let (work, abort) = abortable(work);
        let (done, result) = oneshot::channel();
        let runtime = self.workers.clone();
        let started = std::thread::Builder::new()
            .name("query".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let _room = room;
                if let Ok(result) = runtime.block_on(work) {
                    // Nobody may be waiting any more.
                    let _ = done.send(result);
                }
            });
        match started {
            Ok(_) => Ok(Thread { result, abort }),
            Err(error) => {
                tracing::error!(%error, "cannot start a thread for a query");
                Err(QueryError::Internal)
            }
        }
    }
}

impl<T> Thread<T> {
    /// How the work ended.
    pub(super) async fn ended(&mut self) -> Result<T, QueryError> {
        let result = (&mut self.result).await;
        // A thread that panics sends nothing.
        result.unwrap_or(Err(QueryError::Internal))
    }
}

impl<T> Drop for Thread<T> {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
