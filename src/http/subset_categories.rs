//! `/workspaces/{id}/subset-categories`: the dimensions of access policies.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::destination_rules::{WithRevision, with_revision};
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::policy::{AccessCategory, Change, Edit, Revision};

/// The categories of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/subset-categories", tag = "subset-categories",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<AccessCategory>)),
)]
pub(crate) async fn list_subset_categories(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Arc<AccessCategory>>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let policies = member.policies(&api).await?;
    Ok(Json(policies.access_categories.values().cloned().collect()))
}

/// One category.
#[utoipa::path(
    get, path = "/workspaces/{id}/subset-categories/{catId}", tag = "subset-categories",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = AccessCategory, headers(("ETag")))),
)]
pub(crate) async fn get_subset_category(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, category_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Arc<AccessCategory>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Object::ok(find(&api, &member, category_id).await?))
}

/// A new category.
#[utoipa::path(
    post, path = "/workspaces/{id}/subset-categories", tag = "subset-categories",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewAccessCategory"),
    responses((status = 201, body = AccessCategory, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn create_subset_category(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<WithRevision<Object<AccessCategory>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let category = read(&api, &member, None, body).await?;
    let revision = publish(&api, &member, Edit::create(category.clone())).await?;
    Ok(with_revision(revision, Object::created(category)))
}

/// Updates a category. What the body leaves out stays as it is.
#[utoipa::path(
    put, path = "/workspaces/{id}/subset-categories/{catId}", tag = "subset-categories",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/AccessCategoryChange"),
    responses((status = 200, body = AccessCategory, headers(("ETag"), ("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn update_subset_category(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, category_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<WithRevision<Object<AccessCategory>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, category_id).await?;
    if_match.check(&before)?;
    let category = read(&api, &member, Some(&before), body).await?;
    let revision = publish(&api, &member, Edit::update(before, category.clone())).await?;
    Ok(with_revision(revision, Object::ok(category)))
}

/// Deletes a category that has no access policies.
#[utoipa::path(
    delete, path = "/workspaces/{id}/subset-categories/{catId}", tag = "subset-categories",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn delete_subset_category(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, category_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<WithRevision<StatusCode>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = find(&api, &member, category_id).await?;
    if_match.check(&before)?;
    let revision = publish(&api, &member, Edit::delete(before)).await?;
    Ok(with_revision(revision, StatusCode::NO_CONTENT))
}

async fn find(api: &Api, member: &Member, id: Uuid) -> Result<Arc<AccessCategory>, ApiError> {
    let policies = member.policies(api).await?;
    let found = policies.access_categories.get(&id).cloned();
    found.ok_or_else(|| ApiError::not_found("category"))
}

async fn publish(
    api: &Api,
    member: &Member,
    edit: Edit<AccessCategory>,
) -> Result<Revision, ApiError> {
    let changes = [Change::AccessCategory(edit)];
    let published = api
        .publisher
        .publish(member.workspace_id, &changes, &member.act);
    published
        .await
        .map_err(|error| ApiError::publish(None, error))
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<&Arc<AccessCategory>>,
    body: Body,
) -> Result<AccessCategory, ApiError> {
    let mut fields = Fields::read(body).await?;
    let name = fields.name_or("name", before.map(|category| &category.name));
    let description = fields.text_or("description", before.map(|category| &category.description));
    let unassigned = match before.filter(|_| !fields.has("unassigned")) {
        Some(before) => {
            fields.know("unassigned");
            before.unassigned
        }
        None => fields
            .typed("unassigned", "deny or allow")
            .unwrap_or_default(),
    };
    fields.finish()?;
    Ok(AccessCategory {
        id: before.map_or_else(api.new_id, |category| category.id),
        workspace_id: member.workspace_id,
        name,
        description,
        unassigned,
        once_covered: before
            .map(|category| category.once_covered.clone())
            .unwrap_or_default(),
        created_at: before.map_or(member.act.at, |category| category.created_at),
        updated_at: member.act.at,
    })
}
