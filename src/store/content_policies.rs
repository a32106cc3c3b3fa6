//! Content policies. A change of one makes a revision of every workspace that it is for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::database::{Db, Tx};
use super::error::not_saved;
use super::{
    Store, StoreError, audit, columns, object, objects, revisions, same, touched, workspaces,
};
use crate::audit::Event;
use crate::policy::content::{Action, ContentPolicy, Risk};
use crate::policy::{Change, Edit, Revision};
use crate::principal::Act;

#[derive(sqlx::FromRow)]
struct ContentPolicyRow {
    id: Uuid,
    workspace_id: Option<Uuid>,
    source_id: Option<Uuid>,
    name: String,
    content: String,
    risk: String,
    action: i64,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_by: Uuid,
    updated_at: DateTime<Utc>,
}

impl TryFrom<ContentPolicyRow> for ContentPolicy {
    type Error = StoreError;

    fn try_from(row: ContentPolicyRow) -> Result<ContentPolicy, StoreError> {
        let id = row.id;
        let lost = |what: &str| StoreError::Corrupt(format!("the {what} of content policy {id}"));
        Ok(ContentPolicy {
            id: row.id,
            workspace_id: row.workspace_id,
            source_id: row.source_id,
            name: row.name,
            content: row.content,
            risk: Risk::parse(&row.risk).ok_or_else(|| lost("risk"))?,
            action: Action::of(row.action).ok_or_else(|| lost("action"))?,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_by: row.updated_by,
            updated_at: row.updated_at,
        })
    }
}

/// The content policies that are for a workspace: its own, its sources' and the organisation's.
pub(super) async fn read(
    tx: &mut Tx,
    workspace_id: Uuid,
) -> Result<Vec<ContentPolicy>, StoreError> {
    objects(all!(
        tx,
        ContentPolicyRow,
        "SELECT id, workspace_id, source_id, name, content, risk, action, created_by, created_at,
                updated_by, updated_at
         FROM content_policies
         WHERE (workspace_id IS NULL OR workspace_id = $1) AND deleted_at IS NULL",
        workspace_id,
    ))
}

const SELECT: &str = "SELECT id, workspace_id, source_id, name, content, risk, action, \
     created_by, created_at, updated_by, updated_at
     FROM content_policies WHERE id = $1 AND deleted_at IS NULL";

