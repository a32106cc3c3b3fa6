//! `/workspaces/{id}/audit`: who changed what, and what was decided about data; `/audit`: the same
//! of accounts and keys, which belong to no workspace.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::error::ApiError;
use super::query::Query;
use crate::audit::Link;
use crate::store::{AuditFilter, StoreError};

const NDJSON: &str = "application/x-ndjson";
/// Lines of an answer in JSON: without a limit, and at most.
const DEFAULT_LIMIT: u64 = 100;
const MOST: u64 = 1000;
/// How many lines an export holds at once.
const PAGE: u64 = 100;

/// The lines of a workspace that the query wants, oldest first. Each comes with the hash that it
/// follows and its own, so that an export of all lines can be verified without the store.
///
/// JSON has at most 1000 lines, and `after` asks for the next; NDJSON streams all of them.
#[utoipa::path(
    get, path = "/workspaces/{id}/audit", tag = "audit",
    extensions(("x-permission" = json!("governance.read"))),
    params(
        ("format" = Option<String>, Query),
        ("action" = Option<String>, Query),
        ("object_kind" = Option<String>, Query),
        ("object_id" = Option<String>, Query),
        ("account_id" = Option<String>, Query),
        ("revision" = Option<String>, Query),
        ("from" = Option<String>, Query),
        ("to" = Option<String>, Query),
        ("after" = Option<String>, Query),
        ("limit" = Option<String>, Query),
    ),
    responses(
        (status = 200, content((Vec<Link> = "application/json"), (String = "application/x-ndjson"))),
    ),
)]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let workspace = Some(
        caller
            .member(&api, id, "governance.read")
            .await?
            .workspace_id,
    );
    answer(api, caller, workspace, query, headers).await
}

/// The lines of the organisation: accounts and API keys. It takes the owner role in a workspace.
#[utoipa::path(
    get, path = "/audit", tag = "audit",
    extensions(("x-permission" = json!("workspace.members"))),
    params(
        ("format" = Option<String>, Query),
        ("action" = Option<String>, Query),
        ("object_kind" = Option<String>, Query),
        ("object_id" = Option<String>, Query),
        ("account_id" = Option<String>, Query),
        ("revision" = Option<String>, Query),
        ("from" = Option<String>, Query),
        ("to" = Option<String>, Query),
        ("after" = Option<String>, Query),
        ("limit" = Option<String>, Query),
    ),
    responses(
        (status = 200, content((Vec<Link> = "application/json"), (String = "application/x-ndjson"))),
    ),
)]
pub(crate) async fn list_organisation_audit(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.owner_somewhere(&api).await?;
    answer(api, caller, None, query, headers).await
}

async fn answer(
    api: Api,
    caller: Caller,
    workspace_id: Option<Uuid>,
    query: Option<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(query.as_deref().unwrap_or_default(), &headers)?;
    if wanted.ndjson {
        let export = Export {
            api,
            caller,
            workspace_id,
            filter: wanted.filter,
            after: wanted.after,
            left: wanted.limit.unwrap_or(u64::MAX),
        };
        let body = export.into_body().await?;
        return Ok(([(header::CONTENT_TYPE, NDJSON)], body).into_response());
    }
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    let lines = api
        .store
        .list_audit(workspace_id, &wanted.filter, wanted.after, limit)
        .await?;
    let lines: Vec<Link> = lines.into_iter().map(|(_, link)| link).collect();
    Ok(Json(lines).into_response())
}

/// What a query asks for.
struct Wanted {
    filter: AuditFilter,
    after: u64,
    limit: Option<u64>,
    ndjson: bool,
}

impl Wanted {
    fn read(query: &str, headers: &HeaderMap) -> Result<Wanted, ApiError> {
        let mut query = Query::read(query);
        let time = "an RFC 3339 time such as 2026-01-31T00:00:00Z, in which + is written %2B";
        let format = query.take("format", "json or ndjson", |text| match text {
            "json" => Some(false),
            "ndjson" => Some(true),
            _ => None,
        });
        let ndjson = format.unwrap_or_else(|| accepts_ndjson(headers));
        let action = "an action such as sync.update, or a beginning of actions such as sync.";
        let filter = AuditFilter {
            action: query.take("action", action, word),
            object_kind: query.take("object_kind", "a kind of object such as sync", word),
            object_id: query.take("object_id", "a UUID", |text| text.parse().ok()),
            account_id: query.take("account_id", "a UUID", |text| text.parse().ok()),
            revision: query.take("revision", "a whole number", |text| text.parse().ok()),
            from: query.take("from", time, instant),
            to: query.take("to", time, instant),
        };
        let after = query.take("after", "the number of a line", |text| {
            text.parse::<u64>().ok()
        });
        let (most, expected) = match ndjson {
            true => (u64::MAX, "a whole number from 1"),
            false => (MOST, "a whole number from 1 to 1000"),
        };
        let limit = query.take("limit", expected, |text| {
            let limit = text.parse::<u64>().ok()?;
            (1..=most).contains(&limit).then_some(limit)
        });
        query.finish()?;
        Ok(Wanted {
            filter,
            after: after.unwrap_or(0),
            limit,
            ndjson,
        })
    }
}

fn word(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (!text.is_empty() && text.chars().all(is_plain)).then(|| text.to_owned())
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}

fn accepts_ndjson(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(NDJSON))
}

/// Lines on their way out, page by page. Whoever asked must still be allowed to at each page: a
/// key that is revoked, or a role that is taken, breaks the export off.
struct Export {
    api: Api,
    caller: Caller,
    workspace_id: Option<Uuid>,
    filter: AuditFilter,
    after: u64,
    left: u64,
}

impl Export {
    /// The first page is read before the answer begins, so that a store that cannot be read is
    /// told by its status; a failure after that breaks the body off.
    async fn into_body(mut self) -> Result<Body, ApiError> {
        let first = self.page().await?;
        let rest = stream::try_unfold(self, |mut export: Export| async move {
            let page = match export.still_allowed().await {
                Ok(()) => export.page().await.map_err(ApiError::from),
                Err(refused) => Err(refused),
            };
            match page {
                Ok(page) => Ok(page.map(|page| (page, export))),
                Err(_) => {
                    tracing::warn!("an export of the audit log breaks off");
                    Err(std::io::Error::other("the export breaks off"))
                }
            }
        });
        let pages = stream::iter(first.map(Ok)).chain(rest);
        Ok(Body::from_stream(pages))
    }

    async fn still_allowed(&self) -> Result<(), ApiError> {
        self.caller.still_has_key(&self.api).await?;
        match self.workspace_id {
            Some(id) => {
                let member = self.caller.member(&self.api, id, "governance.read");
                member.await.map(|_| ())
            }
            None => self.caller.owner_somewhere(&self.api).await,
        }
    }

    /// The next lines; `None` after the last.
    async fn page(&mut self) -> Result<Option<Bytes>, StoreError> {
        let limit = self.left.min(PAGE);
        if limit == 0 {
            return Ok(None);
        }
        let lines = self
            .api
            .store
            .list_audit(self.workspace_id, &self.filter, self.after, limit)
            .await?;
        let came = lines.len() as u64;
        self.left = match came < limit {
            true => 0,
            false => self.left.saturating_sub(came),
        };
        let mut page = Vec::new();
        for (seq, link) in &lines {
            self.after = *seq;
            serde_json::to_writer(&mut page, link)
                .map_err(|_| StoreError::Corrupt("an audit line cannot be written".into()))?;
            page.push(b'\n');
        }
        Ok((!page.is_empty()).then(|| page.into()))
    }
}
