//! `/workspaces` and their members.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::Fields;
use super::error::ApiError;
use crate::catalog::Workspace;
use crate::policy::Change;
use crate::principal::{ADMIN, MEMBER, OWNER};

/// A workspace with the caller's role in it.
pub(crate) fn with_role(workspace: &Workspace, role_id: Option<Uuid>) -> Value {
    let mut shown = json!(workspace);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("role_id".into(), json!(role_id));
    }
    shown
}

/// The caller's workspaces.
pub(crate) async fn list_workspaces(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<Vec<Workspace>>, ApiError> {
    caller.in_scope("workspace.read")?;
    Ok(Json(api.store.list_workspaces(caller.principal.account.id).await?))
}

/// One workspace.
pub(crate) async fn get_workspace(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Workspace>, ApiError> {
    let member = caller.member(&api, id, "workspace.read").await?;
    Ok(Json(api.store.get_workspace(member.workspace_id).await?))
}

/// A new workspace; the caller becomes its owner.
pub(crate) async fn create_workspace(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Workspace>), ApiError> {
    caller.in_scope("workspace.write")?;
    caller.owner_somewhere(&api).await?;
    let (name, require_destination_policy) = read(body).await?;
    let now = (api.clock)();
    let workspace = Workspace {
        id: (api.new_id)(),
        name,
        require_destination_policy,
        created_at: now,
        updated_at: now,
    };
    api.store
        .insert_workspace(&workspace, caller.principal.account.id)
        .await?;
    Ok((StatusCode::CREATED, Json(workspace)))
}

/// Replaces name and settings. Whether a destination policy is required bears on what is sent,
/// so changing that takes `governance.write` too and publishes a revision.
pub(crate) async fn update_workspace(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<Json<Workspace>, ApiError> {
    let member = caller.member(&api, id, "workspace.write").await?;
    let (name, required) = read(body).await?;
    let now = (api.clock)();
    let before = api.store.get_workspace(id).await?;
    if required != before.require_destination_policy {
        caller.member(&api, id, "governance.write").await?;
    }
    if name != before.name {
        api.store.update_workspace_name(id, &name, now).await?;
    }
    if required != before.require_destination_policy {
        let change = Change::RequireDestinationPolicy(required);
        let published = api
            .publisher
            .publish(id, change, member.account_id, now)
            .await;
        published.map_err(|error| ApiError::publish(None, error))?;
    }
    Ok(Json(api.store.get_workspace(id).await?))
}

async fn read(body: Body) -> Result<(String, bool), ApiError> {
    let mut fields = Fields::read(body).await?;
    let name = fields.name("name");
    let required = fields.switch("require_destination_policy").unwrap_or(false);
    fields.finish()?;
    Ok((name, required))
}

/// The members of a workspace.
pub(crate) async fn list_members(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let member = caller.member(&api, id, "workspace.read").await?;
    let members = api.store.list_members(member.workspace_id).await?;
    Ok(Json(members.iter().map(|member| json!(member)).collect()))
}

/// One member.
pub(crate) async fn get_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, account_id)): Ids<(Uuid, Uuid)>,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "workspace.read").await?;
    find_member(&api, member.workspace_id, account_id)
        .await
        .map(Json)
}

/// Makes an account a member; 409 if it is one.
pub(crate) async fn add_member(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let member = caller.member(&api, id, "workspace.members").await?;
    let mut fields = Fields::read(body).await?;
    let account_id = fields.id("account_id");
    let role_id = role(&mut fields);
    fields.referred("account_id", api.store.get_account(account_id).await)?;
    fields.finish()?;
    if role_id == OWNER && member.role_id != OWNER {
        return Err(ApiError::forbidden("only an owner can make owners"));
    }
    if api.store.member_role(id, account_id).await?.is_some() {
        return Err(ApiError::conflict("the account is a member already"));
    }
    api.store
        .put_member(id, account_id, role_id, (api.clock)())
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(find_member(&api, id, account_id).await?),
    ))
}

/// Gives a member another role. The last owner stays owner.
pub(crate) async fn update_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, account_id)): Ids<(Uuid, Uuid)>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let member = caller.member(&api, id, "workspace.members").await?;
    let mut fields = Fields::read(body).await?;
    let role_id = role(&mut fields);
    fields.finish()?;
    let before = api.store.member_role(id, account_id).await?;
    let before = before.ok_or_else(|| ApiError::not_found("member"))?;
    if [before, role_id].contains(&OWNER) && member.role_id != OWNER {
        return Err(ApiError::forbidden(
            "only an owner can make owners or change them",
        ));
    }
    if before == OWNER && role_id != OWNER {
        keep_an_owner(&api, id, account_id).await?;
    }
    api.store
        .put_member(id, account_id, role_id, (api.clock)())
        .await?;
    find_member(&api, id, account_id).await.map(Json)
}

/// Ends a membership. The last owner stays.
pub(crate) async fn remove_member(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, account_id)): Ids<(Uuid, Uuid)>,
) -> Result<StatusCode, ApiError> {
    let member = caller.member(&api, id, "workspace.members").await?;
    let role_id = api.store.member_role(id, account_id).await?;
    if role_id.ok_or_else(|| ApiError::not_found("member"))? == OWNER {
        if member.role_id != OWNER {
            return Err(ApiError::forbidden("only an owner can remove owners"));
        }
        keep_an_owner(&api, id, account_id).await?;
    }
    api.store.delete_member(id, account_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn role(fields: &mut Fields) -> Uuid {
    let role_id = fields.id("role_id");
    if !role_id.is_nil() && ![OWNER, ADMIN, MEMBER].contains(&role_id) {
        fields.fault("$.role_id", "there is no such role");
    }
    role_id
}

async fn keep_an_owner(api: &Api, id: Uuid, leaving: Uuid) -> Result<(), ApiError> {
    let members = api.store.list_members(id).await?;
    if members
        .iter()
        .any(|m| m.role_id == OWNER && m.account_id != leaving)
    {
        return Ok(());
    }
    Err(ApiError::conflict(
        "the last owner stays: make somebody else an owner first",
    ))
}

async fn find_member(api: &Api, id: Uuid, account_id: Uuid) -> Result<Value, ApiError> {
    let members = api.store.list_members(id).await?;
    let found = members
        .iter()
        .find(|member| member.account_id == account_id);
    found
        .map(|member| json!(member))
        .ok_or_else(|| ApiError::not_found("member"))
}
