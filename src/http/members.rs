//! `/workspaces/{id}/members`: who belongs to a workspace, in which role.
//!
//! Nobody gives a role whose permissions they do not hold. The roles owner and admin also lift
//! the restriction of rows, so they are given and taken by owners, and by owners and admins.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use super::etag::{IfMatch, Object};
use crate::principal::{ADMIN, Member, OWNER, Role};

/// The members of a workspace.
#[utoipa::path(
    get, path = "/workspaces/{id}/members", tag = "members",
    extensions(("x-permission" = json!("workspace.read"))),
    responses((status = 200, body = Vec<Member>)),
)]
pub(crate) async fn list_members(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Member>>, ApiError> {
    let member = caller.member(&api, id, "workspace.read").await?;
    Ok(Json(api.store.list_members(member.workspace_id).await?))
}

/// One member.
#[utoipa::path(
    get, path = "/workspaces/{id}/members/{accountId}", tag = "members",
    extensions(("x-permission" = json!("workspace.read"))),
    responses((status = 200, body = Member, headers(("ETag")))),
)]
pub(crate) async fn get_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, account_id)): Ids<(Uuid, Uuid)>,
) -> Result<Object<Member>, ApiError> {
    let member = caller.member(&api, id, "workspace.read").await?;
    Ok(Object::ok(
        api.store
            .get_member(member.workspace_id, account_id)
            .await?,
    ))
}

/// Makes an account a member; 409 if it is one.
#[utoipa::path(
    post, path = "/workspaces/{id}/members", tag = "members",
    extensions(("x-permission" = json!("workspace.members"))),
    request_body = ref("#/components/schemas/NewMember"),
    responses((status = 201, body = Member, headers(("ETag")))),
)]
pub(crate) async fn add_member(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Object<Member>, ApiError> {
    let member = caller.member(&api, id, "workspace.members").await?;
    let mut fields = Fields::read(body).await?;
    let account_id = fields.id("account_id");
    fields.referred("account_id", api.store.get_account(account_id).await)?;
    let role = read_role(&api, id, &mut fields).await?;
    fields.finish()?;
    let role = given(role)?;
    may_give(&member, &role)?;
    let added = api
        .store
        .insert_member(member.workspace_id, account_id, role.id, &member.act)
        .await?;
    Ok(Object::created(added))
}

/// Gives a member another role. The last owner stays owner.
#[utoipa::path(
    put, path = "/workspaces/{id}/members/{accountId}", tag = "members",
    extensions(("x-permission" = json!("workspace.members"))),
    params(("If-Match" = Option<String>, Header)),
    request_body = ref("#/components/schemas/MemberBody"),
    responses((status = 200, body = Member, headers(("ETag")))),
)]
pub(crate) async fn update_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, account_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
    body: Body,
) -> Result<Object<Member>, ApiError> {
    let member = caller.member(&api, id, "workspace.members").await?;
    let before = api
        .store
        .get_member(member.workspace_id, account_id)
        .await?;
    if_match.check(&before)?;
    let mut fields = Fields::read(body).await?;
    let role = read_role(&api, id, &mut fields).await?;
    fields.finish()?;
    let role = given(role)?;
    if role.id != before.role_id {
        may_give(&member, &role)?;
        may_take(&member, &before)?;
    }
    let updated = api
        .store
        .update_member(member.workspace_id, &before, role.id, &member.act)
        .await?;
    Ok(Object::ok(updated))
}

/// Ends a membership, also in the workspace's groups. The last owner stays.
#[utoipa::path(
    delete, path = "/workspaces/{id}/members/{accountId}", tag = "members",
    extensions(("x-permission" = json!("workspace.members"))),
    params(("If-Match" = Option<String>, Header)),
    responses((status = 204)),
)]
pub(crate) async fn remove_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, account_id)): Ids<(Uuid, Uuid)>,
    if_match: IfMatch,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "workspace.members").await?;
    let before = api
        .store
        .get_member(member.workspace_id, account_id)
        .await?;
    if_match.check(&before)?;
    may_take(&member, &before)?;
    api.store
        .delete_member(member.workspace_id, &before, &member.act)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read_role(
    api: &Api,
    workspace_id: Uuid,
    fields: &mut Fields,
) -> Result<Option<Role>, ApiError> {
    let role_id = fields.id("role_id");
    let found = api.store.get_role(workspace_id, role_id).await;
    let role = fields.referred("role_id", found)?;
    Ok(role)
}

/// The role of a request that was found valid.
fn given(role: Option<Role>) -> Result<Role, ApiError> {
    role.ok_or_else(|| ApiError::internal(&"a member without a role passed validation"))
}

/// Whether the caller may give a role to somebody.
fn may_give(member: &super::auth::Member, role: &Role) -> Result<(), ApiError> {
    let own = member.standing.role_id;
    if role.id == OWNER && own != OWNER {
        return Err(ApiError::forbidden("only an owner can make owners"));
    }
    if role.id == ADMIN && own != OWNER && own != ADMIN {
        let message = "only an owner or an admin can make admins";
        return Err(ApiError::forbidden(message));
    }
    member.holds(role.permissions)
}

/// Whether the caller may take a member's role away.
fn may_take(member: &super::auth::Member, before: &Member) -> Result<(), ApiError> {
    let own = member.standing.role_id;
    if before.role_id == OWNER && own != OWNER {
        return Err(ApiError::forbidden("only an owner can change owners"));
    }
    if before.role_id == ADMIN && own != OWNER && own != ADMIN {
        let message = "only an owner or an admin can change admins";
        return Err(ApiError::forbidden(message));
    }
    Ok(())
}
