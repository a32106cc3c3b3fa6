//! `/governance/instances`: policies bound to resources, and their reviews.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::officer::Officer;
use super::page::{ListQuery, Paged};
use crate::compliance::{
    CheckResult, Comment, Instance, InstanceId, InstanceStatus, PolicyId, Refusal, Resource,
    ResourceType,
};
use crate::store::{InstanceFilter, StoreError};

/// What the list can be sorted by.
pub(crate) const SORTS: [&str; 8] = [
    "createdAt",
    "updatedAt",
    "submittedAt",
    "reviewedAt",
    "status",
    "resourceType",
    "resourceId",
    "policyId",
];
/// Most characters of a comment, a reason and a remediation.
pub(crate) const LONGEST_TEXT: usize = 10_000;
/// Most conditions of an approval.
pub(crate) const MOST_CONDITIONS: usize = 100;
/// Most characters of a condition.
pub(crate) const LONGEST_CONDITION: usize = 1_000;
/// Most characters of a resource's id.
pub(crate) const LONGEST_ID: usize = 200;

/// The policy instances of the resources that the caller may know of.
#[utoipa::path(
    get, path = "/instances", tag = "governance-instances",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("policyId" = Option<String>, Query),
        ("status" = Option<String>, Query),
        ("resourceType" = Option<String>, Query),
        ("resourceId" = Option<String>, Query),
        ("limit" = Option<String>, Query),
        ("offset" = Option<String>, Query),
        ("sort" = Option<String>, Query),
    ),
    responses((status = 200, body = Paged<Instance>)),
)]
pub(crate) async fn list_instances(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Instance>>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let resource_type: Option<ResourceType> =
        query.word("resourceType", "addon, app, workflow or model");
    let resource_id = query.text("resourceId");
    let filter = InstanceFilter {
        policy_id: query.id("policyId"),
        status: query.word("status", "pending, submitted, approved or denied"),
        resource_type,
        // A UUID in any form is the one in its usual form, whatever it is the id of.
        resource_id: resource_id.map(|id| Resource::new(ResourceType::Addon, &id).id),
    };
    let page = query.page(&SORTS)?;
    let listed = api.store.list_instances(&filter, &officer.purview, page);
    Ok(Json(Paged::new(page, listed.await?)))
}

/// Binds a policy to a resource.
#[utoipa::path(
    post, path = "/instances", tag = "governance-instances",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewPolicyInstance"),
    responses((status = 201, body = Instance)),
)]
pub(crate) async fn create_instance(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Instance>), ApiError> {
    let officer = Officer::writes(&api, &caller).await?;
    let mut fields = Fields::read(body).await?;
    let policy_id: PolicyId = fields.subject("policyId");
    let resource_id = fields.text("resourceId");
    let resource_type = required(&mut fields, "resourceType", "addon, app, workflow or model");
    let expected = "a text of 1 to 200 characters without control characters";
    let is_id = |id: &String| {
        (1..=LONGEST_ID).contains(&id.chars().count()) && !id.chars().any(char::is_control)
    };
    if !resource_id.as_ref().is_some_and(is_id) {
        fields.fault_once("$.resourceId", &format!("expected {expected}"));
    }
    fields.finish()?;
    let (Some(resource_id), Some(resource_type)) = (resource_id, resource_type) else {
        return Err(ApiError::internal(&"a field is missing without a fault"));
    };
    let policy = api.store.get_policy(policy_id).await?;
    let resource = Resource::new(resource_type, &resource_id);
    let located = api.store.locate(resource).await?;
    officer.oversees(&located)?;
    officer.changes(located.workspace_id)?;
    let instance = Instance {
        id: InstanceId((api.new_id)()),
        policy_id: policy.id,
        resource_id: located.resource.id,
        resource_type,
        workspace_id: located.workspace_id,
        status: InstanceStatus::Pending,
        result: None,
        submitted_at: None,
        submitted_by: None,
        reviewed_at: None,
        reviewed_by: None,
        comments: Vec::new(),
        conditions: Vec::new(),
        reason: None,
        remediation: None,
        is_held: false,
        override_: None,
        created_at: officer.act.at,
        updated_at: officer.act.at,
    };
    api.store.insert_instance(&instance, &officer.act).await?;
    Ok((StatusCode::CREATED, Json(instance)))
}

