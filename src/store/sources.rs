//! Sources of the catalog. Their configurations hold credentials, which is why neither rows nor
//! errors of this file are ever printed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::database::Db;
use super::error::not_saved;
use super::{Store, StoreError, columns, object, objects, touched};
use crate::catalog::Source;

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
        let row = optional!(
            self,
            SourceRow,
            "SELECT id, workspace_id, name, source_type, config, created_at, updated_at
             FROM sources WHERE workspace_id = $1 AND id = $2",
            workspace_id,
            id,
        );
        object(row, "source")
    }

    /// Adds a source; its name must be new in the workspace.
    pub async fn insert_source(&self, source: &Source) -> Result<(), StoreError> {
        let source_type = columns::word(source.source_type)?;
        let config = columns::json(&source.config)?;
        execute!(
            self,
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
        Ok(())
    }

    /// Saves a source's name, type and configuration.
    pub async fn update_source(&self, source: &Source) -> Result<(), StoreError> {
        let source_type = columns::word(source.source_type)?;
        let config = columns::json(&source.config)?;
        let saved = execute!(
            self,
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
        touched(saved, "source")
    }

    /// Deletes a source that no model reads.
    pub async fn delete_source(&self, workspace_id: Uuid, id: Uuid) -> Result<(), StoreError> {
        self.delete_unused(
            "source",
            "DELETE FROM sources WHERE workspace_id = $1 AND id = $2",
            "SELECT 'model ' || name FROM models
             WHERE workspace_id = $1 AND source_id = $2 ORDER BY name LIMIT 5",
            workspace_id,
            id,
        )
        .await
    }
}
