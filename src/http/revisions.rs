//! `/workspaces/{id}/revisions`: what made each version of the policies, and the way back.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::destination_rules::{WithRevision, with_revision};
use super::error::ApiError;
use super::query::Query;
use crate::policy::Revision;
use crate::store::Committed;

/// What a restoration did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Restoration {
    /// The revision that it made; the current one, if there was nothing to do.
    #[schema(value_type = u64)]
    revision: Revision,
    /// The revision whose policies are in force again.
    #[schema(value_type = u64)]
    restored: Revision,
    /// How many objects changed.
    changes: usize,
    /// Assignments that were left out, because their group is no more.
    left_out: usize,
}

/// The revisions of a workspace, newest first: author, time and difference.
#[utoipa::path(
    get, path = "/workspaces/{id}/revisions", tag = "revisions",
    extensions(("x-permission" = json!("governance.read"))),
    params(("before" = Option<u64>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = Vec<Committed>)),
)]
pub(crate) async fn list_revisions(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<Committed>>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    let mut query = Query::read(query.as_deref().unwrap_or_default());
    let before = query.take("before", "a revision", |text| text.parse().ok());
    let limit = query.take("limit", "a number from 1 to 200", |text| {
        let limit = text.parse().ok()?;
        (1..=200).contains(&limit).then_some(limit)
    });
    query.finish()?;
    let revisions = api
        .store
        .list_revisions(member.workspace_id, before, limit.unwrap_or(50))
        .await?;
    Ok(Json(revisions))
}

/// One revision.
#[utoipa::path(
    get, path = "/workspaces/{id}/revisions/{revision}", tag = "revisions",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Committed)),
)]
pub(crate) async fn get_revision(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, revision)): Ids<(Uuid, Revision)>,
) -> Result<Json<Committed>, ApiError> {
    let member = caller.member(&api, id, "governance.read").await?;
    Ok(Json(
        api.store
            .get_revision(member.workspace_id, revision)
            .await?,
    ))
}

/// Makes the policies of an earlier revision those of a new one. Models, members and groups stay
/// as they are.
#[utoipa::path(
    post, path = "/workspaces/{id}/revisions/{revision}/restore", tag = "revisions",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 200, body = Restoration, headers(("Syncguard-Policy-Revision")))),
)]
pub(crate) async fn restore_revision(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, revision)): Ids<(Uuid, Revision)>,
) -> Result<WithRevision<Json<Restoration>>, ApiError> {
    let member = caller.member(&api, id, "governance.write").await?;
    let restored = api
        .publisher
        .restore(member.workspace_id, revision, &member.act)
        .await
        .map_err(|error| ApiError::publish(None, error))?;
    let answer = Restoration {
        revision: restored.revision,
        restored: revision,
        changes: restored.changes,
        left_out: restored.left_out,
    };
    Ok(with_revision(restored.revision, Json(answer)))
}