/// What a submission came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubmittedPolicyInstance)]
pub(crate) struct Submitted {
    id: InstanceId,
    status: InstanceStatus,
    #[schema(required)]
    result: Option<CheckResult>,
    #[schema(required)]
    submitted_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

/// Evaluates the policy on the resource, and submits the result for review; also again, after a
/// review. A resource that is gone from the catalog cannot be submitted.
#[utoipa::path(
    post, path = "/instances/{id}/submit", tag = "governance-instances",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 200, body = Submitted)),
)]
pub(crate) async fn submit_instance(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<InstanceId>,
) -> Result<Json<Submitted>, ApiError> {
    let officer = Officer::writes(&api, &caller).await?;
    let before = within(&api, &officer, id).await?;
    let policy = api.store.get_policy(before.policy_id).await?;
    let resource = Resource::new(before.resource_type, &before.resource_id);
    let located = api.store.locate(resource).await?;
    let result = api.overseer.evaluate(&policy, &located).await?;
    let act = &officer.act;
    before
        .submitted(result.clone(), act.account_id, act.at)
        .map_err(refused)?;
    let after = api.store.submit_instance(id, result, act).await?;
    Ok(Json(Submitted {
        id,
        status: after.status,
        result: after.result,
        submitted_at: after.submitted_at,
        updated_at: after.updated_at,
    }))
}

/// What a reviewer decided.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ReviewedPolicyInstance)]
pub(crate) struct Reviewed {
    id: InstanceId,
    status: InstanceStatus,
    #[schema(required)]
    reviewed_at: Option<DateTime<Utc>>,
    #[schema(required)]
    reviewed_by: Option<Uuid>,
    updated_at: DateTime<Utc>,
}

impl Reviewed {
    fn of(after: &Instance) -> Json<Reviewed> {
        Json(Reviewed {
            id: after.id,
            status: after.status,
            reviewed_at: after.reviewed_at,
            reviewed_by: after.reviewed_by,
            updated_at: after.updated_at,
        })
    }
}

/// Approves a submitted instance. It takes a key with the scope to review, and somebody else than
/// who submitted it. There may be no body.
#[utoipa::path(
    post, path = "/instances/{id}/approve", tag = "governance-instances",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/PolicyInstanceApproval"),
    responses((status = 200, body = Reviewed)),
)]
pub(crate) async fn approve_instance(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<InstanceId>,
    body: Body,
) -> Result<Json<Reviewed>, ApiError> {
    let officer = Officer::reviews(&api, &caller).await?;
    let before = within(&api, &officer, id).await?;
    officer.as_reviewer()?;
    let mut fields = Fields::read_optional(body).await?;
    let comment = remark(&mut fields, "comment");
    let conditions = conditions(&mut fields);
    fields.finish()?;
    let act = &officer.act;
    before
        .approved(None, Vec::new(), act.account_id, act.at)
        .map_err(refused)?;
    let approved = api.store.approve_instance(id, comment, conditions, act);
    Ok(Reviewed::of(&approved.await?))
}

