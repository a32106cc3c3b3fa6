//! `/workspaces/{id}/models/{modelId}/guard`: records come back without those that policies
//! withhold.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Ids};
use super::body::{DESTINATION_TYPE, is_destination_type};
use super::error::ApiError;
use super::intake::{Slot, declared, media_type, on_invalid};
use super::query::Query;
use crate::proxy::{Filter, Reading, Subject};
use crate::wire::stream::coding::Coding;
use crate::wire::stream::pass::Tally;

const PERMISSION: &str = "syncs.trigger";
/// An answer of at most so many bytes, if all of the body has come, is sent as a whole.
const SHORT: usize = 1 << 20;
/// How often it is asked whether the caller still may do this.
const CHECKED_EVERY: TimeDelta = TimeDelta::seconds(1);

const READ: HeaderName = HeaderName::from_static("syncguard-read");
const ALLOWED: HeaderName = HeaderName::from_static("syncguard-allowed");
const WITHHELD: HeaderName = HeaderName::from_static("syncguard-withheld");
const INVALID: HeaderName = HeaderName::from_static("syncguard-invalid");
const REVISION: HeaderName = HeaderName::from_static("syncguard-policy-revision");
/// The headers above, as those are announced that come as trailers.
const TRAILERS: HeaderValue = HeaderValue::from_static(
    "Syncguard-Read, Syncguard-Allowed, Syncguard-Withheld, Syncguard-Invalid, \
     Syncguard-Policy-Revision",
);

/// Answers the records that may be sent to a destination type, in the format and the coding they
/// came in, each as it came. A record that the caller's access policies hide is withheld too.
///
/// The answer begins before the body has ended. Counts and the policy revision come as trailers,
/// or as headers where all of it is short. A failure after the beginning breaks the answer off:
/// it is whole only if it has its end.
#[utoipa::path(
    post, path = "/workspaces/{id}/models/{modelId}/guard", tag = "records",
    extensions(("x-permission" = json!("syncs.trigger"))),
    params(
        ("destination_type" = String, Query),
        ("on_invalid" = Option<String>, Query),
    ),
    request_body(content(
        (Vec<Object> = "application/json"),
        (String = "application/x-ndjson"),
        (String = "text/csv"),
        (String = "application/vnd.apache.arrow.stream"),
        (String = "application/vnd.apache.parquet"),
    )),
    responses((
        status = 200,
        content(
            (Vec<Object> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (String = "application/vnd.apache.arrow.stream"),
            (String = "application/vnd.apache.parquet"),
        ),
        headers(
            ("Syncguard-Read" = u64),
            ("Syncguard-Allowed" = u64),
            ("Syncguard-Withheld" = u64),
            ("Syncguard-Invalid" = u64),
        ),
    )),
)]
pub(crate) async fn filter_records(
    State(api): State<Api>,
    caller: Caller,
    Ids((id, model_id)): Ids<(Uuid, Uuid)>,
    RawQuery(query): RawQuery,
    version: Version,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let member = caller.member(&api, id, PERMISSION).await?;
    let model = api.store.get_model(member.workspace_id, model_id).await?;
    let mut query = Query::read(query.as_deref().unwrap_or_default());
    let destination_type = query.require("destination_type", DESTINATION_TYPE, |text| {
        is_destination_type(text).then(|| text.to_owned())
    });
    let on_invalid = on_invalid(&mut query);
    query.finish()?;
    let (format, coding) = declared(&headers)?;
    if version < Version::HTTP_11 {
        let message = "a stream of records takes HTTP/1.1: before, an answer that breaks off looks like a whole one";
        return Err(ApiError::malformed(message));
    }
    let slot = api.streams.enter(caller.principal.key_id)?;
    let subject = Subject {
        passage_id: (api.new_id)(),
        model,
        destination_type,
        account_id: member.account_id,
        now: member.act.at,
    };
    let reading = Reading {
        format,
        coding,
        on_invalid,
        limits: api.streams.limits,
        expansion: api.streams.expansion,
    };
    let checked_at = member.act.at;
    // Where so little is announced, nobody is kept waiting for the end of it.
    let announced = HttpBody::size_hint(&body).exact();
    let short = announced.is_some_and(|bytes| bytes <= SHORT as u64);
    let body = api.streams.body(body);
    let filter = api.proxy.filter(subject, member.act, body, reading)?;
    let mut outgoing = Outgoing {
        workspace_id: member.workspace_id,
        filter,
        caller,
        checked_at,
        admitted: 0,
        _slot: slot,
        api,
    };

    // Nothing is answered before the first bytes: until then a failure has a status.
    let mut first = Vec::new();
    let mut size = 0;
    loop {
        match outgoing.next().await? {
            Some(bytes) => {
                size += bytes.len();
                first.push(bytes);
                if !(short || outgoing.filter.has_all()) || size > SHORT {
                    break;
                }
            }
            None => {
                // It was held until its end.
                outgoing.filter.still_holds().await?;
                let mut headers = counts(outgoing.filter.tally());
                describe(&mut headers, media_type(format), coding);
                return Ok((StatusCode::OK, headers, first.concat()).into_response());
            }
        }
    }
    let mut headers = HeaderMap::new();
    describe(&mut headers, media_type(format), coding);
    headers.insert(header::TRAILER, TRAILERS);
    let first = stream::iter(first.into_iter().map(|bytes| Ok(Frame::data(bytes))));
    let frames = first.chain(stream::try_unfold(Some(outgoing), frame));
    let body = Body::new(StreamBody::new(frames));
    Ok((StatusCode::OK, headers, body).into_response())
}

