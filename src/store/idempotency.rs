//! Idempotency keys: which requests were made under one, and what they were answered.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::database::Db;
use super::{Store, StoreError, columns};

/// How long an idempotency key is remembered.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// A request that is made under an idempotency key of its account.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The account; another one's keys have nothing to do with it.
    pub account_id: Uuid,
    /// The key, as the caller chose it.
    pub key_text: String,
    /// A digest of all that makes the request what it is.
    pub fingerprint: [u8; 32],
}

/// An answer as it is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Headers that belong to it, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: String,
}

/// What is known of a request's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Nothing: it is reserved now, and the request may be done.
    First,
    /// The same request is being done, or nobody knows what became of it.
    Pending,
    /// The same request was done; this was answered.
    Answered(KeptAnswer),
    /// It was used for another request.
    Other,
}

#[derive(sqlx::FromRow)]
struct ReservedRow {
    fingerprint: Vec<u8>,
    status: Option<i64>,
    headers: Option<String>,
    body: Option<String>,
}

impl TryFrom<ReservedRow> for Reserved {
    type Error = StoreError;

    fn try_from(row: ReservedRow) -> Result<Reserved, StoreError> {
        let (Some(status), Some(headers), Some(body)) = (row.status, row.headers, row.body) else {
            return Ok(Reserved::Pending);
        };
        let unreadable = |_| columns::unreadable("idempotency_keys.status");
        Ok(Reserved::Answered(KeptAnswer {
            status: u16::try_from(status).map_err(unreadable)?,
            headers: columns::from_json(&headers, "idempotency_keys.headers")?,
            body,
        }))
    }
}

impl Store {
    /// Reserves the key of a request unless it is known; of several at once, one is the first.
    /// Keys older than a day are forgotten before.
    pub async fn reserve(
        &self,
        reservation: &Reservation,
        now: DateTime<Utc>,
    ) -> Result<Reserved, StoreError> {
        let mut tx = self.write().await?;
        execute!(
            tx,
            "DELETE FROM idempotency_keys WHERE expires_at <= $1",
            columns::time(now),
        )?;
        // Whoever comes second waits here until the first has committed.
        let inserted = execute!(
            tx,
            "INSERT INTO idempotency_keys (account_id, key_text, fingerprint, expires_at)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            reservation.account_id,
            &reservation.key_text,
            reservation.fingerprint.as_slice(),
            columns::time(now + KEPT),
        )?;
        if inserted == 1 {
            tx.commit().await?;
            return Ok(Reserved::First);
        }
        let row = optional!(
            tx,
            ReservedRow,
            "SELECT fingerprint, status, headers, body FROM idempotency_keys
             WHERE account_id = $1 AND key_text = $2",
            reservation.account_id,
            &reservation.key_text,
        )?;
        tx.commit().await?;
        match row {
            Some(row) if row.fingerprint != reservation.fingerprint => Ok(Reserved::Other),
            Some(row) => row.try_into(),
            // It was freed a moment ago.
            None => Ok(Reserved::Pending),
        }
    }

    /// Keeps the answer to a request whose key is reserved.
    pub async fn keep_answer(
        &self,
        reservation: &Reservation,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError> {
        let headers = columns::json(&answer.headers)?;
        execute!(
            self,
            "UPDATE idempotency_keys SET status = $4, headers = $5, body = $6
             WHERE account_id = $1 AND key_text = $2 AND fingerprint = $3 AND status IS NULL",
            reservation.account_id,
            &reservation.key_text,
            reservation.fingerprint.as_slice(),
            i64::from(answer.status),
            &headers,
            &answer.body,
        )?;
        Ok(())
    }

    /// Frees the key of a request that had no effect.
    pub async fn free_reservation(&self, reservation: &Reservation) -> Result<(), StoreError> {
        execute!(
            self,
            "DELETE FROM idempotency_keys
             WHERE account_id = $1 AND key_text = $2 AND fingerprint = $3 AND status IS NULL",
            reservation.account_id,
            &reservation.key_text,
            reservation.fingerprint.as_slice(),
        )?;
        Ok(())
    }
}
