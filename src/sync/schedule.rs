//! Schedules: syncs whose time has come are queued as their owners, once for each time.

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{POLL, Shared, queued};
use crate::config::Schedule;
use crate::principal::Act;
use crate::store::{Due, Scheduled, StoreError};

impl Shared {
    /// Queues what is due, until `shutdown`.
    pub(super) async fn keep_schedules(&self, shutdown: &CancellationToken) {
        let mut looked = None;
        while !shutdown.is_cancelled() {
            // Nothing comes due within a minute.
            let minute = self.now().timestamp().div_euclid(60);
            if looked != Some(minute) {
                match self.queue_due(shutdown).await {
                    Ok(()) => looked = Some(minute),
                    Err(error) => tracing::warn!(%error, "cannot look which syncs are due"),
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Queues every sync that is due. One that cannot be queued keeps neither the others back nor
    /// the round from ending: it is still due at the next minute.
    async fn queue_due(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        for scheduled in self.store.scheduled_syncs(self.now()).await? {
            if shutdown.is_cancelled() {
                break;
            }
            if let Err(error) = self.queue_if_due(&scheduled).await {
                let (workspace_id, sync_id) = (scheduled.workspace_id, scheduled.sync_id);
                tracing::warn!(
                    %error, %sync_id, %workspace_id,
                    "cannot queue a sync that may be due: it is looked at again at the next minute"
                );
            }
            // One that is not due takes no pause of its own; this lets other tasks have their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn queue_if_due(&self, scheduled: &Scheduled) -> Result<(), StoreError> {
        let now = self.now();
        let schedule = Schedule::parse(&scheduled.schedule);
        let due = schedule.and_then(|schedule| schedule.due(scheduled.done_until, now));
        let Some(due_at) = due else {
            return Ok(());
        };
        let (workspace_id, sync_id) = (scheduled.workspace_id, scheduled.sync_id);
        let act = Act::on_behalf_of(scheduled.owner_id, now);
        let run = queued(Uuid::now_v7(), workspace_id, sync_id, &act);
        match self.store.queue_due_run(&run, scheduled, due_at).await? {
            Due::Queued => self.queued.notify_one(),
            Due::Busy => tracing::info!(
                %sync_id, %workspace_id, %due_at,
                "scheduled time passed without a run: an earlier one has not ended"
            ),
            Due::Gone => {}
        }
        Ok(())
    }
}
