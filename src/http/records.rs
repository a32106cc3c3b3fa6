//! `/workspaces/{id}/syncs/{syncId}/records`: records that are sent to be delivered.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream::Fuse;
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::auth::{Caller, Ids, Member};
use super::error::ApiError;
use super::process::Draining;
use super::query::Query;
use super::{Api, idempotency, intake};
use crate::catalog::Run;
use crate::sync::{Begun, Upload};
use crate::wire::stream::{StreamError, feed};

const PERMISSION: &str = "syncs.trigger";
const RUN_ID: HeaderName = HeaderName::from_static("syncguard-run-id");
/// What is still read of a body that is not needed, and how long at most: many clients read an
/// answer only when they have sent everything.
const DISCARDED: usize = 16 << 20;
const DISCARDING: Duration = Duration::from_secs(5);

/// Takes the body's records through the guard to the sync's destination, as a run of the caller.
///
/// It is answered when every record is delivered, rejected, withheld, invalid or on record as
/// failed. An upload that broke off, failed or was blocked and that is sent again with its
/// `Idempotency-Key` goes on as the same run where it stopped; one that succeeded is not done
/// again, however late, and answers its run.
#[utoipa::path(
    post, path = "/workspaces/{id}/syncs/{syncId}/records", tag = "records",
    extensions(("x-permission" = json!("syncs.trigger"))),
    params(
        ("on_invalid" = Option<String>, Query),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body(content(
        ("application/x-ndjson"),
        ("application/json"),
        ("text/csv"),
        ("application/vnd.apache.arrow.stream"),
        ("application/vnd.apache.parquet"),
    )),
    responses((status = 200, body = Run, headers(("Syncguard-Run-Id"), ("Idempotency-Replayed")))),
)]
pub(crate) async fn upload_records(
    State(api): State<Api>,
    draining: Option<Extension<Draining>>,
    caller: Caller,
    Ids((id, sync_id)): Ids<(Uuid, Uuid)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let member = caller.member(&api, id, PERMISSION).await?;
    let sync = api.store.get_sync(member.workspace_id, sync_id).await?;
    let mut query = Query::read(&query.unwrap_or_default());
    let on_invalid = intake::on_invalid(&mut query);
    query.finish()?;
    let (format, coding) = intake::declared(&headers)?;
    let key = match headers.contains_key(&idempotency::KEY) {
        true => Some(idempotency::presented(&headers)?),
        false => None,
    };
    let shutdown = draining.map_or_else(CancellationToken::new, |Extension(Draining(token))| token);
    if shutdown.is_cancelled() {
        return Err(ApiError::unavailable());
    }
    let key_id = caller.principal.key_id;
    let slot = api.streams.enter(key_id)?;
    let (streams, admitting) = (api.streams.clone(), api.clone());
    let body = Lent(Arc::new(Mutex::new(api.streams.body(body).fuse())));
    let upload = Upload {
        body: body.clone().boxed(),
        format,
        coding,
        expansion: api.streams.expansion,
        limits: api.streams.limits,
        on_invalid,
        admit: Box::new(move |rows| {
            let (streams, api, caller) = (streams.clone(), admitting.clone(), caller.clone());
            Box::pin(async move {
                streams.admit_rows(key_id, rows).await;
                let still = match caller.still_has_key(&api).await {
                    Ok(()) => caller.member(&api, id, PERMISSION).await.map(drop),
                    Err(error) => Err(error),
                };
                let why = "whoever sends the records may no longer do so".to_owned();
                still.map_err(|_| StreamError::Broken(why))
            })
        }),
    };
    let work = async move {
        let _slot = slot;
        let answer = deliver(api, member, sync.id, key, upload, shutdown.clone()).await;
        if !shutdown.is_cancelled() {
            discard(body).await;
        }
        answer
    };
    // A caller who hangs up breaks the body, and that ends the run; it is not left halfway.
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => response,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ApiError::unavailable()),
        },
    }
}

async fn deliver(
    api: Api,
    member: Member,
    sync_id: Uuid,
    key: Option<String>,
    upload: Upload,
    shutdown: CancellationToken,
) -> Result<Response, ApiError> {
    let (runner, act) = (&api.runner, &member.act);
    let begun = runner
        .begin_upload(member.workspace_id, sync_id, key.as_deref(), act)
        .await?;
    match begun {
        Begun::Held(held) => {
            let run_id = held.run_id();
            let mut response = match runner.upload(held, upload, shutdown).await {
                Ok(run) => Json(run).into_response(),
                Err(error) => ApiError::from(error).into_response(),
            };
            name_run(&mut response, run_id);
            Ok(response)
        }
        Begun::Done(run) => Ok(receipt(run)),
    }
}

/// The answer that an upload has had before.
fn receipt(run: Run) -> Response {
    let run_id = run.id;
    let mut response = Json(run).into_response();
    name_run(&mut response, run_id);
    let replayed = HeaderValue::from_static("true");
    response
        .headers_mut()
        .insert(idempotency::REPLAYED, replayed);
    response
}

fn name_run(response: &mut Response, run_id: Uuid) {
    if let Ok(run_id) = HeaderValue::from_str(&run_id.to_string()) {
        response.headers_mut().insert(RUN_ID, run_id);
    }
}

/// A body of which somebody else may read what is left.
#[derive(Clone)]
struct Lent(Arc<Mutex<Fuse<feed::Body>>>);

impl Stream for Lent {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(cx)
    }
}

/// Reads what is left of a body, as far as that is reasonable.
async fn discard(mut body: Lent) {
    let read = async {
        let mut left = DISCARDED;
        while let Some(Ok(piece)) = body.next().await
            && left > 0
        {
            left = left.saturating_sub(piece.len());
        }
    };
    // Whoever sends more than that is cut off.
    drop(tokio::time::timeout(DISCARDING, read).await);
}
