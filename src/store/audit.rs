//! The audit log: lines are appended in the transaction of the change they tell of, read by
//! filters, and verified. What they are and how they are chained is [`crate::audit`]'s.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Type};
use uuid::Uuid;

use super::database::{Db, Tx};
use super::{Store, StoreError, columns, objects};
use crate::audit::{Chain, Event, Line, Link, Report, Verifier, hash};
use crate::principal::Act;

/// How many lines a verification holds at once.
const PAGE: u64 = 200;

/// Which lines of a chain are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditFilter {
    /// An action, or a beginning of actions that ends with a dot, such as `role.`.
    pub action: Option<String>,
    /// Kind of the object.
    pub object_kind: Option<String>,
    /// The object.
    pub object_id: Option<Uuid>,
    /// Who.
    pub account_id: Option<Uuid>,
    /// The policy revision.
    pub revision: Option<u64>,
    /// The earliest time.
    pub from: Option<DateTime<Utc>>,
    /// The time before which it was.
    pub to: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct LinkRow {
    seq: i64,
    previous: String,
    line: String,
    hash: String,
}

impl TryFrom<LinkRow> for (u64, Link) {
    type Error = StoreError;

    fn try_from(row: LinkRow) -> Result<(u64, Link), StoreError> {
        let line =
            RawValue::from_string(row.line).map_err(|_| columns::unreadable("audit_lines.line"))?;
        let link = Link {
            previous: row.previous,
            hash: row.hash,
            line,
        };
        Ok((columns::from_count(row.seq, "audit_lines.seq")?, link))
    }
}

/// Appends a line to a workspace's chain, or to that of the organisation.
///
/// To be called last within the transaction of a change: it holds the end of the chain until the
/// transaction ends, so that changes of one workspace follow each other. A change that is told in
/// both chains appends to the organisation's first; otherwise two could wait for each other.
pub(super) async fn append(
    tx: &mut Tx,
    workspace_id: Option<Uuid>,
    act: &Act,
    event: &Event,
) -> Result<(), StoreError> {
    let chain = Chain::of(workspace_id);
    let name = chain.to_string();
    let (seq, previous) = match next(tx, &name).await? {
        Some(next) => next,
        None => {
            execute!(
                tx,
                "INSERT INTO audit_heads (chain, seq, hash) VALUES ($1, 0, $2)
                 ON CONFLICT (chain) DO NOTHING",
                &name,
                chain.origin(),
            )?;
            let lost = || StoreError::Corrupt("an audit chain has no head".into());
            next(tx, &name).await?.ok_or_else(lost)?
        }
    };
    let line = Line {
        seq: columns::from_count(seq, "audit_heads.seq")?,
        at: columns::time(act.at),
        workspace_id,
        account_id: act.account_id,
        key_id: act.key_id,
        request_id: act.request_id.clone(),
        action: event.action.to_owned(),
        object_kind: event.object_kind.to_owned(),
        object_id: event.object_id,
        revision: event.revision,
        before: event.before.clone(),
        after: event.after.clone(),
    };
    let text = columns::json(&line)?;
    let hash = hash(&previous, &text);
    execute!(
        tx,
        "INSERT INTO audit_lines (chain, seq, created_at, account_id, action, object_kind,
             object_id, revision, previous, line, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &name,
        seq,
        line.at,
        line.account_id,
        &line.action,
        &line.object_kind,
        line.object_id,
        line.revision.map(columns::count),
        &previous,
        &text,
        &hash,
    )?;
    execute!(
        tx,
        "UPDATE audit_heads SET hash = $2 WHERE chain = $1",
        &name,
        &hash,
    )?;
    Ok(())
}

/// Takes the next place of a chain that has lines: its number, and the hash before it. Whoever
/// else wants it waits for the end of this transaction.
async fn next(tx: &mut Tx, chain: &str) -> Result<Option<(i64, String)>, StoreError> {
    Ok(optional!(
        tx,
        (i64, String),
        "UPDATE audit_heads SET seq = seq + 1 WHERE chain = $1 RETURNING seq, hash",
        chain,
    )?)
}

impl Store {
    /// Appends a line that tells of no change in the store, such as a decision about data.
    pub async fn record(
        &self,
        workspace_id: Option<Uuid>,
        act: &Act,
        event: &Event,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        append(&mut tx, workspace_id, act, event).await?;
        tx.commit().await
    }

