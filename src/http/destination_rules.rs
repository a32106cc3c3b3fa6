//! `/workspaces/{id}/destination-rules`: destination policies, under the path of seed 003.
//!
//! Each change is compiled against every model it covers and committed as a new revision, which
//! the header `Syncguard-Policy-Revision` of the answer tells.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::error::ApiError;
use crate::policy::{Change, DestinationPolicy, Fault, FilterTree, Revision};

const REVISION: HeaderName = HeaderName::from_static("syncguard-policy-revision");

type WithRevision<T> = ([(HeaderName, HeaderValue); 1], T);

fn with_revision<T>(revision: Revision, body: T) -> WithRevision<T> {
    ([(REVISION, HeaderValue::from(revision))], body)
}

fn shown(policy: &DestinationPolicy) -> Value {
    json!({
        "id": policy.id,
        "workspace_id": policy.workspace_id,
        "parent_model_id": policy.parent_model_id,
        "destination_type": policy.destination_type,
        "name": policy.name,
        "description": policy.description,
        "filter_tree": policy.filter_tree_json,
        "enabled": policy.enabled,
        "created_by": policy.created_by,
        "created_at": policy.created_at,
        "updated_at": policy.updated_at,
    })
}

/// The destination policies of a workspace.
pub(crate) async fn list_destination_rules(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let set = api.store.policy_set(member.workspace_id).await?;
    Ok(Json(set.destination_policies.iter().map(shown).collect()))
}

/// The destination policies of one destination type. Of a type that no policy names there are
/// none.
pub(crate) async fn list_destination_rules_by_type(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, destination_type)): Ids<(Uuid, String)>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let set = api.store.policy_set(member.workspace_id).await?;
    let of_type = set
        .destination_policies
        .iter()
        .filter(|p| p.destination_type == destination_type);
    Ok(Json(of_type.map(shown).collect()))
}

/// One destination policy.
pub(crate) async fn get_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, rule_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Json(shown(&find(&api, &member, rule_id).await?)))
}

/// A new destination policy.
pub(crate) async fn create_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<(StatusCode, WithRevision<Json<Value>>), ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let policy = read(&api, &member, None, body).await?;
    let revision = publish(&api, &member, &policy).await?;
    Ok((
        StatusCode::CREATED,
        with_revision(revision, Json(shown(&policy))),
    ))
}

/// Updates a destination policy. What the body leaves out stays as it is, so that a policy can
/// be switched off by `{"enabled": false}`; `"parent_model_id": null` makes it cover every model.
pub(crate) async fn update_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, rule_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<WithRevision<Json<Value>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, rule_id).await?;
    let policy = read(&api, &member, Some(before), body).await?;
    let revision = publish(&api, &member, &policy).await?;
    Ok(with_revision(revision, Json(shown(&policy))))
}

/// Removes a destination policy.
pub(crate) async fn delete_destination_rule(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, rule_id)): Ids<(Uuid, Uuid)>,
) -> Result<WithRevision<StatusCode>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let policy = find(&api, &member, rule_id).await?;
    let change = Change::DeleteDestinationPolicy(policy.id);
    let now = (api.clock)();
    let published = api
        .publisher
        .publish(member.workspace_id, change, member.account_id, now);
    let revision = published
        .await
        .map_err(|error| ApiError::publish(None, error))?;
    Ok(with_revision(revision, StatusCode::NO_CONTENT))
}

async fn find(api: &Api, member: &Member, id: Uuid) -> Result<DestinationPolicy, ApiError> {
    let set = api.store.policy_set(member.workspace_id).await?;
    let found = set
        .destination_policies
        .into_iter()
        .find(|policy| policy.id == id);
    found.ok_or_else(|| ApiError::not_found("destination policy"))
}

async fn publish(
    api: &Api,
    member: &Member,
    policy: &DestinationPolicy,
) -> Result<Revision, ApiError> {
    let change = Change::PutDestinationPolicy(Box::new(policy.clone()));
    let now = policy.updated_at;
    let published = api
        .publisher
        .publish(member.workspace_id, change, member.account_id, now);
    published
        .await
        .map_err(|error| ApiError::publish(Some(policy.id), error))
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<DestinationPolicy>,
    body: Body,
) -> Result<DestinationPolicy, ApiError> {
    let now = (api.clock)();
    let mut fields = Fields::read(body).await?;
    let before = before.as_ref();
    let keep = |fields: &Fields, key: &str| before.filter(|_| !fields.has(key));
    let name = match keep(&fields, "name") {
        Some(before) => before.name.clone(),
        None => fields.name("name"),
    };
    let description = match keep(&fields, "description") {
        Some(before) => before.description.clone(),
        None => fields.text("description").unwrap_or_default(),
    };
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
    let tree = match keep(&fields, "filter_tree") {
        Some(before) => Some((before.filter_tree.clone(), before.filter_tree_json.clone())),
        None => filter_tree(&mut fields),
    };
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
    fields.finish()?;
    let Some((filter_tree, filter_tree_json)) = tree else {
        return Err(ApiError::internal(
            &"a policy without a filter tree passed validation",
        ));
    };
    Ok(DestinationPolicy {
        id: before.map_or_else(api.new_id, |before| before.id),
        workspace_id: member.workspace_id,
        parent_model_id,
        destination_type,
        name,
        description,
        filter_tree,
        filter_tree_json,
        enabled,
        created_by: before.map_or(member.account_id, |before| before.created_by),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
    })
}

fn filter_tree(fields: &mut Fields) -> Option<(FilterTree, Value)> {
    let Some(document) = fields.value("filter_tree") else {
        fields.fault("$.filter_tree", "missing; expected a group or a condition");
        return None;
    };
    match FilterTree::parse(&document) {
        Ok(tree) => Some((tree, document)),
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
