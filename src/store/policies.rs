//! Policies. Whatever guards are compiled from changes in one transaction that also moves the
//! workspace's revision on, and only from the revision it was judged against.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::audit;
use super::database::{Db, Tx};
use super::error::{is_dangling, not_saved};
use super::{
    Store, StoreError, access, columns, content_policies, models, objects, revisions, touched,
};
use crate::audit::Event;
use crate::policy::{Change, DestinationPolicy, Edit, FilterDocument, PolicySet, Revision};
use crate::principal::Act;

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
        Ok(DestinationPolicy {
            id: row.id,
            workspace_id: row.workspace_id,
            parent_model_id: row.parent_model_id,
            destination_type: row.destination_type,
            name: row.name,
            description: row.description,
            filter_tree: filter_tree(&row.filter_tree, "destination policy", row.id)?,
            enabled: row.enabled,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A filter tree from its column. One that cannot be read fails whatever it belongs to: a policy
/// is never left out.
pub(super) fn filter_tree(text: &str, what: &str, id: Uuid) -> Result<FilterDocument, StoreError> {
    let invalid = || StoreError::Corrupt(format!("the filter tree of {what} {id} is not valid"));
    serde_json::from_str(text).map_err(|_| invalid())
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
        let destination_policies: Vec<DestinationPolicy> = objects(all!(
            tx,
            DestinationPolicyRow,
            "SELECT id, workspace_id, parent_model_id, destination_type, name, description,
                    filter_tree, enabled, created_by, created_at, updated_at
             FROM destination_policies WHERE workspace_id = $1",
            workspace_id,
        ))?;
        let access = access::read(&mut tx, workspace_id).await?;
        let content = content_policies::read(&mut tx, workspace_id).await?;
        tx.commit().await?;
        Ok(PolicySet {
            workspace_id,
            revision: columns::from_count(revision, "workspaces.revision")?,
            require_destination_policy,
            destination_policies: by_id(destination_policies, |policy| policy.id),
            access_categories: by_id(access.categories, |category| category.id),
            access_policies: by_id(access.policies, |policy| policy.id),
            assignments: by_id(access.assignments, |assignment| assignment.id),
            content_policies: by_id(content, |policy| policy.id),
        })
    }

    /// Makes changes the next revision, all of them or nothing.
    ///
    /// `expected` is the revision against which they were compiled; if the workspace has moved
    /// on, the answer is [`StoreError::Stale`].
    pub async fn commit(
        &self,
        workspace_id: Uuid,
        changes: &[Change],
        expected: Revision,
        act: &Act,
    ) -> Result<Revision, StoreError> {
        let mut tx = self.write().await?;
        let documents: Vec<Value> = changes.iter().map(Change::document).collect();
        let revision =
            revisions::advance(&mut tx, workspace_id, Some(expected), &documents, act).await?;
        for change in changes {
            apply(&mut tx, workspace_id, change, act).await?;
        }
        for change in changes {
            let (before, after) = change.sides();
            let event = Event {
                revision: Some(revision),
                ..Event::of(
                    change.kind(),
                    change.object_id(),
                    before.as_ref(),
                    after.as_ref(),
                )
            };
            audit::append(&mut tx, Some(workspace_id), act, &event).await?;
        }
        tx.commit().await?;
        Ok(revision)
    }
}

fn by_id<T>(objects: Vec<T>, id: fn(&T) -> Uuid) -> BTreeMap<Uuid, Arc<T>> {
    objects
        .into_iter()
        .map(|object| (id(&object), Arc::new(object)))
        .collect()
}

async fn apply(
    tx: &mut Tx,
    workspace_id: Uuid,
    change: &Change,
    act: &Act,
) -> Result<(), StoreError> {
    match change {
        Change::DestinationPolicy(Edit { after, .. }) => match after {
            Some(policy) if policy.workspace_id == workspace_id => {
                put_destination_policy(tx, policy).await
            }
            Some(_) => Err(StoreError::NotFound("destination policy")),
            None => delete(tx, DELETE_DESTINATION_POLICY, workspace_id, change).await,
        },
        Change::AccessCategory(Edit { after, .. }) => match after {
            Some(category) if category.workspace_id == workspace_id => {
                access::put_category(tx, category).await
            }
            Some(_) => Err(StoreError::NotFound("category")),
            None => delete(tx, access::DELETE_CATEGORY, workspace_id, change).await,
        },
        Change::AccessPolicy(Edit { after, .. }) => match after {
            Some(policy) if policy.workspace_id == workspace_id => {
                access::put_policy(tx, policy).await
            }
            Some(_) => Err(StoreError::NotFound("access policy")),
            None => delete(tx, access::DELETE_POLICY, workspace_id, change).await,
        },
        Change::Assignment(Edit { after, .. }) => match after {
            Some(assignment) if assignment.workspace_id == workspace_id => {
                access::put_assignment(tx, assignment).await
            }
            Some(_) => Err(StoreError::NotFound("assignment")),
            None => delete(tx, access::DELETE_ASSIGNMENT, workspace_id, change).await,
        },
        Change::ContentPolicy(_) => Err(StoreError::Conflict(
            "content policies are not changed in one workspace alone".to_owned(),
        )),
        Change::Model(Edit { after, .. }) => match after {
            Some(model) if model.workspace_id == workspace_id => models::put(tx, model).await,
            _ => Err(StoreError::NotFound("model")),
        },
        Change::RequireDestinationPolicy { after, .. } => {
            let saved = execute!(
                tx,
                "UPDATE workspaces SET require_destination_policy = $2, updated_at = $3
                 WHERE id = $1",
                workspace_id,
                *after,
                columns::time(act.at),
            )?;
            touched(saved, "workspace")
        }
    }
}

const DELETE_DESTINATION_POLICY: &str =
    "DELETE FROM destination_policies WHERE workspace_id = $1 AND id = $2";

async fn delete(
    tx: &mut Tx,
    statement: &'static str,
    workspace_id: Uuid,
    change: &Change,
) -> Result<(), StoreError> {
    let deleted = execute!(tx, statement, workspace_id, change.object_id());
    let deleted = deleted.map_err(|error| match is_dangling(&error) {
        true => StoreError::Conflict(format!(
            "the {} is in use; delete or change what uses it first",
            change.kind().replace('_', " ")
        )),
        false => error.into(),
    })?;
    touched(deleted, "policy")
}

async fn put_destination_policy(tx: &mut Tx, policy: &DestinationPolicy) -> Result<(), StoreError> {
    let filter_tree = columns::json(policy.filter_tree.json())?;
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
