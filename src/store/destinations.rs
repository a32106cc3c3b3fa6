//! Destinations of the catalog. Their configurations hold credentials, which is why neither rows
//! nor errors of this file are ever printed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::not_saved;
use super::{
    Store, StoreError, columns, delete_unused, object, objects, same, touched, workspaces,
};
use crate::audit::Event;
use crate::catalog::Destination;
use crate::principal::Act;

#[derive(sqlx::FromRow)]
struct DestinationRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    destination_type: String,
    config: String,
    rate_limit: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<DestinationRow> for Destination {
    type Error = StoreError;

    fn try_from(row: DestinationRow) -> Result<Destination, StoreError> {
        Ok(Destination {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            destination_type: row.destination_type,
            config: columns::from_json(&row.config, "destinations.config")?,
            rate_limit: columns::from_json(&row.rate_limit, "destinations.rate_limit")?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

const SELECT: &str = "SELECT id, workspace_id, name, destination_type, config, rate_limit, created_at, \
     updated_at \
     FROM destinations WHERE workspace_id = $1 AND id = $2";

impl Store {
    /// The destinations of a workspace.
    pub async fn list_destinations(
        &self,
        workspace_id: Uuid,
    ) -> Result<Vec<Destination>, StoreError> {
        objects(all!(
            self,
            DestinationRow,
            "SELECT id, workspace_id, name, destination_type, config, rate_limit, created_at,
                    updated_at
             FROM destinations WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))
    }

    /// One destination of a workspace.
    pub async fn get_destination(
        &self,
        workspace_id: Uuid,
        id: Uuid,
    ) -> Result<Destination, StoreError> {
        let row = optional!(self, DestinationRow, SELECT, workspace_id, id);
        object(row, "destination")
    }

    /// Adds a destination; its name must be new in the workspace.
    pub async fn insert_destination(
        &self,
        destination: &Destination,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let config = columns::json(&destination.config)?;
        let rate_limit = columns::json(&destination.rate_limit)?;
        execute!(
            tx,
            "INSERT INTO destinations (id, workspace_id, name, destination_type, config,
                 rate_limit, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            destination.id,
            destination.workspace_id,
            &destination.name,
            &destination.destination_type,
            &config,
            &rate_limit,
            columns::time(destination.created_at),
            columns::time(destination.updated_at),
        )
        .map_err(|error| not_saved(error, "destination", &destination.name, "workspace"))?;
        let event = Event::of("destination", Some(destination.id), None, Some(destination));
        audit::append(&mut tx, Some(destination.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Saves a destination's name, type, configuration and pace.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_destination(
        &self,
        before: &Destination,
        destination: &Destination,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, destination.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        let config = columns::json(&destination.config)?;
        let rate_limit = columns::json(&destination.rate_limit)?;
        let saved = execute!(
            tx,
            "UPDATE destinations SET name = $3, destination_type = $4, config = $5,
                 rate_limit = $6, updated_at = $7
             WHERE workspace_id = $1 AND id = $2",
            destination.workspace_id,
            destination.id,
            &destination.name,
            &destination.destination_type,
            &config,
            &rate_limit,
            columns::time(destination.updated_at),
        )
        .map_err(|error| not_saved(error, "destination", &destination.name, "workspace"))?;
        touched(saved, "destination")?;
        let event = Event::of(
            "destination",
            Some(destination.id),
            Some(before),
            Some(destination),
        );
        audit::append(&mut tx, Some(destination.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Deletes a destination that no sync writes.
    pub async fn delete_destination(
        &self,
        before: &Destination,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, before.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        delete_unused(
            &mut tx,
            "destination",
            "DELETE FROM destinations WHERE workspace_id = $1 AND id = $2",
            "SELECT 'sync ' || name FROM syncs
             WHERE workspace_id = $1 AND destination_id = $2 ORDER BY name LIMIT 5",
            before.workspace_id,
            before.id,
        )
        .await?;
        let event = Event::of("destination", Some(before.id), Some(before), None);
        audit::append(&mut tx, Some(before.workspace_id), act, &event).await?;
        tx.commit().await
    }
}

async fn unchanged(tx: &mut Tx, before: &Destination) -> Result<(), StoreError> {
    let now: Destination = object(
        optional!(tx, DestinationRow, SELECT, before.workspace_id, before.id),
        "destination",
    )?;
    same(&now, before)
}
