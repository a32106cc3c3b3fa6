//! Streams of records as they come in: what they are declared to be, and what they may ask of the
//! server. Every route that takes one reads it by this.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderName, header};
use futures::{Stream, StreamExt};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::Sleep;
use uuid::Uuid;

use super::error::ApiError;
use super::query::Query;
use crate::config;
use crate::guard::GuardError;
use crate::wire::Format;
use crate::wire::stream::coding::{Coding, Expansion};
use crate::wire::stream::{Limits, OnInvalid, StreamError, feed};

/// The types of bodies that hold records.
const MEDIA_TYPES: [(Format, &str); 5] = [
    (Format::Ndjson, "application/x-ndjson"),
    (Format::Json, "application/json"),
    (Format::Csv, "text/csv"),
    (Format::ArrowStream, "application/vnd.apache.arrow.stream"),
    (Format::Parquet, "application/vnd.apache.parquet"),
];
/// How long a body may be waited for before its rate is looked at.
const GRACE: Duration = Duration::from_secs(10);

/// The type of a body in a format.
pub(crate) fn media_type(format: Format) -> &'static str {
    let known = MEDIA_TYPES.iter().find(|(known, _)| *known == format);
    known.map_or("application/octet-stream", |(_, name)| name)
}

/// What the headers of a request declare its body to be. Nothing is guessed from the body.
///
/// Errors: 415 for any other type or coding, and for none.
pub(crate) fn declared(headers: &HeaderMap) -> Result<(Format, Coding), ApiError> {
    Ok((format(headers)?, coding(headers)?))
}

fn format(headers: &HeaderMap) -> Result<Format, ApiError> {
    let found = only(headers, &header::CONTENT_TYPE).and_then(|value| {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next()?;
        let (format, _) = MEDIA_TYPES
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name))?;
        let is_text = !matches!(format, Format::ArrowStream | Format::Parquet);
        (!is_text || is_utf8(parts)).then_some(*format)
    });
    found.ok_or_else(|| {
        let known = MEDIA_TYPES.map(|(_, name)| name).join(", ");
        ApiError::unsupported(format!(
            "Content-Type: expected one of {known}; text is UTF-8"
        ))
    })
}

pub(crate) fn coding(headers: &HeaderMap) -> Result<Coding, ApiError> {
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(Coding::Identity);
    }
    let found = only(headers, &header::CONTENT_ENCODING)
        .and_then(|name| Coding::from_name(&name.trim().to_ascii_lowercase()));
    found.ok_or_else(|| {
        ApiError::unsupported("Content-Encoding: expected one of gzip, zstd, identity")
    })
}

/// Whether the parameters of a media type name no other charset than UTF-8.
pub(crate) fn is_utf8<'a>(parameters: impl Iterator<Item = &'a str>) -> bool {
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        // `charset*` is the extended form of it.
        .filter(|(key, _)| {
            let key = key.trim().trim_end_matches('*');
            key.eq_ignore_ascii_case("charset")
        })
        .all(|(_, charset)| {
            let charset = charset.trim().trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8")
        })
}

/// The value of a header that comes once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The parameter `on_invalid`: what happens at a record that is not well-formed.
pub(crate) fn on_invalid(query: &mut Query) -> OnInvalid {
    let given = query.take("on_invalid", "reject or abort", |text| match text {
        "reject" => Some(OnInvalid::Reject),
        "abort" => Some(OnInvalid::Abort),
        _ => None,
    });
    given.unwrap_or_default()
}

/// What a stream that cannot go on tells whoever sent it, as long as nothing was answered.
pub(crate) fn stream_error(error: &StreamError) -> ApiError {
    match error {
        StreamError::Invalid(_) | StreamError::Malformed { .. } => {
            ApiError::malformed(error.to_string())
        }
        StreamError::Limit { .. } => ApiError::beyond_limit(error.to_string()),
        StreamError::Columns(names) => {
            let fault = |name: &String| {
                let message = "the records lack this column, which policies read";
                crate::policy::Fault::new(format!("$.{name}"), message)
            };
            ApiError::invalid(names.iter().map(fault).collect())
        }
        StreamError::Broken(message) => ApiError::broken_off(message),
        StreamError::Guard(error @ (GuardError::Schema { .. } | GuardError::Column(_))) => {
            ApiError::conflict(error.to_string())
        }
        StreamError::Guard(GuardError::Engine) | StreamError::Wire(_) | StreamError::Io(_) => {
            ApiError::internal(error)
        }
    }
}

