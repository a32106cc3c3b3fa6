//! Runs and their leases. A worker holds a run by a lease that it renews at each checkpoint; a
//! run whose lease ran out is taken over by whoever claims it next.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::{is_dangling, is_duplicate};
use super::{Store, StoreError, columns, object, objects, workspaces};
use crate::audit::Event;
use crate::catalog::{Checkpoint, Counts, Progress, Run, RunOrigin, RunStatus};
use crate::principal::Act;

/// A run that a worker now holds, and where it is to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The run.
    pub run: Run,
    /// How far it had come.
    pub progress: Progress,
    /// Whether somebody wants it stopped: its last worker did not live to see it.
    pub cancel_requested: bool,
}

#[derive(sqlx::FromRow)]
pub(super) struct RunRow {
    id: Uuid,
    workspace_id: Uuid,
    sync_id: Uuid,
    account_id: Uuid,
    origin: String,
    status: String,
    rows_read: i64,
    delivered: i64,
    withheld: i64,
    rejected: i64,
    invalid: i64,
    failed: i64,
    withheld_by: String,
    policy_revisions: String,
    checkpoint_rows: i64,
    checkpoint_last_row: Option<String>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<String>,
    cancel_requested: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The columns of a [`RunRow`].
macro_rules! run_columns {
    () => {
        "id, workspace_id, sync_id, account_id, origin, status, rows_read, delivered, withheld, \
         rejected, invalid, failed, withheld_by, policy_revisions, checkpoint_rows, \
         checkpoint_last_row, started_at, finished_at, error, cancel_requested, created_at, \
         updated_at"
    };
}

/// Assigns a [`Progress`] to the parameters from `$4` to `$13`.
macro_rules! set_progress {
    () => {
        "rows_read = $4, delivered = $5, withheld = $6, rejected = $7, invalid = $8, failed = $9, \
         withheld_by = $10, policy_revisions = $11, checkpoint_rows = $12, \
         checkpoint_last_row = $13"
    };
}

/// Runs a statement on the run that a worker holds: run, worker and time are `$1` to `$3`, the
/// progress `$4` to `$13`, further values follow. The answer is whether somebody wants the run
/// stopped, or `None` if the worker does not hold it.
macro_rules! save_progress {
    ($store:expr, $sql:expr, $run:expr, $worker:expr, $now:expr, $progress:expr, $($bind:expr),*) => {{
        let progress = $progress;
        let withheld_by = columns::json(&progress.withheld_by)?;
        let policy_revisions = columns::json(&progress.policy_revisions)?;
        optional!(
            $store,
            (bool,),
            $sql,
            $run,
            $worker,
            columns::time($now),
            columns::count(progress.counts.read),
            columns::count(progress.counts.delivered),
            columns::count(progress.counts.withheld),
            columns::count(progress.counts.rejected),
            columns::count(progress.counts.invalid),
            columns::count(progress.counts.failed),
            &withheld_by,
            &policy_revisions,
            columns::count(progress.checkpoint.rows),
            &progress.checkpoint.last_row,
            $($bind),*
        )
    }};
}

impl TryFrom<RunRow> for Claimed {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Claimed, StoreError> {
        let count = |value| columns::from_count(value, "runs");
        let counts = Counts {
            read: count(row.rows_read)?,
            delivered: count(row.delivered)?,
            withheld: count(row.withheld)?,
            rejected: count(row.rejected)?,
            invalid: count(row.invalid)?,
            failed: count(row.failed)?,
        };
        let checkpoint = Checkpoint {
            rows: count(row.checkpoint_rows)?,
            last_row: row.checkpoint_last_row,
        };
        let progress = Progress {
            checkpoint,
            counts,
            withheld_by: columns::from_json(&row.withheld_by, "runs.withheld_by")?,
            policy_revisions: columns::from_json(&row.policy_revisions, "runs.policy_revisions")?,
        };
        let run = Run {
            id: row.id,
            workspace_id: row.workspace_id,
            sync_id: row.sync_id,
            account_id: row.account_id,
            origin: columns::from_word(&row.origin, "runs.origin")?,
            status: columns::from_word(&row.status, "runs.status")?,
            counts,
            withheld_by: progress.withheld_by.clone(),
            policy_revision: progress.policy_revisions.last().copied(),
            policy_revisions: progress.policy_revisions.clone(),
            started_at: row.started_at,
            finished_at: row.finished_at,
            error: row.error,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(Claimed {
            run,
            progress,
            cancel_requested: row.cancel_requested,
        })
    }
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Run, StoreError> {
        Claimed::try_from(row).map(|claimed| claimed.run)
    }
}

impl Store {
    /// Adds a run as it is; its checkpoint is the start of the model.
    pub async fn insert_run(&self, run: &Run, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, run.workspace_id).await?;
        insert(&mut tx, run, None, None).await?;
        let event = Event {
            action: "run.trigger".into(),
            ..Event::of(
                "run",
                Some(run.id),
                None,
                Some(&json!({"sync_id": run.sync_id})),
            )
        };
        audit::append(&mut tx, Some(run.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// One run of a workspace.
    pub async fn get_run(&self, workspace_id: Uuid, id: Uuid) -> Result<Run, StoreError> {
        let row = optional!(
            self,
            RunRow,
            concat!(
                "SELECT ",
                run_columns!(),
                " FROM runs WHERE workspace_id = $1 AND id = $2"
            ),
            workspace_id,
            id,
        );
        object(row, "run")
    }

    /// The runs of a sync, newest first, at most 200.
    pub async fn list_runs(
        &self,
        workspace_id: Uuid,
        sync_id: Uuid,
    ) -> Result<Vec<Run>, StoreError> {
        objects(all!(
            self,
            RunRow,
            concat!(
                "SELECT ",
                run_columns!(),
                " FROM runs WHERE workspace_id = $1 AND sync_id = $2
                 ORDER BY created_at DESC, id DESC LIMIT 200"
            ),
            workspace_id,
            sync_id,
        ))
    }

    /// Takes the oldest run that waits for a worker: one that is queued, or one that is running
    /// and whose lease was given back or ran out before `now`. Runs of one sync follow one
    /// another: a run waits until those queued before it have ended, and any upload. An upload is
    /// never claimed: its records came with the request that sent them.
    ///
    /// `worker` names one claimant that works on one run at a time; two of the same name could
    /// not be told apart.
    pub async fn claim_run(
        &self,
        worker: &str,
        now: DateTime<Utc>,
        lease_until: DateTime<Utc>,
    ) -> Result<Option<Claimed>, StoreError> {
        // Where another worker was faster the next candidate is tried; each round that fails
        // means that somebody has a run.
        while let Some((id,)) = optional!(
            self,
            (Uuid,),
            "SELECT r.id FROM runs r
             WHERE r.status IN ('queued', 'running') AND r.origin = 'trigger'
               AND (r.lease_until IS NULL OR r.lease_until < $1)
               AND NOT EXISTS (
                   SELECT 1 FROM runs earlier
                   WHERE earlier.sync_id = r.sync_id AND earlier.status IN ('queued', 'running')
                     AND (earlier.origin = 'upload' OR earlier.created_at < r.created_at
                          OR (earlier.created_at = r.created_at AND earlier.id < r.id)))
             ORDER BY r.created_at, r.id LIMIT 1",
            columns::time(now),
        )? {
            let row = optional!(
                self,
                RunRow,
                concat!(
                    "UPDATE runs SET status = 'running', started_at = COALESCE(started_at, $3),
                         lease_worker = $2, lease_until = $4, updated_at = $3
                     WHERE id = $1 AND status IN ('queued', 'running')
                       AND (lease_until IS NULL OR lease_until < $3)
                     RETURNING ",
                    run_columns!()
                ),
                id,
                worker,
                columns::time(now),
                columns::time(lease_until),
            )?;
            if let Some(row) = row {
                return Claimed::try_from(row).map(Some);
            }
        }
        Ok(None)
    }

    /// Saves how far a run has come and renews its lease. The answer is whether somebody wants
    /// the run stopped.
    pub async fn checkpoint_run(
        &self,
        run_id: Uuid,
        worker: &str,
        progress: &Progress,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let cancel = save_progress!(
            self,
            concat!(
                "UPDATE runs SET lease_until = $14, updated_at = $3, ",
                set_progress!(),
                " WHERE id = $1 AND lease_worker = $2 AND status = 'running'
                 RETURNING cancel_requested"
            ),
            run_id,
            worker,
            now,
            progress,
            columns::time(lease_until)
        )?;
        cancel
            .map(|(requested,)| requested)
            .ok_or(StoreError::LeaseLost)
    }

    /// Ends a run with a final status; `error` is for its reader.
    pub async fn finish_run(
        &self,
        run_id: Uuid,
        worker: &str,
        status: RunStatus,
        error: Option<&str>,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if !status.is_final() {
            let status = status.as_str();
            return Err(StoreError::Conflict(format!(
                "a run cannot end as {status}"
            )));
        }
        let mut tx = self.write().await?;
        let finished = save_progress!(
            tx,
            concat!(
                "UPDATE runs SET status = $14, error = $15, finished_at = $3, updated_at = $3,
                     lease_worker = NULL, lease_until = NULL, ",
                set_progress!(),
                " WHERE id = $1 AND lease_worker = $2 AND status = 'running'
                 RETURNING cancel_requested"
            ),
            run_id,
            worker,
            now,
            progress,
            status.as_str(),
            error
        )?;
        finished.ok_or(StoreError::LeaseLost)?;
        let query = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = $1");
        let run: Run = object(optional!(tx, RunRow, query, run_id), "run")?;
        note_end(&mut tx, &run, now).await?;
        tx.commit().await
    }

    /// Gives a run back before it has ended: it stays `running` and can be claimed at once.
    pub async fn release_run(&self, run_id: Uuid, worker: &str) -> Result<(), StoreError> {
        let released = execute!(
            self,
            "UPDATE runs SET lease_worker = NULL, lease_until = NULL
             WHERE id = $1 AND lease_worker = $2 AND status = 'running'",
            run_id,
            worker,
        )?;
        if released == 0 {
            Err(StoreError::LeaseLost)
        } else {
            Ok(())
        }
    }

    /// Ends every lease. For the start of a process that has the store to itself: whoever held
    /// them is gone.
    pub async fn release_all_runs(&self) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE runs SET lease_worker = NULL, lease_until = NULL
             WHERE lease_worker IS NOT NULL",
        )?;
        Ok(())
    }