/// A stream whose answer has begun cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("the stream broke off")]
struct BrokenOff;

/// The next frame of an answer; the last one is its trailers.
async fn frame(
    outgoing: Option<Outgoing>,
) -> Result<Option<(Frame<Bytes>, Option<Outgoing>)>, BrokenOff> {
    let Some(mut outgoing) = outgoing else {
        return Ok(None);
    };
    match outgoing.next().await {
        Ok(Some(bytes)) => Ok(Some((Frame::data(bytes), Some(outgoing)))),
        Ok(None) => Ok(Some((
            Frame::trailers(counts(outgoing.filter.tally())),
            None,
        ))),
        Err(error) => {
            let request_id = outgoing.caller.request_id();
            tracing::warn!(request_id, ?error, "a stream of records broke off");
            Err(BrokenOff)
        }
    }
}

/// What comes out of a stream, for as long as its sender may go on.
struct Outgoing {
    workspace_id: Uuid,
    filter: Filter,
    caller: Caller,
    /// When it was asked last whether the caller still may do this.
    checked_at: DateTime<Utc>,
    /// How many records are within the key's limit.
    admitted: u64,
    _slot: Slot,
    api: Api,
}

impl Outgoing {
    /// The next bytes, never none of them; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            // What was let pass is paid for before the next is judged, and not after it: between
            // its judgement and its release policies may change.
            let read = self.filter.tally().read;
            let key_id = self.caller.principal.key_id;
            let streams = &self.api.streams;
            streams.admit_rows(key_id, read - self.admitted).await;
            self.admitted = read;
            self.filter.fill().await?;
            self.still_allowed().await?;
            match self.filter.pass().await? {
                Some(bytes) if bytes.is_empty() => {}
                out => return Ok(out),
            }
        }
    }

    async fn still_allowed(&mut self) -> Result<(), ApiError> {
        let now = (self.api.clock)();
        if now - self.checked_at >= CHECKED_EVERY {
            let caller = &self.caller;
            caller.still_has_key(&self.api).await?;
            caller
                .member(&self.api, self.workspace_id, PERMISSION)
                .await?;
            self.checked_at = now;
        }
        Ok(())
    }
}

fn describe(headers: &mut HeaderMap, media_type: &'static str, coding: Coding) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(name) = coding.name() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
}

/// What became of the records of a stream.
fn counts(tally: &Tally) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(READ, tally.read.into());
    headers.insert(ALLOWED, tally.allowed.into());
    headers.insert(WITHHELD, tally.withheld.into());
    headers.insert(INVALID, tally.invalid.into());
    if let Some(revision) = tally.revision {
        headers.insert(REVISION, revision.into());
    }
    headers
}
