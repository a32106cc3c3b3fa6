//! Policies and revisions. Whatever guards are compiled from changes in one transaction that
//! also moves the workspace's revision on, and only from the revision it was judged against.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::database::{Db, Tx};
use super::error::not_saved;
use super::{Store, StoreError, columns, models, objects, touched};
use crate::catalog::ModelQuery;
use crate::policy::{Change, DestinationPolicy, FilterTree, PolicySet, Revision};

/// One revision of a workspace's policies: who made it, when, and by what change.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The revision it made.
    pub revision: Revision,
    /// The account that made it.
    pub author_id: Uuid,
    /// What was changed; policies and models as they were written.
    pub change: Value,
    /// When.
    pub created_at: DateTime<Utc>,
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
        Ok(Committed {
            revision: columns::from_count(row.revision, "revisions.revision")?,
            author_id: row.author_id,
            change: columns::from_json(&row.change, "revisions.change")?,
            created_at: row.created_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct DestinationPolicyRow {
    id: Uuid,
    workspace_id: Uuid,
    parent_model_id: Option<Uuid>,
    destination_type: String,
    name: String,
    description: String,
    filter_tree: String,
    enabled: bool,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<DestinationPolicyRow> for DestinationPolicy {
    type Error = StoreError;

    fn try_from(row: DestinationPolicyRow) -> Result<DestinationPolicy, StoreError> {
        let column = "destination_policies.filter_tree";
        let filter_tree_json: Value = columns::from_json(&row.filter_tree, column)?;
        let filter_tree = FilterTree::parse(&filter_tree_json).map_err(|_| {
            let id = row.id;
            StoreError::Corrupt(format!(
                "the filter tree of destination policy {id} is not valid"
            ))
        })?;
        Ok(DestinationPolicy {
            id: row.id,
            workspace_id: row.workspace_id,
            parent_model_id: row.parent_model_id,
            destination_type: row.destination_type,
            name: row.name,
            description: row.description,
            filter_tree,
            filter_tree_json,
            enabled: row.enabled,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Store {
    /// All policies of a workspace and the revision they belong to, read at one moment. One that
    /// cannot be read fails the whole set: a policy is never left out.
    pub async fn policy_set(&self, workspace_id: Uuid) -> Result<PolicySet, StoreError> {
        let mut tx = self.snapshot().await?;
        let workspace = optional!(
            tx,
            (i64, bool),
            "SELECT revision, require_destination_policy FROM workspaces WHERE id = $1",
            workspace_id,
        )?;
        let Some((revision, require_destination_policy)) = workspace else {
            return Err(StoreError::NotFound("workspace"));
        };
        let destination_policies = objects(all!(
            tx,
            DestinationPolicyRow,
            "SELECT id, workspace_id, parent_model_id, destination_type, name, description,
                    filter_tree, enabled, created_by, created_at, updated_at
             FROM destination_policies WHERE workspace_id = $1 ORDER BY created_at, id",
            workspace_id,
        ))?;
        tx.commit().await?;
        Ok(PolicySet {
            workspace_id,
            revision: columns::from_count(revision, "workspaces.revision")?,
            require_destination_policy,
            destination_policies,
        })
    }

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

    /// The revisions of a workspace, newest first, at most 200.
    pub async fn list_revisions(&self, workspace_id: Uuid) -> Result<Vec<Committed>, StoreError> {
        objects(all!(
            self,
            CommittedRow,
            "SELECT revision, author_id, change, created_at FROM revisions
             WHERE workspace_id = $1 ORDER BY revision DESC LIMIT 200",
            workspace_id,
        ))
    }

    /// Makes a change the next revision, all of it or nothing.
    ///
    /// `expected` is the revision against which the change was compiled; if the workspace has
    /// moved on, the answer is [`StoreError::Stale`].
    pub async fn commit(
        &self,
        workspace_id: Uuid,
        change: &Change,
        author: Uuid,
        expected: Revision,
        now: DateTime<Utc>,
    ) -> Result<Revision, StoreError> {
        let mut tx = self.write().await?;
        // The row stays locked until the end, so commits of one workspace follow one another.
        let moved = execute!(
            tx,
            "UPDATE workspaces SET revision = revision + 1 WHERE id = $1 AND revision = $2",
            workspace_id,
            columns::count(expected),
        )?;
        if moved == 0 {
            let query = "SELECT id FROM workspaces WHERE id = $1";
            let workspace = optional!(tx, (Uuid,), query, workspace_id)?;
            return Err(workspace.map_or(StoreError::NotFound("workspace"), |_| StoreError::Stale));
        }
        apply(&mut tx, workspace_id, change, now).await?;
        let revision = expected + 1;
        record(
            &mut tx,
            workspace_id,
            revision,
            author,
            &summary(change),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(revision)
    }
}

async fn apply(
    tx: &mut Tx,
    workspace_id: Uuid,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    match change {
        Change::PutDestinationPolicy(policy) if policy.workspace_id == workspace_id => {
            put_destination_policy(tx, policy).await
        }
        Change::PutModel(model) if model.workspace_id == workspace_id => {
            models::put(tx, model).await
        }
        Change::PutDestinationPolicy(_) => Err(StoreError::NotFound("destination policy")),
        Change::PutModel(_) => Err(StoreError::NotFound("model")),
        Change::DeleteDestinationPolicy(id) => {
            let deleted = execute!(
                tx,
                "DELETE FROM destination_policies WHERE workspace_id = $1 AND id = $2",
                workspace_id,
                *id,
            )?;
            touched(deleted, "destination policy")
        }
        Change::RequireDestinationPolicy(required) => {
            let saved = execute!(
                tx,
                "UPDATE workspaces SET require_destination_policy = $2, updated_at = $3
                 WHERE id = $1",
                workspace_id,
                *required,
                columns::time(now),
            )?;
            touched(saved, "workspace")
        }
    }
}

async fn put_destination_policy(tx: &mut Tx, policy: &DestinationPolicy) -> Result<(), StoreError> {
    let filter_tree = columns::json(&policy.filter_tree_json)?;
    let saved = execute!(
        tx,
        "INSERT INTO destination_policies (id, workspace_id, parent_model_id, destination_type,
             name, description, filter_tree, enabled, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (id) DO UPDATE SET parent_model_id = excluded.parent_model_id,
             destination_type = excluded.destination_type, name = excluded.name,
             description = excluded.description, filter_tree = excluded.filter_tree,
             enabled = excluded.enabled, updated_at = excluded.updated_at
         WHERE destination_policies.workspace_id = excluded.workspace_id",
        policy.id,
        policy.workspace_id,
        policy.parent_model_id,
        &policy.destination_type,
        &policy.name,
        &policy.description,
        &filter_tree,
        policy.enabled,
        policy.created_by,
        columns::time(policy.created_at),
        columns::time(policy.updated_at),
    )
    .map_err(|error| not_saved(error, "destination policy", &policy.name, "model"))?;
    touched(saved, "destination policy")
}

/// Writes the row that tells of a revision.
pub(super) async fn record(
    tx: &mut Tx,
    workspace_id: Uuid,
    revision: Revision,
    author: Uuid,
    change: &Value,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = columns::json(change)?;
    execute!(
        tx,
        "INSERT INTO revisions (workspace_id, revision, author_id, change, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        workspace_id,
        columns::count(revision),
        author,
        &change,
        columns::time(now),
    )
    .map_err(|error| not_saved(error, "revision", "", "account"))?;
    Ok(())
}

/// A change as the list of revisions keeps it: enough to see later what governed a batch.
fn summary(change: &Change) -> Value {
    match change {
        Change::PutDestinationPolicy(policy) => json!({
            "action": "put_destination_policy",
            "id": policy.id,
            "name": policy.name,
            "parent_model_id": policy.parent_model_id,
            "destination_type": policy.destination_type,
            "filter_tree": policy.filter_tree_json,
            "enabled": policy.enabled,
        }),
        Change::DeleteDestinationPolicy(id) => {
            json!({"action": "delete_destination_policy", "id": id})
        }
        Change::RequireDestinationPolicy(required) => json!({
            "action": "require_destination_policy",
            "require_destination_policy": required,
        }),
        Change::PutModel(model) => {
            let (table, sql) = match &model.query {
                ModelQuery::Table(table) => (Some(table), None),
                ModelQuery::Sql(sql) => (None, Some(sql)),
            };
            json!({
                "action": "put_model",
                "id": model.id,
                "name": model.name,
                "source_id": model.source_id,
                "table": table,
                "sql": sql,
                "primary_key": model.primary_key,
            })
        }
    }
}
