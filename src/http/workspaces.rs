//! `/workspaces`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::catalog::Workspace;
use crate::policy::Change;

/// The caller's workspaces.
#[utoipa::path(
    get, path = "/workspaces", tag = "workspaces",
    extensions(("x-permission" = json!("workspace.read"))),
    responses((status = 200, body = Vec<Workspace>)),
)]
pub(crate) async fn list_workspaces(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Vec<Workspace>>, ApiError> {
    caller.in_scope("workspace.read")?;
    Ok(Json(
        api.store
            .list_workspaces(caller.principal.account.id)
            .await?,
    ))
}

/// One workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}", tag = "workspaces",
    extensions(("x-permission" = json!("workspace.read"))),
    responses((status = 200, body = Workspace, headers(("ETag")))),
)]
pub(crate) async fn get_workspace(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Object<Workspace>, ApiError> {
    let member = caller.member(&api, id, "workspace.read").await?;
    let workspace = api.store.get_workspace(member.workspace_id).await?;
    Ok(Object::ok(workspace))
}

/// A new workspace; the caller becomes its owner.
///
/// This takes the owner role in some workspace, and a key with the scope `workspace:members`.
#[utoipa::path(
    post, path = "/workspaces", tag = "workspaces",
    extensions(("x-permission" = json!("workspace.write"))),
    request_body = ref("#/components/schemas/WorkspaceBody"),
    responses((status = 201, body = Workspace, headers(("ETag")))),
)]
pub(crate) async fn create_workspace(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<Object<Workspace>, ApiError> {
    caller.in_scope("workspace.write")?;
    caller.owner_somewhere(&api).await?;
    let (name, require_destination_policy) = read(body).await?;
    let act = caller.act(&api);
    let workspace = Workspace {
        id: (api.new_id)(),
        name,
        require_destination_policy,
        created_at: act.at,
        updated_at: act.at,
    };
    api.store.insert_workspace(&workspace, &act).await?;
    Ok(Object::created(workspace))
}

/// Replaces name and settings. Whether a destination policy is required bears on what is sent,
/// so changing that takes `governance.write` too and publishes a revision.
#[utoipa::path(
    put, path = "/workspaces/{id}", tag = "workspaces",
    extensions(("x-permission" = json!("workspace.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/WorkspaceBody"),
    responses((status = 200, body = Workspace, headers(("ETag")))),
)]
pub(crate) async fn update_workspace(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Workspace>, ApiError> {
    let member = caller.member(&api, id, "workspace.write").await?;
    let (name, required) = read(body).await?;
    let before = api.store.get_workspace(id).await?;
    if_match.check(&before)?;
    if required != before.require_destination_policy {
        caller.member(&api, id, "governance.write").await?;
    }
    if name != before.name {
        api.store
            .rename_workspace(&before, &name, &member.act)
            .await?;
    }
    if required != before.require_destination_policy {
        let change = Change::RequireDestinationPolicy {
            before: before.require_destination_policy,
            after: required,
        };
        let published = api.publisher.publish(id, &[change], &member.act).await;
        published.map_err(|error| ApiError::publish(None, error))?;
    }
    Ok(Object::ok(api.store.get_workspace(id).await?))
}

async fn read(body: Body) -> Result<(String, bool), ApiError> {
    let mut fields = Fields::read(body).await?;
    let name = fields.name("name");
    let required = fields.switch("require_destination_policy").unwrap_or(false);
    fields.finish()?;
    Ok((name, required))
}
