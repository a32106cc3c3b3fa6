//! `/governance/policies`: rules over the facts of resources, written as JSON or as YAML.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::super::etag::{IfMatch, Object};
use super::officer::Officer;
use super::page::{ListQuery, Paged};
use crate::compliance::policy::NOT_ACTIVE;
use crate::compliance::{
    Policy, PolicyCategory, PolicyId, PolicyStatus, Severity, policy_text, rule,
};
use crate::store::PolicyFilter;

/// What the list can be sorted by.
pub(crate) const SORTS: [&str; 6] = [
    "createdAt",
    "updatedAt",
    "name",
    "severity",
    "status",
    "category",
];

const STATUS: &str = "one of active, draft, archived";
const CATEGORY: &str = "one of security, compliance, operational, data";
const SEVERITY: &str = "one of critical, high, medium, low";

/// The policies of the organisation.
#[utoipa::path(
    get, path = "/policies", tag = "governance-policies", operation_id = "list_governance_policies",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("search" = Option<String>, Query),
        ("status" = Option<String>, Query),
        ("category" = Option<String>, Query),
        ("isActive" = Option<bool>, Query),
        ("limit" = Option<u32>, Query),
        ("offset" = Option<u64>, Query),
        ("sort" = Option<String>, Query),
    ),
    responses((status = 200, body = Paged<Policy>)),
)]
pub(crate) async fn list_policies(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Policy>>, ApiError> {
    Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let filter = PolicyFilter {
        search: query.text("search"),
        status: query.word("status", STATUS),
        category: query.word("category", CATEGORY),
        is_active: query.switch("isActive"),
    };
    let page = query.page(&SORTS)?;
    let listed = api.store.list_policies(&filter, page).await?;
    Ok(Json(Paged::new(page, listed)))
}

/// A new policy.
#[utoipa::path(
    post, path = "/policies", tag = "governance-policies",
    operation_id = "create_governance_policy",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewGovernancePolicy"),
    responses((status = 201, body = Policy, headers(("ETag")))),
)]
pub(crate) async fn create_policy(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Object<Policy>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let fields = Fields::read(body).await?;
    create(&api, &officer, fields, "$").await
}

/// One policy.
#[utoipa::path(
    get, path = "/policies/{id}", tag = "governance-policies",
    operation_id = "get_governance_policy",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Policy, headers(("ETag")))),
)]
pub(crate) async fn get_policy(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<PolicyId>,
) -> Result<Object<Policy>, ApiError> {
    Officer::reads(&api, &caller).await?;
    Ok(Object::ok(api.store.get_policy(id).await?))
}

/// Updates a policy. What the body leaves out stays as it is.
#[utoipa::path(
    put, path = "/policies/{id}", tag = "governance-policies",
    operation_id = "update_governance_policy",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/GovernancePolicyChange"),
    responses((status = 200, body = Policy, headers(("ETag")))),
)]
pub(crate) async fn update_policy(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<PolicyId>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Policy>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let before = api.store.get_policy(id).await?;
    if_match.check(&before)?;
    let mut fields = Fields::read_changes(body).await?;
    let policy = changed(&officer, &before, &mut fields);
    fields.finish()?;
    let same = Policy {
        updated_at: before.updated_at,
        ..policy.clone()
    };
    if same == before {
        // Nothing changes, so that nothing has to be looked at again.
        return Ok(Object::ok(before));
    }
    api.store
        .update_policy(&before, &policy, &officer.act)
        .await?;
    take_snapshots(&api, officer.act.at).await;
    Ok(Object::ok(policy))
}

/// Deletes a policy that no active instance binds.
#[utoipa::path(
    delete, path = "/policies/{id}", tag = "governance-policies",
    operation_id = "delete_governance_policy",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_policy(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<PolicyId>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let before = api.store.get_policy(id).await?;
    if_match.check(&before)?;
    api.store.delete_policy(&before, &officer.act).await?;
    take_snapshots(&api, officer.act.at).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A new policy, defined in YAML.
#[utoipa::path(
    post, path = "/policies/import-yaml", tag = "governance-policies",
    operation_id = "import_governance_policy",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/GovernancePolicyImport"),
    responses((status = 201, body = Policy, headers(("ETag")))),
)]
pub(crate) async fn import_policy(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Object<Policy>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let mut fields = Fields::read(body).await?;
    let yaml = fields.text("yaml");
    if yaml.is_none() {
        fields.fault_once("$.yaml", "missing; expected a policy as YAML, in a text");
    }
    fields.finish()?;
    let document = policy_text::read(&yaml.unwrap_or_default()).map_err(|mut faults| {
        for fault in &mut faults {
            fault.path = fault.path.replacen('$', "$.yaml", 1);
        }
        ApiError::invalid(faults)
    })?;
    let Value::Object(document) = document else {
        let message = "expected the keys of a policy: name, category, severity and so on";
        return Err(ApiError::fault("$.yaml", message));
    };
    create(&api, &officer, Fields::of(document), "$.yaml").await
}

