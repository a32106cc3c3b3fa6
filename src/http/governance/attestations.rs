//! `/governance/attestations`: somebody certifies what a snapshot shows, until its time runs out
//! or somebody takes it back.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SubsecRound, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::auth::{Caller, Ids};
use super::super::body::Fields;
use super::super::error::ApiError;
use super::officer::Officer;
use super::page::{ListQuery, Paged};
use crate::compliance::{
    Attestation, AttestationId, AttestationStatus, AttestationSummary, AttestationType, Evidence,
    Listed, SnapshotId, SolutionId,
};
use crate::store::AttestationFilter;

/// What the list can be sorted by.
pub(crate) const SORTS: [&str; 5] = ["createdAt", "updatedAt", "attestedAt", "expiration", "type"];

const TYPE: &str = "soc2, hipaa, gdpr, iso27001 or custom";
const DOCUMENT_URL: &str =
    "expected an http or https URL of at most 2000 characters, without a user name or password";

/// An attestation as it is at a moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attestation)]
pub(crate) struct Shown {
    /// Identifier.
    id: AttestationId,
    /// The solution of the snapshot.
    solution_id: SolutionId,
    /// What is certified to be so.
    snapshot_id: SnapshotId,
    /// What is certified.
    #[serde(rename = "type")]
    attestation_type: AttestationType,
    /// Whether it holds.
    status: AttestationStatus,
    /// Who certifies it.
    attested_by: Uuid,
    /// When.
    attested_at: DateTime<Utc>,
    /// What it rests on.
    evidence: Evidence,
    /// When it ends; `None`: it does not.
    #[schema(required)]
    expiration: Option<DateTime<Utc>>,
    /// When it was taken back.
    #[schema(required)]
    revoked_at: Option<DateTime<Utc>>,
    /// By whom.
    #[schema(required)]
    revoked_by: Option<Uuid>,
    /// Why, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_reason: Option<String>,
    /// Creation time.
    created_at: DateTime<Utc>,
    /// Last change.
    updated_at: DateTime<Utc>,
}

impl Shown {
    pub(crate) fn of(attestation: &Attestation, now: DateTime<Utc>) -> Shown {
        Shown {
            id: attestation.id,
            solution_id: attestation.solution_id,
            snapshot_id: attestation.snapshot_id,
            attestation_type: attestation.attestation_type,
            status: attestation.status(now),
            attested_by: attestation.attested_by,
            attested_at: attestation.attested_at,
            evidence: attestation.evidence.clone(),
            expiration: attestation.expiration,
            revoked_at: attestation.revoked_at,
            revoked_by: attestation.revoked_by,
            revocation_reason: attestation.revocation_reason.clone(),
            created_at: attestation.created_at,
            updated_at: attestation.updated_at,
        }
    }
}

/// What a revocation changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevokedAttestation {
    /// The attestation.
    id: AttestationId,
    /// That it is revoked.
    status: AttestationStatus,
    /// When it was.
    #[schema(required)]
    revoked_at: Option<DateTime<Utc>>,
    /// By whom.
    #[schema(required)]
    revoked_by: Option<Uuid>,
    /// Last change.
    updated_at: DateTime<Utc>,
}

/// The attestations that meet the filters. An attestation that has expired is not a revoked one.
#[utoipa::path(
    get, path = "/attestations", tag = "governance-attestations",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("solutionId" = Option<String>, Query),
        ("snapshotId" = Option<String>, Query),
        ("type" = Option<String>, Query),
        ("revoked" = Option<bool>, Query),
        ("limit" = Option<u32>, Query),
        ("offset" = Option<u64>, Query),
        ("sort" = Option<String>, Query),
    ),
    responses((status = 200, body = Paged<Shown>)),
)]
pub(crate) async fn list_attestations(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Paged<Shown>>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    let mut query = ListQuery::read(query.as_deref());
    let filter = AttestationFilter {
        solution_id: query.id("solutionId"),
        snapshot_id: query.id("snapshotId"),
        attestation_type: query.word("type", TYPE),
        revoked: query.switch("revoked"),
    };
    let page = query.page(&SORTS)?;
    let listed = api.store.list_attestations(&filter, page).await?;
    let now = officer.act.at;
    let shown = Listed {
        data: listed.data.iter().map(|it| Shown::of(it, now)).collect(),
        total: listed.total,
    };
    Ok(Json(Paged::new(page, shown)))
}

/// A new attestation of a snapshot, by the caller.
///
/// It may be of any snapshot. Auditors should attest frozen ones: nothing changes those any more,
/// and their digest stands for what they show.
#[utoipa::path(
    post, path = "/attestations", tag = "governance-attestations",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/NewAttestation"),
    responses((status = 201, body = Shown)),
)]
pub(crate) async fn create_attestation(
    State(api): State<Api>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<Shown>), ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let now = officer.act.at;
    let mut fields = Fields::read(body).await?;
    let snapshot_id: SnapshotId = fields.subject("snapshotId");
    let attestation_type = fields.typed::<AttestationType>("type", TYPE);
    let evidence = evidence(&mut fields);
    let expiration = expiration(&mut fields);
    let missing = |expected: &str| format!("missing; expected {expected}");
    if attestation_type.is_none() {
        fields.fault_once("$.type", &missing(TYPE));
    }
    fields.finish()?;
    let Some(attestation_type) = attestation_type else {
        return Err(ApiError::internal(&"a field without a fault has no value"));
    };
    let snapshot = api.store.get_snapshot(snapshot_id).await?;
    let attestation = Attestation {
        id: AttestationId((api.new_id)()),
        solution_id: snapshot.solution_id,
        snapshot_id,
        attestation_type,
        attested_by: officer.account_id,
        attested_at: now,
        evidence,
        expiration,
        revoked_at: None,
        revoked_by: None,
        revocation_reason: None,
        created_at: now,
        updated_at: now,
    };
    api.store
        .insert_attestation(&attestation, &officer.act)
        .await?;
    Ok((StatusCode::CREATED, Json(Shown::of(&attestation, now))))
}

