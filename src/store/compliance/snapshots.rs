//! Compliance snapshots.
//!
//! What makes a snapshot sees to it that each occasion makes one: a due time by a unique key, a
//! change of policies by the mark of its solution, which goes with the snapshot's insertion. A
//! trigger of the database refuses every update of a frozen one.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::error::is_dangling;
use super::super::{Store, StoreError, audit, columns, object, objects};
use super::listing::{Listing, Sorts};
use crate::audit::Event;
use crate::compliance::{Listed, Page, PolicyId, Snapshot, SnapshotId, SnapshotType, SolutionId};
use crate::principal::Act;

/// The kind of object in the audit log.
const KIND: &str = "compliance_snapshot";

/// A snapshot that was due further ahead than this is from a clock that was wrong.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// What the list can be sorted by.
const SORTS: Sorts = &[
    ("createdAt", "created_at"),
    ("updatedAt", "updated_at"),
    ("score", "score"),
    ("approvedAt", "approved_at"),
    ("snapshotType", "snapshot_type"),
];

/// The columns of a [`SnapshotRow`].
macro_rules! snapshot_columns {
    () => {
        "id, solution_id, snapshot_type, frozen, score, total_policies, compliant_policies, \
         non_compliant_policies, digest, approved_at, approved_by, created_at, updated_at"
    };
}

const SELECT: &str = concat!(
    "SELECT ",
    snapshot_columns!(),
    " FROM compliance_snapshots WHERE id = $1"
);

/// Which snapshots are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnapshotFilter {
    /// Their solution.
    pub solution_id: Option<SolutionId>,
    /// What made them.
    pub snapshot_type: Option<SnapshotType>,
    /// Whether nothing can change them any more.
    pub frozen: Option<bool>,
}

/// The policies of a solution, each with the time of its last change.
pub type PolicyVersions = Vec<(PolicyId, DateTime<Utc>)>;

