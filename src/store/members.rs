//! Who belongs to a workspace, and where each stands. Both bear on what they may see, so every
//! change makes a revision.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::{is_dangling, is_duplicate};
use super::workspaces::lock;
use super::{Store, StoreError, columns, revisions, roles, same};
use crate::audit::Event;
use crate::principal::{Act, Member, OWNER, Permissions, Standing, system_role};

#[derive(sqlx::FromRow)]
struct MemberRow {
    account_id: Uuid,
    role_id: Uuid,
    email: String,
    name: String,
    avatar_url: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Member {
        Member {
            account_id: row.account_id,
            role_id: row.role_id,
            email: row.email,
            name: row.name,
            avatar_url: row.avatar_url,
            created_at: row.created_at,
        }
    }
}

/// One row for each group of the member, or one without a group.
#[derive(sqlx::FromRow)]
struct StandingRow {
    revision: i64,
    role_id: Uuid,
    permissions: Option<String>,
    group_id: Option<Uuid>,
    group_role_id: Option<Uuid>,
    group_permissions: Option<String>,
}

const SELECT: &str = "SELECT m.account_id, m.role_id, a.email, a.name, a.avatar_url, m.created_at \
     FROM members m JOIN accounts a ON a.id = m.account_id \
     WHERE m.workspace_id = $1 AND m.account_id = $2";

impl Store {
    /// Where an account stands in a workspace; `None` if it does not belong to it. One statement,
    /// so that revision, roles and groups are those of one moment.
    pub async fn standing(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
    ) -> Result<Option<Standing>, StoreError> {
        let rows = all!(
            self,
            StandingRow,
            "SELECT w.revision, m.role_id, r.permissions, gm.group_id,
                    g.role_id AS group_role_id, gr.permissions AS group_permissions
             FROM workspaces w
             JOIN members m ON m.workspace_id = w.id AND m.account_id = $2
             LEFT JOIN roles r ON r.id = m.role_id
             LEFT JOIN group_members gm
                 ON gm.workspace_id = w.id AND gm.account_id = m.account_id
             LEFT JOIN member_groups g ON g.id = gm.group_id
             LEFT JOIN roles gr ON gr.id = g.role_id
             WHERE w.id = $1",
            workspace_id,
            account_id,
        )?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut standing = Standing {
            workspace_id,
            account_id,
            revision: columns::from_count(first.revision, "workspaces.revision")?,
            role_id: first.role_id,
            permissions: granted(Some(first.role_id), first.permissions.as_deref())?,
            groups: Vec::new(),
        };
        let mut groups = BTreeSet::new();
        for row in &rows {
            groups.extend(row.group_id);
            standing.permissions |= granted(row.group_role_id, row.group_permissions.as_deref())?;
        }
        standing.groups = groups.into_iter().collect();
        Ok(Some(standing))
    }

    /// The members of a workspace, in the order they joined.
    pub async fn list_members(&self, workspace_id: Uuid) -> Result<Vec<Member>, StoreError> {
        let rows = all!(
            self,
            MemberRow,
            "SELECT m.account_id, m.role_id, a.email, a.name, a.avatar_url, m.created_at
             FROM members m JOIN accounts a ON a.id = m.account_id
             WHERE m.workspace_id = $1 ORDER BY m.created_at, m.account_id",
            workspace_id,
        )?;
        Ok(rows.into_iter().map(Member::from).collect())
    }

    /// One member.
    pub async fn get_member(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
    ) -> Result<Member, StoreError> {
        let row = optional!(self, MemberRow, SELECT, workspace_id, account_id)?;
        row.map(Member::from).ok_or(StoreError::NotFound("member"))
    }

    /// Makes an account a member.
    ///
    /// Errors: not found for an account or role that is not there; conflict if it is a member.
    pub async fn insert_member(
        &self,
        workspace_id: Uuid,
        account_id: Uuid,
        role_id: Uuid,
        act: &Act,
    ) -> Result<Member, StoreError> {
        let mut tx = self.write().await?;
        lock(&mut tx, workspace_id).await?;
        roles::exists(&mut tx, workspace_id, role_id).await?;
        insert(&mut tx, workspace_id, account_id, role_id, act.at).await?;
        let member = get(&mut tx, workspace_id, account_id).await?;
        record(&mut tx, workspace_id, None, Some(&member), act).await?;
        tx.commit().await?;
        Ok(member)
    }

