//! What is told where: alerts that are due become messages, and of several processes one sends
//! each.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::alert_channels::ChannelRow;
use super::database::Db;
use super::sightings::AlertRow;
use super::{Store, StoreError, columns, object, objects, workspaces};
use crate::catalog::AlertChannel;
use crate::policy::content::ContentAlert;

/// How long after the last record a sighting is told of.
const QUIET: TimeDelta = TimeDelta::seconds(30);
/// How long after the first record, or the last message, one that does not become quiet is.
const LONGEST: TimeDelta = TimeDelta::minutes(5);
/// Most messages to one channel within [`PERIOD`].
const MOST: i64 = 30;
const PERIOD: TimeDelta = TimeDelta::minutes(1);
/// Most messages that wait for one channel.
const WAITING: i64 = 60;
/// Most alerts that are looked at together.
const ALERTS: u64 = 100;

/// A message on its way to a channel.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct AlertDelivery {
    /// Identifier: the same however often it is sent.
    pub id: Uuid,
    /// The alert, as JSON.
    pub alert: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How often it has been tried, this time included.
    pub attempts: i64,
}

/// What became of an attempt to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// It is there.
    Delivered,
    /// It is tried again.
    Again {
        /// When.
        at: DateTime<Utc>,
        /// What went wrong, without any secret.
        error: String,
    },
    /// It never will be.
    GivenUp {
        /// What went wrong, without any secret.
        error: String,
    },
}

impl Store {
    /// The alerts of which somebody is to be told now: those that have been quiet for 30 seconds,
    /// and those that began, or were told of, 5 minutes ago and go on. With each, how many of its
    /// records were told of.
    pub async fn untold_alerts(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<(ContentAlert, u64)>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct UntoldRow {
            #[sqlx(flatten)]
            alert: AlertRow,
            told: i64,
        }
        let rows = all!(
            self,
            UntoldRow,
            "SELECT s.id, s.policy_id, p.name AS policy_name, s.action, s.passage_id, s.via,
                    s.workspace_id, s.source_id, s.model_id, s.run_id, s.account_id, s.records,
                    s.found, s.first_at, s.last_at, s.told
             FROM content_sightings s JOIN content_policies p ON p.id = s.policy_id
             WHERE s.action >= 1 AND s.records > s.told
               AND (s.last_at <= $1 OR coalesce(s.told_at, s.first_at) <= $2)
             ORDER BY s.last_at, s.id LIMIT $3",
            columns::time(now - QUIET),
            columns::time(now - LONGEST),
            columns::count(ALERTS),
        )?;
        let told = |row: UntoldRow| {
            let told = columns::from_count(row.told, "content_sightings.told")?;
            Ok((ContentAlert::try_from(row.alert)?, told))
        };
        rows.into_iter().map(told).collect()
    }

