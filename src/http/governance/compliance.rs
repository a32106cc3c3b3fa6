//! `/governance/compliance`: how solutions stand and stood, by the snapshots that were taken.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::auth::Caller;
use super::super::error::ApiError;
use super::officer::Officer;
use super::page::ListQuery;
use crate::compliance::SolutionId;
use crate::compliance::history::{self, HistoryPoint, TREND_DAYS, TrendPoint, day_before};

/// Days of a history where the caller does not say.
const DAYS: u64 = 30;
/// Most days of a history.
pub(crate) const MOST_DAYS: u64 = 365;

/// Figures over all solutions, each by its last snapshot.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ComplianceDashboard)]
pub(crate) struct Dashboard {
    /// The mean of their scores, 0 to 100 with one decimal; 0 where there is no snapshot.
    overall_score: f64,
    /// Solutions.
    total_solutions: u64,
    /// Those that met all of their policies, of which they had one at least.
    compliant_solutions: u64,
    /// All others, also those without a snapshot.
    non_compliant_solutions: u64,
    /// Snapshots that were taken.
    total_snapshots: u64,
    /// Those that nothing can change any more.
    frozen_snapshots: u64,
    /// The score at the end of each of the last seven days that have one, oldest first.
    recent_trend: Vec<TrendPoint>,
    /// When.
    generated_at: DateTime<Utc>,
}

/// How one solution stood, or all together, day by day.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ComplianceHistory)]
pub(crate) struct History {
    /// The solution; `None` for all.
    #[schema(required)]
    solution_id: Option<SolutionId>,
    /// A point for each day on which a snapshot was taken, oldest first: how things stood at its
    /// end.
    history: Vec<HistoryPoint>,
    /// The days that were asked for.
    period: Period,
}

/// Days in UTC, from one to another, both included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompliancePeriod)]
struct Period {
    /// The first day.
    start: NaiveDate,
    /// Today.
    end: NaiveDate,
    /// How many days lie between them.
    days: u64,
}

/// Figures over all solutions, by the snapshots that were taken of them.
#[utoipa::path(
    get, path = "/compliance/dashboard", tag = "governance-compliance",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = Dashboard)),
)]
pub(crate) async fn get_compliance_dashboard(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Dashboard>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    ListQuery::read(query.as_deref()).finish()?;
    let now = officer.act.at;
    let today = now.date_naive();
    let since = day_before(today, TREND_DAYS - 1);
    let figures = api.store.compliance_figures(since).await?;
    let compliant = history::compliant_solutions(&figures.series);
    Ok(Json(Dashboard {
        overall_score: history::overall_score(&figures.series),
        total_solutions: figures.solutions,
        compliant_solutions: compliant,
        non_compliant_solutions: figures.solutions.saturating_sub(compliant),
        total_snapshots: figures.snapshots,
        frozen_snapshots: figures.frozen_snapshots,
        recent_trend: history::trend(&figures.series, today),
        generated_at: now,
    }))
}

/// How a solution stood at the end of each day on which a snapshot of it was taken; without a
/// solution, all together: the mean of their scores, and the sums of their policies.
#[utoipa::path(
    get, path = "/compliance/history", tag = "governance-compliance",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("solutionId" = Option<String>, Query),
        ("days" = Option<u32>, Query),
    ),
    responses((status = 200, body = History)),
)]
pub(crate) async fn get_compliance_history(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<History>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let solution_id: Option<SolutionId> = query.id("solutionId");
    let expected = "a number from 1 to 365";
    let days = query
        .number("days", expected, 1..=MOST_DAYS)
        .unwrap_or(DAYS);
    query.finish()?;
    if let Some(id) = solution_id {
        api.store.get_solution(id).await?;
    }
    let end = officer.act.at.date_naive();
    let start = day_before(end, days);
    let series = api.store.compliance_series(solution_id, start).await?;
    Ok(Json(History {
        solution_id,
        history: history::history(&series, start, end),
        period: Period { start, end, days },
    }))
}
