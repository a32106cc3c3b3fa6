//! Where alerts of a workspace go. A channel's URL and key are secrets, which is why neither rows
//! nor errors of this file are ever printed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::not_saved;
use super::{Store, StoreError, columns, object, objects, same, touched, workspaces};
use crate::audit::Event;
use crate::catalog::AlertChannel;
use crate::principal::Act;

#[derive(sqlx::FromRow)]
pub(super) struct ChannelRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    channel_type: String,
    url: String,
    secret: Option<String>,
    enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<ChannelRow> for AlertChannel {
    type Error = StoreError;

    fn try_from(row: ChannelRow) -> Result<AlertChannel, StoreError> {
        Ok(AlertChannel {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            channel_type: columns::from_word(&row.channel_type, "alert_channels.channel_type")?,
            url: row.url,
            secret: row.secret,
            enabled: row.enabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Most alert channels of one workspace.
const MOST: i64 = 20;

const SELECT: &str = "SELECT id, workspace_id, name, channel_type, url, secret, enabled, created_at, \
     updated_at \
     FROM alert_channels WHERE workspace_id = $1 AND id = $2";

impl Store {
    /// The alert channels of a workspace, by age.
    pub async fn list_alert_channels(
        &self,
        workspace_id: Uuid,
    ) -> Result<Vec<AlertChannel>, StoreError> {
        objects(all!(
            self,
            ChannelRow,
            "SELECT id, workspace_id, name, channel_type, url, secret, enabled, created_at,
                    updated_at
             FROM alert_channels WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))
    }

    /// One alert channel of a workspace.
    pub async fn get_alert_channel(
        &self,
        workspace_id: Uuid,
        id: Uuid,
    ) -> Result<AlertChannel, StoreError> {
        let row = optional!(self, ChannelRow, SELECT, workspace_id, id);
        object(row, "alert channel")
    }

    /// Adds an alert channel; its name must be new in the workspace.
    ///
    /// Errors: conflict, if the workspace has 20 of them already.
    pub async fn insert_alert_channel(
        &self,
        channel: &AlertChannel,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, channel.workspace_id).await?;
        let others = optional!(
            tx,
            (i64,),
            "SELECT count(*) FROM alert_channels WHERE workspace_id = $1",
            channel.workspace_id,
        )?;
        if others.is_some_and(|(others,)| others >= MOST) {
            let message = format!("a workspace has at most {MOST} alert channels: delete another");
            return Err(StoreError::Conflict(message));
        }
        let channel_type = columns::word(channel.channel_type)?;
        execute!(
            tx,
            "INSERT INTO alert_channels (id, workspace_id, name, channel_type, url, secret,
                 enabled, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            channel.id,
            channel.workspace_id,
            &channel.name,
            &channel_type,
            &channel.url,
            channel.secret.as_deref(),
            channel.enabled,
            columns::time(channel.created_at),
            columns::time(channel.updated_at),
        )
        .map_err(|error| not_saved(error, "alert channel", &channel.name, "workspace"))?;
        let event = Event::of("alert_channel", Some(channel.id), None, Some(channel));
        audit::append(&mut tx, Some(channel.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Saves an alert channel, all but its type. What a channel that is disabled would still have
    /// been told is given up.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_alert_channel(
        &self,
        before: &AlertChannel,
        channel: &AlertChannel,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, channel.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        let saved = execute!(
            tx,
            "UPDATE alert_channels SET name = $3, url = $4, secret = $5, enabled = $6,
                 updated_at = $7
             WHERE workspace_id = $1 AND id = $2",
            channel.workspace_id,
            channel.id,
            &channel.name,
            &channel.url,
            channel.secret.as_deref(),
            channel.enabled,
            columns::time(channel.updated_at),
        )
        .map_err(|error| not_saved(error, "alert channel", &channel.name, "workspace"))?;
        touched(saved, "alert channel")?;
        if !channel.enabled {
            execute!(
                tx,
                "UPDATE alert_deliveries SET next_at = NULL, last_error = 'the channel is disabled'
                 WHERE channel_id = $1 AND next_at IS NOT NULL",
                channel.id,
            )?;
        }
        let event = Event::of(
            "alert_channel",
            Some(channel.id),
            Some(before),
            Some(channel),
        );
        audit::append(&mut tx, Some(channel.workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Deletes an alert channel, and all that was to be told there.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn delete_alert_channel(
        &self,
        before: &AlertChannel,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, before.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        let deleted = execute!(
            tx,
            "DELETE FROM alert_channels WHERE workspace_id = $1 AND id = $2",
            before.workspace_id,
            before.id,
        )?;
        touched(deleted, "alert channel")?;
        let event = Event::of("alert_channel", Some(before.id), Some(before), None);
        audit::append(&mut tx, Some(before.workspace_id), act, &event).await?;
        tx.commit().await
    }
}

async fn unchanged(tx: &mut Tx, before: &AlertChannel) -> Result<(), StoreError> {
    let now: AlertChannel = object(
        optional!(tx, ChannelRow, SELECT, before.workspace_id, before.id),
        "alert channel",
    )?;
    same(&now, before)
}
