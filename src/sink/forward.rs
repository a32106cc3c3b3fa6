//! A caller's own request, sent on to a destination within reach.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONNECTION, HeaderMap, HeaderName};
use reqwest::{Client, Method, Request, Response};
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::pace::Pace;
use super::webhook::{check_literal, unsent};
use super::{ConfigReader, SinkError};
use crate::reach::Reach;

/// From the first byte sent to the head of the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// From the first byte sent to the last byte of the answer.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How often percent-encoding within percent-encoding is looked through.
const MOST_DECODED: usize = 8;

/// Headers that belong to a connection; so do all whose name begins with `proxy-`.
const OF_CONNECTION: [&str; 6] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where the records stand in the body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordsAt {
    /// The body is the records, in the format of its content type.
    Body,
    /// In an array of a JSON document, at a JSON pointer (RFC 6901).
    Pointer(String),
    /// In the JSON text of one field of a form.
    FormField {
        /// The field.
        name: String,
        /// Where in that text; `None` if all of it is the records.
        pointer: Option<String>,
    },
}

/// What a destination's configuration says about requests that go through us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// The model that the records belong to.
    pub model_id: Option<Uuid>,
    /// Where the records stand.
    pub records: Option<RecordsAt>,
}

impl Proxied {
    /// With the place that the API of a destination type has for records, if the configuration
    /// names none. Only APIs whose records stand in one flat array are known.
    pub(super) fn or_known(mut self, destination_type: &str) -> Proxied {
        self.records.get_or_insert_with(|| match destination_type {
            "iterable" => RecordsAt::Pointer("/users".into()),
            "mailchimp" => RecordsAt::Pointer("/members".into()),
            _ => RecordsAt::Body,
        });
        self
    }
}

/// Reads the key `proxy` of a configuration.
pub(super) fn read_proxied(reader: &mut ConfigReader<'_>) -> Proxied {
    let given = match reader.value("proxy") {
        None => return Proxied::default(),
        Some(Value::Object(given)) => given,
        Some(_) => {
            reader.fault("proxy", "expected an object with model_id and records");
            return Proxied::default();
        }
    };
    let known = ["model_id", "records"];
    for key in given.keys().filter(|key| !known.contains(&key.as_str())) {
        let message = "unknown key; expected model_id, records";
        reader.fault(&format!("proxy.{key}"), message);
    }
    let present = |key: &str| given.get(key).filter(|value| !value.is_null());
    let model_id = present("model_id").and_then(|value| {
        let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        if id.is_none() {
            reader.fault("proxy.model_id", "expected the UUID of a model");
        }
        id
    });
    let records = present("records").and_then(|value| {
        let place = value.as_object().and_then(place);
        if place.is_none() {
            let message = "expected {\"body\": true}, {\"pointer\": \"/path/to/array\"} or \
                           {\"form_field\": \"name\", \"pointer\": \"/path/to/array\"}; a pointer \
                           begins with a slash";
            reader.fault("proxy.records", message);
        }
        place
    });
    Proxied { model_id, records }
}

fn place(given: &Map<String, Value>) -> Option<RecordsAt> {
    let pointer = match given.get("pointer") {
        None | Some(Value::Null) => None,
        Some(Value::String(pointer)) if is_pointer(pointer) => Some(pointer.clone()),
        Some(_) => return None,
    };
    let keys: Vec<&str> = given.keys().map(String::as_str).collect();
    match keys.as_slice() {
        ["body"] => (given.get("body") == Some(&Value::Bool(true))).then_some(RecordsAt::Body),
        ["pointer"] => pointer.map(RecordsAt::Pointer),
        ["form_field"] | ["form_field", "pointer"] | ["pointer", "form_field"] => {
            let name = given.get("form_field")?.as_str()?;
            (!name.is_empty() && !name.contains('\0')).then(|| RecordsAt::FormField {
                name: name.to_owned(),
                pointer,
            })
        }
        _ => None,
    }
}

/// Whether a text is a JSON pointer to something within a document.
fn is_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    text.starts_with('/')
        && !text.contains('\0')
        && escapes.all(|rest| rest.starts_with(['0', '1']))
}

/// A path that leads out of the destination's base URL, or could be read so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the path leads out of the destination's base URL: it may hold no `.` or `..` segments and no backslashes, percent-encoded ones included"
)]
pub struct LeadsOut;

/// Why a destination gave no answer. The URL, which may hold a secret, is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It did not answer in time.
    #[error("{0}")]
    TimedOut(String),
    /// It could not be reached, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
}

/// A destination that takes callers' requests. What a configuration holds of credentials is not
/// added to them: the callers have their own.
#[derive(Clone)]
pub struct Forward {
    http: Client,
    reach: Reach,
    base: Url,
    proxied: Proxied,
    pace: Arc<Pace>,
}

