//! `ANY /proxy/{workspaceId}/{destinationId}/{path}`: a request that goes on to a destination
//! with the forbidden records taken out of its body.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response as HttpResponse, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http_body_util::BodyExt;
use serde_json::json;
use uuid::Uuid;

use super::Api;
use super::auth::{Caller, Member};
use super::error::ApiError;
use super::intake;
use super::trace::AsItIs;
use crate::audit::Event;
use crate::catalog::{Destination, Model};
use crate::proxy::Subject;
use crate::proxy::transparent::{Bounds, Judged, Whole};
use crate::sink::forward::{Forward, RecordsAt, Unanswered, end_to_end};
use crate::store::StoreError;
use crate::telemetry;
use crate::wire::Format;
use crate::wire::stream::coding::Coding;

const PERMISSION: &str = "syncs.trigger";
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const MODEL: HeaderName = HeaderName::from_static("syncguard-model");
const READ: HeaderName = HeaderName::from_static("syncguard-read");
const ALLOWED: HeaderName = HeaderName::from_static("syncguard-allowed");
const WITHHELD: HeaderName = HeaderName::from_static("syncguard-withheld");
const REVISION: HeaderName = HeaderName::from_static("syncguard-policy-revision");
const FORWARDED: HeaderName = HeaderName::from_static("syncguard-forwarded");
/// What an answer tells of us; from a destination it would not be true.
static OURS: [HeaderName; 5] = [READ, ALLOWED, WITHHELD, REVISION, FORWARDED];

/// Headers of a request that are made anew for the destination, or are meant for us.
static REMADE: [HeaderName; 4] = [header::HOST, header::CONTENT_LENGTH, header::EXPECT, MODEL];
/// Headers that a changed body makes untrue.
static DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];
/// Methods that send no records where they have no body.
const ASKING: [Method; 4] = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE];

/// The headers of a request that go on to the destination, in their order.
#[derive(Clone, Debug)]
struct GoingOn(HeaderMap);

