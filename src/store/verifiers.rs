//! What the PostgreSQL protocol checks keys by.
//!
//! A verifier is made of the text of a key, which the store never keeps: keys that were made
//! before there were verifiers have none and cannot be used there. Another key can be made.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::authenticate::NOTED_EVERY;
use super::database::{Db, Tx};
use super::{Store, StoreError, columns};
use crate::principal::{Account, ApiKey, ITERATIONS, KeyText, Principal, SaltSecret, Verifier};

/// The keys by which somebody who gives the address of an account may prove to be its holder.
#[derive(Debug)]
pub struct Candidates {
    /// The account.
    pub account: Account,
    /// Its newest keys that have not expired, with what they are checked by.
    pub keys: Vec<(ApiKey, Verifier)>,
}

#[derive(sqlx::FromRow)]
struct CandidateRow {
    id: Uuid,
    name: String,
    scopes: String,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl CandidateRow {
    fn of(self, account_id: Uuid) -> Result<(ApiKey, Verifier), StoreError> {
        let key = ApiKey {
            id: self.id,
            account_id,
            name: self.name,
            scopes: columns::from_json(&self.scopes, "api_keys.scopes")?,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            created_at: self.created_at,
        };
        let verifier = Verifier {
            stored_key: bytes(self.stored_key, "key_verifiers.stored_key")?,
            server_key: bytes(self.server_key, "key_verifiers.server_key")?,
        };
        Ok((key, verifier))
    }
}

impl Store {
    /// What the salts of this deployment are derived from.
    pub async fn salt_secret(&self) -> Result<SaltSecret, StoreError> {
        let row = optional!(
            self,
            (Vec<u8>,),
            "SELECT secret FROM deployment WHERE id = 1"
        )?;
        let (secret,) = row.ok_or_else(|| columns::unreadable("deployment.secret"))?;
        Ok(SaltSecret::new(bytes(secret, "deployment.secret")?))
    }

    /// The account with an address, in the very letters, and its `most` newest keys that have not
    /// expired. `None` if there is no such account.
    pub async fn candidates(
        &self,
        email: &str,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Option<Candidates>, StoreError> {
        let found = optional!(
            self,
            (Uuid,),
            "SELECT id FROM accounts WHERE lower(email) = lower($1) AND email = $1",
            email,
        )?;
        // An unknown address takes as many statements as a known one.
        let id = found.map_or(Uuid::nil(), |(id,)| id);
        let rows = all!(
            self,
            CandidateRow,
            "SELECT k.id, k.name, k.scopes, k.expires_at, k.last_used_at, k.created_at,
                    v.stored_key, v.server_key
             FROM api_keys k JOIN key_verifiers v ON v.key_id = k.id
             WHERE k.account_id = $1 AND (k.expires_at IS NULL OR k.expires_at > $2)
             ORDER BY k.created_at DESC, k.id DESC LIMIT $3",
            id,
            columns::time(now),
            i64::from(most),
        )?;
        let account = match self.get_account(id).await {
            Ok(account) => account,
            Err(StoreError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let keys = rows.into_iter().map(|row| row.of(id));
        Ok(Some(Candidates {
            account,
            keys: keys.collect::<Result<_, _>>()?,
        }))
    }

    /// The principal who has proved to hold a key of an account; the use of the key is noted.
    pub async fn admit(
        &self,
        account: Account,
        key: ApiKey,
        now: DateTime<Utc>,
    ) -> Result<Principal, StoreError> {
        let since = now - NOTED_EVERY;
        if key.last_used_at.is_none_or(|last| last <= since) {
            self.touch_key(key.id, now, since).await?;
        }
        Ok(Principal {
            account,
            key_id: key.id,
            scopes: key.scopes,
        })
    }

    /// The verifier of a key that is to be added.
    pub(super) async fn verifier(
        &self,
        key: &ApiKey,
        text: &KeyText,
    ) -> Result<Verifier, StoreError> {
        let salt = self.salt_secret().await?.of_account(key.account_id);
        Ok(Verifier::of(text.expose(), &salt, ITERATIONS))
    }
}

/// Adds what a key is checked by; it is gone with the key.
pub(super) async fn insert(
    tx: &mut Tx,
    key_id: Uuid,
    verifier: &Verifier,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO key_verifiers (key_id, stored_key, server_key) VALUES ($1, $2, $3)",
        key_id,
        verifier.stored_key.as_slice(),
        verifier.server_key.as_slice(),
    )?;
    Ok(())
}

fn bytes(bytes: Vec<u8>, column: &str) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| columns::unreadable(column))
}