    /// Stops a run: at once if no worker holds it, otherwise its worker learns of it at the next
    /// checkpoint. A run that has ended conflicts.
    pub async fn cancel_run(
        &self,
        workspace_id: Uuid,
        id: Uuid,
        act: &Act,
    ) -> Result<Run, StoreError> {
        let mut tx = self.write().await?;
        let row = optional!(
            tx,
            RunRow,
            concat!(
                "UPDATE runs SET cancel_requested = TRUE, updated_at = $3,
                     status = CASE WHEN lease_worker IS NULL THEN 'cancelled' ELSE status END,
                     finished_at = CASE WHEN lease_worker IS NULL THEN $3 ELSE finished_at END
                 WHERE workspace_id = $1 AND id = $2 AND status IN ('queued', 'running')
                 RETURNING ",
                run_columns!()
            ),
            workspace_id,
            id,
            columns::time(act.at),
        )?;
        match row {
            Some(row) => {
                let run: Run = row.try_into()?;
                let event = Event {
                    action: "run.cancel".into(),
                    ..Event::of(
                        "run",
                        Some(run.id),
                        None,
                        Some(&json!({"status": run.status})),
                    )
                };
                audit::append(&mut tx, Some(workspace_id), act, &event).await?;
                tx.commit().await?;
                Ok(run)
            }
            None => {
                // A second connection while the first is held could be waited for in a circle.
                drop(tx);
                let status = self.get_run(workspace_id, id).await?.status.as_str();
                Err(StoreError::Conflict(format!(
                    "the run has ended already: {status}"
                )))
            }
        }
    }
}

/// Adds the row of a run: with the key of an upload, and with the worker that holds it and until
/// when, if there are such.
pub(super) async fn insert(
    tx: &mut Tx,
    run: &Run,
    upload_key: Option<&str>,
    lease: Option<(&str, DateTime<Utc>)>,
) -> Result<(), StoreError> {
    let withheld_by = columns::json(&run.withheld_by)?;
    let policy_revisions = columns::json(&run.policy_revisions)?;
    execute!(
        tx,
        "INSERT INTO runs (id, workspace_id, sync_id, account_id, status, rows_read, delivered,
             withheld, rejected, invalid, failed, withheld_by, policy_revisions,
             checkpoint_rows, started_at, finished_at, error, cancel_requested, created_at,
             updated_at, origin, upload_key, lease_worker, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, $14, $15, $16,
             FALSE, $17, $18, $19, $20, $21, $22)",
        run.id,
        run.workspace_id,
        run.sync_id,
        run.account_id,
        run.status.as_str(),
        columns::count(run.counts.read),
        columns::count(run.counts.delivered),
        columns::count(run.counts.withheld),
        columns::count(run.counts.rejected),
        columns::count(run.counts.invalid),
        columns::count(run.counts.failed),
        &withheld_by,
        &policy_revisions,
        run.started_at.map(columns::time),
        run.finished_at.map(columns::time),
        &run.error,
        columns::time(run.created_at),
        columns::time(run.updated_at),
        columns::word(run.origin)?,
        upload_key,
        lease.map(|(worker, _)| worker),
        lease.map(|(_, until)| columns::time(until)),
    )
    .map_err(|error| {
        if is_duplicate(&error) {
            StoreError::Conflict(match run.origin {
                RunOrigin::Trigger => "there is already a run with this id".into(),
                RunOrigin::Upload => BUSY.into(),
            })
        } else if is_dangling(&error) {
            StoreError::NotFound("sync")
        } else {
            error.into()
        }
    })?;
    Ok(())
}

/// What an upload is told while its sync is at work.
pub(super) const BUSY: &str =
    "another run of the sync is at work: wait for its end, then send the records again";

/// Notes in the audit log that a run has ended, with what became of its records.
pub(super) async fn note_end(tx: &mut Tx, run: &Run, now: DateTime<Utc>) -> Result<(), StoreError> {
    let act = Act::on_behalf_of(run.account_id, now);
    let mut summary = json!({
        "sync_id": run.sync_id,
        "status": run.status,
        "counts": run.counts,
        "withheld_by": run.withheld_by,
        "policy_revisions": run.policy_revisions,
    });
    if let (RunStatus::Blocked, Some(summary)) = (run.status, summary.as_object_mut()) {
        // It names policies, objects and columns. What other ends tell may hold a record's values.
        summary.insert("error".into(), json!(run.error));
    }
    let event = Event {
        action: "run.finish".into(),
        revision: run.policy_revision,
        ..Event::of("run", Some(run.id), None, Some(&summary))
    };
    audit::append(tx, Some(run.workspace_id), &act, &event).await
}
