//! `/workspaces/{id}/destination-rules`: destination policies, under the path of seed 003.
//!
//! Each change is compiled against every model it covers and committed as a new revision, which
//! the header `Syncguard-Policy-Revision` of the answer tells.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::policy::{Change, DestinationPolicy, Edit, Fault, FilterDocument, Revision};

const REVISION: HeaderName = HeaderName::from_static("syncguard-policy-revision");

/// An answer with the revision that the change made.
pub(crate) type WithRevision<T> = ([(HeaderName, HeaderValue); 1], T);

pub(crate) fn with_revision<T>(revision: Revision, body: T) -> WithRevision<T> {
    ([(REVISION, HeaderValue::from(revision))], body)
}

/// The destination policies of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/destination-rules", tag = "destination-rules",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<DestinationPolicy>)),
)]
pub(crate) async fn list_destination_rules(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Arc<DestinationPolicy>>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let policies = member.policies(&api).await?;
    Ok(Json(
        policies.destination_policies.values().cloned().collect(),
    ))
}

/// The destination policies of one destination type. Of a type that no policy names there are
/// none.
#[utoipa::path(
    get, path = "/workspaces/{id}/destination-types/{destType}/rules", tag = "destination-rules",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<DestinationPolicy>)),
)]
pub(crate) async fn list_destination_rules_by_type(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_type)): Ids<(Uuid, String)>,
) -> Result<Json<Vec<Arc<DestinationPolicy>>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let policies = member.policies(&api).await?;
    let of_type = policies
        .destination_policies
        .values()
        .filter(|policy| policy.destination_type == destination_type);
    Ok(Json(of_type.cloned().collect()))
}

/// One destination policy.
#[utoipa::path(
    get, path = "/workspaces/{id}/destination-rules/{ruleId}", tag = "destination-rules",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = DestinationPolicy, headers(("ETag")))),
)]
pub(crate) async fn get_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, rule_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Arc<DestinationPolicy>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Object::ok(find(&api, &member, rule_id).await?))
}

/// A new destination policy.
#[utoipa::path(
    post, path = "/workspaces/{id}/destination-rules", tag = "destination-rules",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewDestinationPolicy"),
    responses((status = 201, body = DestinationPolicy, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn create_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<WithRevision<Object<DestinationPolicy>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let policy = read(&api, &member, None, body).await?;
    let edit = Edit::create(policy.clone());
    let revision = publish(&api, &member, Some(policy.id), edit).await?;
    Ok(with_revision(revision, Object::created(policy)))
}

/// Updates a destination policy. What the body leaves out stays as it is, so that a policy can
/// be switched off by `{"enabled": false}`; `"parent_model_id": null` makes it cover every model.
#[utoipa::path(
    put, path = "/workspaces/{id}/destination-rules/{ruleId}", tag = "destination-rules",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/DestinationPolicyChange"),
    responses((status = 200, body = DestinationPolicy, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn update_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, rule_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<WithRevision<Object<DestinationPolicy>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, rule_id).await?;
    if_match.check(&before)?;
    let policy = read(&api, &member, Some(&before), body).await?;
    let edit = Edit::update(before, policy.clone());
    let revision = publish(&api, &member, Some(policy.id), edit).await?;
    Ok(with_revision(revision, Object::ok(policy)))
}

/// Removes a destination policy.
#[utoipa::path(
    delete, path = "/workspaces/{id}/destination-rules/{ruleId}", tag = "destination-rules",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn delete_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, rule_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<WithRevision<StatusCode>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, rule_id).await?;
    if_match.check(&before)?;
    let revision = publish(&api, &member, None, Edit::delete(before)).await?;
    Ok(with_revision(revision, StatusCode::NO_CONTENT))
}

async fn find(api: &Api, member: &Member, id: Uuid) -> Result<Arc<DestinationPolicy>, ApiError> {
    let policies = member.policies(api).await?;
    let found = policies.destination_policies.get(&id).cloned();
    found.ok_or_else(|| ApiError::not_found("destination policy"))
}

async fn publish(
    api: &Api,
    member: &Member,
    own: Option<Uuid>,
    edit: Edit<DestinationPolicy>,
) -> Result<Revision, ApiError> {
    let changes = [Change::DestinationPolicy(edit)];
    let published = api
        .publisher
        .publish(member.workspace_id, &changes, &member.act);
    published
        .await
        .map_err(|error| ApiError::publish(own, error))
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<&Arc<DestinationPolicy>>,
    body: Body,
) -> Result<DestinationPolicy, ApiError> {
    let mut fields = Fields::read(body).await?;
    for key in [
        "name",
        "description",
        "destination_type",
        "enabled",
        "parent_model_id",
        "filter_tree",
    ] {
        fields.know(key);
    }
    let keep = |fields: &Fields, key: &str| before.filter(|_| !fields.has(key));
    let name = fields.name_or("name", before.map(|policy| &policy.name));
    let description = fields.text_or("description", before.map(|policy| &policy.description));
    let destination_type = match keep(&fields, "destination_type") {
        Some(before) => before.destination_type.clone(),
        None => fields.destination_type("destination_type"),
    };
    let enabled = match keep(&fields, "enabled") {
        Some(before) => before.enabled,
        None => fields.switch("enabled").unwrap_or(true),
    };
    let parent_model_id = match keep(&fields, "parent_model_id") {
        Some(before) => before.parent_model_id,
        None => fields.optional_id("parent_model_id"),
    };
    if let Some(model_id) = parent_model_id {
        let found = api.store.get_model(member.workspace_id, model_id).await;
        fields.referred("parent_model_id", found)?;
    }
    let filter_tree = filter_tree_or(&mut fields, before.map(|policy| &policy.filter_tree));
    fields.finish()?;
    Ok(DestinationPolicy {
        id: before.map_or_else(api.new_id, |before| before.id),
        workspace_id: member.workspace_id,
        parent_model_id,
        destination_type,
        name,
        description,
        filter_tree: filter_tree.ok_or_else(|| {
            ApiError::internal(&"a policy without a filter tree passed validation")
        })?,
        enabled,
        created_by: before.map_or(member.account_id, |before| before.created_by),
        created_at: before.map_or(member.act.at, |before| before.created_at),
        updated_at: member.act.at,
    })
}

/// The filter tree of a policy; where it was not sent, the one the policy has already.
pub(crate) fn filter_tree_or(
    fields: &mut Fields,
    before: Option<&FilterDocument>,
) -> Option<FilterDocument> {
    if let Some(before) = before.filter(|_| !fields.has("filter_tree")) {
        fields.know("filter_tree");
        return Some(before.clone());
    }
    let Some(document) = fields.value("filter_tree") else {
        fields.fault("$.filter_tree", "missing; expected a group or a condition");
        return None;
    };
    match FilterDocument::parse(document) {
        Ok(tree) => Some(tree),
        Err(faults) => {
            fields.faults(faults.into_iter().map(within_filter_tree).collect());
            None
        }
    }
}

/// A fault of a filter tree as a fault of the document it stands in.
pub(crate) fn within_filter_tree(fault: Fault) -> Fault {
    Fault::new(fault.path.replacen('$', "$.filter_tree", 1), fault.message)
}
