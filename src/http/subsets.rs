//! `/workspaces/{id}/subsets`: access policies, and which groups have them. The paths are those
//! of seed 003, which calls an access policy a subset.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::destination_rules::{WithRevision, filter_tree_or, with_revision};
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use super::groups::assigned;
use crate::policy::{AccessPolicy, Assignment, Change, Edit, Revision};

/// The access policies of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/subsets", tag = "subsets",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<AccessPolicy>)),
)]
pub(crate) async fn list_subsets(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Arc<AccessPolicy>>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let policies = member.policies(&api).await?;
    Ok(Json(policies.access_policies.values().cloned().collect()))
}

/// The access policies that the caller's groups have.
#[utoipa::path(
    get, path = "/workspaces/{id}/subsets/me", tag = "subsets",
    extensions(("x-permission" = json!(null))),
    responses((status = 200, body = Vec<AccessPolicy>)),
)]
pub(crate) async fn list_my_subsets(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Arc<AccessPolicy>>>, ApiError> {
    let member = caller.belongs(&api, id).await?;
    let policies = member.policies(&api).await?;
    Ok(Json(assigned(&policies, &member.standing.groups)))
}

/// One access policy.
#[utoipa::path(
    get, path = "/workspaces/{id}/subsets/{subsetId}", tag = "subsets",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = AccessPolicy, headers(("ETag")))),
)]
pub(crate) async fn get_subset(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, subset_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Arc<AccessPolicy>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Object::ok(find(&api, &member, subset_id).await?))
}

/// A new access policy. It opens nothing before it is assigned to a group, and closes the models
/// that it covers to everybody whom no policy of its category opens them to.
#[utoipa::path(
    post, path = "/workspaces/{id}/subsets", tag = "subsets",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewAccessPolicy"),
    responses((status = 201, body = AccessPolicy, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn create_subset(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<WithRevision<Object<AccessPolicy>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let policy = read(&api, &member, None, body).await?;
    let change = Change::AccessPolicy(Edit::create(policy.clone()));
    let revision = publish(&api, &member, Some(policy.id), change).await?;
    Ok(with_revision(revision, Object::created(policy)))
}

/// Updates an access policy. What the body leaves out stays as it is; `"parent_model_id": null`
/// makes it cover every model that has its columns.
#[utoipa::path(
    put, path = "/workspaces/{id}/subsets/{subsetId}", tag = "subsets",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/AccessPolicyChange"),
    responses((status = 200, body = AccessPolicy, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn update_subset(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, subset_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<WithRevision<Object<AccessPolicy>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, subset_id).await?;
    if_match.check(&before)?;
    let policy = read(&api, &member, Some(&before), body).await?;
    let change = Change::AccessPolicy(Edit::update(before, policy.clone()));
    let revision = publish(&api, &member, Some(policy.id), change).await?;
    Ok(with_revision(revision, Object::ok(policy)))
}

/// Deletes an access policy that no group has. Its category goes on covering what it covered.
#[utoipa::path(
    delete, path = "/workspaces/{id}/subsets/{subsetId}", tag = "subsets",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn delete_subset(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, subset_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<WithRevision<StatusCode>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, subset_id).await?;
    if_match.check(&before)?;
    let change = Change::AccessPolicy(Edit::delete(before));
    let revision = publish(&api, &member, None, change).await?;
    Ok(with_revision(revision, StatusCode::NO_CONTENT))
}

/// The groups that have an access policy.
#[utoipa::path(
    get, path = "/workspaces/{id}/subsets/{subsetId}/assignments", tag = "subsets",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<Assignment>)),
)]
pub(crate) async fn list_assignments(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, subset_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Vec<Arc<Assignment>>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let policy = find(&api, &member, subset_id).await?;
    let policies = member.policies(&api).await?;
    let assignments = policies.assignments.values();
    let assignments = assignments.filter(|assignment| assignment.subset_id == policy.id);
    Ok(Json(assignments.cloned().collect()))
}

