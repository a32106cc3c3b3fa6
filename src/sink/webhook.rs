//! Delivery by HTTP: JSON batches, signed, to an address that was judged, and no further.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Map, Value};
use url::{Host, Url};
use uuid::Uuid;

use super::bisect::{Attempt, Outcome, by_halves};
use super::forward::{Proxied, read_proxied};
use super::pace::Pace;
use super::signature::{Secret, delivery_id, sign};
use super::{ConfigReader, Opening, Sink, SinkError, Written, cause, misconfigured};
use crate::catalog::Transport;
use crate::guard::Guarded;
use crate::policy::Fault;
use crate::reach::{Reach, ReachError};
use crate::wire::{self, Format};

const KEYS: [&str; 5] = ["url", "batch_size", "secret", "headers", "proxy"];
const DEFAULT_BATCH_SIZE: usize = 500;
const MOST_BATCH_SIZE: usize = 10_000;
/// From the first byte sent to the last byte received.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer is read so far, for the connection's sake; it is never looked at.
const ANSWER_BYTES: usize = 64 << 10;
/// The longest pause that a destination can ask for.
const MOST_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Headers that belong to the connection or to us, and that no configuration may set.
const RESERVED: [&str; 19] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// The client of all deliveries. It follows no redirect, heeds no proxy of the environment and
/// connects to no address but those that reach resolved.
pub(super) fn client(reach: &Reach) -> Result<Client, SinkError> {
    let builder = || {
        Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Resolver(reach.clone()))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("syncguard/", env!("CARGO_PKG_VERSION")))
    };
    builder()
        .build()
        // A machine without root certificates still delivers by plain HTTP.
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|_| SinkError::fatal("the HTTP client cannot be started: TLS is not available"))
}

struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            // The port of the URL takes the place of this one.
            let addresses = reach.resolve(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

pub(super) struct Settings {
    pub(super) url: Url,
    batch_size: usize,
    secret: Option<Secret>,
    headers: HeaderMap,
    pub(super) proxied: Proxied,
}

pub(super) fn read_config(config: &Map<String, Value>) -> Result<Settings, Vec<Fault>> {
    let mut reader = ConfigReader::new(config, &KEYS);
    let url = reader.text("url").and_then(|text| match checked_url(text) {
        Ok(url) => Some(url),
        Err(message) => {
            reader.fault("url", message);
            None
        }
    });
    let batch_size = match reader.value("batch_size") {
        None => Some(DEFAULT_BATCH_SIZE),
        Some(value) => value.as_u64().and_then(|size| usize::try_from(size).ok()),
    };
    let batch_size = batch_size.filter(|size| (1..=MOST_BATCH_SIZE).contains(size));
    if batch_size.is_none() {
        reader.fault(
            "batch_size",
            format!("expected a whole number from 1 to {MOST_BATCH_SIZE}"),
        );
    }
    let secret = reader.optional_text("secret").and_then(|text| {
        let secret = Secret::parse(text);
        if secret.is_none() {
            reader.fault("secret", "expected `whsec_` and base64, or plain text");
        }
        secret
    });
    let headers = read_headers(&mut reader);
    let proxied = read_proxied(&mut reader);
    let settings = url.zip(batch_size);
    reader.done(settings.map(|(url, batch_size)| Settings {
        url,
        batch_size,
        secret,
        headers,
        proxied,
    }))
}

/// What a connection of this configuration would be.
pub(super) fn transport(config: &Map<String, Value>) -> Transport {
    let url = config.get("url").and_then(Value::as_str);
    let url = url.and_then(|text| checked_url(text).ok());
    let encrypted = url.as_ref().is_some_and(|url| url.scheme() == "https");
    let host = url.as_ref().and_then(Url::host_str);
    Transport {
        hosts: host.map(str::to_owned).into_iter().collect(),
        encrypted,
        verified: encrypted,
    }
}

pub(super) fn checked_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "expected a URL such as https://example.com/hook")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("expected the scheme http or https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user name or password does not belong into the URL");
    }
    match url.host() {
        Some(Host::Domain("")) | None => Err("expected a host in the URL"),
        Some(_) => Ok(url),
    }
}

