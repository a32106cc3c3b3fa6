//! `/me`: the caller.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;
use super::auth::Caller;
use super::error::ApiError;

/// The caller's account, the scopes of the key in use, and the workspaces with the caller's role.
pub(crate) async fn get_me(
    State(api): State<Api>,
    Caller { principal, .. }: Caller,
) -> Result<Json<Value>, ApiError> {
    let mut workspaces = Vec::new();
    for workspace in api.store.list_workspaces(principal.account.id).await? {
        let role_id = api
            .store
            .member_role(workspace.id, principal.account.id)
            .await?;
        workspaces.push(super::workspaces::with_role(&workspace, role_id));
    }
    Ok(Json(json!({
        "account": principal.account,
        "key_id": principal.key_id,
        "scopes": principal.scopes,
        "workspaces": workspaces,
    })))
}