/// Assigns an access policy to a group.
#[utoipa::path(
    post, path = "/workspaces/{id}/subsets/{subsetId}/assignments", tag = "subsets",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewAssignment"),
    responses((status = 201, body = Assignment, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn create_assignment(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, subset_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<WithRevision<Object<Assignment>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let policy = find(&api, &member, subset_id).await?;
    let mut fields = Fields::read(body).await?;
    let group_id = fields.id("group_id");
    let found = api.store.get_group(member.workspace_id, group_id).await;
    fields.referred("group_id", found)?;
    fields.finish()?;
    let assignment = Assignment {
        id: (api.new_id)(),
        workspace_id: member.workspace_id,
        subset_id: policy.id,
        group_id,
        created_at: member.act.at,
    };
    let change = Change::Assignment(Edit::create(assignment.clone()));
    let revision = publish(&api, &member, None, change).await?;
    Ok(with_revision(revision, Object::created(assignment)))
}

/// Takes an access policy from a group.
#[utoipa::path(
    delete, path = "/workspaces/{id}/subsets/{subsetId}/assignments/{assignmentId}", tag = "subsets",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 204, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn delete_assignment(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, subset_id, assignment_id)): Ids<(Uuid, Uuid, Uuid)>,
) -> Result<WithRevision<StatusCode>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let policy = find(&api, &member, subset_id).await?;
    let policies = member.policies(&api).await?;
    let assignment = policies
        .assignments
        .get(&assignment_id)
        .filter(|assignment| assignment.subset_id == policy.id)
        .ok_or_else(|| ApiError::not_found("assignment"))?;
    let change = Change::Assignment(Edit::delete(Arc::clone(assignment)));
    let revision = publish(&api, &member, None, change).await?;
    Ok(with_revision(revision, StatusCode::NO_CONTENT))
}

async fn find(api: &Api, member: &Member, id: Uuid) -> Result<Arc<AccessPolicy>, ApiError> {
    let policies = member.policies(api).await?;
    let found = policies.access_policies.get(&id).cloned();
    found.ok_or_else(|| ApiError::not_found("access policy"))
}

async fn publish(
    api: &Api,
    member: &Member,
    own: Option<Uuid>,
    change: Change,
) -> Result<Revision, ApiError> {
    let published = api
        .publisher
        .publish(member.workspace_id, &[change], &member.act)
        .await;
    published.map_err(|error| ApiError::publish(own, error))
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<&Arc<AccessPolicy>>,
    body: Body,
) -> Result<AccessPolicy, ApiError> {
    let policies = member.policies(api).await?;
    let mut fields = Fields::read(body).await?;
    let name = fields.name_or("name", before.map(|policy| &policy.name));
    let description = fields.text_or("description", before.map(|policy| &policy.description));
    let category_id = match before.filter(|_| !fields.has("category_id")) {
        Some(before) => {
            fields.know("category_id");
            before.category_id
        }
        None => fields.id("category_id"),
    };
    if !policies.access_categories.contains_key(&category_id) {
        fields.fault_once("$.category_id", "there is no such category");
    }
    let parent_model_id = match before.filter(|_| !fields.has("parent_model_id")) {
        Some(before) => {
            fields.know("parent_model_id");
            before.parent_model_id
        }
        None => fields.optional_id("parent_model_id"),
    };
    if let Some(model_id) = parent_model_id {
        let found = api.store.get_model(member.workspace_id, model_id).await;
        fields.referred("parent_model_id", found)?;
    }
    let filter_tree = filter_tree_or(&mut fields, before.map(|policy| &policy.filter_tree));
    fields.finish()?;
    Ok(AccessPolicy {
        id: before.map_or_else(api.new_id, |policy| policy.id),
        category_id,
        workspace_id: member.workspace_id,
        parent_model_id,
        name,
        description,
        filter_tree: filter_tree.ok_or_else(|| {
            ApiError::internal(&"a policy without a filter tree passed validation")
        })?,
        created_by: before.map_or(member.account_id, |policy| policy.created_by),
        created_at: before.map_or(member.act.at, |policy| policy.created_at),
        updated_at: member.act.at,
    })
}
