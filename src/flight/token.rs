//! Tickets and prepared statements: what the server would have to remember, in the client's hands.
//!
//! A token is authenticated with a key that lives as long as the process, and bound to the account
//! it was made for. It grants nothing: what it stands for is asked for anew, as its bearer.

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::common::ScalarValue;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tonic::Status;
use uuid::Uuid;

use super::status::internal;

/// How long a ticket can be used.
const TICKET_LIFE: TimeDelta = TimeDelta::minutes(10);
const TAG_BYTES: usize = 32;

/// A statement, who may use it and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) account_id: Uuid,
    pub(super) workspace_id: Uuid,
    pub(super) sql: String,
    /// The values of its parameters: a batch of one row, as an Arrow stream in base64.
    parameters: Option<String>,
}

impl Statement {
    /// A statement without values for parameters.
    pub(super) fn new(account_id: Uuid, workspace_id: Uuid, sql: String) -> Statement {
        Statement {
            account_id,
            workspace_id,
            sql,
            parameters: None,
        }
    }

    /// The same statement with values for its parameters, one row of them.
    pub(super) fn with_parameters(self, row: &RecordBatch) -> Result<Statement, Status> {
        let mut stream = Vec::new();
        let written = StreamWriter::try_new(&mut stream, &row.schema()).and_then(|mut writer| {
            writer.write(row)?;
            writer.finish()
        });
        written.map_err(|_| internal(&"parameters cannot be written down"))?;
        Ok(Statement {
            parameters: Some(STANDARD.encode(stream)),
            ..self
        })
    }

    /// The values of its parameters.
    pub(super) fn parameters(&self) -> Result<Vec<ScalarValue>, Status> {
        let Some(text) = &self.parameters else {
            return Ok(Vec::new());
        };
        let unreadable = || internal(&"parameters of a token cannot be read");
        let stream = STANDARD.decode(text).map_err(|_| unreadable())?;
        let mut batches =
            StreamReader::try_new(stream.as_slice(), None).map_err(|_| unreadable())?;
        let row = batches.next().and_then(Result::ok).ok_or_else(unreadable)?;
        let values = row
            .columns()
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0));
        values.collect::<Result<_, _>>().map_err(|_| unreadable())
    }
}

/// A statement that is to be run once more or less now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) statement: Statement,
    /// The digest of the columns that were told of, in hexadecimal.
    pub(super) columns: Option<String>,
    until: DateTime<Utc>,
}

/// What a token is. Each kind is of no use as the other.
#[derive(Serialize, Deserialize)]
enum Token {
    Prepared(Statement),
    Ticket(Ticket),
}

/// Makes tokens, and knows those that it made.
pub(super) struct Seal([u8; 32]);

impl Seal {
    /// A seal with a random key.
    pub(super) fn new(key: [u8; 32]) -> Seal {
        Seal(key)
    }

    /// The handle of a prepared statement.
    pub(super) fn prepared(&self, statement: Statement) -> Result<Bytes, Status> {
        self.token(&Token::Prepared(statement))
    }

    /// A ticket for a statement whose columns have a digest; it can be used for a while.
    pub(super) fn ticket(
        &self,
        statement: Statement,
        columns: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Bytes, Status> {
        self.token(&Token::Ticket(Ticket {
            statement,
            columns,
            until: now + TICKET_LIFE,
        }))
    }

    /// The statement that an account prepared.
    ///
    /// Errors: the handle is not one of ours, or another account's.
    pub(super) fn open_prepared(
        &self,
        token: &[u8],
        account_id: Uuid,
    ) -> Result<Statement, Status> {
        match self.open(token) {
            Some(Token::Prepared(statement)) if statement.account_id == account_id => Ok(statement),
            _ => Err(Status::not_found(
                "there is no such prepared statement: prepare it again",
            )),
        }
    }

    /// The ticket that an account was given.
    ///
    /// Errors: it is not one of ours, another account's, or too old.
    pub(super) fn open_ticket(
        &self,
        token: &[u8],
        account_id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Ticket, Status> {
        match self.open(token) {
            Some(Token::Ticket(ticket))
                if ticket.statement.account_id == account_id && now < ticket.until =>
            {
                Ok(ticket)
            }
            _ => Err(Status::not_found(
                "there is no such ticket, or it has expired: ask for the query's flight again",
            )),
        }
    }

    fn token(&self, token: &Token) -> Result<Bytes, Status> {
        let text = serde_json::to_vec(token).map_err(|error| internal(&error))?;
        let tag = self.mac(&text).finalize().into_bytes();
        Ok(Bytes::from([tag.as_slice(), &text].concat()))
    }

    fn open(&self, token: &[u8]) -> Option<Token> {
        let (tag, text) = token.split_at_checked(TAG_BYTES)?;
        self.mac(text).verify_slice(tag).ok()?;
        serde_json::from_slice(text).ok()
    }

    fn mac(&self, text: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        mac.update(text);
        mac
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    const ANN: Uuid = Uuid::from_u128(1);
    const BEN: Uuid = Uuid::from_u128(2);
    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn statement() -> Statement {
        Statement::new(ANN, Uuid::from_u128(3), "SELECT $1, $2".to_owned())
    }

    #[test]
    fn token_is_for_its_account_its_kind_and_its_time() {
        let seal = Seal::new([7; 32]);
        let ticket = seal.ticket(statement(), None, NOW).expect("a ticket");
        let opened = seal.open_ticket(&ticket, ANN, NOW).expect("one of ours");
        assert_eq!(opened.statement, statement());
        let late = NOW + TICKET_LIFE;
        assert!(seal.open_ticket(&ticket, ANN, late).is_err());
        assert!(seal.open_ticket(&ticket, BEN, NOW).is_err());
        assert!(seal.open_prepared(&ticket, ANN).is_err());
        let handle = seal.prepared(statement()).expect("a handle");
        assert_eq!(seal.open_prepared(&handle, ANN).ok(), Some(statement()));
        assert!(seal.open_prepared(&handle, BEN).is_err());
        assert!(seal.open_ticket(&handle, ANN, NOW).is_err());
        assert!(Seal::new([8; 32]).open_prepared(&handle, ANN).is_err());
    }

    #[test]
    fn changed_or_shortened_token_is_refused() {
        let seal = Seal::new([7; 32]);
        let handle = seal.prepared(statement()).expect("a handle");
        for place in 0..handle.len() {
            let mut forged = handle.to_vec();
            forged[place] ^= 1;
            assert!(seal.open_prepared(&forged, ANN).is_err(), "{place}");
            assert!(
                seal.open_prepared(&handle[..place], ANN).is_err(),
                "{place}"
            );
        }
    }

    #[test]
    fn parameters_travel_with_the_token() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let row = RecordBatch::try_from_iter([("a", text), ("b", number)]).expect("a row");
        let bound = statement().with_parameters(&row).expect("it is written");
        let wanted = [ScalarValue::Utf8(None), ScalarValue::Int64(Some(7))];
        assert_eq!(bound.parameters().expect("it is read"), wanted);
        assert!(statement().parameters().expect("none").is_empty());
    }
}
