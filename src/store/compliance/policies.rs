//! Governance policies.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::error::{is_dangling, is_duplicate};
use super::super::{Store, StoreError, audit, columns, object, same, touched};
use super::listing::{Listing, Sorts};
use crate::audit::Event;
use crate::compliance::{
    InstanceId, Listed, OrganizationId, Page, Policy, PolicyCategory, PolicyId, PolicyStatus,
    TemplateId,
};
use crate::principal::Act;

/// Which policies are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyFilter {
    /// In the name or the description.
    pub search: Option<String>,
    /// Where they stand.
    pub status: Option<PolicyStatus>,
    /// What they are about.
    pub category: Option<PolicyCategory>,
    /// Whether they are switched on.
    pub is_active: Option<bool>,
}

#[derive(sqlx::FromRow)]
struct PolicyRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    description: String,
    status: String,
    category: String,
    severity: String,
    rules: String,
    is_active: bool,
    template_id: Option<Uuid>,
    template_version: Option<i64>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<PolicyRow> for Policy {
    type Error = StoreError;

    fn try_from(row: PolicyRow) -> Result<Policy, StoreError> {
        let template = match (row.template_id, row.template_version) {
            (Some(id), Some(version)) => {
                let version = u32::try_from(version)
                    .map_err(|_| columns::unreadable("compliance_policies.template_version"))?;
                Some((TemplateId(id), version))
            }
            // The template is gone.
            _ => None,
        };
        Ok(Policy {
            id: PolicyId(row.id),
            name: row.name,
            description: row.description,
            status: columns::from_word(&row.status, "compliance_policies.status")?,
            category: columns::from_word(&row.category, "compliance_policies.category")?,
            severity: columns::from_word(&row.severity, "compliance_policies.severity")?,
            rules: columns::from_json(&row.rules, "compliance_policies.rules")?,
            organization_id: OrganizationId(row.organization_id),
            is_active: row.is_active,
            template,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

const COLUMNS: &str = "id, organization_id, name, description, status, category, severity, \
     rules, is_active, template_id, template_version, created_at, updated_at";

const SELECT: &str = "SELECT id, organization_id, name, description, status, category, severity, \
     rules, is_active, template_id, template_version, created_at, updated_at
     FROM compliance_policies WHERE id = $1";

/// `severity:desc` begins with the most severe.
const SORTS: Sorts = &[
    ("createdAt", "created_at"),
    ("updatedAt", "updated_at"),
    ("name", "name"),
    (
        "severity",
        "CASE severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END",
    ),
    ("status", "status"),
    ("category", "category"),
];

/// What the audit log tells of a policy that was deleted: the instances that went with it, too.
#[derive(Serialize)]
struct Deleted<'a> {
    #[serde(flatten)]
    policy: &'a Policy,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instances: Vec<DeletedInstance>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeletedInstance {
    id: InstanceId,
    resource_type: String,
    resource_id: String,
    status: String,
}

impl From<(Uuid, String, String, String)> for DeletedInstance {
    fn from(row: (Uuid, String, String, String)) -> DeletedInstance {
        let (id, resource_type, resource_id, status) = row;
        DeletedInstance {
            id: InstanceId(id),
            resource_type,
            resource_id,
            status,
        }
    }
}

impl Store {
    /// A part of the policies.
    pub async fn list_policies(
        &self,
        filter: &PolicyFilter,
        page: Page,
    ) -> Result<Listed<Policy>, StoreError> {
        let mut listing = Listing::new();
        listing.mentions(&["name", "description"], filter.search.as_deref());
        listing.equals("status", filter.status.map(columns::word).transpose()?);
        listing.equals("category", filter.category.map(columns::word).transpose()?);
        listing.equals("is_active", filter.is_active);
        let listed: Listed<PolicyRow> = listing
            .page(self, COLUMNS, "compliance_policies", SORTS, "id", page)
            .await?;
        let data: Result<Vec<Policy>, _> = listed.data.into_iter().map(Policy::try_from).collect();
        Ok(Listed {
            data: data?,
            total: listed.total,
        })
    }

    /// One policy.
    pub async fn get_policy(&self, id: PolicyId) -> Result<Policy, StoreError> {
        object(optional!(self, PolicyRow, SELECT, id.0), "policy")
    }

    /// Those of the policies that are there, in the order of the ids.
    pub async fn get_policies(&self, ids: &[PolicyId]) -> Result<Vec<Policy>, StoreError> {
        let mut found = HashMap::new();
        for ids in ids.chunks(MOST_AT_ONCE) {
            let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
            let select = format!(
                "SELECT {COLUMNS} FROM compliance_policies WHERE id IN ({})",
                places.join(", ")
            );
            macro_rules! rows {
                ($db:expr) => {{
                    let mut query = sqlx::query_as::<_, PolicyRow>(AssertSqlSafe(select));
                    for id in ids {
                        query = query.bind(id.0);
                    }
                    query.fetch_all($db).await?
                }};
            }
            let rows = match self.executor() {
                Db::Sqlite(db) => rows!(db),
                Db::Postgres(db) => rows!(db),
            };
            for row in rows {
                found.insert(row.id, Policy::try_from(row)?);
            }
        }
        Ok(ids
            .iter()
            .filter_map(|id| found.get(&id.0).cloned())
            .collect())
    }

    /// Adds a policy.
    ///
    /// Errors: `duplicate_name`.
    pub async fn insert_policy(&self, policy: &Policy, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        let (template_id, template_version) = match policy.template {
            Some((id, version)) => (Some(id.0), Some(i64::from(version))),
            None => (None, None),
        };
        execute!(
            tx,
            "INSERT INTO compliance_policies (id, organization_id, name, description, status,
                 category, severity, rules, is_active, template_id, template_version, created_at,
                 updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            policy.id.0,
            policy.organization_id.0,
            &policy.name,
            &policy.description,
            columns::word(policy.status)?,
            columns::word(policy.category)?,
            columns::word(policy.severity)?,
            columns::json(&policy.rules)?,
            policy.is_active,
            template_id,
            template_version,
            columns::time(policy.created_at),
            columns::time(policy.updated_at),
        )
        .map_err(|error| match is_dangling(&error) {
            true => StoreError::NotFound("template"),
            false => not_saved(error, &policy.name),
        })?;
        let event = Event::of(KIND, Some(policy.id.0), None, Some(policy));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Replaces a policy. The solutions that hold it are due for a snapshot.
    ///
    /// Errors: stale, if it is no longer as it was `before`; `duplicate_name`.
    pub async fn update_policy(
        &self,
        before: &Policy,
        policy: &Policy,
        act: &Act,
    ) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        unchanged(&mut tx, before).await?;
        snapshots_are_due(&mut tx, before.id).await?;
        let saved = execute!(
            tx,
            "UPDATE compliance_policies SET name = $2, description = $3, status = $4,
                 category = $5, severity = $6, rules = $7, is_active = $8, updated_at = $9
             WHERE id = $1",
            before.id.0,
            &policy.name,
            &policy.description,
            columns::word(policy.status)?,
            columns::word(policy.category)?,
            columns::word(policy.severity)?,
            columns::json(&policy.rules)?,
            policy.is_active,
            columns::time(policy.updated_at),
        );
        touched(
            saved.map_err(|error| not_saved(error, &policy.name))?,
            "policy",
        )?;
        let event = Event::of(KIND, Some(before.id.0), Some(before), Some(policy));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Deletes a policy, and the instances of it that were reviewed. The solutions that held it
    /// are due for a snapshot.
    ///
    /// Errors: `policy_in_use`, if instances are pending or submitted; stale, if it is no longer
    /// as it was `before`.
    pub async fn delete_policy(&self, before: &Policy, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        unchanged(&mut tx, before).await?;
        let active = optional!(
            tx,
            (i64,),
            "SELECT count(*) FROM compliance_instances
             WHERE policy_id = $1 AND status IN ('pending', 'submitted')",
            before.id.0,
        )?;
        match active {
            Some((0,)) | None => {}
            Some((1,)) => return Err(in_use("1 active instance exists")),
            Some((active,)) => return Err(in_use(&format!("{active} active instances exist"))),
        }
        snapshots_are_due(&mut tx, before.id).await?;
        let mut gone = all!(
            tx,
            (Uuid, String, String, String),
            "DELETE FROM compliance_instances
             WHERE policy_id = $1 AND status IN ('approved', 'denied')
             RETURNING id, resource_type, resource_id, status",
            before.id.0,
        )?;
        gone.sort();
        let deleted = execute!(
            tx,
            "DELETE FROM compliance_policies WHERE id = $1",
            before.id.0,
        )
        // Somebody made or submitted an instance since they were counted.
        .map_err(|error| match is_dangling(&error) {
            true => in_use("an instance has become active meanwhile"),
            false => error.into(),
        })?;
        touched(deleted, "policy")?;
        let deleted = Deleted {
            policy: before,
            instances: gone.into_iter().map(DeletedInstance::from).collect(),
        };
        let event = Event::of(KIND, Some(before.id.0), Some(&deleted), None);
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }
}

/// The kind of object in the audit log.
const KIND: &str = "governance_policy";
/// Most ids of one statement.
const MOST_AT_ONCE: usize = 500;

fn in_use(why: &str) -> StoreError {
    StoreError::Refused {
        code: "policy_in_use",
        message: format!("Cannot delete policy: {why}"),
    }
}

fn not_saved(error: sqlx::Error, name: &str) -> StoreError {
    match is_duplicate(&error) {
        true => StoreError::Refused {
            code: "duplicate_name",
            message: format!("there is already a policy named {name:?}; choose another"),
        },
        false => error.into(),
    }
}

/// Refuses a policy that is no longer as its caller read it, and keeps others from changing it
/// until the transaction ends.
async fn unchanged(tx: &mut Tx, before: &Policy) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE compliance_policies SET updated_at = updated_at WHERE id = $1",
        before.id.0,
    )?;
    let now: Policy = object(optional!(tx, PolicyRow, SELECT, before.id.0), "policy")?;
    same(&now, before)
}

/// Notes that a policy changes. To be called before the policy itself is touched: a solution that
/// is saved at the same time holds its own row first and then asks for that of its policies.
async fn snapshots_are_due(tx: &mut Tx, policy_id: PolicyId) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE compliance_solutions SET snapshot_due = TRUE WHERE id IN
             (SELECT solution_id FROM compliance_solution_policies WHERE policy_id = $1)",
        policy_id.0,
    )?;
    Ok(())
}