impl Forward {
    pub(super) fn new(
        http: Client,
        reach: Reach,
        base: Url,
        proxied: Proxied,
        pace: Arc<Pace>,
    ) -> Forward {
        Forward {
            http,
            reach,
            base,
            proxied,
            pace,
        }
    }

    /// The model that the configuration names.
    pub fn model_id(&self) -> Option<Uuid> {
        self.proxied.model_id
    }

    /// Where the records stand in the bodies of requests.
    pub fn records(&self) -> RecordsAt {
        self.proxied.records.clone().unwrap_or(RecordsAt::Body)
    }

    /// The URL of a path below the base, percent-encoded as it came, with the query of the base
    /// and that of the request. Without a path it is that of the base.
    pub fn url(&self, path: Option<&str>, query: Option<&str>) -> Result<Url, LeadsOut> {
        let mut url = self.base.clone();
        url.set_fragment(None);
        if let Some(path) = path {
            if leads_out(path) {
                return Err(LeadsOut);
            }
            let within = format!("{}/", url.path().trim_end_matches('/'));
            url.set_path(&format!("{within}{path}"));
            if !url.path().starts_with(&within) {
                return Err(LeadsOut);
            }
        }
        let queries = [url.query(), query].into_iter().flatten();
        let joined: Vec<_> = queries.filter(|query| !query.is_empty()).collect();
        let joined = joined.join("&");
        url.set_query((!joined.is_empty()).then_some(joined.as_str()));
        Ok(url)
    }

    /// Waits until the destination's limit lets a request with so many records go out.
    pub async fn admit(&self, rows: usize) {
        self.pace.admit(rows).await;
    }

    /// Sends a request and waits for the head of the answer, which may be a redirect: none is
    /// followed. The body of the answer is as the destination sends it.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Unanswered> {
        let host = url.host_str().unwrap_or_default().to_owned();
        check_literal(&self.reach, &url)
            .map_err(|error| Unanswered::Unreachable(error.to_string()))?;
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        *request.timeout_mut() = Some(WHOLE_TIMEOUT);
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.http.execute(request)).await;
        match answer {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let timed_out = error.is_timeout();
                let what = match unsent(&host, &error) {
                    SinkError::Retry { what, .. } | SinkError::Fatal { what } => what,
                    error => error.to_string(),
                };
                Err(match timed_out {
                    true => Unanswered::TimedOut(what),
                    false => Unanswered::Unreachable(what),
                })
            }
            Err(_) => Err(Unanswered::TimedOut(format!(
                "`{host}` did not answer in time"
            ))),
        }
    }
}

