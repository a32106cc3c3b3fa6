//! Custom roles. The system roles stand in no table: every workspace has them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::not_saved;
use super::{Store, StoreError, columns, object, objects, same, touched, workspaces};
use crate::audit::Event;
use crate::principal::{Act, Permissions, Role, system_role, system_roles};

#[derive(sqlx::FromRow)]
struct RoleRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    description: String,
    permissions: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<RoleRow> for Role {
    type Error = StoreError;

    fn try_from(row: RoleRow) -> Result<Role, StoreError> {
        Ok(Role {
            id: row.id,
            workspace_id: Some(row.workspace_id),
            name: row.name,
            description: row.description,
            is_system: false,
            permissions: permissions(&row.permissions)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Permissions from their column. A key that this version does not know grants nothing.
pub(super) fn permissions(text: &str) -> Result<Permissions, StoreError> {
    let keys: Vec<String> = columns::from_json(text, "roles.permissions")?;
    Ok(keys
        .iter()
        .filter_map(|key| Permissions::of(key))
        .fold(Permissions::NONE, |all, one| all | one))
}

const SELECT: &str = "SELECT id, workspace_id, name, description, permissions, created_at, \
     updated_at FROM roles WHERE workspace_id = $1 AND id = $2";

impl Store {
    /// The roles of a workspace: the system roles, then the custom ones by age.
    pub async fn list_roles(&self, workspace_id: Uuid) -> Result<Vec<Role>, StoreError> {
        let custom: Vec<Role> = objects(all!(
            self,
            RoleRow,
            "SELECT id, workspace_id, name, description, permissions, created_at, updated_at
             FROM roles WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))?;
        Ok(system_roles().into_iter().chain(custom).collect())
    }

    /// One role of a workspace, or a system role.
    pub async fn get_role(&self, workspace_id: Uuid, id: Uuid) -> Result<Role, StoreError> {
        if let Some(role) = system_role(id) {
            return Ok(role);
        }
        object(optional!(self, RoleRow, SELECT, workspace_id, id), "role")
    }

    /// Adds a custom role.
    pub async fn insert_role(
        &self,
        workspace_id: Uuid,
        role: &Role,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        check_name(role)?;
        let permissions = columns::json(&role.permissions)?;
        execute!(
            tx,
            "INSERT INTO roles (id, workspace_id, name, description, permissions, created_at,
                 updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            role.id,
            workspace_id,
            &role.name,
            &role.description,
            &permissions,
            columns::time(role.created_at),
            columns::time(role.updated_at),
        )
        .map_err(|error| not_saved(error, "role", &role.name, "workspace"))?;
        let event = Event::of("role", Some(role.id), None, Some(role));
        audit::append(&mut tx, Some(workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Replaces a custom role.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_role(
        &self,
        workspace_id: Uuid,
        before: &Role,
        role: &Role,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        unchanged(&mut tx, workspace_id, before).await?;
        check_name(role)?;
        let permissions = columns::json(&role.permissions)?;
        let saved = execute!(
            tx,
            "UPDATE roles SET name = $3, description = $4, permissions = $5, updated_at = $6
             WHERE workspace_id = $1 AND id = $2",
            workspace_id,
            role.id,
            &role.name,
            &role.description,
            &permissions,
            columns::time(role.updated_at),
        );
        let saved = saved.map_err(|error| not_saved(error, "role", &role.name, "workspace"))?;
        touched(saved, "role")?;
        let event = Event::of("role", Some(role.id), Some(before), Some(role));
        audit::append(&mut tx, Some(workspace_id), act, &event).await?;
        tx.commit().await
    }

    /// Deletes a custom role that no member and no group has.
    ///
    /// Errors: conflict, naming who has it; stale, if it is no longer as it was `before`.
    pub async fn delete_role(
        &self,
        workspace_id: Uuid,
        before: &Role,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        unchanged(&mut tx, workspace_id, before).await?;
        let users = all!(
            tx,
            (String,),
            "SELECT 'member ' || a.email FROM members m JOIN accounts a ON a.id = m.account_id
             WHERE m.workspace_id = $1 AND m.role_id = $2
             UNION ALL
             SELECT 'group ' || name FROM member_groups
             WHERE workspace_id = $1 AND role_id = $2
             ORDER BY 1 LIMIT 5",
            workspace_id,
            before.id,
        )?;
        if !users.is_empty() {
            let users: Vec<String> = users.into_iter().map(|(user,)| user).collect();
            return Err(StoreError::Conflict(format!(
                "the role is in use by {}; give them another first",
                users.join(", ")
            )));
        }
        let deleted = execute!(
            tx,
            "DELETE FROM roles WHERE workspace_id = $1 AND id = $2",
            workspace_id,
            before.id,
        )?;
        touched(deleted, "role")?;
        let event = Event::of("role", Some(before.id), Some(before), None);
        audit::append(&mut tx, Some(workspace_id), act, &event).await?;
        tx.commit().await
    }
}

/// Refuses a role that the workspace does not have. Called under the workspace's lock, so that it
/// cannot be deleted before whoever is to have it does.
pub(super) async fn exists(tx: &mut Tx, workspace_id: Uuid, id: Uuid) -> Result<(), StoreError> {
    if system_role(id).is_some() {
        return Ok(());
    }
    let role: Result<Role, _> = object(optional!(tx, RoleRow, SELECT, workspace_id, id), "role");
    role.map(|_| ())
}

async fn unchanged(tx: &mut Tx, workspace_id: Uuid, before: &Role) -> Result<(), StoreError> {
    let now: Role = object(
        optional!(tx, RoleRow, SELECT, workspace_id, before.id),
        "role",
    )?;
    same(&now, before)
}

fn check_name(role: &Role) -> Result<(), StoreError> {
    if system_roles().iter().any(|system| system.name == role.name) {
        return Err(StoreError::Conflict(format!(
            "there is already a role named {:?}; choose another",
            role.name
        )));
    }
    Ok(())
}