/// What streams of records may ask of the server. Clones count together.
#[derive(Clone)]
pub struct Streams {
    /// Of the records in a stream.
    pub(crate) limits: Limits,
    /// Of compressed streams.
    pub(crate) expansion: Expansion,
    /// Of the bytes as they come in.
    pub(crate) bounds: config::Streams,
    /// How many streams each key has open.
    open: Arc<Mutex<HashMap<Uuid, u32>>>,
    rows: Option<Rows>,
}

/// How many records each key may send.
#[derive(Clone)]
struct Rows {
    per_second: NonZeroU32,
    keys: Arc<DefaultKeyedRateLimiter<Uuid>>,
}

impl Streams {
    /// Streams within these limits.
    pub fn new(bounds: config::Streams, limits: Limits, expansion: Expansion) -> Streams {
        let rows = NonZeroU32::new(bounds.rows_per_second).map(|per_second| Rows {
            per_second,
            keys: Arc::new(RateLimiter::keyed(Quota::per_second(per_second))),
        });
        Streams {
            limits,
            expansion,
            bounds,
            open: Arc::default(),
            rows,
        }
    }

    /// How many bytes of a body may be held in memory as a whole.
    pub(crate) fn whole_body_bytes(&self) -> usize {
        usize::try_from(self.bounds.whole_body_bytes).unwrap_or(usize::MAX)
    }

    /// The body of a request, which ends with an error where it is too long, comes too slowly or
    /// breaks off.
    pub(crate) fn body(&self, body: Body) -> feed::Body {
        let announced = body.size_hint().lower();
        Incoming {
            body: body.into_data_stream(),
            pace: Pace::new(&self.bounds),
            most: self.bounds.stream_body_bytes,
            bytes: announced,
            looked: None,
            alarm: Box::pin(tokio::time::sleep(self.idle())),
            state: State::Begins,
        }
        .boxed()
    }

    /// Takes one of the streams that a key may have open at once.
    ///
    /// Errors: 429 beyond that.
    pub(crate) fn enter(&self, key_id: Uuid) -> Result<Slot, ApiError> {
        let most = self.bounds.streams_per_key;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key_id).or_default();
        if *count >= most {
            return Err(ApiError::too_many_streams(most));
        }
        *count += 1;
        Ok(Slot {
            key_id,
            open: Arc::clone(&self.open),
        })
    }

    /// Waits until a key may have sent so many more records.
    pub(crate) async fn admit_rows(&self, key_id: Uuid, rows: u64) {
        let Some(limit) = &self.rows else { return };
        let mut left = rows;
        while left > 0 {
            let most = limit.per_second.get();
            let some = u32::try_from(left).map_or(most, |left| left.min(most));
            left -= u64::from(some);
            // It refuses only more than there can ever be.
            if let Some(some) = NonZeroU32::new(some) {
                let _ = limit.keys.until_key_n_ready(&key_id, some).await;
            }
        }
    }

    /// Longest wait for bytes that come in, or for somebody to take those that go out.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.bounds.idle_seconds)
    }

    /// How long the head of a request may take, and how long a connection may be idle.
    pub(crate) fn head_patience(&self) -> Duration {
        Duration::from_secs(self.bounds.header_seconds)
    }

    /// Forgets the keys that have their whole limit again.
    pub(super) fn forget_idle(&self) {
        if let Some(limit) = &self.rows {
            limit.keys.retain_recent();
            limit.keys.shrink_to_fit();
        }
    }
}

/// One of the streams that a key has open, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    key_id: Uuid,
    open: Arc<Mutex<HashMap<Uuid, u32>>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key_id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key_id);
            }
        }
    }
}

/// A body within its bounds.
struct Incoming {
    body: BodyDataStream,
    pace: Pace,
    most: u64,
    /// Before the first look, the bytes that were announced; then those that have come.
    bytes: u64,
    /// When it was looked at last, while it is waited for.
    looked: Option<Instant>,
    /// Wakes whoever waits, to look again.
    alarm: Pin<Box<Sleep>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    Comes,
    Ended,
}

