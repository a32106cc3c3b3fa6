//! `/governance/snapshots`: how solutions stood, and what was said of it.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::officer::Officer;
use super::page::{ListQuery, Paged};
use crate::compliance::{Snapshot, SnapshotId, SolutionId};
use crate::store::SnapshotFilter;

/// What the list can be sorted by.
pub(crate) const SORTS: &[&str] = &[
    "createdAt",
    "updatedAt",
    "score",
    "approvedAt",
    "snapshotType",
];

/// The snapshots of all solutions, without what they saw in detail.
#[utoipa::path(
    get, path = "/snapshots", tag = "governance-snapshots",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("solutionId" = Option<String>, Query),
        ("snapshotType" = Option<String>, Query),
        ("frozen" = Option<String>, Query),
        ("limit" = Option<String>, Query),
        ("offset" = Option<String>, Query),
        ("sort" = Option<String>, Query),
    ),
    responses((status = 200, body = Paged<Snapshot>)),
)]
pub(crate) async fn list_snapshots(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Snapshot>>, ApiError> {
    Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let filter = SnapshotFilter {
        solution_id: query.id("solutionId"),
        snapshot_type: query.word("snapshotType", "one of manual, scheduled, triggered"),
        frozen: query.switch("frozen"),
    };
    let page = query.page(SORTS)?;
    let listed = api.store.list_snapshots(&filter, page).await?;
    Ok(Json(Paged::new(page, listed)))
}

/// A new snapshot: the policies of the solution are evaluated now, and what they come to is kept.
#[utoipa::path(
    post, path = "/snapshots", tag = "governance-snapshots",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewSnapshot"),
    responses((status = 201, body = Snapshot)),
)]
pub(crate) async fn create_snapshot(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Snapshot>), ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let mut fields = Fields::read(body).await?;
    let solution_id: SolutionId = fields.subject("solutionId");
    fields.finish()?;
    let id = SnapshotId((api.new_id)());
    let snapshot = api
        .overseer
        .take_snapshot(id, solution_id, &officer.act)
        .await?;
    Ok((StatusCode::CREATED, Json(snapshot)))
}

/// One snapshot.
#[utoipa::path(
    get, path = "/snapshots/{id}", tag = "governance-snapshots",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Snapshot)),
)]
pub(crate) async fn get_snapshot(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SnapshotId>,
) -> Result<Json<Snapshot>, ApiError> {
    Officer::reads(&api, &caller).await?;
    Ok(Json(api.store.get_snapshot(id).await?))
}

/// A snapshot that was frozen.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FrozenSnapshot {
    /// Identifier.
    id: SnapshotId,
    /// Whether nothing can change it any more.
    frozen: bool,
    /// When that was.
    updated_at: DateTime<Utc>,
}

/// Freezes a snapshot: nothing changes it any more, and its digest stands for what it says.
#[utoipa::path(
    post, path = "/snapshots/{id}/freeze", tag = "governance-snapshots",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 200, body = FrozenSnapshot)),
)]
pub(crate) async fn freeze_snapshot(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SnapshotId>,
) -> Result<Json<FrozenSnapshot>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let snapshot = api.store.freeze_snapshot(id, &officer.act).await?;
    Ok(Json(FrozenSnapshot {
        id: snapshot.id,
        frozen: snapshot.frozen,
        updated_at: snapshot.updated_at,
    }))
}

/// A snapshot that was approved.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApprovedSnapshot {
    /// Identifier.
    id: SnapshotId,
    /// When.
    #[schema(required)]
    approved_at: Option<DateTime<Utc>>,
    /// By whom.
    #[schema(required)]
    approved_by: Option<Uuid>,
    /// Last change.
    updated_at: DateTime<Utc>,
}

/// Approves a snapshot, once, as long as it is not frozen.
#[utoipa::path(
    post, path = "/snapshots/{id}/approve", tag = "governance-snapshots",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 200, body = ApprovedSnapshot)),
)]
pub(crate) async fn approve_snapshot(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<SnapshotId>,
) -> Result<Json<ApprovedSnapshot>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let snapshot = api.store.approve_snapshot(id, &officer.act).await?;
    Ok(Json(ApprovedSnapshot {
        id: snapshot.id,
        approved_at: snapshot.approved_at,
        approved_by: snapshot.approved_by,
        updated_at: snapshot.updated_at,
    }))
}
