//! `/policy/violations` and `/policy/alerts`: what content policies found.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::Caller;
use super::super::error::ApiError;
use super::super::governance::officer::Officer;
use super::super::query::Query;
use super::envelope::{ContentError, PathId, Success};
use super::scope::may_read;
use crate::policy::Fault;
use crate::policy::content::{PolicyAlert, PolicyViolation};
use crate::store::SightingFilter;

/// How many are answered where the caller does not say.
const TAKE: u32 = 20;

/// The violations of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViolationsTold {
    /// The newest first.
    violations: Vec<PolicyViolation>,
    /// How many there are in all.
    total: u64,
    /// How many were passed over.
    skip: u64,
    /// Most that this answer could have.
    take: u32,
}

/// The alerts of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertsTold {
    /// The newest first.
    alerts: Vec<PolicyAlert>,
    /// How many there are in all.
    total: u64,
    /// How many were passed over.
    skip: u64,
    /// Most that this answer could have.
    take: u32,
}

/// What policies found in single records, the newest first. Of what one policy found in one run,
/// stream or query, the first 1000 are kept.
#[utoipa::path(
    get, path = "/policy/violations", tag = "content-policies",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("orgId" = Option<String>, Query),
        ("workspaceId" = Option<Uuid>, Query),
        ("repoId" = Option<Uuid>, Query),
        ("from" = Option<String>, Query),
        ("to" = Option<String>, Query),
        ("skip" = Option<u64>, Query),
        ("take" = Option<u32>, Query),
    ),
    responses((status = 200, body = Success<ViolationsTold>)),
)]
pub(crate) async fn list_policy_violations(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Success<ViolationsTold>>, ContentError> {
    let officer = Officer::reads(&api, &caller).await?;
    let wanted = Wanted::read(&api, &officer, query.as_deref()).await?;
    violations(&api, &officer, wanted).await
}

/// What one policy found in single records, the newest first, also of a policy that was deleted
/// since.
#[utoipa::path(
    get, path = "/policy/{policyId}/violations", tag = "content-policies",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("orgId" = Option<String>, Query),
        ("workspaceId" = Option<Uuid>, Query),
        ("repoId" = Option<Uuid>, Query),
        ("from" = Option<String>, Query),
        ("to" = Option<String>, Query),
        ("skip" = Option<u64>, Query),
        ("take" = Option<u32>, Query),
    ),
    responses((status = 200, body = Success<ViolationsTold>)),
)]
pub(crate) async fn list_violations_of_policy(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId,
    RawQuery(query): RawQuery,
) -> Result<Json<Success<ViolationsTold>>, ContentError> {
    let officer = Officer::reads(&api, &caller).await?;
    if let Some(workspace_id) = api.store.content_policy_workspace(id).await? {
        may_read(&api, &officer, workspace_id).await?;
    }
    let mut wanted = Wanted::read(&api, &officer, query.as_deref()).await?;
    wanted.filter.policy_id = Some(id);
    violations(&api, &officer, wanted).await
}

/// What policies that alert or block found, all that one of them found in one run, stream or
/// query together: the newest first.
#[utoipa::path(
    get, path = "/policy/alerts", tag = "content-policies",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("orgId" = Option<String>, Query),
        ("workspaceId" = Option<Uuid>, Query),
        ("repoId" = Option<Uuid>, Query),
        ("from" = Option<String>, Query),
        ("to" = Option<String>, Query),
        ("skip" = Option<u64>, Query),
        ("take" = Option<u32>, Query),
    ),
    responses((status = 200, body = Success<AlertsTold>)),
)]
pub(crate) async fn list_policy_alerts(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Success<AlertsTold>>, ContentError> {
    let officer = Officer::reads(&api, &caller).await?;
    let Wanted { filter, skip, take } = Wanted::read(&api, &officer, query.as_deref()).await?;
    let listed = api.store.list_alerts(&filter, skip, take).await?;
    let org_id = officer.organization_id.to_string();
    let alerts = listed.data.into_iter();
    Ok(Success::ok(AlertsTold {
        alerts: alerts
            .map(|alert| PolicyAlert::of(alert, org_id.clone()))
            .collect(),
        total: listed.total,
        skip,
        take,
    }))
}

async fn violations(
    api: &Api,
    officer: &Officer,
    wanted: Wanted,
) -> Result<Json<Success<ViolationsTold>>, ContentError> {
    let Wanted { filter, skip, take } = wanted;
    let listed = api.store.list_violations(&filter, skip, take).await?;
    let org_id = officer.organization_id.to_string();
    let violations = listed.data.into_iter();
    Ok(Success::ok(ViolationsTold {
        violations: violations
            .map(|violation| PolicyViolation::of(violation, org_id.clone()))
            .collect(),
        total: listed.total,
        skip,
        take,
    }))
}

/// What a query asks for.
struct Wanted {
    filter: SightingFilter,
    skip: u64,
    take: u32,
}

impl Wanted {
    /// Errors: 400 with every fault; 403 for another organisation, or a workspace whose
    /// governance the caller may not read.
    async fn read(
        api: &Api,
        officer: &Officer,
        query: Option<&str>,
    ) -> Result<Wanted, ContentError> {
        let mut query = Query::read(query.unwrap_or_default());
        let id = |text: &str| Uuid::try_parse(text).ok();
        let organisation = "an identifier of an organisation";
        let org_id = query.take("orgId", organisation, |text| Some(text.to_owned()));
        let workspace_id = query.take("workspaceId", "a UUID", id);
        let source_id = query.take("repoId", "a UUID", id);
        let time = "a time such as 2026-01-31T00:00:00Z, in which + is written %2B";
        let from = query.take("from", time, instant);
        let to = query.take("to", time, instant);
        let skip = query.take("skip", "a whole number from 0", |text| {
            text.parse().ok().filter(|skip| *skip <= 1_u64 << 53)
        });
        let take = query.take("take", "a whole number from 1 to 100", |text| {
            text.parse().ok().filter(|take| (1..=100).contains(take))
        });
        query.finish().map_err(ApiError::of_parameters)?;
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            let fault = Fault::new("$query.from", "expected a time that is not after `to`");
            return Err(ApiError::invalid(vec![fault]).into());
        }
        let own = officer.organization_id.to_string();
        if org_id.is_some_and(|org_id| org_id != own) {
            return Err(ApiError::forbidden("you do not belong to that organisation").into());
        }
        if let Some(workspace_id) = workspace_id {
            may_read(api, officer, workspace_id).await?;
        }
        Ok(Wanted {
            filter: SightingFilter {
                purview: officer.purview.clone(),
                policy_id: None,
                workspace_id,
                source_id,
                from,
                to,
            },
            skip: skip.unwrap_or(0),
            take: take.unwrap_or(TAKE),
        })
    }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.to_utc())
}