impl Incoming {
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        let limit = StreamError::Limit {
            what: "bytes in one body",
            most: self.most,
        };
        if self.state == State::Begins {
            if self.bytes > self.most {
                return Poll::Ready(Some(Err(limit)));
            }
            self.bytes = 0;
            self.state = State::Comes;
        }
        let now = Instant::now();
        if let Some(last) = self.looked.replace(now) {
            self.pace.waited(now.saturating_duration_since(last));
        }
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                self.looked = None;
                self.bytes += piece.len() as u64;
                self.pace.came(piece.len() as u64);
                match self.bytes > self.most {
                    true => Poll::Ready(Some(Err(limit))),
                    false => Poll::Ready(Some(Ok(piece))),
                }
            }
            Poll::Ready(Some(Err(_))) => {
                let what = "the body broke off before its end: send the whole of it again";
                Poll::Ready(Some(Err(StreamError::Broken(what.to_owned()))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.pace.fault() {
                Some(fault) => Poll::Ready(Some(Err(StreamError::Broken(fault)))),
                None => {
                    let next = tokio::time::Instant::now() + self.pace.tick;
                    self.alarm.as_mut().reset(next);
                    match self.alarm.as_mut().poll(cx) {
                        Poll::Pending => {}
                        Poll::Ready(()) => cx.waker().wake_by_ref(),
                    }
                    Poll::Pending
                }
            },
        }
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.state == State::Ended {
            return Poll::Ready(None);
        }
        let seen = this.look(cx);
        if matches!(seen, Poll::Ready(None | Some(Err(_)))) {
            this.state = State::Ended;
        }
        seen
    }
}

/// How fast a body comes. Only the time counts in which somebody waits for it: as long as the
/// server does something else, its sender cannot go on.
struct Pace {
    idle: Duration,
    least: u64,
    /// While somebody waits, the body is looked at so often; longer between two looks nobody did.
    tick: Duration,
    bytes: u64,
    /// In all.
    waited: Duration,
    /// Since the last bytes came.
    silent: Duration,
}

impl Pace {
    fn new(bounds: &config::Streams) -> Pace {
        let idle = Duration::from_secs(bounds.idle_seconds);
        Pace {
            idle,
            least: bounds.least_bytes_per_second,
            tick: (idle / 4).min(Duration::from_secs(1)),
            bytes: 0,
            waited: Duration::ZERO,
            silent: Duration::ZERO,
        }
    }

    fn came(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.silent = Duration::ZERO;
    }

    fn waited(&mut self, since: Duration) {
        // A busy machine looks a little late.
        let time = since.min(self.tick * 2);
        self.waited += time;
        self.silent += time;
    }