fn read_headers(reader: &mut ConfigReader<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let given = match reader.value("headers") {
        None => return headers,
        Some(Value::Object(given)) => given,
        Some(_) => {
            reader.fault(
                "headers",
                "expected an object of header names and their values",
            );
            return headers;
        }
    };
    for (name, value) in given {
        let key = format!("headers.{name}");
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            reader.fault(&key, "is no name of a header");
            continue;
        };
        if RESERVED.contains(&header.as_str()) {
            reader.fault(
                &key,
                "this header is set by syncguard, or belongs to the connection",
            );
            continue;
        }
        let Some(mut text) = value
            .as_str()
            .and_then(|text| HeaderValue::from_str(text).ok())
        else {
            reader.fault(&key, "expected text that fits on one header line");
            continue;
        };
        text.set_sensitive(true);
        if headers.insert(header, text).is_some() {
            reader.fault(&key, "this header is given twice");
        }
    }
    headers
}

pub(super) async fn check_config(config: &Map<String, Value>, reach: &Reach) -> Vec<Fault> {
    let settings = match read_config(config) {
        Ok(settings) => settings,
        Err(faults) => return faults,
    };
    let port = settings.url.port_or_known_default().unwrap_or(443);
    match reach
        .resolve(settings.url.host_str().unwrap_or_default(), port)
        .await
    {
        Ok(_) => Vec::new(),
        Err(error) => vec![Fault::new("$.config.url", error.to_string())],
    }
}

pub(super) struct WebhookSink {
    http: Client,
    reach: Reach,
    settings: Settings,
    run_id: Uuid,
    pace: Arc<Pace>,
}

pub(super) fn open(
    config: &Map<String, Value>,
    reach: &Reach,
    http: Client,
    opening: &Opening<'_>,
    pace: Arc<Pace>,
) -> Result<WebhookSink, SinkError> {
    let settings = read_config(config).map_err(|faults| misconfigured(&faults))?;
    wire::check_schema(Format::Json, &opening.schema)
        .map_err(|error| SinkError::Config(error.to_string()))?;
    let sink = WebhookSink {
        http,
        reach: reach.clone(),
        settings,
        run_id: opening.run_id,
        pace,
    };
    check_literal(&sink.reach, &sink.settings.url)?;
    Ok(sink)
}