/// Whether a path, or what a server behind the destination may make of it, leaves the folder it
/// starts in.
fn leads_out(path: &str) -> bool {
    let mut text = path.as_bytes().to_vec();
    for _ in 0..MOST_DECODED {
        if text.contains(&b'\\') || text.contains(&0) {
            return true;
        }
        let mut segments = text.split(|byte| *byte == b'/');
        // What follows a semicolon are parameters, which some servers take off first.
        let name = |segment: &[u8]| {
            let name = segment.split(|byte| *byte == b';').next();
            matches!(name, Some(b"." | b".."))
        };
        if segments.any(name) {
            return true;
        }
        let decoded = percent_decoded(&text);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    true
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let pair = match (first, after) {
            (b'%', [high, low, ..]) => hex(high).zip(hex(low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                decoded.extend(u8::try_from(high * 16 + low));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

/// The headers of a message that are meant for its last receiver, in their order: without those
/// of the connection, and those that `Connection` names. What tells how to read the body stays,
/// whatever that names: both ends have to read it the same way.
pub fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.starts_with("content-"))
        .collect();
    let stays = |name: &HeaderName| {
        let name = name.as_str();
        !OF_CONNECTION.contains(&name)
            && !name.starts_with("proxy-")
            && !named.iter().any(|named| named == name)
    };
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| stays(name)) {
        kept.append(name.clone(), value.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::super::pace::Pace;
    use super::*;
    use crate::catalog::RateLimit;

    fn read(config: &Value) -> Result<Proxied, Vec<String>> {
        let config = config.as_object().expect("an object");
        let mut reader = ConfigReader::new(config, &["proxy"]);
        let proxied = read_proxied(&mut reader);
        let faults = reader.done(Some(proxied));
        faults.map_err(|faults| faults.into_iter().map(|fault| fault.path).collect())
    }

    #[test]
    fn the_places_of_records_are_read() {
        let field = |pointer: Option<&str>| RecordsAt::FormField {
            name: "payload".into(),
            pointer: pointer.map(str::to_owned),
        };
        for (records, expected) in [
            (json!({"body": true}), RecordsAt::Body),
            (
                json!({"pointer": "/a/b~1c"}),
                RecordsAt::Pointer("/a/b~1c".into()),
            ),
            (json!({"form_field": "payload"}), field(None)),
            (
                json!({"form_field": "payload", "pointer": "/data"}),
                field(Some("/data")),
            ),
        ] {
            let read = read(&json!({"proxy": {"records": records}})).expect("a place");
            assert_eq!(read.records, Some(expected));
        }
    }

    #[test]
    fn a_place_that_is_none_is_a_fault() {
        for records in [
            json!({}),
            json!([]),
            json!("body"),
            json!({"body": false}),
            json!({"body": true, "pointer": "/a"}),
            json!({"pointer": "a"}),
            json!({"pointer": ""}),
            json!({"pointer": "/a~2"}),
            json!({"form_field": ""}),
            json!({"form_field": 1}),
            json!({"header": "x"}),
        ] {
            let read = read(&json!({"proxy": {"records": records}}));
            assert_eq!(
                read,
                Err(vec!["$.config.proxy.records".into()]),
                "{records}"
            );
        }
        assert!(read(&json!({"proxy": 1})).is_err());
        assert!(read(&json!({"proxy": {"modelid": null}})).is_err());
        assert!(read(&json!({"proxy": {"model_id": "customers"}})).is_err());
    }

    #[test]
    fn a_known_api_has_its_place_unless_another_is_named() {
        let place = |kind: &str| Proxied::default().or_known(kind).records;
        assert_eq!(place("webhook"), Some(RecordsAt::Body));
        assert_eq!(
            place("mailchimp"),
            Some(RecordsAt::Pointer("/members".into()))
        );
        let named = Proxied {
            records: Some(RecordsAt::Body),
            model_id: None,
        };
        assert_eq!(named.or_known("mailchimp").records, Some(RecordsAt::Body));
    }

    fn forward(base: &str) -> Forward {
        let pace = Pace::new(RateLimit::default()).expect("a pace");
        Forward::new(
            Client::builder()
                .tls_certs_only([])
                .build()
                .expect("a client"),
            Reach::new(Vec::new(), Vec::new()),
            base.parse().expect("a URL"),
            Proxied::default(),
            Arc::new(pace),
        )
    }

    #[test]
    fn a_path_is_joined_to_the_base_as_it_came() {
        drop(rustls::crypto::ring::default_provider().install_default());
        for (base, path, query, expected) in [
            (
                "https://a.example",
                Some("x/y"),
                None,
                "https://a.example/x/y",
            ),
            (
                "https://a.example/v3/",
                Some("x"),
                Some("b=2"),
                "https://a.example/v3/x?b=2",
            ),
            (
                "https://a.example/v3?a=1",
                Some("x"),
                Some("b=2"),
                "https://a.example/v3/x?a=1&b=2",
            ),
            (
                "https://a.example/v3?a=1",
                None,
                None,
                "https://a.example/v3?a=1",
            ),
            (
                "https://a.example/v3",
                Some(""),
                Some(""),
                "https://a.example/v3/",
            ),
            (
                "https://a.example/v3",
                Some("a%2Fb%20c/%E2%82%AC"),
                None,
                "https://a.example/v3/a%2Fb%20c/%E2%82%AC",
            ),
            (
                "https://a.example",
                Some("/other.example/x"),
                None,
                "https://a.example//other.example/x",
            ),
            (
                "https://a.example",
                Some("@other.example"),
                None,
                "https://a.example/@other.example",
            ),
            (
                "https://a.example",
                Some("..x/x..y/..."),
                None,
                "https://a.example/..x/x..y/...",
            ),
        ] {
            let url = forward(base).url(path, query).expect(expected);
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for path in [
            "..",
            ".",
            "../x",
            "x/../../y",
            "x/.",
            "%2e%2e/x",
            "%2E./x",
            ".%2e",
            "x/%252e%252e/y",
            "..%2fx",
            "x%2f..%2fy",
            "..;a=b/x",
            "x\\y",
            "%5c..%5cx",
            "x%00",
        ] {
            assert!(leads_out(path), "{path}");
        }
    }

    #[test]
    fn headers_of_the_connection_stay_behind_and_the_others_keep_their_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-b", "1"),
            ("connection", "close, X-Hop"),
            ("connection", "content-type"),
            ("x-hop", "1"),
            ("content-type", "text/csv"),
            ("te", "trailers"),
            ("keep-alive", "1"),
            ("proxy-anything", "1"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x"),
            ("x-a", "2"),
            ("x-b", "3"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let kept: Vec<_> = end_to_end(&headers)
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        let expected = [
            ("x-b", "1"),
            ("x-b", "3"),
            ("content-type", "text/csv"),
            ("x-a", "2"),
        ];
        assert_eq!(kept, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}
