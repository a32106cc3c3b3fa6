//! Who may see content policies and what they found, and who may change them. What is the
//! organisation's may be seen by whoever may read governance somewhere.

use axum::http::StatusCode;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::Caller;
use super::super::error::ApiError;
use super::super::governance::officer::Officer;
use crate::store::StoreError;

const NOT_THERE: &str = "your role does not grant governance.read in that workspace";

/// Refuses to tell of a workspace that the caller may not read governance in, or that is not
/// there.
pub(crate) async fn may_read(
    api: &Api,
    officer: &Officer,
    workspace_id: Uuid,
) -> Result<(), ApiError> {
    if !officer.purview.covers(Some(workspace_id)) {
        return Err(ApiError::forbidden(NOT_THERE));
    }
    // Whoever governs the organisation sees every workspace, but those that are there only.
    match api.store.revision(workspace_id).await {
        Ok(_) => Ok(()),
        Err(StoreError::NotFound(_)) => Err(ApiError::forbidden(NOT_THERE)),
        Err(error) => Err(error.into()),
    }
}

/// Refuses to change what is for a workspace, or for all of them, unless the caller may change
/// governance there, or for the organisation.
pub(crate) async fn may_change(
    api: &Api,
    caller: &Caller,
    workspace_id: Option<Uuid>,
) -> Result<(), ApiError> {
    let Some(workspace_id) = workspace_id else {
        return Officer::governs(api, caller).await.map(|_| ());
    };
    match caller.member(api, workspace_id, "governance.write").await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == StatusCode::NOT_FOUND => Err(ApiError::forbidden(
            "your role does not grant governance.write in that workspace",
        )),
        Err(error) => Err(error),
    }
}
