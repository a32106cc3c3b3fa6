//! Workspaces.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::not_saved;
use super::{Store, StoreError, columns, members, object, objects, revisions, same, touched};
use crate::audit::Event;
use crate::catalog::Workspace;
use crate::policy::Revision;
use crate::principal::{Act, OWNER};

/// The revision of a workspace in which nothing was published yet.
const FIRST: Revision = 1;

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    id: Uuid,
    name: String,
    require_destination_policy: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: WorkspaceRow) -> Result<Workspace, StoreError> {
        let WorkspaceRow {
            id,
            name,
            require_destination_policy,
            created_at,
            updated_at,
        } = row;
        Ok(Workspace {
            id,
            name,
            require_destination_policy,
            created_at,
            updated_at,
        })
    }
}

impl Store {
    /// The workspaces that an account belongs to.
    pub async fn list_workspaces(&self, account_id: Uuid) -> Result<Vec<Workspace>, StoreError> {
        objects(all!(
            self,
            WorkspaceRow,
            "SELECT w.id, w.name, w.require_destination_policy, w.created_at, w.updated_at
             FROM workspaces w JOIN members m ON m.workspace_id = w.id
             WHERE m.account_id = $1 ORDER BY w.created_at, w.id",
            account_id,
        ))
    }

    /// One workspace.
    pub async fn get_workspace(&self, id: Uuid) -> Result<Workspace, StoreError> {
        let row = optional!(
            self,
            WorkspaceRow,
            "SELECT id, name, require_destination_policy, created_at, updated_at
             FROM workspaces WHERE id = $1",
            id,
        );
        object(row, "workspace")
    }

    /// Adds a workspace at revision 1 and makes whoever acts its owner.
    pub async fn insert_workspace(
        &self,
        workspace: &Workspace,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        // Whoever changes something of all workspaces sees this one, or is seen by it.
        hold_all(&mut tx).await?;
        insert(&mut tx, workspace, act).await?;
        tx.commit().await
    }

    /// Renames a workspace. Its demand for a destination policy changes by `commit` only.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn rename_workspace(
        &self,
        before: &Workspace,
        name: &str,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        lock(&mut tx, before.id).await?;
        let get = "SELECT id, name, require_destination_policy, created_at, updated_at
             FROM workspaces WHERE id = $1";
        let now: Workspace = object(optional!(tx, WorkspaceRow, get, before.id), "workspace")?;
        same(&now, before)?;
        execute!(
            tx,
            "UPDATE workspaces SET name = $2, updated_at = $3 WHERE id = $1",
            before.id,
            name,
            columns::time(act.at),
        )
        .map_err(|error| not_saved(error, "workspace", name, "workspace"))?;
        let after = Workspace {
            name: name.to_owned(),
            updated_at: act.at,
            ..before.clone()
        };
        let event = Event::of("workspace", Some(before.id), Some(before), Some(&after));
        audit::append(&mut tx, Some(before.id), act, &event).await?;
        tx.commit().await
    }
}

pub(super) async fn insert(
    tx: &mut Tx,
    workspace: &Workspace,
    act: &Act,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO workspaces
             (id, name, require_destination_policy, revision, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        workspace.id,
        &workspace.name,
        workspace.require_destination_policy,
        columns::count(FIRST),
        columns::time(workspace.created_at),
        columns::time(workspace.updated_at),
    )
    .map_err(|error| not_saved(error, "workspace", &workspace.name, "workspace"))?;
    members::insert(
        tx,
        workspace.id,
        act.account_id,
        OWNER,
        workspace.created_at,
    )
    .await?;
    revisions::record(tx, workspace.id, FIRST, &[], act).await?;
    let event = Event::of("workspace", Some(workspace.id), None, Some(workspace));
    audit::append(tx, Some(workspace.id), act, &event).await
}

/// Changes of one workspace wait for each other: two owners who remove one another at the same
/// time must not both succeed.
pub(super) async fn lock(tx: &mut Tx, workspace_id: Uuid) -> Result<(), StoreError> {
    let locked = execute!(
        tx,
        "UPDATE workspaces SET updated_at = updated_at WHERE id = $1",
        workspace_id,
    )?;
    touched(locked, "workspace")
}

/// Keeps the workspaces that there are from becoming more, until the transaction ends. To be taken
/// before the lock of any workspace.
pub(super) async fn hold_all(tx: &mut Tx) -> Result<(), StoreError> {
    execute!(tx, "UPDATE organizations SET name = name WHERE is_own")?;
    Ok(())
}