    fn fault(&self) -> Option<String> {
        if self.silent >= self.idle {
            let seconds = self.idle.as_secs();
            return Some(format!(
                "no byte of the body came for {seconds} seconds: send it without such a pause"
            ));
        }
        let seconds = self.waited.as_secs();
        if self.waited >= GRACE && self.bytes < self.least.saturating_mul(seconds) {
            let least = self.least;
            return Some(format!(
                "the body came with less than {least} bytes a second: send it faster"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn streams(bounds: config::Streams) -> Streams {
        let expansion = Expansion {
            bytes: 1 << 20,
            ratio: 1_000,
        };
        Streams::new(bounds, Limits::default(), expansion)
    }

    #[test]
    fn a_format_is_what_the_type_says() {
        for (sent, expected) in [
            ("application/x-ndjson", Some(Format::Ndjson)),
            ("Application/JSON; charset=\"UTF-8\"", Some(Format::Json)),
            ("text/csv; header=present", Some(Format::Csv)),
            ("text/csv;charset=utf-8", Some(Format::Csv)),
            (
                "application/vnd.apache.arrow.stream; charset=x",
                Some(Format::ArrowStream),
            ),
            ("application/vnd.apache.parquet", Some(Format::Parquet)),
            ("text/csv; charset=latin1", None),
            ("application/json; charset=utf-16", None),
            ("text/plain", None),
            ("application/json, text/csv", None),
            ("", None),
        ] {
            let headers = headers(&[(header::CONTENT_TYPE, sent)]);
            assert_eq!(format(&headers).ok(), expected, "{sent}");
        }
        assert!(format(&HeaderMap::new()).is_err());
        let twice = headers(&[
            (header::CONTENT_TYPE, "text/csv"),
            (header::CONTENT_TYPE, "application/json"),
        ]);
        assert!(format(&twice).is_err());
    }

    #[test]
    fn codings_are_not_stacked() {
        let none = HeaderMap::new();
        assert_eq!(coding(&none).ok(), Some(Coding::Identity));
        let stacked = headers(&[
            (header::CONTENT_ENCODING, "gzip"),
            (header::CONTENT_ENCODING, "gzip"),
        ]);
        assert!(coding(&stacked).is_err());
    }

    #[test]
    fn a_key_has_so_many_streams_at_once() {
        let streams = streams(config::Streams {
            streams_per_key: 2,
            ..config::Streams::default()
        });
        let (busy, quiet) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = streams.enter(busy).unwrap();
        let _second = streams.enter(busy).unwrap();
        assert!(streams.enter(busy).is_err());
        drop(streams.enter(quiet).unwrap());
        drop(first);
        assert!(streams.enter(busy).is_ok());
    }

    #[tokio::test]
    async fn a_body_is_bounded_whether_its_length_is_announced_or_not() {
        let streams = streams(config::Streams {
            stream_body_bytes: 5,
            ..config::Streams::default()
        });
        let pieces = |pieces: &'static [&'static str]| {
            let pieces = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece));
            Body::from_stream(futures::stream::iter(pieces))
        };
        for (body, whole) in [
            (Body::from("12345"), true),
            (Body::from("123456"), false),
            (pieces(&["123", "45"]), true),
            (pieces(&["123", "456"]), false),
        ] {
            let items: Vec<_> = streams.body(body).collect().await;
            let is_whole = items.iter().all(Result::is_ok);
            assert_eq!(is_whole, whole, "{items:?}");
            if !whole {
                assert!(matches!(
                    items.last(),
                    Some(Err(StreamError::Limit { most: 5, .. }))
                ));
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_does_not_end_well() {
        let streams = streams(config::Streams::default());
        let broken = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let pieces = futures::stream::iter([Ok("123"), Err(broken)]);
        let items: Vec<_> = streams.body(Body::from_stream(pieces)).collect().await;
        assert!(matches!(
            items.as_slice(),
            [Ok(_), Err(StreamError::Broken(_))]
        ));
    }

    #[test]
    fn only_waiting_wears_patience_out() {
        let second = Duration::from_secs(1);
        let bounds = config::Streams {
            idle_seconds: 30,
            least_bytes_per_second: 100,
            ..config::Streams::default()
        };
        let minute = Duration::from_secs(60);
        // Bytes that come after each wait, the wait, how often, and whether that is too slow.
        for (bytes, wait, times, is_fault) in [
            (0, second, 29, true),
            (0, second, 9, false),
            (99, second, 30, true),
            (100, second, 30, false),
            (99, second, 9, false),
            // Nobody waited all of the minute: two seconds of it count.
            (200, minute, 100, false),
        ] {
            let mut pace = Pace::new(&bounds);
            for _ in 0..times {
                pace.waited(wait);
                pace.came(bytes);
            }
            assert_eq!(pace.fault().is_some(), is_fault, "{bytes} {wait:?} {times}");
        }
        let unhurried = config::Streams {
            least_bytes_per_second: 0,
            ..bounds
        };
        let mut pace = Pace::new(&unhurried);
        (0..29).for_each(|_| pace.waited(second));
        assert_eq!(pace.fault(), None);
        pace.came(1);
        (0..29).for_each(|_| pace.waited(second));
        assert_eq!(pace.fault(), None);
        pace.waited(second);
        assert!(
            pace.fault()
                .is_some_and(|fault| fault.contains("30 seconds"))
        );
    }

    #[tokio::test]
    async fn more_rows_than_a_second_allows_are_waited_for() {
        let streams = streams(config::Streams {
            rows_per_second: 1_000,
            ..config::Streams::default()
        });
        let started = Instant::now();
        streams.admit_rows(Uuid::from_u128(1), 1_200).await;
        assert!(started.elapsed() >= Duration::from_millis(150));
    }
}