/// Saves what the fields at a path of the body define.
async fn create(
    api: &Api,
    officer: &Officer,
    mut fields: Fields,
    path: &str,
) -> Result<Object<Policy>, ApiError> {
    let policy = new(officer, PolicyId((api.new_id)()), &mut fields);
    fields.finish_within(path)?;
    api.store.insert_policy(&policy, &officer.act).await?;
    Ok(Object::created(policy))
}

/// A new policy; with faults, a stand-in.
fn new(officer: &Officer, id: PolicyId, fields: &mut Fields) -> Policy {
    let name = fields.name("name");
    let description = fields.text("description").unwrap_or_default();
    let category = fields.typed::<PolicyCategory>("category", CATEGORY);
    let severity = fields.typed::<Severity>("severity", SEVERITY);
    for (key, expected, is_there) in [
        ("$.category", CATEGORY, category.is_some()),
        ("$.severity", SEVERITY, severity.is_some()),
    ] {
        if !is_there {
            fields.fault_once(key, &format!("missing; expected {expected}"));
        }
    }
    let rules = rules(fields).unwrap_or_default();
    let (status, is_active) = standing(fields, PolicyStatus::of_new).unwrap_or(STAND_IN);
    Policy {
        id,
        name,
        description,
        status,
        category: category.unwrap_or(PolicyCategory::Security),
        severity: severity.unwrap_or(Severity::Critical),
        rules,
        organization_id: officer.organization_id,
        is_active,
        template: None,
        created_at: officer.act.at,
        updated_at: officer.act.at,
    }
}

/// A policy with what the fields change; with faults, a stand-in.
fn changed(officer: &Officer, before: &Policy, fields: &mut Fields) -> Policy {
    let name = fields.name_or("name", Some(&before.name));
    let description = fields.text_or("description", Some(&before.description));
    let category = fields.typed::<PolicyCategory>("category", CATEGORY);
    let severity = fields.typed::<Severity>("severity", SEVERITY);
    let rules = rules(fields).unwrap_or_else(|| before.rules.clone());
    let was = (before.status, before.is_active);
    let standing = standing(fields, |status, is_active| {
        PolicyStatus::of_changed(was, status, is_active)
    });
    let (status, is_active) = standing.unwrap_or(STAND_IN);
    Policy {
        name,
        description,
        status,
        category: category.unwrap_or(before.category),
        severity: severity.unwrap_or(before.severity),
        rules,
        is_active,
        updated_at: officer.act.at,
        ..before.clone()
    }
}

/// What stands in for a standing that is faulty.
const STAND_IN: (PolicyStatus, bool) = (PolicyStatus::Draft, false);

/// The rules, if any were sent.
fn rules(fields: &mut Fields) -> Option<Vec<rule::Rule>> {
    match rule::read(&fields.value("rules")?, "$.rules") {
        Ok(rules) => Some(rules),
        Err(faults) => {
            fields.faults(faults);
            None
        }
    }
}

fn standing(
    fields: &mut Fields,
    of: impl FnOnce(Option<PolicyStatus>, Option<bool>) -> Option<(PolicyStatus, bool)>,
) -> Option<(PolicyStatus, bool)> {
    let status = fields.typed::<PolicyStatus>("status", STATUS);
    let is_active = fields.switch("isActive");
    let standing = of(status, is_active);
    if standing.is_none() {
        fields.fault_once("$.isActive", NOT_ACTIVE);
    }
    standing
}

/// Takes the snapshots that a change makes due. The change is made: where a snapshot cannot be
/// taken now, it stays due and a worker takes it later.
async fn take_snapshots(api: &Api, at: DateTime<Utc>) {
    if let Err(error) = api.overseer.take_due_snapshots(at).await {
        tracing::warn!(%error, "snapshots that a changed policy makes due are not yet taken");
    }
}
