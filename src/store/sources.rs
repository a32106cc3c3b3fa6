//! Sources of the catalog. Their configurations hold credentials, which is why neither rows nor
//! errors of this file are ever printed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::not_saved;
use super::{
    Store, StoreError, columns, content_policies, delete_unused, object, objects, same, touched,
    workspaces,
};
use crate::audit::Event;
use crate::catalog::Source;
use crate::principal::Act;

#[derive(sqlx::FromRow)]
struct SourceRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    source_type: String,
    config: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<SourceRow> for Source {
    type Error = StoreError;

    fn try_from(row: SourceRow) -> Result<Source, StoreError> {
        Ok(Source {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            source_type: columns::from_word(&row.source_type, "sources.source_type")?,
            config: columns::from_json(&row.config, "sources.config")?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

const SELECT: &str = "SELECT id, workspace_id, name, source_type, config, created_at, updated_at \
     FROM sources WHERE workspace_id = $1 AND id = $2";

impl Store {
    /// The sources of a workspace.
    pub async fn list_sources(&self, workspace_id: Uuid) -> Result<Vec<Source>, StoreError> {
        objects(all!(
            self,
            SourceRow,
            "SELECT id, workspace_id, name, source_type, config, created_at, updated_at
             FROM sources WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))
    }

    /// One source of a workspace.
    pub async fn get_source(&self, workspace_id: Uuid, id: Uuid) -> Result<Source, StoreError> {
        let row = optional!(self, SourceRow, SELECT, workspace_id, id);
        object(row, "source")
    }

    /// Adds a source; its name must be new in the workspace.
    pub async fn insert_source(&self, source: &Source, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let source_type = columns::word(source.source_type)?;
        let config = columns::json(&source.config)?;
        execute!(
            tx,
            "INSERT INTO sources
                 (id, workspace_id, name, source_type, config, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            source.id,
            source.workspace_id,
            &source.name,
            &source_type,
            &config,
            columns::time(source.created_at),
            columns::time(source.updated_at),
        )
        .map_err(|error| not_saved(error, "source", &source.name, "workspace"))?;
        let event = Event::of("source", Some(source.id), None, Some(source));
        audit::append(&mut tx, Some(source.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Saves a source's name, type and configuration.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_source(
        &self,
        before: &Source,
        source: &Source,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, source.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        let source_type = columns::word(source.source_type)?;
        let config = columns::json(&source.config)?;
        let saved = execute!(
            tx,
            "UPDATE sources SET name = $3, source_type = $4, config = $5, updated_at = $6
             WHERE workspace_id = $1 AND id = $2",
            source.workspace_id,
            source.id,
            &source.name,
            &source_type,
            &config,
            columns::time(source.updated_at),
        );
        let saved = saved.map_err(|error| not_saved(error, "source", &source.name, "workspace"))?;
        touched(saved, "source")?;
        let event = Event::of("source", Some(source.id), Some(before), Some(source));
        audit::append(&mut tx, Some(source.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Deletes a source that no model reads, and with it the content policies that are for it
    /// alone.
    pub async fn delete_source(&self, before: &Source, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, before.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        delete_unused(
            &mut tx,
            "source",
            "DELETE FROM sources WHERE workspace_id = $1 AND id = $2",
            "SELECT 'model ' || name FROM models
             WHERE workspace_id = $1 AND source_id = $2 ORDER BY name LIMIT 5",
            before.workspace_id,
            before.id,
        )
        .await?;
        content_policies::delete_of_source(&mut tx, before.workspace_id, before.id, act).await?;
        let event = Event::of("source", Some(before.id), Some(before), None);
        audit::append(&mut tx, Some(before.workspace_id), act, &event).await?;
        tx.commit().await
    }
}

async fn unchanged(tx: &mut Tx, before: &Source) -> Result<(), StoreError> {
    let now: Source = object(
        optional!(tx, SourceRow, SELECT, before.workspace_id, before.id),
        "source",
    )?;
    same(&now, before)
}