    /// The lines of a workspace, or of the organisation, that a filter wants, with their numbers:
    /// oldest first, at most `limit`, and only those after the line with the number `after`.
    pub async fn list_audit(
        &self,
        workspace_id: Option<Uuid>,
        filter: &AuditFilter,
        after: u64,
        limit: u64,
    ) -> Result<Vec<(u64, Link)>, StoreError> {
        let chain = Chain::of(workspace_id).to_string();
        let (action, beginning) = match filter.action.as_deref() {
            Some(action) if action.ends_with('.') => (None, Some(action)),
            action => (action, None),
        };
        objects(all!(
            self,
            LinkRow,
            "SELECT seq, previous, line, hash FROM audit_lines
             WHERE chain = $1 AND seq > $2
               AND ($3 IS NULL OR action = $3)
               AND ($4 IS NULL OR substr(action, 1, length($4)) = $4)
               AND ($5 IS NULL OR object_kind = $5)
               AND ($6 IS NULL OR object_id = $6)
               AND ($7 IS NULL OR account_id = $7)
               AND ($8 IS NULL OR revision = $8)
               AND ($9 IS NULL OR created_at >= $9)
               AND ($10 IS NULL OR created_at < $10)
             ORDER BY seq LIMIT $11",
            &chain,
            columns::count(after),
            action,
            beginning,
            filter.object_kind.as_deref(),
            filter.object_id,
            filter.account_id,
            filter.revision.map(columns::count),
            filter.from.map(columns::time),
            filter.to.map(columns::time),
            columns::count(limit),
        ))
    }

    /// The names of all chains.
    pub async fn list_audit_chains(&self) -> Result<Vec<String>, StoreError> {
        let names = all!(
            self,
            (String,),
            "SELECT chain FROM audit_heads UNION SELECT chain FROM audit_lines ORDER BY 1",
        )?;
        Ok(names.into_iter().map(|(name,)| name).collect())
    }

    /// Verifies a chain from its first line to its head, and tells which of the `noted` hashes
    /// its lines bear. It may grow meanwhile.
    pub async fn verify_audit(
        &self,
        chain: &str,
        noted: BTreeSet<String>,
    ) -> Result<Report, StoreError> {
        let mut verifier = match Chain::named(chain) {
            Some(chain) => Verifier::of(chain, noted),
            None => {
                let mut verifier = Verifier::of_any(chain.to_owned(), noted);
                verifier.note(0, format!("no chain has the name {chain:?}"));
                verifier
            }
        };
        let (mut after, mut head) = (i64::MIN, None);
        loop {
            let rows = self.audit_page(chain, after).await?;
            for row in &rows {
                check(&mut verifier, row);
                after = row.seq;
            }
            if !rows.is_empty() {
                continue;
            }
            // Lines may have come since the last page. The head is never ahead of them: if it
            // stands still while there are no more, they are missing.
            let before = head;
            head = optional!(
                self,
                (i64, String),
                "SELECT seq, hash FROM audit_heads WHERE chain = $1",
                chain,
            )?;
            let grows = head.as_ref().is_some_and(|(seq, _)| *seq > after);
            if !grows || head == before {
                let head = head.as_ref();
                let head = head.map(|(seq, hash)| (u64::try_from(*seq).unwrap_or(0), &**hash));
                return Ok(verifier.finish_at(head));
            }
        }
    }

    async fn audit_page(&self, chain: &str, after: i64) -> Result<Vec<CheckRow>, StoreError> {
        Ok(all!(
            self,
            CheckRow,
            "SELECT seq, created_at, account_id, action, object_kind, object_id, revision,
                    previous, line, hash
             FROM audit_lines WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            chain,
            after,
            columns::count(PAGE),
        )?)
    }
}

/// A value of a column; `None` if it is not what belongs there. One such value must not keep a
/// verification from the lines after it.
struct Readable<T>(Option<T>);

impl<DB: Database, T: Type<DB>> Type<DB> for Readable<T> {
    fn type_info() -> DB::TypeInfo {
        T::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        T::compatible(ty)
    }
}

impl<'r, DB: Database, T: Decode<'r, DB>> Decode<'r, DB> for Readable<T> {
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Readable(T::decode(value).ok()))
    }
}

#[derive(sqlx::FromRow)]
struct CheckRow {
    seq: i64,
    created_at: Readable<DateTime<Utc>>,
    account_id: Readable<Uuid>,
    action: Readable<String>,
    object_kind: Readable<String>,
    object_id: Readable<Option<Uuid>>,
    revision: Option<i64>,
    previous: Readable<String>,
    line: Readable<String>,
    hash: Readable<String>,
}

/// Feeds a line, and compares the columns that are to filter by with what it says.
fn check(verifier: &mut Verifier, row: &CheckRow) {
    let (Some(previous), Some(text), Some(hash)) = (&row.previous.0, &row.line.0, &row.hash.0)
    else {
        verifier.feed_unreadable();
        return;
    };
    let Some(line) = verifier.feed(previous, text, hash) else {
        return;
    };
    let same = [
        ("seq", row.seq == columns::count(line.seq)),
        ("created_at", row.created_at.0 == Some(line.at)),
        ("account_id", row.account_id.0 == Some(line.account_id)),
        ("action", row.action.0.as_ref() == Some(&line.action)),
        (
            "object_kind",
            row.object_kind.0.as_ref() == Some(&line.object_kind),
        ),
        ("object_id", row.object_id.0 == Some(line.object_id)),
        (
            "revision",
            row.revision == line.revision.map(columns::count),
        ),
    ];
    for (column, _) in same.into_iter().filter(|(_, same)| !same) {
        let what = format!("its column {column} does not say what its text says");
        verifier.note(line.seq, what);
    }
}
