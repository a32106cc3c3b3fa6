//! Keys that are presented, told apart from those that no longer work.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::database::Db;
use super::{Store, StoreError, columns};
use crate::principal::{KeyText, Principal};

/// How often the use of a key is noted.
pub(super) const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

impl Store {
    /// Who presents a key; `None` if it is unknown, wrong, revoked or expired. An unknown key
    /// takes as long as a wrong one.
    pub async fn authenticate(
        &self,
        key: &KeyText,
        now: DateTime<Utc>,
    ) -> Result<Option<Principal>, StoreError> {
        let stored = self.find_key(&key.public_id()).await?;
        const NOBODY: &[u8] = &[0; 32];
        let digest = stored.as_ref().map_or(NOBODY, |stored| &stored.digest);
        let matches = key.matches(digest);
        let Some(stored) = stored.filter(|_| matches) else {
            return Ok(None);
        };
        if stored.key.expires_at.is_some_and(|end| end <= now) {
            return Ok(None);
        }
        let since = now - NOTED_EVERY;
        if stored.key.last_used_at.is_none_or(|last| last <= since) {
            self.touch_key(stored.key.id, now, since).await?;
        }
        Ok(Some(Principal {
            account: stored.account,
            key_id: stored.key.id,
            scopes: stored.key.scopes,
        }))
    }

    /// Whether a key that was told apart before still works.
    pub async fn key_works(&self, key_id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let row = optional!(
            self,
            (Uuid,),
            "SELECT id FROM api_keys WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2)",
            key_id,
            columns::time(now),
        )?;
        Ok(row.is_some())
    }
}