#[derive(sqlx::FromRow)]
struct SnapshotRow {
    id: Uuid,
    solution_id: Uuid,
    snapshot_type: String,
    frozen: bool,
    score: f64,
    total_policies: i64,
    compliant_policies: i64,
    non_compliant_policies: i64,
    digest: Option<String>,
    approved_at: Option<DateTime<Utc>>,
    approved_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<SnapshotRow> for Snapshot {
    type Error = StoreError;

    fn try_from(row: SnapshotRow) -> Result<Snapshot, StoreError> {
        let count = |value| columns::from_count(value, "compliance_snapshots");
        Ok(Snapshot {
            id: SnapshotId(row.id),
            solution_id: SolutionId(row.solution_id),
            snapshot_type: columns::from_word(
                &row.snapshot_type,
                "compliance_snapshots.snapshot_type",
            )?,
            frozen: row.frozen,
            score: row.score,
            total_policies: count(row.total_policies)?,
            compliant_policies: count(row.compliant_policies)?,
            non_compliant_policies: count(row.non_compliant_policies)?,
            digest: row.digest,
            approved_at: row.approved_at,
            approved_by: row.approved_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Store {
    /// A part of the snapshots.
    pub async fn list_snapshots(
        &self,
        filter: &SnapshotFilter,
        page: Page,
    ) -> Result<Listed<Snapshot>, StoreError> {
        let mut listing = Listing::new();
        listing.equals("solution_id", filter.solution_id.map(|id| id.0));
        let word = filter.snapshot_type.map(SnapshotType::as_str);
        listing.equals("snapshot_type", word);
        listing.equals("frozen", filter.frozen);
        let rows: Listed<SnapshotRow> = listing
            .page(
                self,
                snapshot_columns!(),
                "compliance_snapshots",
                SORTS,
                "id",
                page,
            )
            .await?;
        Ok(Listed {
            data: objects(Ok(rows.data))?,
            total: rows.total,
        })
    }

    /// One snapshot.
    pub async fn get_snapshot(&self, id: SnapshotId) -> Result<Snapshot, StoreError> {
        object(optional!(self, SnapshotRow, SELECT, id.0), "snapshot")
    }

    /// The snapshots of a solution, oldest first.
    pub async fn snapshots_of(&self, solution_id: SolutionId) -> Result<Vec<Snapshot>, StoreError> {
        objects(all!(
            self,
            SnapshotRow,
            concat!(
                "SELECT ",
                snapshot_columns!(),
                " FROM compliance_snapshots WHERE solution_id = $1 ORDER BY created_at, id"
            ),
            solution_id.0,
        ))
    }

    /// Adds a snapshot with what it saw.
    ///
    /// Errors: not found, if the solution is gone.
    pub async fn insert_snapshot(
        &self,
        snapshot: &Snapshot,
        content: &Value,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        insert(&mut tx, snapshot, content, None).await?;
        note(&mut tx, "create", None, snapshot, act).await?;
        tx.commit().await
    }

    /// Adds the snapshot of a solution that was due at a time. The answer is whether it was
    /// added: otherwise another process took it.
    ///
    /// Errors: not found, if the solution is gone.
    pub async fn insert_scheduled_snapshot(
        &self,
        snapshot: &Snapshot,
        content: &Value,
        due_at: DateTime<Utc>,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut tx = self.govern().await?;
        if !insert(&mut tx, snapshot, content, Some(due_at)).await? {
            return Ok(false);
        }
        note(&mut tx, "create", None, snapshot, act).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Adds the snapshot that the changes of a solution's policies ask for, and with it takes the
    /// mark off the solution. The answer is whether it was added: otherwise another process took
    /// it.
    ///
    /// Errors: stale, if the policies are no longer those that the snapshot saw.
    pub async fn insert_triggered_snapshot(
        &self,
        snapshot: &Snapshot,
        content: &Value,
        seen: &PolicyVersions,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut tx = self.govern().await?;
        // From here on whoever changes one of the policies waits to set the mark again.
        let cleared = execute!(
            tx,
            "UPDATE compliance_solutions SET snapshot_due = FALSE WHERE id = $1 AND snapshot_due",
            snapshot.solution_id.0,
        )?;
        if cleared == 0 {
            return Ok(false);
        }
        if versions(all!(
            tx,
            (Uuid, DateTime<Utc>),
            VERSIONS,
            snapshot.solution_id.0
        ))? != *seen
        {
            return Err(StoreError::Stale);
        }
        insert(&mut tx, snapshot, content, None).await?;
        note(&mut tx, "create", None, snapshot, act).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The solutions of which a policy has changed since their last snapshot was asked for.
    pub async fn solutions_changed(&self) -> Result<Vec<SolutionId>, StoreError> {
        let rows = all!(
            self,
            (Uuid,),
            "SELECT id FROM compliance_solutions WHERE snapshot_due ORDER BY created_at, id",
        )?;
        Ok(rows.into_iter().map(|(id,)| SolutionId(id)).collect())
    }

    /// The solutions that were there at a time when snapshots were due, and of which neither that
    /// snapshot nor a later one was taken. One that was due more than a day after `now` does not
    /// count: a clock that jumped ahead once would keep all others from being taken until then.
    pub async fn solutions_due(
        &self,
        due_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<SolutionId>, StoreError> {
        let rows = all!(
            self,
            (Uuid,),
            "SELECT s.id FROM compliance_solutions s
             WHERE s.created_at <= $1 AND NOT EXISTS (
                 SELECT 1 FROM compliance_snapshots c
                 WHERE c.solution_id = s.id AND c.due_at >= $1 AND c.due_at <= $2)
             ORDER BY s.created_at, s.id",
            columns::time(due_at),
            columns::time(now + AHEAD),
        )?;
        Ok(rows.into_iter().map(|(id,)| SolutionId(id)).collect())
    }

    /// The policies of a solution as they are now.
    pub async fn policy_versions(
        &self,
        solution_id: SolutionId,
    ) -> Result<PolicyVersions, StoreError> {
        versions(all!(self, (Uuid, DateTime<Utc>), VERSIONS, solution_id.0))
    }

    /// Freezes a snapshot: its digest is made, and nothing changes it any more.
    ///
    /// Errors: `snapshot_frozen`, if it is already.
    pub async fn freeze_snapshot(&self, id: SnapshotId, act: &Act) -> Result<Snapshot, StoreError> {
        let mut tx = self.govern().await?;
        let before = hold(&mut tx, id).await?;
        let query = "SELECT content FROM compliance_snapshots WHERE id = $1";
        let content = optional!(tx, (String,), query, id.0)?;
        let (content,) = content.ok_or(StoreError::NotFound("snapshot"))?;
        let snapshot = Snapshot {
            frozen: true,
            digest: Some(before.digest_with(&content)),
            updated_at: columns::time(act.at),
            ..before.clone()
        };
        execute!(
            tx,
            "UPDATE compliance_snapshots SET frozen = TRUE, digest = $2, updated_at = $3
             WHERE id = $1 AND NOT frozen",
            id.0,
            &snapshot.digest,
            snapshot.updated_at,
        )?;
        note(&mut tx, "freeze", Some(&before), &snapshot, act).await?;
        tx.commit().await?;
        Ok(snapshot)
    }

    /// Approves a snapshot, as whoever acts.
    ///
    /// Errors: `snapshot_frozen`; `invalid_transition`, if it is approved already.
    pub async fn approve_snapshot(
        &self,
        id: SnapshotId,
        act: &Act,
    ) -> Result<Snapshot, StoreError> {
        let mut tx = self.govern().await?;
        let before = hold(&mut tx, id).await?;
        if before.approved_at.is_some() {
            return Err(StoreError::Refused {
                code: "invalid_transition",
                message: "the snapshot is approved already".into(),
            });
        }
        let at = columns::time(act.at);
        let snapshot = Snapshot {
            approved_at: Some(at),
            approved_by: Some(act.account_id),
            updated_at: at,
            ..before.clone()
        };
        execute!(
            tx,
            "UPDATE compliance_snapshots SET approved_at = $2, approved_by = $3, updated_at = $2
             WHERE id = $1 AND NOT frozen AND approved_at IS NULL",
            id.0,
            at,
            act.account_id,
        )?;
        note(&mut tx, "approve", Some(&before), &snapshot, act).await?;
        tx.commit().await?;
        Ok(snapshot)
    }

    /// Whether a snapshot is frozen and still what was frozen: its digest is made anew from the
    /// row as it is. Whoever rewrites a row together with its digest is found by the digest in
    /// the audit log's line `compliance_snapshot.freeze`.
    pub async fn verify_snapshot(&self, id: SnapshotId) -> Result<bool, StoreError> {
        let snapshot = self.get_snapshot(id).await?;
        let query = "SELECT content FROM compliance_snapshots WHERE id = $1";
        let content = optional!(self, (String,), query, id.0)?;
        let (content,) = content.ok_or(StoreError::NotFound("snapshot"))?;
        let digest = snapshot.digest_with(&content);
        Ok(snapshot.frozen && snapshot.digest == Some(digest))
    }
}

const VERSIONS: &str = "SELECT p.id, p.updated_at \
     FROM compliance_solution_policies s JOIN compliance_policies p ON p.id = s.policy_id \
     WHERE s.solution_id = $1 ORDER BY p.id";

fn versions(
    rows: Result<Vec<(Uuid, DateTime<Utc>)>, sqlx::Error>,
) -> Result<PolicyVersions, StoreError> {
    let rows = rows?.into_iter();
    Ok(rows.map(|(id, changed)| (PolicyId(id), changed)).collect())
}

/// A snapshot that nobody else changes until the transaction ends.
///
/// Errors: `snapshot_frozen`.
async fn hold(tx: &mut Tx, id: SnapshotId) -> Result<Snapshot, StoreError> {
    let held = execute!(
        tx,
        "UPDATE compliance_snapshots SET updated_at = updated_at WHERE id = $1 AND NOT frozen",
        id.0,
    )?;
    let snapshot = object(optional!(tx, SnapshotRow, SELECT, id.0), "snapshot")?;
    match held {
        0 => Err(StoreError::Refused {
            code: "snapshot_frozen",
            message: "the snapshot is frozen: nothing changes it any more".into(),
        }),
        _ => Ok(snapshot),
    }
}

/// Adds a row; the answer is whether there was none yet that was due at the same time.
async fn insert(
    tx: &mut Tx,
    snapshot: &Snapshot,
    content: &Value,
    due_at: Option<DateTime<Utc>>,
) -> Result<bool, StoreError> {
    let content = columns::json(content)?;
    let inserted = execute!(
        tx,
        "INSERT INTO compliance_snapshots (id, solution_id, snapshot_type, frozen, score,
             total_policies, compliant_policies, non_compliant_policies, content, due_at,
             created_at, updated_at)
         VALUES ($1, $2, $3, FALSE, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (solution_id, due_at) DO NOTHING",
        snapshot.id.0,
        snapshot.solution_id.0,
        snapshot.snapshot_type.as_str(),
        snapshot.score,
        columns::count(snapshot.total_policies),
        columns::count(snapshot.compliant_policies),
        columns::count(snapshot.non_compliant_policies),
        &content,
        due_at.map(columns::time),
        columns::time(snapshot.created_at),
        columns::time(snapshot.updated_at),
    );
    match inserted {
        Ok(rows) => Ok(rows > 0),
        Err(error) if is_dangling(&error) => Err(StoreError::NotFound("solution")),
        Err(error) => Err(error.into()),
    }
}

async fn note(
    tx: &mut Tx,
    verb: &str,
    before: Option<&Snapshot>,
    after: &Snapshot,
    act: &Act,
) -> Result<(), StoreError> {
    let event = Event {
        action: format!("{KIND}.{verb}"),
        ..Event::of(KIND, Some(after.id.0), before, Some(after))
    };
    audit::append(tx, None, act, &event).await
}
