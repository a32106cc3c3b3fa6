//! Syncs of the catalog.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::{is_dangling, not_saved};
use super::{Store, StoreError, columns, object, objects, same, touched, workspaces};
use crate::audit::Event;
use crate::catalog::Sync;
use crate::principal::Act;

#[derive(sqlx::FromRow)]
struct SyncRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    model_id: Uuid,
    destination_id: Uuid,
    mode: String,
    mapping: Option<String>,
    environment: String,
    schedule: Option<String>,
    enabled: bool,
    owner_id: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<SyncRow> for Sync {
    type Error = StoreError;

    fn try_from(row: SyncRow) -> Result<Sync, StoreError> {
        let mapping = row.mapping.as_deref();
        Ok(Sync {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            model_id: row.model_id,
            destination_id: row.destination_id,
            mode: columns::from_word(&row.mode, "syncs.mode")?,
            mapping: mapping
                .map(|text| columns::from_json(text, "syncs.mapping"))
                .transpose()?,
            environment: columns::from_word(&row.environment, "syncs.environment")?,
            schedule: row.schedule,
            enabled: row.enabled,
            owner_id: row.owner_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

const SELECT: &str = "SELECT id, workspace_id, name, model_id, destination_id, mode, mapping, \
     environment, schedule, enabled, owner_id, created_at, updated_at \
     FROM syncs WHERE workspace_id = $1 AND id = $2";

impl Store {
    /// The syncs of a workspace.
    pub async fn list_syncs(&self, workspace_id: Uuid) -> Result<Vec<Sync>, StoreError> {
        objects(all!(
            self,
            SyncRow,
            "SELECT id, workspace_id, name, model_id, destination_id, mode, mapping, environment,
                    schedule, enabled, owner_id, created_at, updated_at
             FROM syncs WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))
    }

    /// One sync of a workspace.
    pub async fn get_sync(&self, workspace_id: Uuid, id: Uuid) -> Result<Sync, StoreError> {
        let row = optional!(self, SyncRow, SELECT, workspace_id, id);
        object(row, "sync")
    }

    /// Adds a sync; its name must be new in the workspace, its model and destination there.
    pub async fn insert_sync(&self, sync: &Sync, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let mode = columns::word(sync.mode)?;
        let mapping = sync.mapping.as_ref().map(columns::json).transpose()?;
        let environment = columns::word(sync.environment)?;
        let saved = execute!(
            tx,
            "INSERT INTO syncs (id, workspace_id, name, model_id, destination_id, mode, mapping,
                 environment, schedule, enabled, owner_id, created_at, updated_at,
                 scheduled_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12)",
            sync.id,
            sync.workspace_id,
            &sync.name,
            sync.model_id,
            sync.destination_id,
            &mode,
            &mapping,
            &environment,
            &sync.schedule,
            sync.enabled,
            sync.owner_id,
            columns::time(sync.created_at),
            columns::time(sync.updated_at),
        );
        if let Err(error) = saved {
            drop(tx);
            return Err(self.sync_not_saved(error, sync).await);
        }
        let event = Event::of("sync", Some(sync.id), None, Some(sync));
        audit::append(&mut tx, Some(sync.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Saves everything of a sync but its workspace and creation.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_sync(
        &self,
        before: &Sync,
        sync: &Sync,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, sync.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        let mode = columns::word(sync.mode)?;
        let mapping = sync.mapping.as_ref().map(columns::json).transpose()?;
        let environment = columns::word(sync.environment)?;
        // A schedule that begins now waits for its next time.
        let begins = (before.enabled, &before.schedule) != (sync.enabled, &sync.schedule);
        let saved = execute!(
            tx,
            "UPDATE syncs SET name = $3, model_id = $4, destination_id = $5, mode = $6,
                 mapping = $7, environment = $8, schedule = $9, enabled = $10, owner_id = $11,
                 updated_at = $12,
                 scheduled_until = CASE WHEN $13 THEN $12 ELSE scheduled_until END
             WHERE workspace_id = $1 AND id = $2",
            sync.workspace_id,
            sync.id,
            &sync.name,
            sync.model_id,
            sync.destination_id,
            &mode,
            &mapping,
            &environment,
            &sync.schedule,
            sync.enabled,
            sync.owner_id,
            columns::time(sync.updated_at),
            begins,
        );
        match saved {
            Ok(rows) => touched(rows, "sync")?,
            Err(error) => {
                drop(tx);
                return Err(self.sync_not_saved(error, sync).await);
            }
        }
        let event = Event::of("sync", Some(sync.id), Some(before), Some(sync));
        audit::append(&mut tx, Some(sync.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Deletes a sync together with its runs, all of which must have ended.
    pub async fn delete_sync(&self, before: &Sync, act: &Act) -> Result<(), StoreError> {
        let (workspace_id, id) = (before.workspace_id, before.id);
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        unchanged(&mut tx, before).await?;
        // Runs that have not ended are left, and then the reference to the sync forbids to
        // delete it: a run that is queued at this moment cannot slip through.
        execute!(
            tx,
            "DELETE FROM runs WHERE workspace_id = $1 AND sync_id = $2
             AND status NOT IN ('queued', 'running')",
            workspace_id,
            id,
        )?;
        let deleted = execute!(
            tx,
            "DELETE FROM syncs WHERE workspace_id = $1 AND id = $2",
            workspace_id,
            id
        );
        match deleted {
            Ok(rows) => touched(rows, "sync")?,
            Err(error) if is_dangling(&error) => {
                let conflict = "the sync has a run that has not ended; cancel it or wait for it";
                return Err(StoreError::Conflict(conflict.into()));
            }
            Err(error) => return Err(error.into()),
        }
        let event = Event::of("sync", Some(id), Some(before), None);
        audit::append(&mut tx, Some(workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// The databases do not both tell which reference leads nowhere, so it is looked up.
    async fn sync_not_saved(&self, error: sqlx::Error, sync: &Sync) -> StoreError {
        if is_dangling(&error) {
            if let Err(missing) = self.get_model(sync.workspace_id, sync.model_id).await {
                return missing;
            }
            let destination = self
                .get_destination(sync.workspace_id, sync.destination_id)
                .await;
            if let Err(missing) = destination {
                return missing;
            }
        }
        not_saved(error, "sync", &sync.name, "account")
    }
}

async fn unchanged(tx: &mut Tx, before: &Sync) -> Result<(), StoreError> {
    let now: Sync = object(
        optional!(tx, SyncRow, SELECT, before.workspace_id, before.id),
        "sync",
    )?;
    same(&now, before)
}