    /// Gives a member another role. The last owner stays owner.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn update_member(
        &self,
        workspace_id: Uuid,
        before: &Member,
        role_id: Uuid,
        act: &Act,
    ) -> Result<Member, StoreError> {
        let mut tx = self.write().await?;
        lock(&mut tx, workspace_id).await?;
        unchanged(&mut tx, workspace_id, before).await?;
        roles::exists(&mut tx, workspace_id, role_id).await?;
        execute!(
            tx,
            "UPDATE members SET role_id = $3 WHERE workspace_id = $1 AND account_id = $2",
            workspace_id,
            before.account_id,
            role_id,
        )?;
        keep_owner(&mut tx, workspace_id).await?;
        let member = get(&mut tx, workspace_id, before.account_id).await?;
        record(&mut tx, workspace_id, Some(before), Some(&member), act).await?;
        tx.commit().await?;
        Ok(member)
    }

    /// Takes an account out of a workspace and of its groups. The last owner stays.
    ///
    /// Errors: stale, if it is no longer as it was `before`.
    pub async fn delete_member(
        &self,
        workspace_id: Uuid,
        before: &Member,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        lock(&mut tx, workspace_id).await?;
        unchanged(&mut tx, workspace_id, before).await?;
        for statement in [
            "DELETE FROM group_members WHERE workspace_id = $1 AND account_id = $2",
            "DELETE FROM members WHERE workspace_id = $1 AND account_id = $2",
        ] {
            execute!(tx, statement, workspace_id, before.account_id)?;
        }
        keep_owner(&mut tx, workspace_id).await?;
        record(&mut tx, workspace_id, Some(before), None, act).await?;
        tx.commit().await
    }
}

/// What a role grants: a system role by its id, a custom one by its column.
fn granted(role_id: Option<Uuid>, custom: Option<&str>) -> Result<Permissions, StoreError> {
    match (custom, role_id.and_then(system_role)) {
        (Some(keys), _) => roles::permissions(keys),
        (None, Some(role)) => Ok(role.permissions),
        (None, None) => Ok(Permissions::NONE),
    }
}

/// Adds the row of a member.
pub(super) async fn insert(
    tx: &mut Tx,
    workspace_id: Uuid,
    account_id: Uuid,
    role_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let saved = execute!(
        tx,
        "INSERT INTO members (workspace_id, account_id, role_id, created_at)
         VALUES ($1, $2, $3, $4)",
        workspace_id,
        account_id,
        role_id,
        columns::time(now),
    );
    match saved {
        Ok(_) => Ok(()),
        Err(error) if is_dangling(&error) => Err(StoreError::NotFound("account")),
        Err(error) if is_duplicate(&error) => Err(StoreError::Conflict(
            "the account is a member already".into(),
        )),
        Err(error) => Err(error.into()),
    }
}

async fn get(tx: &mut Tx, workspace_id: Uuid, account_id: Uuid) -> Result<Member, StoreError> {
    let row = optional!(tx, MemberRow, SELECT, workspace_id, account_id)?;
    row.map(Member::from).ok_or(StoreError::NotFound("member"))
}

async fn unchanged(tx: &mut Tx, workspace_id: Uuid, before: &Member) -> Result<(), StoreError> {
    same(&get(tx, workspace_id, before.account_id).await?, before)
}

/// Moves the revision on for a change of members, and tells of it.
async fn record(
    tx: &mut Tx,
    workspace_id: Uuid,
    before: Option<&Member>,
    after: Option<&Member>,
    act: &Act,
) -> Result<(), StoreError> {
    let id = before.or(after).map(|member| member.account_id);
    let change = json!({"kind": "member", "id": id, "before": before, "after": after});
    let revision = revisions::advance(tx, workspace_id, None, &[change], act).await?;
    let event = Event {
        revision: Some(revision),
        ..Event::of("member", id, before, after)
    };
    audit::append(tx, Some(workspace_id), act, &event).await
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