    /// Makes a message of an alert for each enabled channel of its workspace, unless another
    /// process has: then `told` is no longer how many of its records were told of. `message` is
    /// the alert as JSON. For a channel that 60 messages wait for it is given up at once. Answers
    /// how many messages there are to send.
    pub async fn tell_alert(
        &self,
        alert: &ContentAlert,
        told: u64,
        message: &str,
        new_id: fn() -> Uuid,
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let mut tx = self.write().await?;
        // No channel comes, goes or is disabled in between.
        workspaces::lock(&mut tx, alert.passage.workspace_id).await?;
        let taken = execute!(
            tx,
            "UPDATE content_sightings SET told = $3, told_at = $4 WHERE id = $1 AND told = $2",
            alert.id,
            columns::count(told),
            columns::count(alert.records),
            columns::time(now),
        )?;
        if taken == 0 {
            return Ok(0);
        }
        let channels = all!(
            tx,
            (Uuid, i64),
            "SELECT c.id, (SELECT count(*) FROM alert_deliveries d
                           WHERE d.channel_id = c.id AND d.next_at IS NOT NULL)
             FROM alert_channels c WHERE c.workspace_id = $1 AND c.enabled
             ORDER BY c.created_at, c.id",
            alert.passage.workspace_id,
        )?;
        let mut to_send = 0;
        for (channel_id, waiting) in &channels {
            let has_room = *waiting < WAITING;
            to_send += usize::from(has_room);
            execute!(
                tx,
                "INSERT INTO alert_deliveries (id, sighting_id, channel_id, records, alert,
                     created_at, attempts, next_at, last_error)
                 VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)
                 ON CONFLICT (sighting_id, channel_id, records) DO NOTHING",
                new_id(),
                alert.id,
                *channel_id,
                columns::count(alert.records),
                message,
                columns::time(now),
                has_room.then(|| columns::time(now)),
                (!has_room).then_some("too many alerts wait"),
            )?;
        }
        tx.commit().await?;
        Ok(to_send)
    }

    /// The enabled channels that messages wait for.
    pub async fn channels_to_tell(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<AlertChannel>, StoreError> {
        objects(all!(
            self,
            ChannelRow,
            "SELECT id, workspace_id, name, channel_type, url, secret, enabled, created_at,
                    updated_at
             FROM alert_channels
             WHERE enabled AND id IN (
                 SELECT channel_id FROM alert_deliveries WHERE next_at <= $1)
             ORDER BY created_at, id",
            columns::time(now),
        ))
    }

    /// Takes messages that are due for a channel, oldest first, at most `most` and no more than
    /// 30 within a minute. Nobody else has them before `until`, when whoever took them and told
    /// of no outcome is taken for dead. Answers the channel as it is now, too; no messages if it
    /// is disabled.
    pub async fn take_alert_deliveries(
        &self,
        channel: &AlertChannel,
        most: u32,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<(AlertChannel, Vec<AlertDelivery>), StoreError> {
        let mut tx = self.write().await?;
        // Whoever else takes messages for the channel waits for the end of this transaction.
        let channel: AlertChannel = object(
            optional!(
                tx,
                ChannelRow,
                "UPDATE alert_channels SET updated_at = updated_at WHERE id = $1
                 RETURNING id, workspace_id, name, channel_type, url, secret, enabled, created_at,
                     updated_at",
                channel.id,
            ),
            "alert channel",
        )?;
        if !channel.enabled {
            return Ok((channel, Vec::new()));
        }
        let recent = optional!(
            tx,
            (i64,),
            "SELECT count(*) FROM alert_deliveries WHERE channel_id = $1 AND attempted_at > $2",
            channel.id,
            columns::time(now - PERIOD),
        )?;
        let left = MOST.saturating_sub(recent.map_or(0, |(recent,)| recent));
        let due = all!(
            tx,
            AlertDelivery,
            "SELECT id, alert, created_at, attempts + 1 AS attempts FROM alert_deliveries
             WHERE channel_id = $1 AND next_at <= $2
             ORDER BY next_at, id LIMIT $3",
            channel.id,
            columns::time(now),
            left.clamp(0, i64::from(most)),
        )?;
        for delivery in &due {
            execute!(
                tx,
                "UPDATE alert_deliveries SET attempts = $2, attempted_at = $3, next_at = $4
                 WHERE id = $1",
                delivery.id,
                delivery.attempts,
                columns::time(now),
                columns::time(until),
            )?;
        }
        tx.commit().await?;
        Ok((channel, due))
    }

    /// Keeps what became of a message that was taken. What was given up meanwhile stays so, and
    /// so does what another process has taken since.
    pub async fn finish_alert_delivery(
        &self,
        delivery: &AlertDelivery,
        attempted: &Attempted,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let (delivered_at, next_at, error) = match attempted {
            Attempted::Delivered => (Some(now), None, None),
            Attempted::Again { at, error } => (None, Some(*at), Some(error.as_str())),
            Attempted::GivenUp { error } => (None, None, Some(error.as_str())),
        };
        execute!(
            self,
            "UPDATE alert_deliveries SET delivered_at = $3, next_at = $4, last_error = $5
             WHERE id = $1 AND attempts = $2 AND next_at IS NOT NULL",
            delivery.id,
            delivery.attempts,
            delivered_at.map(columns::time),
            next_at.map(columns::time),
            error,
        )?;
        Ok(())
    }
}
