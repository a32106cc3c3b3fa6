//! Uploads: runs whose records come with a request, which holds them by a lease as a worker holds
//! other runs. Nobody else can go on with one; but the same upload can be sent again under its
//! key, and then goes on where it stopped.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::audit;
use super::database::Db;
use super::error::is_duplicate;
use super::runs::{BUSY, Claimed, RunRow, insert, note_end};
use super::{Store, StoreError, columns, objects, workspaces};
use crate::audit::Event;
use crate::catalog::{Progress, Run, RunStatus};
use crate::principal::Act;

/// What an upload is told that ended because nobody was left to work on it.
const INTERRUPTED: &str = "the upload was interrupted: send it again with the same \
     Idempotency-Key to go on where it stopped";

/// What is to be done about an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Uploading {
    /// The worker holds its run, which is new, or goes on after it had failed or was blocked.
    Held(Claimed),
    /// It succeeded before, under the same key: this is its receipt.
    Done(Run),
}

impl Store {
    /// Begins an upload as a run that `worker` holds, or goes on with the one of the same sync
    /// and account that has the same key. `run` is what it is if it is new: running from the
    /// start.
    ///
    /// Conflicts: another run of the sync waits or is at work; the one with the key is at work, or
    /// was cancelled.
    pub async fn start_upload(
        &self,
        run: &Run,
        key: Option<&str>,
        worker: &str,
        lease_until: DateTime<Utc>,
        act: &Act,
    ) -> Result<Uploading, StoreError> {
        self.end_interrupted_uploads(act.at).await?;
        let mut tx = self.write().await?;
        // Whoever queues a run at the same time either has done it, or has it wait for this one.
        workspaces::lock(&mut tx, run.workspace_id).await?;
        let known = optional!(
            tx,
            RunRow,
            concat!(
                "SELECT ",
                run_columns!(),
                " FROM runs WHERE workspace_id = $1 AND sync_id = $2 AND account_id = $3
                     AND upload_key = $4"
            ),
            run.workspace_id,
            run.sync_id,
            run.account_id,
            key,
        )?;
        let known = known.map(Run::try_from).transpose()?;
        let conflict = match known.as_ref().map(|known| known.status) {
            Some(RunStatus::Succeeded) => None,
            Some(RunStatus::Queued | RunStatus::Running) => Some(
                "the first upload with this Idempotency-Key is still at work: wait for its end",
            ),
            Some(RunStatus::Cancelled) => Some(
                "the upload with this Idempotency-Key was cancelled: send it under another key",
            ),
            None | Some(RunStatus::Failed | RunStatus::Blocked) => {
                let open = optional!(
                    tx,
                    (Uuid,),
                    "SELECT id FROM runs WHERE sync_id = $1 AND status IN ('queued', 'running')
                     LIMIT 1",
                    run.sync_id,
                )?;
                open.map(|_| BUSY)
            }
        };
        if let Some(conflict) = conflict {
            return Err(StoreError::Conflict(conflict.into()));
        }
        let held = match known {
            Some(done) if done.status == RunStatus::Succeeded => {
                return Ok(Uploading::Done(done));
            }
            Some(stopped) => {
                let row = optional!(
                    tx,
                    RunRow,
                    concat!(
                        "UPDATE runs SET status = 'running', finished_at = NULL, error = NULL,
                             cancel_requested = FALSE, lease_worker = $2, lease_until = $3,
                             updated_at = $4
                         WHERE id = $1 AND status IN ('failed', 'blocked')
                         RETURNING ",
                        run_columns!()
                    ),
                    stopped.id,
                    worker,
                    columns::time(lease_until),
                    columns::time(act.at),
                );
                let row = row.map_err(|error| match is_duplicate(&error) {
                    true => StoreError::Conflict(BUSY.into()),
                    false => error.into(),
                })?;
                let row = row.ok_or_else(|| StoreError::Conflict(BUSY.into()))?;
                Claimed::try_from(row)?
            }
            None => {
                insert(&mut tx, run, key, Some((worker, lease_until))).await?;
                Claimed {
                    run: run.clone(),
                    progress: Progress::default(),
                    cancel_requested: false,
                }
            }
        };
        let about = json!({"sync_id": run.sync_id, "resumed": held.run.id != run.id});
        let event = Event {
            action: "run.upload".into(),
            ..Event::of("run", Some(held.run.id), None, Some(&about))
        };
        audit::append(&mut tx, Some(run.workspace_id), act, &event).await?;
        tx.commit().await?;
        Ok(Uploading::Held(held))
    }

    /// Ends every upload that nobody works on any more: whose lease was given back or ran out
    /// before `now`. It has failed, or is cancelled where somebody asked for that.
    pub async fn end_interrupted_uploads(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        // Mostly there is none, and then nothing is locked.
        let open = optional!(
            self,
            (Uuid,),
            "SELECT id FROM runs WHERE origin = 'upload' AND status = 'running'
                 AND (lease_until IS NULL OR lease_until < $1)
             LIMIT 1",
            columns::time(now),
        )?;
        if open.is_none() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        let ended: Vec<Run> = objects(all!(
            tx,
            RunRow,
            concat!(
                "UPDATE runs SET
                     status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'failed' END,
                     error = CASE WHEN cancel_requested THEN NULL ELSE $2 END,
                     finished_at = $1, updated_at = $1, lease_worker = NULL, lease_until = NULL
                 WHERE origin = 'upload' AND status = 'running'
                     AND (lease_until IS NULL OR lease_until < $1)
                 RETURNING ",
                run_columns!()
            ),
            columns::time(now),
            INTERRUPTED,
        ))?;
        for run in &ended {
            note_end(&mut tx, run, now).await?;
        }
        tx.commit().await
    }
}
