//! Groups and who is in them. Both bear on what their members may see, so membership and the end
//! of a group make revisions.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::{is_duplicate, not_saved};
use super::{
    Store, StoreError, access, columns, object, objects, revisions, roles, same, touched,
    workspaces,
};
use crate::audit::Event;
use crate::policy::{Change, Edit, Revision};
use crate::principal::{Act, Group, GroupMember, system_role};

#[derive(sqlx::FromRow)]
struct GroupRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    description: String,
    role_id: Option<Uuid>,
    role_name: Option<String>,
    member_count: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<GroupRow> for Group {
    type Error = StoreError;

    fn try_from(row: GroupRow) -> Result<Group, StoreError> {
        let system = row.role_id.and_then(system_role).map(|role| role.name);
        Ok(Group {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            role_id: row.role_id,
            role_name: row.role_name.or(system),
            member_count: row.member_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct GroupMemberRow {
    group_id: Uuid,
    account_id: Uuid,
    email: String,
    name: String,
    avatar_url: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<GroupMemberRow> for GroupMember {
    fn from(row: GroupMemberRow) -> GroupMember {
        GroupMember {
            group_id: row.group_id,
            account_id: row.account_id,
            email: row.email,
            name: row.name,
            avatar_url: row.avatar_url,
            created_at: row.created_at,
        }
    }
}

const SELECT: &str = "SELECT g.id, g.workspace_id, g.name, g.description, g.role_id, \
     r.name AS role_name, \
     (SELECT COUNT(*) FROM group_members m WHERE m.group_id = g.id) AS member_count, \
     g.created_at, g.updated_at \
     FROM member_groups g LEFT JOIN roles r ON r.id = g.role_id \
     WHERE g.workspace_id = $1 AND g.id = $2";

const SELECT_MEMBER: &str = "SELECT m.group_id, m.account_id, a.email, a.name, a.avatar_url, \
     m.created_at FROM group_members m JOIN accounts a ON a.id = m.account_id \
     WHERE m.workspace_id = $1 AND m.group_id = $2 AND m.account_id = $3";

impl Store {
    /// The groups of a workspace, by age.
    pub async fn list_groups(&self, workspace_id: Uuid) -> Result<Vec<Group>, StoreError> {
        objects(all!(
            self,
            GroupRow,
            "SELECT g.id, g.workspace_id, g.name, g.description, g.role_id, r.name AS role_name,
                    (SELECT COUNT(*) FROM group_members m WHERE m.group_id = g.id)
                        AS member_count,
                    g.created_at, g.updated_at
             FROM member_groups g LEFT JOIN roles r ON r.id = g.role_id
             WHERE g.workspace_id = $1 ORDER BY g.created_at, g.id",
            workspace_id,
        ))
    }

    /// One group.
    pub async fn get_group(&self, workspace_id: Uuid, id: Uuid) -> Result<Group, StoreError> {
        object(optional!(self, GroupRow, SELECT, workspace_id, id), "group")
    }

    /// Adds a group; answers it as it will be read.
    pub async fn insert_group(&self, group: &Group, act: &Act) -> Result<Group, StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, group.workspace_id).await?;
        if let Some(role_id) = group.role_id {
            roles::exists(&mut tx, group.workspace_id, role_id).await?;
        }
        execute!(
            tx,
            "INSERT INTO member_groups (id, workspace_id, name, description, role_id, created_at,
                 updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            group.id,
            group.workspace_id,
            &group.name,
            &group.description,
            group.role_id,
            columns::time(group.created_at),
            columns::time(group.updated_at),
        )
        .map_err(|error| not_saved(error, "group", &group.name, "workspace"))?;
        let group = get(&mut tx, group.workspace_id, group.id).await?;
        let event = Event::of("group", Some(group.id), None, Some(&group));
        audit::append(&mut tx, Some(group.workspace_id), act, &event).await?;
        tx.commit().await?;
        Ok(group)
    }

    /// Replaces a group's name, description and role; answers it as it will be read.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_group(
        &self,
        before: &Group,
        group: &Group,
        act: &Act,
    ) -> Result<Group, StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, group.workspace_id).await?;
        unchanged(&mut tx, before).await?;
        if let Some(role_id) = group.role_id {
            roles::exists(&mut tx, group.workspace_id, role_id).await?;
        }
        let saved = execute!(
            tx,
            "UPDATE member_groups SET name = $3, description = $4, role_id = $5, updated_at = $6
             WHERE workspace_id = $1 AND id = $2",
            group.workspace_id,
            group.id,
            &group.name,
            &group.description,
            group.role_id,
            columns::time(group.updated_at),
        );
        let saved = saved.map_err(|error| not_saved(error, "group", &group.name, "workspace"))?;
        touched(saved, "group")?;
        let group = get(&mut tx, group.workspace_id, group.id).await?;
        let event = Event::of("group", Some(group.id), Some(before), Some(&group));
        audit::append(&mut tx, Some(group.workspace_id), act, &event).await?;
        tx.commit().await?;
        Ok(group)
    }

    /// Deletes a group, and with it what it gave: its members' places and its access policies.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn delete_group(&self, before: &Group, act: &Act) -> Result<Revision, StoreError> {
        let workspace_id = before.workspace_id;
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        unchanged(&mut tx, before).await?;
        let assignments = access::assignments_of_group(&mut tx, workspace_id, before.id).await?;
        let mut documents: Vec<Value> = assignments
            .into_iter()
            .map(|assignment| Change::Assignment(Edit::delete(assignment.into())).document())
            .collect();
        documents.push(json!({
            "kind": "group", "id": before.id, "before": before, "after": null,
        }));
        let revision = revisions::advance(&mut tx, workspace_id, None, &documents, act).await?;
        for statement in [
            "DELETE FROM access_policy_assignments WHERE workspace_id = $1 AND group_id = $2",
            "DELETE FROM group_members WHERE workspace_id = $1 AND group_id = $2",
            "DELETE FROM member_groups WHERE workspace_id = $1 AND id = $2",
        ] {
            execute!(tx, statement, workspace_id, before.id)?;
        }
        let event = Event {
            revision: Some(revision),
            ..Event::of("group", Some(before.id), Some(before), None)
        };
        audit::append(&mut tx, Some(workspace_id), act, &event).await?;
        tx.commit().await?;
        Ok(revision)
    }

    /// The members of a group, in the order they were added.
    pub async fn list_group_members(
        &self,
        workspace_id: Uuid,
        group_id: Uuid,
    ) -> Result<Vec<GroupMember>, StoreError> {
        let rows = all!(
            self,
            GroupMemberRow,
            "SELECT m.group_id, m.account_id, a.email, a.name, a.avatar_url, m.created_at
             FROM group_members m JOIN accounts a ON a.id = m.account_id
             WHERE m.workspace_id = $1 AND m.group_id = $2 ORDER BY m.created_at, m.account_id",
            workspace_id,
            group_id,
        )?;
        Ok(rows.into_iter().map(GroupMember::from).collect())
    }

    /// One member of a group.
    pub async fn get_group_member(
        &self,
        workspace_id: Uuid,
        group_id: Uuid,
        account_id: Uuid,
    ) -> Result<GroupMember, StoreError> {
        let row = optional!(
            self,
            GroupMemberRow,
            SELECT_MEMBER,
            workspace_id,
            group_id,
            account_id,
        )?;
        row.map(GroupMember::from)
            .ok_or(StoreError::NotFound("group member"))
    }

    /// Puts a member of the workspace into a group. `role_id` is the group's role as the caller
    /// knows it, whose permissions the member gains.
    ///
    /// Errors: not found for a group, or an account that is no member of the workspace; conflict
    /// if it is in the group already; stale if the group's role is another one by now.
    pub async fn insert_group_member(
        &self,
        group: &Group,
        account_id: Uuid,
        act: &Act,
    ) -> Result<GroupMember, StoreError> {
        let workspace_id = group.workspace_id;
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        if get(&mut tx, workspace_id, group.id).await?.role_id != group.role_id {
            return Err(StoreError::Stale);
        }
        execute!(
            tx,
            "INSERT INTO group_members (workspace_id, group_id, account_id, created_at)
             VALUES ($1, $2, $3, $4)",
            workspace_id,
            group.id,
            account_id,
            columns::time(act.at),
        )
        .map_err(|error| match is_duplicate(&error) {
            true => StoreError::Conflict("the account is in the group already".into()),
            false => not_saved(error, "group member", "", "member"),
        })?;
        let row = optional!(
            tx,
            GroupMemberRow,
            SELECT_MEMBER,
            workspace_id,
            group.id,
            account_id,
        )?;
        let member = row
            .map(GroupMember::from)
            .ok_or(StoreError::NotFound("member"))?;
        record(&mut tx, workspace_id, None, Some(&member), act).await?;
        tx.commit().await?;
        Ok(member)
    }

    /// Takes a member out of a group.
    pub async fn delete_group_member(
        &self,
        workspace_id: Uuid,
        before: &GroupMember,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        workspaces::lock(&mut tx, workspace_id).await?;
        let deleted = execute!(
            tx,
            "DELETE FROM group_members
             WHERE workspace_id = $1 AND group_id = $2 AND account_id = $3",
            workspace_id,
            before.group_id,
            before.account_id,
        )?;
        touched(deleted, "group member")?;
        record(&mut tx, workspace_id, Some(before), None, act).await?;
        tx.commit().await
    }
}

/// Moves the revision on for a change of a group's members, and tells of it.
async fn record(
    tx: &mut Tx,
    workspace_id: Uuid,
    before: Option<&GroupMember>,
    after: Option<&GroupMember>,
    act: &Act,
) -> Result<(), StoreError> {
    let id = before.or(after).map(|member| member.group_id);
    let change = json!({"kind": "group_member", "id": id, "before": before, "after": after});
    let revision = revisions::advance(tx, workspace_id, None, &[change], act).await?;
    let event = Event {
        revision: Some(revision),
        ..Event::of("group_member", id, before, after)
    };
    audit::append(tx, Some(workspace_id), act, &event).await
}

async fn get(tx: &mut Tx, workspace_id: Uuid, id: Uuid) -> Result<Group, StoreError> {
    object(optional!(tx, GroupRow, SELECT, workspace_id, id), "group")
}

async fn unchanged(tx: &mut Tx, before: &Group) -> Result<(), StoreError> {
    same(&get(tx, before.workspace_id, before.id).await?, before)
}
