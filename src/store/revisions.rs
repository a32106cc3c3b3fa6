//! Revisions: what was changed, by whom and when. A revision's documents tell each object before
//! and after, so that an earlier state can be had back and a later one reached step by step.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::database::{Db, Tx};
use super::{Store, StoreError, columns, object, objects};
use crate::policy::{Change, Revision};
use crate::principal::Act;

/// One revision of a workspace's policies: who made it, when, and by what changes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Committed {
    /// The revision it made.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The account that made it.
    pub author_id: Uuid,
    /// When.
    pub created_at: DateTime<Utc>,
    /// What was changed: `{"kind", "id", "before", "after"}` each.
    #[schema(value_type = Vec<Object>)]
    pub changes: Vec<Value>,
}

impl Committed {
    /// The changes of the policy set among them, in order.
    ///
    /// Errors: changes that this version does not understand.
    pub fn policy_changes(&self) -> Result<Vec<Change>, StoreError> {
        let changes = self.changes.iter().map(Change::from_document);
        let changes: Result<Vec<_>, _> = changes.collect();
        let changes = changes.map_err(|_| {
            let revision = self.revision;
            StoreError::Conflict(format!(
                "revision {revision} was written by another version of syncguard, which cannot be undone here"
            ))
        })?;
        Ok(changes.into_iter().flatten().collect())
    }
}

#[derive(sqlx::FromRow)]
struct CommittedRow {
    revision: i64,
    author_id: Uuid,
    change: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<CommittedRow> for Committed {
    type Error = StoreError;

    fn try_from(row: CommittedRow) -> Result<Committed, StoreError> {
        let changes = match columns::from_json(&row.change, "revisions.change")? {
            Value::Array(changes) => changes,
            one => vec![one],
        };
        Ok(Committed {
            revision: columns::from_count(row.revision, "revisions.revision")?,
            author_id: row.author_id,
            created_at: row.created_at,
            changes,
        })
    }
}

impl Store {
    /// The current revision of a workspace's policies: one look-up by key.
    pub async fn revision(&self, workspace_id: Uuid) -> Result<Revision, StoreError> {
        let row = optional!(
            self,
            (i64,),
            "SELECT revision FROM workspaces WHERE id = $1",
            workspace_id,
        )?;
        let (revision,) = row.ok_or(StoreError::NotFound("workspace"))?;
        columns::from_count(revision, "workspaces.revision")
    }

    /// The revisions of a workspace before `before` (all, if `None`), newest first, at most
    /// `limit`.
    pub async fn list_revisions(
        &self,
        workspace_id: Uuid,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<Committed>, StoreError> {
        objects(all!(
            self,
            CommittedRow,
            "SELECT revision, author_id, change, created_at FROM revisions
             WHERE workspace_id = $1 AND revision < $2 ORDER BY revision DESC LIMIT $3",
            workspace_id,
            before.map_or(i64::MAX, columns::count),
            i64::from(limit),
        ))
    }

    /// One revision.
    pub async fn get_revision(
        &self,
        workspace_id: Uuid,
        revision: Revision,
    ) -> Result<Committed, StoreError> {
        let row = optional!(
            self,
            CommittedRow,
            "SELECT revision, author_id, change, created_at FROM revisions
             WHERE workspace_id = $1 AND revision = $2",
            workspace_id,
            columns::count(revision),
        );
        object(row, "revision")
    }

    /// The revisions after one, up to and with another, oldest first.
    pub async fn revisions_between(
        &self,
        workspace_id: Uuid,
        after: Revision,
        to: Revision,
    ) -> Result<Vec<Committed>, StoreError> {
        objects(all!(
            self,
            CommittedRow,
            "SELECT revision, author_id, change, created_at FROM revisions
             WHERE workspace_id = $1 AND revision > $2 AND revision <= $3 ORDER BY revision",
            workspace_id,
            columns::count(after),
            columns::count(to),
        ))
    }
}

/// Moves a workspace on to its next revision and writes down what made it.
///
/// With `expected`, only from that revision: from another one the answer is
/// [`StoreError::Stale`]. The workspace stays locked until the transaction ends, so changes of
/// one workspace follow one another.
pub(super) async fn advance(
    tx: &mut Tx,
    workspace_id: Uuid,
    expected: Option<Revision>,
    changes: &[Value],
    act: &Act,
) -> Result<Revision, StoreError> {
    let moved = optional!(
        tx,
        (i64,),
        "UPDATE workspaces SET revision = revision + 1
         WHERE id = $1 AND ($2 IS NULL OR revision = $2) RETURNING revision",
        workspace_id,
        expected.map(columns::count),
    )?;
    let Some((revision,)) = moved else {
        let query = "SELECT id FROM workspaces WHERE id = $1";
        let workspace = optional!(tx, (Uuid,), query, workspace_id)?;
        return Err(workspace.map_or(StoreError::NotFound("workspace"), |_| StoreError::Stale));
    };
    let revision = columns::from_count(revision, "workspaces.revision")?;
    record(tx, workspace_id, revision, changes, act).await?;
    Ok(revision)
}

/// Writes the row that tells of a revision.
pub(super) async fn record(
    tx: &mut Tx,
    workspace_id: Uuid,
    revision: Revision,
    changes: &[Value],
    act: &Act,
) -> Result<(), StoreError> {
    let changes = columns::json(changes)?;
    execute!(
        tx,
        "INSERT INTO revisions (workspace_id, revision, author_id, change, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        workspace_id,
        columns::count(revision),
        act.account_id,
        &changes,
        columns::time(act.at),
    )?;
    Ok(())
}
