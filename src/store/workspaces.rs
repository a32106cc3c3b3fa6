//! Workspaces and who belongs to them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::database::{Db, Tx};
use super::error::{is_dangling, not_saved};
use super::{Store, StoreError, columns, object, objects, policies, touched};
use crate::catalog::Workspace;
use crate::policy::Revision;
use crate::principal::OWNER;

/// An account's place in a workspace.
#[derive(Clone, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Member {
    /// The account.
    pub account_id: Uuid,
    /// The role it has there.
    pub role_id: Uuid,
    /// The account's e-mail address.
    pub email: String,
    /// The account's display name.
    pub name: String,
    /// The account's picture.
    pub avatar_url: Option<String>,
    /// When it joined.
    pub created_at: DateTime<Utc>,
}

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

    /// Adds a workspace at revision 1 and makes an account its owner.
    pub async fn insert_workspace(
        &self,
        workspace: &Workspace,
        owner: Uuid,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        insert(&mut tx, workspace, owner).await?;
        tx.commit().await
    }

    /// Renames a workspace. Its demand for a destination policy changes by `commit` only.
    pub async fn update_workspace_name(
        &self,
        id: Uuid,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let saved = execute!(
            self,
            "UPDATE workspaces SET name = $2, updated_at = $3 WHERE id = $1",
            id,
            name,
            columns::time(now),
        );
        let saved = saved.map_err(|error| not_saved(error, "workspace", name, "workspace"))?;
        touched(saved, "workspace")
    }

    /// The role of an account in a workspace; `None` if it does not belong to it.
    pub async fn member_role(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
    ) -> Result<Option<Uuid>, StoreError> {
        let row = optional!(
            self,
            (Uuid,),
            "SELECT role_id FROM members WHERE workspace_id = $1 AND account_id = $2",
            workspace_id,
            account_id,
        )?;
        Ok(row.map(|(role_id,)| role_id))
    }

    /// The members of a workspace, in the order they joined.
    pub async fn list_members(&self, workspace_id: Uuid) -> Result<Vec<Member>, StoreError> {
        Ok(all!(
            self,
            Member,
            "SELECT m.account_id, m.role_id, a.email, a.name, a.avatar_url, m.created_at
             FROM members m JOIN accounts a ON a.id = m.account_id
             WHERE m.workspace_id = $1 ORDER BY m.created_at, m.account_id",
            workspace_id,
        )?)
    }

    /// Gives an account a role in a workspace, in place of the one it may have. The last owner
    /// keeps that role.
    pub async fn put_member(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
        role_id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        lock(&mut tx, workspace_id).await?;
        put(&mut tx, workspace_id, account_id, role_id, now).await?;
        keep_owner(&mut tx, workspace_id).await?;
        tx.commit().await
    }

    /// Takes an account out of a workspace. The last owner stays.
    pub async fn delete_member(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        lock(&mut tx, workspace_id).await?;
        let deleted = execute!(
            tx,
            "DELETE FROM members WHERE workspace_id = $1 AND account_id = $2",
            workspace_id,
            account_id,
        )?;
        touched(deleted, "member")?;
        keep_owner(&mut tx, workspace_id).await?;
        tx.commit().await
    }
}

pub(super) async fn insert(
    tx: &mut Tx,
    workspace: &Workspace,
    owner: Uuid,
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
    put(tx, workspace.id, owner, OWNER, workspace.created_at).await?;
    let created = json!({"action": "create_workspace"});
    policies::record(
        tx,
        workspace.id,
        FIRST,
        owner,
        &created,
        workspace.created_at,
    )
    .await
}

async fn put(
    tx: &mut Tx,
    workspace_id: Uuid,
    account_id: Uuid,
    role_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let saved = execute!(
        tx,
        "INSERT INTO members (workspace_id, account_id, role_id, created_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (workspace_id, account_id) DO UPDATE SET role_id = excluded.role_id",
        workspace_id,
        account_id,
        role_id,
        columns::time(now),
    );
    match saved {
        Ok(_) => Ok(()),
        Err(error) if is_dangling(&error) => Err(StoreError::NotFound("account")),
        Err(error) => Err(error.into()),
    }
}

/// Changes of one workspace's members wait for each other: two owners who remove one another at
/// the same time must not both succeed.
async fn lock(tx: &mut Tx, workspace_id: Uuid) -> Result<(), StoreError> {
    let locked = execute!(
        tx,
        "UPDATE workspaces SET updated_at = updated_at WHERE id = $1",
        workspace_id,
    )?;
    touched(locked, "workspace")
}

async fn keep_owner(tx: &mut Tx, workspace_id: Uuid) -> Result<(), StoreError> {
    let owner = optional!(
        tx,
        (Uuid,),
        "SELECT account_id FROM members WHERE workspace_id = $1 AND role_id = $2 LIMIT 1",
        workspace_id,
        OWNER,
    )?;
    match owner {
        Some(_) => Ok(()),
        None => Err(StoreError::Conflict(
            "a workspace needs an owner; make another member the owner first".into(),
        )),
    }
}