/// Tells our key from the destination's credentials, before the caller is known: with an
/// `X-API-Key` that is ours, and `Authorization` belongs to the destination. Otherwise
/// `Authorization` is ours.
pub(super) async fn tell_keys_apart(mut request: Request, next: Next) -> Response {
    let sent = request.headers();
    let key = sent.get(&API_KEY).map(|key| key.as_bytes().to_vec());
    let is_ours = |name: &HeaderName, value: &HeaderValue| match &key {
        None => *name == header::AUTHORIZATION,
        // Whoever sends our key in both places does not mean it for the destination.
        Some(key) => {
            let token = value.as_bytes().rsplit(|byte| *byte == b' ').next();
            *name == API_KEY || token == Some(key)
        }
    };
    let mut going_on = HeaderMap::with_capacity(sent.len());
    for (name, value) in end_to_end(sent).iter() {
        if !is_ours(name, value) && !REMADE.contains(name) {
            going_on.append(name.clone(), value.clone());
        }
    }
    if key.is_some() {
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    request.extensions_mut().insert(GoingOn(going_on));
    next.run(request).await
}

/// Sends a request on to a destination, without the records that policies withhold. Of the
/// destination's answer nothing is changed.
pub(crate) async fn forward(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (workspace_id, destination_id, path) = place(parts.uri.path())?;
    let member = caller.member(&api, workspace_id, PERMISSION).await?;
    let destination = api
        .store
        .get_destination(member.workspace_id, destination_id)
        .await?;
    let to = api.sinks.forward(&destination);
    let to = to.map_err(|error| ApiError::conflict(error.to_string()))?;
    let url = to.url(path, parts.uri.query());
    let url = url.map_err(|error| ApiError::malformed(error.to_string()))?;
    let key_id = caller.principal.key_id;
    let _slot = api.streams.enter(key_id)?;
    let bytes = whole_body(&api, body).await?;
    let GoingOn(mut headers) = parts
        .extensions
        .get::<GoingOn>()
        .cloned()
        .ok_or_else(|| ApiError::internal(&"the headers were not told apart"))?;

    if bytes.is_empty() {
        if !ASKING.contains(&parts.method) {
            let message = "there is no body with records, which this method is expected to send";
            return Err(ApiError::fault("$body", message));
        }
        to.admit(0).await;
        let answer = to.send(parts.method, url, headers, bytes).await;
        return Ok(passed_back(answer.map_err(unanswered)?, None));
    }

    let subject = Subject {
        passage_id: (api.new_id)(),
        model: model(&api, &member, &to, &parts.headers).await?,
        destination_type: destination.destination_type.clone(),
        account_id: member.account_id,
        now: (api.clock)(),
    };
    let (format, coding) = declared(&to.records(), &parts.headers)?;
    let whole = Whole {
        bytes,
        coding,
        format,
        records: to.records(),
    };
    let bounds = Bounds {
        limits: api.streams.limits,
        expansion: api.streams.expansion,
        whole_bytes: api.streams.whole_body_bytes(),
    };
    let mut judged = api.proxy.judge(&subject, &whole, bounds).await?;
    api.streams.admit_rows(key_id, judged.tally.read).await;
    if judged.body.is_some() {
        let rows = usize::try_from(judged.tally.allowed).unwrap_or(usize::MAX);
        to.admit(rows).await;
        caller.still_has_key(&api).await?;
        caller.member(&api, member.workspace_id, PERMISSION).await?;
        // What was committed during the wait governs this request, too.
        if !api.proxy.still_holds(&subject, &judged).await? {
            judged = api.proxy.judge(&subject, &whole, bounds).await?;
        }
    }
    drop(whole);
    note(&api, &caller, &destination, &subject.model, &judged).await?;
    let Some(body) = judged.body.clone() else {
        return Ok(kept_back(&judged));
    };
    // To write that down may have been waited for, too.
    if !api.proxy.still_holds(&subject, &judged).await? {
        let message = "the policies changed while the request was judged: send it again";
        return Err(ApiError::conflict(message));
    }
    if judged.changed {
        DIGESTS.iter().for_each(|name| drop(headers.remove(name)));
    }
    let answer = to.send(parts.method, url, headers, body).await;
    let outcome = match &answer {
        Ok(answer) if answer.status().is_success() => "delivered",
        Ok(_) => "rejected",
        Err(_) => "failed",
    };
    count(&destination, outcome, judged.tally.allowed);
    Ok(passed_back(answer.map_err(unanswered)?, Some(&judged)))
}

/// The workspace and the destination of a path, and the rest of it as it came.
fn place(path: &str) -> Result<(Uuid, Uuid, Option<&str>), ApiError> {
    let mut parts = path.splitn(5, '/').skip(2);
    let mut id = || Uuid::try_parse(parts.next()?).ok();
    let ids = id().zip(id());
    let (workspace, destination) = ids.ok_or_else(|| ApiError::not_found("object"))?;
    Ok((workspace, destination, parts.next()))
}

/// A body, as it came, within what may be held of it.
async fn whole_body(api: &Api, body: Body) -> Result<Bytes, ApiError> {
    let most = api.streams.whole_body_bytes();
    let mut pieces = api.streams.body(body);
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| intake::stream_error(&error))?;
        if whole.len().saturating_add(piece.len()) > most {
            return Err(ApiError::too_large(most));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

/// The format of the records in a body, and how it is compressed.
fn declared(records: &RecordsAt, headers: &HeaderMap) -> Result<(Format, Coding), ApiError> {
    let expected = match records {
        RecordsAt::Body => return intake::declared(headers),
        RecordsAt::Pointer(_) => "application/json",
        RecordsAt::FormField { .. } => "application/x-www-form-urlencoded",
    };
    let is_expected = |value: &str| {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_json = matches!(records, RecordsAt::Pointer(_)) && name.ends_with("+json");
        (name == expected || is_json) && intake::is_utf8(parts)
    };
    match intake::only(headers, &header::CONTENT_TYPE).is_some_and(is_expected) {
        true => Ok((Format::Json, intake::coding(headers)?)),
        false => Err(ApiError::unsupported(format!(
            "Content-Type: expected {expected} in UTF-8, where the destination's configuration \
             says the records are"
        ))),
    }
}

/// The model that the records belong to: that of the configuration, else that of the request.
async fn model(
    api: &Api,
    member: &Member,
    to: &Forward,
    headers: &HeaderMap,
) -> Result<Model, ApiError> {
    const HEADER: &str = "$header.Syncguard-Model";
    let named = match headers.contains_key(&MODEL) {
        true => Some(named_model(api, member, headers).await?),
        false => None,
    };
    match (to.model_id(), named) {
        (None, Some(named)) => Ok(named),
        (None, None) => Err(ApiError::fault(
            HEADER,
            "name the model that the records belong to, here or as proxy.model_id in the \
             destination's configuration: its policies apply",
        )),
        (Some(id), Some(named)) if named.id != id => Err(ApiError::fault(
            HEADER,
            "the destination's configuration names another model: leave the header out",
        )),
        (Some(_), Some(named)) => Ok(named),
        (Some(id), None) => match api.store.get_model(member.workspace_id, id).await {
            Err(StoreError::NotFound(_)) => Err(ApiError::conflict(
                "the model that proxy.model_id of the destination's configuration names is not \
                 there any more: name another",
            )),
            found => Ok(found?),
        },
    }
}

async fn named_model(api: &Api, member: &Member, headers: &HeaderMap) -> Result<Model, ApiError> {
    const HEADER: &str = "$header.Syncguard-Model";
    let mut values = headers.get_all(&MODEL).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::malformed(
            "Syncguard-Model: expected one header with the id or name of a model",
        ));
    };
    // Names may hold any character.
    let text = str::from_utf8(value.as_bytes()).unwrap_or_default().trim();
    let models = api.store.list_models(member.workspace_id).await?;
    let id = Uuid::try_parse(text).ok();
    let by_id = models.iter().find(|model| Some(model.id) == id);
    let found = by_id.or_else(|| models.iter().find(|model| model.name == text));
    found
        .cloned()
        .ok_or_else(|| ApiError::fault(HEADER, "there is no such model"))
}

