//! `/governance/instances/{id}/override`: leave to run although a policy is not met, for a time.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::officer::Officer;
use crate::compliance::{InstanceId, Override};
use crate::store::StoreError;

/// How far ahead an override may end.
const MOST_DAYS: i64 = 90;
/// What a reason is.
const REASON: &str = "a text that says why";

/// An instance whose override was granted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overridden {
    /// The instance.
    #[schema(value_type = InstanceId)]
    id: InstanceId,
    /// Its override.
    #[serde(rename = "override")]
    override_: Override,
    /// When it was granted.
    updated_at: DateTime<Utc>,
}

/// Lets the resource of an instance be used although it does not meet the policy, until a time at
/// most 90 days ahead. The instance has been submitted; it takes a key with the scope
/// `governance:review`, of somebody else than who submitted it. The override counts no longer once
/// the policy changes, the instance is denied, or whoever granted it submits the instance.
#[utoipa::path(
    post, path = "/instances/{id}/override", tag = "governance-enforcement",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewOverride"),
    responses((status = 200, body = Overridden)),
)]
pub(crate) async fn grant_override(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<InstanceId>,
    body: Body,
) -> Result<Json<Overridden>, ApiError> {
    let officer = Officer::reviews(&api, &caller).await?.for_all()?;
    let instance = api.store.get_instance(id).await?;
    officer.as_reviewer()?;
    if instance.submitted_by == Some(officer.account_id) {
        let message = "whoever submitted an instance cannot grant it an override: ask another \
                       reviewer";
        return Err(ApiError::forbidden(message));
    }
    // Otherwise one reviewer alone could let through what nobody else has looked at.
    if instance.submitted_by.is_none() {
        let refused = StoreError::Refused {
            code: "invalid_transition",
            message: "the policy instance was never submitted: submit it first".into(),
        };
        return Err(refused.into());
    }
    let now = officer.act.at;
    let mut fields = Fields::read(body).await?;
    let reason = reason(&mut fields);
    let expires_at = end(&mut fields, now);
    fields.finish()?;
    let leave = Override {
        reason,
        granted_by: officer.account_id,
        granted_at: now,
        expires_at,
    };
    api.store.set_override(id, &leave, &officer.act).await?;
    Ok(Json(Overridden {
        id,
        override_: leave,
        updated_at: now,
    }))
}

/// Ends the override of an instance.
#[utoipa::path(
    delete, path = "/instances/{id}/override", tag = "governance-enforcement",
    extensions(("x-permission" = json!("governance.write"))),
    responses((status = 204)),
)]
pub(crate) async fn end_override(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<InstanceId>,
) -> Result<StatusCode, ApiError> {
    let officer = Officer::reviews(&api, &caller).await?.for_all()?;
    api.store.get_instance(id).await?;
    officer.as_reviewer()?;
    api.store.end_override(id, &officer.act).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn reason(fields: &mut Fields) -> String {
    let given = fields.gives("reason");
    let reason = fields.text("reason").unwrap_or_default();
    if !given {
        fields.fault("$.reason", format!("missing; expected {REASON}"));
    } else if reason.trim().is_empty() {
        fields.fault_once("$.reason", &format!("expected {REASON}"));
    }
    reason
}

fn end(fields: &mut Fields, now: DateTime<Utc>) -> DateTime<Utc> {
    const PATH: &str = "$.expiresAt";
    let given = fields.gives("expiresAt");
    let Some(end) = fields.time("expiresAt") else {
        if !given {
            fields.fault(
                PATH,
                "missing; expected a time such as \"2026-01-31T09:30:00Z\"",
            );
        }
        return now;
    };
    let end = end.trunc_subsecs(6);
    if end <= now {
        fields.fault(PATH, "expected a time that is still to come");
    } else if end > now + TimeDelta::days(MOST_DAYS) {
        fields.fault(
            PATH,
            format!("expected a time at most {MOST_DAYS} days ahead"),
        );
    }
    end
}