/// Denies a submitted instance: its resource is not compliant until a later approval. It takes a
/// key with the scope to review, and somebody else than who submitted it. There may be no body.
#[utoipa::path(
    post, path = "/instances/{id}/deny", tag = "governance-instances",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/PolicyInstanceDenial"),
    responses((status = 200, body = Reviewed)),
)]
pub(crate) async fn deny_instance(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<InstanceId>,
    body: Body,
) -> Result<Json<Reviewed>, ApiError> {
    let officer = Officer::reviews(&api, &caller).await?;
    let before = within(&api, &officer, id).await?;
    officer.as_reviewer()?;
    let mut fields = Fields::read_optional(body).await?;
    let reason = remark(&mut fields, "reason");
    let remediation = remark(&mut fields, "remediation");
    fields.finish()?;
    let act = &officer.act;
    before
        .denied(None, None, act.account_id, act.at)
        .map_err(refused)?;
    let denied = api.store.deny_instance(id, reason, remediation, act);
    Ok(Reviewed::of(&denied.await?))
}

/// What was said about an instance, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CommentedPolicyInstance)]
pub(crate) struct Commented {
    id: InstanceId,
    comments: Vec<Comment>,
    updated_at: DateTime<Utc>,
}

/// Adds a comment to an instance, wherever it stands in its review.
#[utoipa::path(
    post, path = "/instances/{id}/comment", tag = "governance-instances",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewPolicyInstanceComment"),
    responses((status = 200, body = Commented)),
)]
pub(crate) async fn comment_instance(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<InstanceId>,
    body: Body,
) -> Result<Json<Commented>, ApiError> {
    let officer = Officer::writes(&api, &caller).await?;
    within(&api, &officer, id).await?;
    let mut fields = Fields::read(body).await?;
    let comment = remark(&mut fields, "comment");
    if comment.is_none() {
        fields.fault_once("$.comment", &format!("missing; expected {REMARK}"));
    }
    fields.finish()?;
    let comment = comment.unwrap_or_default();
    let after = api.store.comment_instance(id, comment, &officer.act);
    let after = after.await?;
    Ok(Json(Commented {
        id,
        comments: after.comments,
        updated_at: after.updated_at,
    }))
}

/// An instance, if its resource is one that the caller may know of.
async fn within(api: &Api, officer: &Officer, id: InstanceId) -> Result<Instance, ApiError> {
    let instance = api.store.get_instance(id).await?;
    match officer.purview.covers(instance.workspace_id) {
        true => officer.changes(instance.workspace_id).map(|()| instance),
        false => Err(StoreError::NotFound("policy instance").into()),
    }
}

fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Transition(message) => StoreError::Refused {
            code: "invalid_transition",
            message,
        }
        .into(),
        Refusal::OwnSubmission => ApiError::forbidden(refusal.to_string()),
    }
}

/// What a comment, a reason and a remediation are.
const REMARK: &str = "a text of 1 to 10000 characters that is not only blanks";

/// A text that somebody wrote; may be absent.
fn remark(fields: &mut Fields, key: &'static str) -> Option<String> {
    let text = fields.text(key)?;
    if text.trim().is_empty() || text.chars().count() > LONGEST_TEXT {
        fields.fault_once(&format!("$.{key}"), &format!("expected {REMARK}"));
    }
    Some(text)
}

fn conditions(fields: &mut Fields) -> Vec<String> {
    let conditions = fields.texts("conditions").unwrap_or_default();
    if conditions.len() > MOST_CONDITIONS {
        let message = format!("expected at most {MOST_CONDITIONS} conditions");
        fields.fault_once("$.conditions", &message);
    }
    for (i, condition) in conditions.iter().enumerate() {
        if condition.trim().is_empty() || condition.chars().count() > LONGEST_CONDITION {
            let message = format!(
                "expected a text of 1 to {LONGEST_CONDITION} characters that is not only blanks"
            );
            fields.fault_once(&format!("$.conditions[{i}]"), &message);
        }
    }
    conditions
}

/// A field of few words or a fixed form that must be there.
fn required<T>(fields: &mut Fields, key: &'static str, expected: &str) -> Option<T>
where
    T: Serialize + serde::de::DeserializeOwned,
{
    let value = fields.typed(key, expected);
    if value.is_none() {
        fields.fault_once(
            &format!("$.{key}"),
            &format!("missing; expected {expected}"),
        );
    }
    value
}
