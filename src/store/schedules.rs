//! Schedules of syncs: which there are, up to when each is done, and the run that is due.
//!
//! A sync's mark moves forward in the transaction that queues its run. Of several processes that
//! find the same time due, one moves the mark.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::audit;
use super::database::Db;
use super::{Store, StoreError, columns, runs, workspaces};
use crate::audit::Event;
use crate::catalog::Run;
use crate::principal::Act;

/// A mark further ahead than this is from a clock that was wrong.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// An enabled sync with a schedule.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Scheduled {
    /// The workspace.
    pub workspace_id: Uuid,
    /// The sync.
    pub sync_id: Uuid,
    /// As whom it runs.
    pub owner_id: Uuid,
    /// Its cron expression.
    pub schedule: String,
    /// Up to which time it is done.
    pub done_until: DateTime<Utc>,
}

/// What became of a time that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its run is queued.
    Queued,
    /// It passed without a run: an earlier one has not ended.
    Busy,
    /// Another process has dealt with it, or the sync has changed since it was read.
    Gone,
}

impl Store {
    /// The enabled syncs with a schedule. One of which it is not known up to when it is done
    /// waits for its next time after `now`. So does one that is done until more than a day after
    /// `now`: a clock that jumped ahead once would keep it from running until then.
    pub async fn scheduled_syncs(&self, now: DateTime<Utc>) -> Result<Vec<Scheduled>, StoreError> {
        execute!(
            self,
            "UPDATE syncs SET scheduled_until = $1
             WHERE (scheduled_until IS NULL OR scheduled_until > $2)
               AND enabled AND schedule IS NOT NULL",
            columns::time(now),
            columns::time(now + AHEAD),
        )?;
        Ok(all!(
            self,
            Scheduled,
            "SELECT workspace_id, id AS sync_id, owner_id, schedule, scheduled_until AS done_until
             FROM syncs
             WHERE enabled AND schedule IS NOT NULL AND scheduled_until IS NOT NULL
             ORDER BY created_at, id",
        )?)
    }

    /// Queues the run of a sync that is due, as its owner, unless another process did, or an
    /// earlier run has not ended.
    pub async fn queue_due_run(
        &self,
        run: &Run,
        scheduled: &Scheduled,
        due_at: DateTime<Utc>,
    ) -> Result<Due, StoreError> {
        let Scheduled {
            workspace_id,
            sync_id,
            owner_id,
            ..
        } = *scheduled;
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        let moved = execute!(
            tx,
            "UPDATE syncs SET scheduled_until = $3
             WHERE workspace_id = $1 AND id = $2 AND scheduled_until < $3
               AND enabled AND owner_id = $4 AND schedule = $5",
            workspace_id,
            sync_id,
            columns::time(due_at),
            owner_id,
            &scheduled.schedule,
        )?;
        if moved == 0 {
            return Ok(Due::Gone);
        }
        let earlier = optional!(
            tx,
            (Uuid,),
            "SELECT id FROM runs
             WHERE sync_id = $1 AND status IN ('queued', 'running') AND origin = 'trigger'
             LIMIT 1",
            sync_id,
        )?;
        if earlier.is_some() {
            tx.commit().await?;
            return Ok(Due::Busy);
        }
        runs::insert(&mut tx, run, None, None).await?;
        let about = json!({"sync_id": sync_id, "due_at": due_at});
        let event = Event {
            action: "run.trigger".into(),
            ..Event::of("run", Some(run.id), None, Some(&about))
        };
        let act = Act::on_behalf_of(owner_id, run.created_at);
        audit::append(&mut tx, Some(workspace_id), &act, &event).await?;
        tx.commit().await?;
        Ok(Due::Queued)
    }
}