/// Puts a judgement on record before anything follows from it.
async fn note(
    api: &Api,
    caller: &Caller,
    destination: &Destination,
    model: &Model,
    judged: &Judged,
) -> Result<(), ApiError> {
    let tally = &judged.tally;
    let counts = json!({
        "model_id": model.id,
        "destination_type": destination.destination_type,
        "read": tally.read,
        "allowed": tally.allowed,
        "withheld": tally.withheld,
        "withheld_by": tally.withheld_by,
        "forwarded": judged.body.is_some(),
    });
    let event = Event {
        action: "destination.proxy".into(),
        revision: Some(judged.revision),
        ..Event::of("destination", Some(destination.id), None, Some(&counts))
    };
    let act = caller.act(api);
    let workspace = Some(destination.workspace_id);
    api.store.record(workspace, &act, &event).await?;
    count(destination, "withheld", tally.withheld);
    Ok(())
}

fn count(destination: &Destination, outcome: &'static str, rows: u64) {
    if rows > 0 {
        metrics::counter!(
            telemetry::ROWS_TOTAL,
            telemetry::OUTCOME => outcome,
            telemetry::DESTINATION_TYPE => destination.destination_type.clone()
        )
        .increment(rows);
    }
}

/// Says in headers what became of the records.
fn tell(headers: &mut HeaderMap, judged: &Judged) {
    headers.insert(READ, judged.tally.read.into());
    headers.insert(ALLOWED, judged.tally.allowed.into());
    headers.insert(WITHHELD, judged.tally.withheld.into());
    headers.insert(REVISION, judged.revision.into());
}

/// The answer where no record is left: the destination knows nothing of the request.
fn kept_back(judged: &Judged) -> Response {
    let tally = &judged.tally;
    let summary = json!({
        "read": tally.read,
        "allowed": tally.allowed,
        "withheld": tally.withheld,
        "withheld_by": tally.withheld_by,
        "policy_revision": judged.revision,
        "forwarded": false,
    });
    let mut response = Json(json!({"syncguard": summary})).into_response();
    let headers = response.headers_mut();
    tell(headers, judged);
    headers.insert(FORWARDED, HeaderValue::from_static("false"));
    response
}

/// The destination's answer as it is, with what became of the records.
fn passed_back(answer: reqwest::Response, judged: Option<&Judged>) -> Response {
    let (parts, body) = HttpResponse::<reqwest::Body>::from(answer).into_parts();
    let mut headers = end_to_end(&parts.headers);
    for name in &OURS {
        headers.remove(name);
    }
    if let Some(judged) = judged {
        tell(&mut headers, judged);
    }
    headers.insert(FORWARDED, HeaderValue::from_static("true"));
    // An error's text would tell the URL.
    let body = body.map_err(reqwest::Error::without_url);
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    response.extensions_mut().insert(AsItIs);
    response
}

fn unanswered(error: Unanswered) -> ApiError {
    match error {
        Unanswered::TimedOut(what) => ApiError::gateway_timeout(what),
        Unanswered::Unreachable(what) => ApiError::bad_gateway(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_as_it_came() {
        let id = "01900000-0000-7000-8000-00000000dead";
        let rest = |tail: &str| {
            let path = format!("/proxy/{id}/{id}{tail}");
            place(&path)
                .ok()
                .map(|(_, _, rest)| rest.map(str::to_owned))
        };
        assert_eq!(rest(""), Some(None));
        assert_eq!(rest("/"), Some(Some(String::new())));
        assert_eq!(rest("/a%2Fb//c/"), Some(Some("a%2Fb//c/".into())));
        assert!(place(&format!("/proxy/{id}/x/y")).is_err());
        assert!(place("/proxy/x").is_err());
    }

    #[test]
    fn a_type_that_does_not_fit_the_place_of_the_records_is_refused() {
        let field = RecordsAt::FormField {
            name: "payload".into(),
            pointer: None,
        };
        let pointer = RecordsAt::Pointer("/users".into());
        let form = "application/x-www-form-urlencoded";
        for (records, content_type, fits) in [
            (&pointer, "application/json", true),
            (&pointer, "Application/JSON; charset=UTF-8", true),
            (&pointer, "application/vnd.api+json", true),
            (&pointer, "application/json; charset=utf-16", false),
            (&pointer, form, false),
            (&pointer, "", false),
            (&field, form, true),
            (&field, "application/json", false),
            (&field, "multipart/form-data; boundary=x", false),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_static(content_type);
            headers.insert(header::CONTENT_TYPE, value.clone());
            assert_eq!(declared(records, &headers).is_ok(), fits, "{content_type}");
            headers.append(header::CONTENT_TYPE, value);
            assert!(declared(records, &headers).is_err(), "twice");
        }
    }
}
