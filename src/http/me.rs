//! `/me`: the caller.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::Caller;
use super::error::ApiError;
use crate::catalog::Workspace;
use crate::compliance::OrganizationId;
use crate::principal::Account;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// Their account.
    account: Account,
    /// The key in use.
    key_id: Uuid,
    /// Its scopes.
    scopes: Vec<String>,
    /// The organisation that this installation serves: `orgId` where content policies are asked
    /// for.
    organization_id: OrganizationId,
    /// The workspaces that the account belongs to.
    workspaces: Vec<OwnWorkspace>,
}

/// A workspace with the caller's role in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnWorkspace {
    #[serde(flatten)]
    workspace: Workspace,
    /// The caller's own role there.
    #[schema(required)]
    role_id: Option<Uuid>,
}

/// The caller's account, the scopes of the key in use, and the workspaces with the caller's role.
#[utoipa::path(
    get, path = "/me", tag = "accounts",
    extensions(("x-permission" = json!(null))),
    responses((status = 200, body = Me)),
)]
pub(crate) async fn get_me(
    State(api): State<Api>,
    Caller { principal, .. }: Caller,
) -> Result<Json<Me>, ApiError> {
    let mut workspaces = Vec::new();
    for workspace in api.store.list_workspaces(principal.account.id).await? {
        let standing = api
            .store
            .standing(workspace.id, principal.account.id)
            .await?;
        let role_id = standing.map(|standing| standing.role_id);
        workspaces.push(OwnWorkspace { workspace, role_id });
    }
    Ok(Json(Me {
        account: principal.account,
        key_id: principal.key_id,
        scopes: principal.scopes,
        organization_id: api.store.organization().await?,
        workspaces,
    }))
}