/// Judges a host that is an address, for which no resolver is asked.
pub(super) fn check_literal(reach: &Reach, url: &Url) -> Result<(), ReachError> {
    match url.host() {
        Some(Host::Ipv4(ip)) => reach.check_address(ip.into()),
        Some(Host::Ipv6(ip)) => reach.check_address(ip.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

/// What a failed request to a host means. Its own text tells the URL, which may hold a secret.
pub(super) fn unsent(host: &str, error: &reqwest::Error) -> SinkError {
    match cause::<ReachError>(error) {
        Some(unresolved @ ReachError::Unresolved(_)) => {
            return SinkError::retry(unresolved.to_string());
        }
        Some(forbidden) => return SinkError::Forbidden(forbidden.clone()),
        None => {}
    }
    if let Some(rustls::Error::InvalidCertificate(_)) = cause::<rustls::Error>(error) {
        return SinkError::fatal(format!(
            "the certificate of `{host}` is not valid, or not of an authority this machine trusts"
        ));
    }
    if error.is_builder() {
        return SinkError::fatal(format!("no request can be made to `{host}`"));
    }
    let kind = cause::<std::io::Error>(error).map(std::io::Error::kind);
    SinkError::retry(match kind {
        _ if error.is_timeout() => format!("`{host}` did not answer in time"),
        Some(kind) if error.is_connect() => format!("`{host}` cannot be connected to: {kind}"),
        None if error.is_connect() => format!("`{host}` cannot be connected to"),
        Some(kind) => format!("the connection to `{host}` broke: {kind}"),
        None => format!("the connection to `{host}` broke"),
    })
}

impl WebhookSink {
    async fn send(&self, place: u64, body: Vec<u8>) -> Result<Response, SinkError> {
        check_literal(&self.reach, &self.settings.url)?;
        let id = delivery_id(self.run_id, place, &body);
        let mut request = self
            .http
            .post(self.settings.url.clone())
            .headers(self.settings.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("idempotency-key", &id);
        let timestamp = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        request = request.header("webhook-timestamp", timestamp);
        if let Some(secret) = &self.settings.secret {
            request = request.header("webhook-signature", sign(&id, timestamp, &body, secret));
        }
        request
            .body(body)
            .send()
            .await
            .map_err(|error| unsent(self.host(), &error))
    }

    fn host(&self) -> &str {
        self.settings.url.host_str().unwrap_or_default()
    }

    fn judged(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        let host = self.host();
        let fatal = |what: &str| Outcome::Stopped(SinkError::fatal(format!("`{host}` {what}")));
        match status.as_u16() {
            200..=299 => Outcome::Delivered,
            400 | 413 | 422 => Outcome::Refused(format!("HTTP {}", status.as_u16())),
            // A conflict is the first delivery of the same key, still being worked on.
            408 | 409 | 425 | 429 | 500..=599 => Outcome::Stopped(SinkError::Retry {
                what: format!("`{host}` answered HTTP {}", status.as_u16()),
                after: headers
                    .get(RETRY_AFTER)
                    .and_then(|value| pause(value, Utc::now(), MOST_PATIENCE)),
            }),
            300..=399 => fatal("redirects, which is not followed: put the final URL into `url`"),
            401 | 403 => fatal(&format!(
                "answered HTTP {}: it does not accept the credentials in `headers` or `secret`",
                status.as_u16()
            )),
            404 | 410 => fatal(&format!(
                "answered HTTP {}: nothing takes records at the path of `url`",
                status.as_u16()
            )),
            code => fatal(&format!(
                "answered HTTP {code}, which is no answer to a delivery"
            )),
        }
    }
}

#[async_trait]
impl Attempt for WebhookSink {
    async fn attempt(&mut self, rows: &Guarded) -> Outcome {
        let body = match wire::json_array(rows.batch()) {
            Ok(body) => body,
            Err(error @ wire::WireError::Value { .. }) => {
                return Outcome::Refused(error.to_string());
            }
            Err(error) => return Outcome::Stopped(SinkError::fatal(error.to_string())),
        };
        self.pace.admit(rows.num_rows()).await;
        let response = match self.send(rows.place(), body).await {
            Ok(response) => response,
            Err(error) => return Outcome::Stopped(error),
        };
        let outcome = self.judged(response.status(), response.headers());
        drain(response).await;
        outcome
    }
}

#[async_trait]
impl Sink for WebhookSink {
    fn batch_rows(&self) -> usize {
        self.pace.batch_rows(self.settings.batch_size)
    }

    fn is_atomic(&self) -> bool {
        false
    }

    async fn write(&mut self, rows: &Guarded) -> Written {
        by_halves(self, rows).await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Reads an answer to its end so that the connection can be used again, unless it is long.
pub(super) async fn drain(response: Response) {
    let mut left = ANSWER_BYTES;
    let mut body = response.bytes_stream();
    while let Some(Ok(chunk)) = body.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}

/// The pause that `Retry-After` asks for: seconds, or the date of its end; at most `most`.
pub(super) fn pause(value: &HeaderValue, now: DateTime<Utc>, most: Duration) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let end = DateTime::parse_from_rfc2822(text).ok()?;
            (end.to_utc() - now).to_std().unwrap_or_default()
        }
    };
    Some(pause.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_of(text: &str) -> Option<u64> {
        let now = DateTime::parse_from_rfc3339("2026-11-21T12:00:00Z")
            .expect("now")
            .to_utc();
        let value = HeaderValue::from_str(text).expect("value");
        pause(&value, now, MOST_PATIENCE).map(|pause| pause.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_capped() {
        assert_eq!(pause_of("7"), Some(7));
        assert_eq!(pause_of("Sat, 21 Nov 2026 12:01:30 GMT"), Some(90));
        assert_eq!(pause_of("Sat, 21 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(pause_of("86400"), Some(300));
        assert_eq!(pause_of("Sun, 22 Nov 2026 12:00:00 GMT"), Some(300));
        assert_eq!(pause_of("soon"), None);
        assert_eq!(pause_of("-1"), None);
    }
}
