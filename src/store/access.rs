//! Access policies: categories, policies, and which groups have them. They change by `commit`
//! only.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::database::{Db, Tx};
use super::error::{is_duplicate, not_saved};
use super::policies::filter_tree;
use super::{StoreError, columns, objects, touched};
use crate::policy::{AccessCategory, AccessPolicy, Assignment};

pub(super) const DELETE_CATEGORY: &str =
    "DELETE FROM access_categories WHERE workspace_id = $1 AND id = $2";
pub(super) const DELETE_POLICY: &str =
    "DELETE FROM access_policies WHERE workspace_id = $1 AND id = $2";
pub(super) const DELETE_ASSIGNMENT: &str =
    "DELETE FROM access_policy_assignments WHERE workspace_id = $1 AND id = $2";

/// All that access policies consist of.
pub(super) struct Access {
    pub(super) categories: Vec<AccessCategory>,
    pub(super) policies: Vec<AccessPolicy>,
    pub(super) assignments: Vec<Assignment>,
}

#[derive(sqlx::FromRow)]
struct CategoryRow {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    description: String,
    unassigned: String,
    once_covered: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<CategoryRow> for AccessCategory {
    type Error = StoreError;

    fn try_from(row: CategoryRow) -> Result<AccessCategory, StoreError> {
        Ok(AccessCategory {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            unassigned: columns::from_word(&row.unassigned, "access_categories.unassigned")?,
            once_covered: columns::from_json(&row.once_covered, "access_categories.once_covered")?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct PolicyRow {
    id: Uuid,
    category_id: Uuid,
    workspace_id: Uuid,
    parent_model_id: Option<Uuid>,
    name: String,
    description: String,
    filter_tree: String,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<PolicyRow> for AccessPolicy {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<AccessPolicy, StoreError> {
        Ok(AccessPolicy {
            id: row.id,
            category_id: row.category_id,
            workspace_id: row.workspace_id,
            parent_model_id: row.parent_model_id,
            name: row.name,
            description: row.description,
            filter_tree: filter_tree(&row.filter_tree, "access policy", row.id)?,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct AssignmentRow {
    id: Uuid,
    workspace_id: Uuid,
    subset_id: Uuid,
    group_id: Uuid,
    created_at: DateTime<Utc>,
}

impl From<AssignmentRow> for Assignment {
    fn from(row: AssignmentRow) -> Assignment {
        Assignment {
            id: row.id,
            workspace_id: row.workspace_id,
            subset_id: row.subset_id,
            group_id: row.group_id,
            created_at: row.created_at,
        }
    }
}

pub(super) async fn read(tx: &mut Tx, workspace_id: Uuid) -> Result<Access, StoreError> {
    let categories = objects(all!(
        tx,
        CategoryRow,
        "SELECT id, workspace_id, name, description, unassigned, once_covered, created_at,
                updated_at
         FROM access_categories WHERE workspace_id = $1",
        workspace_id,
    ))?;
    let policies = objects(all!(
        tx,
        PolicyRow,
        "SELECT id, category_id, workspace_id, parent_model_id, name, description, filter_tree,
                created_by, created_at, updated_at
         FROM access_policies WHERE workspace_id = $1",
        workspace_id,
    ))?;
    let assignments = all!(
        tx,
        AssignmentRow,
        "SELECT id, workspace_id, subset_id, group_id, created_at
         FROM access_policy_assignments WHERE workspace_id = $1",
        workspace_id,
    )?;
    Ok(Access {
        categories,
        policies,
        assignments: assignments.into_iter().map(Assignment::from).collect(),
    })
}

/// What stands with one group, by age.
pub(super) async fn assignments_of_group(
    tx: &mut Tx,
    workspace_id: Uuid,
    group_id: Uuid,
) -> Result<Vec<Assignment>, StoreError> {
    let rows = all!(
        tx,
        AssignmentRow,
        "SELECT id, workspace_id, subset_id, group_id, created_at
         FROM access_policy_assignments WHERE workspace_id = $1 AND group_id = $2 ORDER BY id",
        workspace_id,
        group_id,
    )?;
    Ok(rows.into_iter().map(Assignment::from).collect())
}

pub(super) async fn put_category(tx: &mut Tx, category: &AccessCategory) -> Result<(), StoreError> {
    let once_covered = columns::json(&category.once_covered)?;
    let saved = execute!(
        tx,
        "INSERT INTO access_categories (id, workspace_id, name, description, unassigned,
             once_covered, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
             unassigned = excluded.unassigned, once_covered = excluded.once_covered,
             updated_at = excluded.updated_at
         WHERE access_categories.workspace_id = excluded.workspace_id",
        category.id,
        category.workspace_id,
        &category.name,
        &category.description,
        columns::word(category.unassigned)?,
        &once_covered,
        columns::time(category.created_at),
        columns::time(category.updated_at),
    )
    .map_err(|error| not_saved(error, "category", &category.name, "workspace"))?;
    touched(saved, "category")
}

pub(super) async fn put_policy(tx: &mut Tx, policy: &AccessPolicy) -> Result<(), StoreError> {
    let filter_tree = columns::json(policy.filter_tree.json())?;
    let saved = execute!(
        tx,
        "INSERT INTO access_policies (id, category_id, workspace_id, parent_model_id, name,
             description, filter_tree, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET category_id = excluded.category_id,
             parent_model_id = excluded.parent_model_id, name = excluded.name,
             description = excluded.description, filter_tree = excluded.filter_tree,
             updated_at = excluded.updated_at
         WHERE access_policies.workspace_id = excluded.workspace_id",
        policy.id,
        policy.category_id,
        policy.workspace_id,
        policy.parent_model_id,
        &policy.name,
        &policy.description,
        &filter_tree,
        policy.created_by,
        columns::time(policy.created_at),
        columns::time(policy.updated_at),
    )
    .map_err(|error| not_saved(error, "access policy", &policy.name, "category or model"))?;
    touched(saved, "access policy")
}

pub(super) async fn put_assignment(tx: &mut Tx, assignment: &Assignment) -> Result<(), StoreError> {
    let saved = execute!(
        tx,
        "INSERT INTO access_policy_assignments (id, workspace_id, subset_id, group_id, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        assignment.id,
        assignment.workspace_id,
        assignment.subset_id,
        assignment.group_id,
        columns::time(assignment.created_at),
    )
    .map_err(|error| match is_duplicate(&error) {
        true => StoreError::Conflict("the access policy is assigned to this group already".into()),
        false => not_saved(error, "assignment", "", "access policy or group"),
    })?;
    touched(saved, "assignment")
}
