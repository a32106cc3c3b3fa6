//! Policy instances, with their comments.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::error::{is_dangling, is_duplicate};
use super::super::{Store, StoreError, audit, columns, objects};
use super::listing::{Listing, Long, Sorts, rows_of_ids};
use crate::audit::Event;
use crate::compliance::{
    CheckResult, Comment, Instance, InstanceId, InstanceStatus, Listed, Page, PolicyId, Purview,
    Refusal, Resource, ResourceType,
};
use crate::principal::Act;

/// Which instances are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceFilter {
    /// Their policy.
    pub policy_id: Option<PolicyId>,
    /// Where they stand in their review.
    pub status: Option<InstanceStatus>,
    /// What their resource is.
    pub resource_type: Option<ResourceType>,
    /// Their resource.
    pub resource_id: Option<String>,
}

const SORTS: Sorts = &[
    ("createdAt", "created_at"),
    ("updatedAt", "updated_at"),
    ("submittedAt", "submitted_at"),
    ("reviewedAt", "reviewed_at"),
    ("status", "status"),
    ("resourceType", "resource_type"),
    ("resourceId", "resource_id"),
    ("policyId", "policy_id"),
];

const LONG: Long = Long {
    counts: "compliance_instance_counts",
    number: "instances",
    filters: &["policy_id", "realm", "status", "resource_type"],
    nullable: &["submitted_at", "reviewed_at"],
};

macro_rules! instance_columns {
    () => {
        "id, policy_id, resource_type, resource_id, workspace_id, status, result, submitted_at, \
         submitted_by, reviewed_at, reviewed_by, conditions, reason, remediation, is_held, \
         override_document, created_at, updated_at"
    };
}

