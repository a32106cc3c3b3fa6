//! Models of the catalog. What guards are compiled against changes by `commit` only, so models
//! are created and replaced there; here they are read and deleted.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::not_saved;
use super::{
    Store, StoreError, columns, delete_unused, object, objects, same, touched, workspaces,
};
use crate::audit::Event;
use crate::catalog::{Model, ModelQuery};
use crate::principal::Act;

#[derive(sqlx::FromRow)]
struct ModelRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    source_id: Uuid,
    table_name: Option<String>,
    sql_text: Option<String>,
    primary_key: String,
    schema_ipc: Vec<u8>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<ModelRow> for Model {
    type Error = StoreError;

    fn try_from(row: ModelRow) -> Result<Model, StoreError> {
        let query = match (row.table_name, row.sql_text) {
            (Some(table), None) => ModelQuery::Table(table),
            (None, Some(sql)) => ModelQuery::Sql(sql),
            _ => return Err(columns::unreadable("models.table_name")),
        };
        Ok(Model {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            source_id: row.source_id,
            query,
            primary_key: columns::from_json(&row.primary_key, "models.primary_key")?,
            schema: columns::from_schema(&row.schema_ipc)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

const SELECT: &str = "SELECT id, workspace_id, name, source_id, table_name, sql_text, \
     primary_key, schema_ipc, created_at, updated_at \
     FROM models WHERE workspace_id = $1 AND id = $2";

impl Store {
    /// The models of a workspace.
    pub async fn list_models(&self, workspace_id: Uuid) -> Result<Vec<Model>, StoreError> {
        objects(all!(
            self,
            ModelRow,
            "SELECT id, workspace_id, name, source_id, table_name, sql_text, primary_key,
                    schema_ipc, created_at, updated_at
             FROM models WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))
    }

    /// The model of a name.
    pub async fn find_model(
        &self,
        workspace_id: Uuid,
        name: &str,
    ) -> Result<Option<Model>, StoreError> {
        let row = optional!(
            self,
            ModelRow,
            "SELECT id, workspace_id, name, source_id, table_name, sql_text, primary_key,
                    schema_ipc, created_at, updated_at
             FROM models WHERE workspace_id = $1 AND name = $2",
            workspace_id,
            name,
        )?;
        row.map(Model::try_from).transpose()
    }

    /// One model of a workspace.
    pub async fn get_model(&self, workspace_id: Uuid, id: Uuid) -> Result<Model, StoreError> {
        let row = optional!(self, ModelRow, SELECT, workspace_id, id);
        object(row, "model")
    }

    /// Deletes a model that no sync reads and no policy names.
    ///
    /// Errors: conflict, naming who uses it; stale, if it is no longer as it was `before`.
    pub async fn delete_model(&self, before: &Model, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, before.workspace_id).await?;
        let now = optional!(tx, ModelRow, SELECT, before.workspace_id, before.id);
        same(&object::<_, Model>(now, "model")?, before)?;
        delete_unused(
            &mut tx,
            "model",
            "DELETE FROM models WHERE workspace_id = $1 AND id = $2",
            "SELECT 'sync ' || name FROM syncs WHERE workspace_id = $1 AND model_id = $2
             UNION ALL
             SELECT 'destination policy ' || name FROM destination_policies
             WHERE workspace_id = $1 AND parent_model_id = $2
             UNION ALL
             SELECT 'access policy ' || name FROM access_policies
             WHERE workspace_id = $1 AND parent_model_id = $2
             ORDER BY 1 LIMIT 5",
            before.workspace_id,
            before.id,
        )
        .await?;
        let event = Event::of("model", Some(before.id), Some(before), None);
        audit::append(&mut tx, Some(before.workspace_id), act, &event).await?;
        tx.commit().await
    }
}

/// Creates a model, or replaces the one with its id. The workspace of the existing one must be
/// the same.
pub(super) async fn put(tx: &mut Tx, model: &Model) -> Result<(), StoreError> {
    let (table, sql) = match &model.query {
        ModelQuery::Table(table) => (Some(table), None),
        ModelQuery::Sql(sql) => (None, Some(sql)),
    };
    let primary_key = columns::json(&model.primary_key)?;
    let schema = columns::schema(&model.schema)?;
    let saved = execute!(
        tx,
        "INSERT INTO models (id, workspace_id, name, source_id, table_name, sql_text,
             primary_key, schema_ipc, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, source_id = excluded.source_id,
             table_name = excluded.table_name, sql_text = excluded.sql_text,
             primary_key = excluded.primary_key, schema_ipc = excluded.schema_ipc,
             updated_at = excluded.updated_at
         WHERE models.workspace_id = excluded.workspace_id",
        model.id,
        model.workspace_id,
        &model.name,
        model.source_id,
        table,
        sql,
        &primary_key,
        schema.as_slice(),
        columns::time(model.created_at),
        columns::time(model.updated_at),
    )
    .map_err(|error| not_saved(error, "model", &model.name, "source"))?;
    touched(saved, "model")
}
