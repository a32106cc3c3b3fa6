//! `/permissions`: the catalog, and what the caller may do.

use axum::Json;
use axum::extract::State;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::error::ApiError;
use crate::principal::{Permission, Permissions};

/// Every permission there is.
#[utoipa::path(
    get, path = "/permissions", tag = "permissions",
    extensions(("x-permission" = json!(null))),
    responses((status = 200, body = Vec<Permission>)),
)]
pub(crate) async fn list_permissions(_: Caller) -> Json<Vec<Permission>> {
    Json(Permissions::ALL.listed())
}

/// The permissions of the caller in a workspace: those of their own role and of the roles of
/// their groups, as far as the scopes of the key in use reach.
#[utoipa::path(
    get, path = "/workspaces/{id}/permissions/me", tag = "permissions",
    extensions(("x-permission" = json!(null))),
    responses((status = 200, body = Vec<Permission>)),
)]
pub(crate) async fn list_my_permissions(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Permission>>, ApiError> {
    let member = caller.belongs(&api, id).await?;
    Ok(Json(member.held.listed()))
}