#[derive(sqlx::FromRow)]
struct InstanceRow {
    id: Uuid,
    policy_id: Uuid,
    resource_type: String,
    resource_id: String,
    workspace_id: Option<Uuid>,
    status: String,
    result: Option<String>,
    submitted_at: Option<DateTime<Utc>>,
    submitted_by: Option<Uuid>,
    reviewed_at: Option<DateTime<Utc>>,
    reviewed_by: Option<Uuid>,
    conditions: String,
    reason: Option<String>,
    remediation: Option<String>,
    is_held: bool,
    override_document: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<InstanceRow> for Instance {
    type Error = StoreError;

    /// The instance without its comments.
    fn try_from(row: InstanceRow) -> Result<Instance, StoreError> {
        let result = row.result.as_deref();
        let override_ = row.override_document.as_deref();
        Ok(Instance {
            id: InstanceId(row.id),
            policy_id: PolicyId(row.policy_id),
            resource_id: row.resource_id,
            resource_type: columns::from_word(
                &row.resource_type,
                "compliance_instances.resource_type",
            )?,
            workspace_id: row.workspace_id,
            status: columns::from_word(&row.status, "compliance_instances.status")?,
            result: result
                .map(|text| columns::from_json(text, "compliance_instances.result"))
                .transpose()?,
            submitted_at: row.submitted_at,
            submitted_by: row.submitted_by,
            reviewed_at: row.reviewed_at,
            reviewed_by: row.reviewed_by,
            comments: Vec::new(),
            conditions: columns::from_json(&row.conditions, "compliance_instances.conditions")?,
            reason: row.reason,
            remediation: row.remediation,
            is_held: row.is_held,
            override_: override_
                .map(|text| columns::from_json(text, "compliance_instances.override_document"))
                .transpose()?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct CommentRow {
    instance_id: Uuid,
    account_id: Uuid,
    comment: String,
    created_at: DateTime<Utc>,
}

impl Store {
    /// A part of the instances within a purview.
    pub async fn list_instances(
        &self,
        filter: &InstanceFilter,
        purview: &Purview,
        page: Page,
    ) -> Result<Listed<Instance>, StoreError> {
        let mut listing = Listing::long(LONG);
        listing.equals("resource_id", filter.resource_id.clone());
        listing.equals("policy_id", filter.policy_id.map(|id| id.0));
        if let Purview::Workspaces(ids) = purview {
            let realms: Vec<Uuid> = ids.iter().copied().chain([realm(None)]).collect();
            listing.is_one_of("realm", realms);
        }
        listing.equals("status", filter.status.map(InstanceStatus::as_str));
        let resource_type = filter.resource_type.map(ResourceType::as_str);
        listing.equals("resource_type", resource_type);
        let listed: Listed<InstanceRow> = listing
            .page(
                self,
                instance_columns!(),
                "compliance_instances",
                SORTS,
                "id",
                page,
            )
            .await?;
        let mut data: Vec<Instance> = objects(Ok(listed.data))?;
        let mut tx = self.snapshot().await?;
        add_comments(&mut tx, &mut data).await?;
        tx.commit().await?;
        Ok(Listed {
            data,
            total: listed.total,
        })
    }

    /// One instance.
    pub async fn get_instance(&self, id: InstanceId) -> Result<Instance, StoreError> {
        let mut tx = self.snapshot().await?;
        let row = optional!(
            tx,
            InstanceRow,
            concat!(
                "SELECT ",
                instance_columns!(),
                " FROM compliance_instances WHERE id = $1"
            ),
            id.0,
        )?;
        let instance = with_comments(&mut tx, row).await?;
        tx.commit().await?;
        Ok(instance)
    }

    /// The instances that bind policies to a resource, oldest first; without their comments.
    pub async fn instances_of_resource(
        &self,
        resource: &Resource,
    ) -> Result<Vec<Instance>, StoreError> {
        objects(all!(
            self,
            InstanceRow,
            concat!(
                "SELECT ",
                instance_columns!(),
                " FROM compliance_instances WHERE resource_id = $1 AND resource_type = $2
                 ORDER BY created_at, id"
            ),
            &resource.id,
            resource.resource_type.as_str(),
        ))
    }

    /// The instances of these policies, oldest first; without their comments.
    pub async fn instances_of_policies(
        &self,
        policies: &[PolicyId],
    ) -> Result<Vec<Instance>, StoreError> {
        let ids: Vec<Uuid> = policies.iter().map(|id| id.0).collect();
        let mut tx = self.snapshot().await?;
        let rows: Vec<InstanceRow> = rows_of_ids(
            &mut tx,
            concat!(
                "SELECT ",
                instance_columns!(),
                " FROM compliance_instances WHERE policy_id IN"
            ),
            &ids,
            "",
        )
        .await?;
        tx.commit().await?;
        let mut instances: Vec<Instance> = objects(Ok(rows))?;
        instances.sort_by_key(|instance| (instance.created_at, instance.id));
        Ok(instances)
    }

    /// Binds a policy to a resource.
    ///
    /// Errors: `duplicate_instance`; not found, if the policy is not there.
    pub async fn insert_instance(&self, instance: &Instance, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.govern().await?;
        let conditions = columns::json(&instance.conditions)?;
        execute!(
            tx,
            "INSERT INTO compliance_instances (id, policy_id, resource_type, resource_id,
                 workspace_id, realm, status, conditions, is_held, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            instance.id.0,
            instance.policy_id.0,
            instance.resource_type.as_str(),
            &instance.resource_id,
            instance.workspace_id,
            realm(instance.workspace_id),
            instance.status.as_str(),
            &conditions,
            instance.is_held,
            columns::time(instance.created_at),
            columns::time(instance.updated_at),
        )
        .map_err(|error| {
            if is_duplicate(&error) {
                let kind = instance.resource_type.as_str();
                let message = format!(
                    "the policy is bound to {kind} {:?} already: submit that instance again",
                    instance.resource_id
                );
                refused("duplicate_instance", message)
            } else if is_dangling(&error) {
                StoreError::NotFound("policy")
            } else {
                error.into()
            }
        })?;
        let event = Event::of("policy_instance", Some(instance.id.0), None, Some(instance));
        audit::append(&mut tx, instance.workspace_id, act, &event).await?;
        tx.commit().await
    }

    /// Submits an instance with what the evaluation of its policy came to; answers it as it is
    /// then.
    ///
    /// Errors: `invalid_transition`, if it is submitted already.
    pub async fn submit_instance(
        &self,
        id: InstanceId,
        result: CheckResult,
        act: &Act,
    ) -> Result<Instance, StoreError> {
        self.change_instance(id, "submit", act, |before| {
            before.submitted(result, act.account_id, columns::time(act.at))
        })
        .await
    }

    /// Approves an instance; answers it as it is then.
    ///
    /// Errors: `invalid_transition`, if it is not submitted; stale, if whoever reviews it has
    /// submitted it meanwhile.
    pub async fn approve_instance(
        &self,
        id: InstanceId,
        comment: Option<String>,
        conditions: Vec<String>,
        act: &Act,
    ) -> Result<Instance, StoreError> {
        self.change_instance(id, "approve", act, |before| {
            before.approved(comment, conditions, act.account_id, columns::time(act.at))
        })
        .await
    }

    /// Denies an instance; answers it as it is then.
    ///
    /// Errors: `invalid_transition`, if it is not submitted; stale, if whoever reviews it has
    /// submitted it meanwhile.
    pub async fn deny_instance(
        &self,
        id: InstanceId,
        reason: Option<String>,
        remediation: Option<String>,
        act: &Act,
    ) -> Result<Instance, StoreError> {
        self.change_instance(id, "deny", act, |before| {
            before.denied(reason, remediation, act.account_id, columns::time(act.at))
        })
        .await
    }

    /// Adds a comment to an instance; answers it as it is then.
    pub async fn comment_instance(
        &self,
        id: InstanceId,
        comment: String,
        act: &Act,
    ) -> Result<Instance, StoreError> {
        self.change_instance(id, "comment", act, |before| {
            Ok(before.commented(comment, act.account_id, columns::time(act.at)))
        })
        .await
    }

    /// Changes an instance as `step` has it. It is read under its lock, so that of two steps at
    /// once the second sees where the first has led.
    async fn change_instance(
        &self,
        id: InstanceId,
        verb: &'static str,
        act: &Act,
        step: impl FnOnce(&Instance) -> Result<Instance, Refusal> + Send,
    ) -> Result<Instance, StoreError> {
        let mut tx = self.govern().await?;
        let row = optional!(
            tx,
            InstanceRow,
            concat!(
                "UPDATE compliance_instances SET updated_at = updated_at WHERE id = $1 RETURNING ",
                instance_columns!()
            ),
            id.0,
        )?;
        let before = with_comments(&mut tx, row).await?;
        let after = step(&before).map_err(|refusal| match refusal {
            Refusal::Transition(message) => refused("invalid_transition", message),
            Refusal::OwnSubmission => StoreError::Stale,
        })?;
        save(&mut tx, &after).await?;
        for (seq, comment) in after
            .comments
            .iter()
            .enumerate()
            .skip(before.comments.len())
        {
            execute!(
                tx,
                "INSERT INTO compliance_comments (instance_id, seq, account_id, comment, created_at)
                 VALUES ($1, $2, $3, $4, $5)",
                id.0,
                columns::count(seq as u64),
                comment.user_id,
                &comment.comment,
                columns::time(comment.created_at),
            )?;
        }
        // The comments before stand in lines of their own.
        let told = |instance: &Instance, already: usize| Instance {
            comments: instance.comments.iter().skip(already).cloned().collect(),
            ..instance.clone()
        };
        let known = before.comments.len();
        let (was, is) = (told(&before, known), told(&after, known));
        let event = Event {
            action: format!("policy_instance.{verb}"),
            ..Event::of("policy_instance", Some(id.0), Some(&was), Some(&is))
        };
        audit::append(&mut tx, after.workspace_id, act, &event).await?;
        tx.commit().await?;
        Ok(after)
    }
}

fn refused(code: &'static str, message: String) -> StoreError {
    StoreError::Refused { code, message }
}

/// Where the instances of a workspace's resources are counted, and of those outside.
fn realm(workspace_id: Option<Uuid>) -> Uuid {
    workspace_id.unwrap_or(Uuid::nil())
}

/// Writes what a step of the review changes.
async fn save(tx: &mut Tx, instance: &Instance) -> Result<(), StoreError> {
    let result = instance.result.as_ref().map(columns::json).transpose()?;
    let conditions = columns::json(&instance.conditions)?;
    execute!(
        tx,
        "UPDATE compliance_instances SET status = $2, result = $3, compliant = $4,
             submitted_at = $5, submitted_by = $6, reviewed_at = $7, reviewed_by = $8,
             conditions = $9, reason = $10, remediation = $11, is_held = $12, updated_at = $13
         WHERE id = $1",
        instance.id.0,
        instance.status.as_str(),
        result.as_deref(),
        instance.result.as_ref().map(|result| result.compliant),
        instance.submitted_at,
        instance.submitted_by,
        instance.reviewed_at,
        instance.reviewed_by,
        &conditions,
        instance.reason.as_deref(),
        instance.remediation.as_deref(),
        instance.is_held,
        instance.updated_at,
    )?;
    Ok(())
}

/// The instance of a row, if there is one, with its comments.
async fn with_comments(tx: &mut Tx, row: Option<InstanceRow>) -> Result<Instance, StoreError> {
    let row = row.ok_or(StoreError::NotFound("policy instance"))?;
    let mut found = [Instance::try_from(row)?];
    add_comments(tx, &mut found).await?;
    let [instance] = found;
    Ok(instance)
}

/// Adds the comments of all these instances, with one statement.
async fn add_comments(tx: &mut Tx, instances: &mut [Instance]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = instances.iter().map(|instance| instance.id.0).collect();
    let rows: Vec<CommentRow> = rows_of_ids(
        tx,
        "SELECT instance_id, account_id, comment, created_at FROM compliance_comments
         WHERE instance_id IN",
        &ids,
        "ORDER BY instance_id, seq",
    )
    .await?;
    let mut comments: HashMap<Uuid, Vec<Comment>> = HashMap::new();
    for row in rows {
        comments.entry(row.instance_id).or_default().push(Comment {
            user_id: row.account_id,
            comment: row.comment,
            created_at: row.created_at,
        });
    }
    for instance in instances {
        instance.comments = comments.remove(&instance.id.0).unwrap_or_default();
    }
    Ok(())
}