/// Takes an active attestation back. It stays on record.
#[utoipa::path(
    post, path = "/attestations/{id}/revoke", tag = "governance-attestations",
    extensions(("x-permission" = json!("governance.write"))),
    request_body = ref("#/components/schemas/AttestationRevocation"),
    responses((status = 200, body = RevokedAttestation)),
)]
pub(crate) async fn revoke_attestation(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<AttestationId>,
    body: Body,
) -> Result<Json<RevokedAttestation>, ApiError> {
    let officer = Officer::governs(&api, &caller).await?;
    let mut fields = Fields::read_optional(body).await?;
    let reason = fields.text("reason");
    fields.finish()?;
    let revoked = api
        .store
        .revoke_attestation(id, reason.as_deref(), &officer.act)
        .await?;
    Ok(Json(RevokedAttestation {
        id: revoked.id,
        status: revoked.status(officer.act.at),
        revoked_at: revoked.revoked_at,
        revoked_by: revoked.revoked_by,
        updated_at: revoked.updated_at,
    }))
}

/// Counts of all attestations, as they are now.
#[utoipa::path(
    get, path = "/attestations/summary", tag = "governance-attestations",
    extensions(("x-permission" = json!("governance.read"))),
    responses((status = 200, body = AttestationSummary)),
)]
pub(crate) async fn get_attestation_summary(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<AttestationSummary>, ApiError> {
    let officer = Officer::reads(&api, &caller).await?;
    ListQuery::read(query.as_deref()).finish()?;
    Ok(Json(api.store.attestation_summary(officer.act.at).await?))
}

/// The evidence, which may be absent; of a faulty part, nothing.
fn evidence(fields: &mut Fields) -> Evidence {
    let mut evidence = Evidence::default();
    let object = match fields.value("evidence") {
        None => return evidence,
        Some(Value::Object(object)) => object,
        Some(_) => {
            fields.fault("$.evidence", "expected an object");
            return evidence;
        }
    };
    for (key, value) in object {
        let fault = match (key.as_str(), value) {
            ("documentUrl" | "notes", Value::Null) => continue,
            ("documentUrl", Value::String(text)) if is_document_url(&text) => {
                evidence.document_url = Some(text);
                continue;
            }
            ("notes", Value::String(text)) if !text.contains('\0') => {
                evidence.notes = Some(text);
                continue;
            }
            ("documentUrl", _) => DOCUMENT_URL,
            ("notes", _) => "expected a text without NUL characters",
            _ => "unknown key; expected documentUrl, notes",
        };
        fields.fault(&format!("$.evidence.{key}"), fault);
    }
    evidence
}

/// Whether a text is the URL of a document, and gives no credentials away.
fn is_document_url(text: &str) -> bool {
    let is_open = |url: url::Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
    };
    text.chars().count() <= 2000
        && !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && url::Url::parse(text).is_ok_and(is_open)
}

/// When it ends: a time, or a day, at whose beginning it does. May be absent, and may be over: what
/// was attested elsewhere can be put on record afterwards.
fn expiration(fields: &mut Fields) -> Option<DateTime<Utc>> {
    let value = fields.value("expiration")?;
    let fault = match value.as_str().and_then(moment) {
        None => {
            "expected a time such as \"2027-01-31T09:30:00Z\", or a date such as \"2027-01-31\""
        }
        // The databases sort years of four digits.
        Some(end) if end.year() > 9999 => "expected a time before the year 10000",
        Some(end) => return Some(end),
    };
    fields.fault("$.expiration", fault);
    None
}

/// A time as exact as the store keeps it; a date is its beginning in UTC.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let time = match text.len() {
        10 => {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            date.and_time(NaiveTime::MIN).and_utc()
        }
        _ => DateTime::parse_from_rfc3339(text).ok()?.to_utc(),
    };
    Some(time.trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_url_is_of_the_web_and_gives_no_credentials_away() {
        let long = format!("https://example.com/{}", "a".repeat(1980));
        for good in [
            "https://example.com/evidence/soc2-report.pdf",
            "http://example.com",
            "HTTPS://example.com:8443/a?b=c#d",
            "https://example.com/a@b",
            &long,
        ] {
            assert!(is_document_url(good), "{good}");
        }
        for bad in [
            "",
            "example.com/report.pdf",
            "ftp://example.com/report.pdf",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://:secret@example.com/",
            " https://example.com/",
            "https://example.com/a b",
            "https://example.com/\0",
            "https://exam\nple.com/",
            &format!("{long}a"),
        ] {
            assert!(!is_document_url(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_end_is_a_time_or_the_beginning_of_a_day() {
        for (text, expected) in [
            ("2026-03-21T10:00:00Z", Some("2026-03-21T10:00:00+00:00")),
            (
                "2026-03-21T10:00:00.1234567+02:00",
                Some("2026-03-21T08:00:00.123456+00:00"),
            ),
            ("2026-03-21", Some("2026-03-21T00:00:00+00:00")),
            ("2026-02-30", None),
            ("2026-3-21", None),
            ("21.03.2026", None),
            ("2026-03-21T10:00:00", None),
            ("2026-03-21T25:00:00Z", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let found = moment(text).map(|time| time.to_rfc3339());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
