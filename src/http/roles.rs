//! `/workspaces/{id}/roles`: the system roles, which nobody changes, and custom ones.
//!
//! Nobody puts a permission into a role that they do not hold themselves.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids, Member};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::principal::{Permissions, Role};

/// The roles of a workspace, system roles first.
#[utoipa::path(
    get, path = "/workspaces/{id}/roles", tag = "roles",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Vec<Role>)),
)]
pub(crate) async fn list_roles(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Role>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Json(api.store.list_roles(member.workspace_id).await?))
}

/// One role with its permissions.
#[utoipa::path(
    get, path = "/workspaces/{id}/roles/{roleId}", tag = "roles",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Role, headers(("ETag")))),
)]
pub(crate) async fn get_role(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, role_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Role>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Object::ok(
        api.store.get_role(member.workspace_id, role_id).await?,
    ))
}

/// A new custom role.
#[utoipa::path(
    post, path = "/workspaces/{id}/roles", tag = "roles",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewRole"),
    responses((status = 201, body = Role, headers(("ETag")))),
)]
pub(crate) async fn create_role(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Role>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let role = read(&api, &member, None, body).await?;
    api.store
        .insert_role(member.workspace_id, &role, &member.act)
        .await?;
    Ok(Object::created(role))
}

/// Updates a custom role. What the body leaves out stays as it is.
#[utoipa::path(
    put, path = "/workspaces/{id}/roles/{roleId}", tag = "roles",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/RoleChange"),
    responses((status = 200, body = Role, headers(("ETag")))),
)]
pub(crate) async fn update_role(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, role_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Role>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = custom(&api, &member, role_id).await?;
    if_match.check(&before)?;
    let role = read(&api, &member, Some(&before), body).await?;
    api.store
        .update_role(member.workspace_id, &before, &role, &member.act)
        .await?;
    Ok(Object::ok(role))
}

/// Deletes a custom role that no member and no group has.
#[utoipa::path(
    delete, path = "/workspaces/{id}/roles/{roleId}", tag = "roles",
    extensions(("x-permission" = json!("governance.write"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn delete_role(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, role_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let before = custom(&api, &member, role_id).await?;
    if_match.check(&before)?;
    api.store
        .delete_role(member.workspace_id, &before, &member.act)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn custom(api: &Api, member: &Member, id: Uuid) -> Result<Role, ApiError> {
    let role = api.store.get_role(member.workspace_id, id).await?;
    match role.is_system {
        false => Ok(role),
        true => Err(ApiError::forbidden(
            "system roles are read-only: create a custom role instead",
        )),
    }
}

async fn read(
    api: &Api,
    member: &Member,
    before: Option<&Role>,
    body: Body,
) -> Result<Role, ApiError> {
    let mut fields = Fields::read(body).await?;
    let name = fields.name_or("name", before.map(|role| &role.name));
    let description = fields.text_or("description", before.map(|role| &role.description));
    let permissions = match before.filter(|_| !fields.has("permissions")) {
        Some(before) => {
            fields.know("permissions");
            before.permissions
        }
        None => permissions(&mut fields),
    };
    fields.finish()?;
    // Permissions that the role had before are not passed on by whoever changes something else.
    let passed_on = permissions.without(before.map(|role| role.permissions).unwrap_or_default());
    member.holds(passed_on)?;
    Ok(Role {
        id: before.map_or_else(api.new_id, |role| role.id),
        workspace_id: Some(member.workspace_id),
        name,
        description,
        is_system: false,
        permissions,
        created_at: before.map_or(member.act.at, |role| role.created_at),
        updated_at: member.act.at,
    })
}

fn permissions(fields: &mut Fields) -> Permissions {
    let Some(keys) = fields.texts("permissions") else {
        fields.fault_once(
            "$.permissions",
            "missing; expected an array such as [\"sources.read\"]",
        );
        return Permissions::NONE;
    };
    let mut permissions = Permissions::NONE;
    for (i, key) in keys.iter().enumerate() {
        match Permissions::of(key) {
            Some(permission) => permissions |= permission,
            None => fields.fault_once(
                &format!("$.permissions[{i}]"),
                &format!("{key:?} is no permission: GET /api/v1/permissions lists them"),
            ),
        }
    }
    permissions
}
