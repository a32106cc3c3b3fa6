//! Alerts of content policies: who is told, and when. One message tells of all that a policy
//! found in one run, stream or query.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use metrics::counter;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::catalog::{AlertChannel, ChannelType};
use crate::policy::content::PolicyAlert;
use crate::sink::alert::Message;
use crate::sink::{SinkError, Sinks};
use crate::store::{AlertDelivery, Attempted, Store, StoreError};
use crate::telemetry::{ALERTS_TOTAL, CHANNEL_TYPE, STATUS};

/// Where the time is learnt from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// How often it looks whether there is something to tell.
const POLL: Duration = Duration::from_secs(2);
/// How long it waits after a failure of the store.
const PAUSE: Duration = Duration::from_secs(30);
/// Messages to one channel between two looks: one that answers slowly holds up the others for no
/// longer than these take.
const TOGETHER: u32 = 3;
/// How many channels are told at the same time.
const CHANNELS: usize = 16;
/// How long whoever took messages has them to themselves: longer than it takes to send them.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// How often a message is tried at most.
const ATTEMPTS: i64 = 10;
/// The pause after the first attempt; it doubles with each.
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(6);

/// Tells channels of alerts. Cheap to clone.
#[derive(Clone)]
pub struct Teller {
    store: Store,
    sinks: Sinks,
    new_id: fn() -> Uuid,
}

impl Teller {
    /// Tells channels of what is in a store.
    pub fn new(store: Store, sinks: Sinks, new_id: fn() -> Uuid) -> Teller {
        Teller {
            store,
            sinks,
            new_id,
        }
    }

    /// Tells of what there is to tell, until `shutdown`. Of several processes on one store, one
    /// sends each message.
    pub async fn keep_telling(&self, clock: Clock, shutdown: CancellationToken) {
        // A message whose answer is not waited for is sent again, with the same identifier.
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.rounds(&clock) => {}
        }
    }

    async fn rounds(&self, clock: &Clock) {
        loop {
            let pause = match self.round(clock).await {
                Ok(()) => POLL,
                Err(error) => {
                    tracing::warn!(%error, "cannot tell of alerts");
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn round(&self, clock: &Clock) -> Result<(), StoreError> {
        self.tell(clock).await?;
        self.store.forget_sightings(clock()).await?;
        Ok(())
    }

    /// Makes messages of the alerts that are due, and sends those whose time it is, a few to each
    /// channel. Answers how many attempts were made.
    pub async fn tell(&self, clock: &Clock) -> Result<usize, StoreError> {
        let untold = self.store.untold_alerts(clock()).await?;
        if !untold.is_empty() {
            let org_id = self.store.organization().await?.to_string();
            for (alert, told) in untold {
                let shown = PolicyAlert::of(alert.clone(), org_id.clone());
                let unwritable = |_| StoreError::Corrupt("an alert cannot be written".into());
                let message = serde_json::to_string(&shown).map_err(unwritable)?;
                let tell = self
                    .store
                    .tell_alert(&alert, told, &message, self.new_id, clock());
                tell.await?;
            }
        }
        let channels = self.store.channels_to_tell(clock()).await?;
        let tell = |channel: AlertChannel| async move { self.tell_channel(&channel, clock).await };
        let mut told = futures::stream::iter(channels)
            .map(tell)
            .buffer_unordered(CHANNELS);
        let (mut attempts, mut failed) = (0, None);
        while let Some(channel) = told.next().await {
            match channel {
                Ok(made) => attempts += made,
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            None => Ok(attempts),
            Some(error) => Err(error),
        }
    }

    async fn tell_channel(
        &self,
        channel: &AlertChannel,
        clock: &Clock,
    ) -> Result<usize, StoreError> {
        let now = clock();
        let taken = self
            .store
            .take_alert_deliveries(channel, TOGETHER, now, now + LEASE)
            .await;
        let (channel, deliveries) = match taken {
            // Deleted since it was listed.
            Err(StoreError::NotFound(_)) => return Ok(0),
            taken => taken?,
        };
        for delivery in &deliveries {
            let attempted = self.attempt(&channel, delivery, clock()).await;
            let status = match &attempted {
                Attempted::Delivered => "delivered",
                Attempted::Again { .. } => "retried",
                Attempted::GivenUp { error } => {
                    let channel = channel.id;
                    tracing::warn!(%channel, error, "an alert is told to nobody there");
                    "given_up"
                }
            };
            let kind = match channel.channel_type {
                ChannelType::Webhook => "webhook",
                ChannelType::Slack => "slack",
            };
            counter!(ALERTS_TOTAL, CHANNEL_TYPE => kind, STATUS => status).increment(1);
            let finish = self
                .store
                .finish_alert_delivery(delivery, &attempted, clock());
            finish.await?;
        }
        Ok(deliveries.len())
    }

    async fn attempt(
        &self,
        channel: &AlertChannel,
        delivery: &AlertDelivery,
        now: DateTime<Utc>,
    ) -> Attempted {
        let Ok(alert) = serde_json::from_str::<Value>(&delivery.alert) else {
            let error = "the message cannot be read".to_owned();
            return Attempted::GivenUp { error };
        };
        let message = Message {
            id: &format!("sga_{}", delivery.id.simple()),
            at: delivery.created_at,
            alert: &alert,
        };
        match self.sinks.tell(channel, &message, now).await {
            Ok(()) => Attempted::Delivered,
            Err(SinkError::Retry { what, after }) if delivery.attempts < ATTEMPTS => {
                let asked = after.and_then(|after| TimeDelta::from_std(after).ok());
                let pause = pause_after(delivery.attempts).max(asked.unwrap_or_default());
                Attempted::Again {
                    at: now + pause,
                    error: what,
                }
            }
            Err(error) => Attempted::GivenUp {
                error: error.to_string(),
            },
        }
    }
}

/// The pause after so many attempts.
fn pause_after(attempts: i64) -> TimeDelta {
    let doubled = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let times = 2_i32.checked_pow(doubled).unwrap_or(i32::MAX);
    let pause = FIRST_PAUSE.checked_mul(times).unwrap_or(LONGEST_PAUSE);
    pause.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_minute_up_to_six_hours() {
        let minutes: Vec<i64> = (1..=11).map(|n| pause_after(n).num_minutes()).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]);
        assert_eq!(pause_after(i64::MAX), LONGEST_PAUSE);
    }
}