impl Store {
    /// Makes a change of a content policy: in one transaction it is saved, every workspace that it
    /// is for moves on to its next revision, and the audit log tells of it. Answers the revisions.
    ///
    /// Errors: stale, if the policy is no longer as the change has it before; not found, if it or
    /// its workspace or source is not there; conflict, if the change is of what it is for.
    pub async fn publish_content(
        &self,
        edit: &Edit<ContentPolicy>,
        act: &Act,
    ) -> Result<Vec<(Uuid, Revision)>, StoreError> {
        let policy = edit.object().ok_or(StoreError::NotFound("policy"))?;
        let mut tx = self.write().await?;
        let concerned = match policy.workspace_id {
            Some(workspace_id) => vec![workspace_id],
            None => {
                // Before any workspace, and always in the same order, so that two who do this
                // never wait for each other.
                workspaces::hold_all(&mut tx).await?;
                let all = all!(tx, (Uuid,), "SELECT id FROM workspaces ORDER BY id")?;
                all.into_iter().map(|(id,)| id).collect()
            }
        };
        let change = Change::ContentPolicy(edit.clone());
        let mut made = Vec::with_capacity(concerned.len());
        for workspace_id in concerned {
            let documents = [change.document()];
            let revision = revisions::advance(&mut tx, workspace_id, None, &documents, act).await?;
            made.push((workspace_id, revision));
        }
        // Whatever else changes it waits for these workspaces, or for the organisation.
        save(&mut tx, edit, act).await?;
        let revision = policy.workspace_id.and(made.first());
        let revision = revision.map(|(_, revision)| *revision);
        tell(&mut tx, policy.workspace_id, revision, edit, act).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// A content policy that was not deleted.
    pub async fn get_content_policy(&self, id: Uuid) -> Result<ContentPolicy, StoreError> {
        object(optional!(self, ContentPolicyRow, SELECT, id), "policy")
    }

    /// The content policies that were not deleted, by age. All of them: who may see which is for
    /// the caller to say.
    pub async fn list_content_policies(&self) -> Result<Vec<ContentPolicy>, StoreError> {
        objects(all!(
            self,
            ContentPolicyRow,
            "SELECT id, workspace_id, source_id, name, content, risk, action, created_by,
                    created_at, updated_by, updated_at
             FROM content_policies WHERE deleted_at IS NULL ORDER BY created_at, id",
        ))
    }
}

/// Deletes the content policies of a source that goes. Called under the workspace's lock.
pub(super) async fn delete_of_source(
    tx: &mut Tx,
    workspace_id: Uuid,
    source_id: Uuid,
    act: &Act,
) -> Result<(), StoreError> {
    let policies: Vec<ContentPolicy> = objects(all!(
        tx,
        ContentPolicyRow,
        "SELECT id, workspace_id, source_id, name, content, risk, action, created_by, created_at,
                updated_by, updated_at
         FROM content_policies
         WHERE workspace_id = $1 AND source_id = $2 AND deleted_at IS NULL
         ORDER BY created_at, id",
        workspace_id,
        source_id,
    ))?;
    if policies.is_empty() {
        return Ok(());
    }
    let edits: Vec<_> = policies
        .into_iter()
        .map(|policy| Edit::delete(Arc::new(policy)))
        .collect();
    let documents: Vec<Value> = edits
        .iter()
        .map(|edit| Change::ContentPolicy(edit.clone()).document())
        .collect();
    let revision = revisions::advance(tx, workspace_id, None, &documents, act).await?;
    for edit in &edits {
        save(tx, edit, act).await?;
    }
    for edit in &edits {
        tell(tx, Some(workspace_id), Some(revision), edit, act).await?;
    }
    Ok(())
}

/// Saves a change of a policy that still is as it was before.
async fn save(tx: &mut Tx, edit: &Edit<ContentPolicy>, act: &Act) -> Result<(), StoreError> {
    if let Some(before) = &edit.before {
        let now: ContentPolicy =
            object(optional!(tx, ContentPolicyRow, SELECT, before.id), "policy")?;
        same(&now, before)?;
    }
    match (&edit.before, &edit.after) {
        (None, Some(policy)) => insert(tx, policy).await,
        (Some(before), Some(policy)) => {
            let scope = |policy: &ContentPolicy| (policy.id, policy.workspace_id, policy.source_id);
            if scope(before) != scope(policy) {
                let message = "what a content policy is for does not change: make another";
                return Err(StoreError::Conflict(message.to_owned()));
            }
            let saved = execute!(
                tx,
                "UPDATE content_policies SET name = $2, content = $3, risk = $4, action = $5,
                     updated_by = $6, updated_at = $7
                 WHERE id = $1",
                policy.id,
                &policy.name,
                &policy.content,
                policy.risk.as_str(),
                i64::from(policy.action.number()),
                policy.updated_by,
                columns::time(policy.updated_at),
            )?;
            touched(saved, "policy")
        }
        (Some(before), None) => {
            let deleted = execute!(
                tx,
                "UPDATE content_policies SET deleted_at = $2 WHERE id = $1",
                before.id,
                columns::time(act.at),
            )?;
            touched(deleted, "policy")
        }
        (None, None) => Err(StoreError::NotFound("policy")),
    }
}

async fn insert(tx: &mut Tx, policy: &ContentPolicy) -> Result<(), StoreError> {
    if let Some(source_id) = policy.source_id {
        let source = optional!(
            tx,
            (Uuid,),
            "SELECT id FROM sources WHERE workspace_id = $1 AND id = $2",
            policy.workspace_id,
            source_id,
        )?;
        source.ok_or(StoreError::NotFound("source"))?;
    }
    execute!(
        tx,
        "INSERT INTO content_policies (id, workspace_id, source_id, name, content, risk, action,
             created_by, created_at, updated_by, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        policy.id,
        policy.workspace_id,
        policy.source_id,
        &policy.name,
        &policy.content,
        policy.risk.as_str(),
        i64::from(policy.action.number()),
        policy.created_by,
        columns::time(policy.created_at),
        policy.updated_by,
        columns::time(policy.updated_at),
    )
    .map_err(|error| not_saved(error, "policy", &policy.name, "account"))?;
    Ok(())
}

async fn tell(
    tx: &mut Tx,
    workspace_id: Option<Uuid>,
    revision: Option<Revision>,
    edit: &Edit<ContentPolicy>,
    act: &Act,
) -> Result<(), StoreError> {
    let id = edit.object().map(|policy| policy.id);
    let event = Event {
        revision,
        ..Event::of(
            "content_policy",
            id,
            edit.before.as_deref(),
            edit.after.as_deref(),
        )
    };
    audit::append(tx, workspace_id, act, &event).await
}
