//! The answer to a query on its way out: in the form that the caller takes, row after row.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use datafusion::common::ScalarValue;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{Caller, Member};
use super::error::ApiError;
use super::etag::{IfNoneMatch, answer_tag};
use super::intake::media_type;
use super::query::Query;
use super::query_error::{Places, query_error, unwritable};
use crate::guard::Guarded;
use crate::guard::session::Extras;
use crate::policy::Revision;
use crate::query::{Asker, Querier, QueryError};
use crate::wire::Format;
use crate::wire::answer::AnswerWriter;

/// The formats, the best first where the caller has no preference.
const OFFERED: [Format; 5] = [
    Format::Json,
    Format::Ndjson,
    Format::Csv,
    Format::ArrowStream,
    Format::Parquet,
];
/// So many bytes are gathered before an answer begins: a shorter one is sent as a whole, and
/// whatever goes wrong until then has a status of its own.
const SHORT: usize = 64 << 10;

const REVISION: HeaderName = HeaderName::from_static("syncguard-policy-revision");
/// An answer is one account's, and may be kept by them alone to ask whether it is still so.
const CACHED: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Authorization, X-API-Key");

/// An answer in JSON, as it is described.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written piece by piece, never built")]
pub(crate) struct Table {
    /// The columns, in order. A name may come twice.
    #[schema(inline)]
    columns: Vec<TableColumn>,
    /// One array for each row, with a value for each column.
    rows: Vec<Vec<Value>>,
}

/// A column of an answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written piece by piece, never built")]
pub(crate) struct TableColumn {
    /// Its name.
    name: String,
    /// Its Arrow type, such as `Int64` or `Utf8`, as models tell it.
    r#type: String,
}

/// A query, and who asks it.
pub(crate) struct Asked {
    pub(crate) asker: Asker,
    pub(crate) sql: String,
    /// The values of `$1`, `$2`, ...
    pub(crate) parameters: Vec<ScalarValue>,
    pub(crate) places: Places,
}

/// Who asks for the rows that an account sees; without one, their own.
pub(crate) fn asker(caller: &Caller, member: &Member, account_id: Option<Uuid>) -> Asker {
    Asker {
        principal: caller.principal.clone(),
        workspace_id: member.workspace_id,
        request_id: caller.request_id().map(str::to_owned),
        evaluate_as: account_id.filter(|id| *id != member.account_id),
    }
}

/// The form of an answer that a caller wants.
#[derive(Debug)]
pub(crate) struct Wanted {
    format: Format,
    unless: IfNoneMatch,
    version: Version,
}

impl Wanted {
    /// What the headers of a request ask for; `format` is its parameter of that name, and comes
    /// before `Accept`.
    ///
    /// Errors: 400 for a format that there is not, 406 where nothing that there is will do.
    pub(crate) fn read(
        format: Option<&str>,
        headers: &HeaderMap,
        version: Version,
    ) -> Result<Wanted, ApiError> {
        let format = match format {
            Some(name) => Format::from_name(name).ok_or_else(|| {
                let names = OFFERED.map(Format::name).join(", ");
                ApiError::malformed(format!("format: expected one of {names}"))
            })?,
            None => accepted(headers).ok_or_else(|| {
                let types = OFFERED.map(media_type).join(", ");
                ApiError::not_acceptable(format!("Accept: there is {types}"))
            })?,
        };
        Ok(Wanted {
            format,
            unless: IfNoneMatch::read(headers)?,
            version,
        })
    }
}

/// The parameter `format`.
pub(crate) fn format_parameter(query: &mut Query) -> Option<String> {
    query.take("format", "a format", |text| Some(text.to_owned()))
}

/// The format that a caller likes best; `None` where they take none.
fn accepted(headers: &HeaderMap) -> Option<Format> {
    let sent = headers.get_all(header::ACCEPT).iter();
    let sent: Vec<&str> = sent
        .map(|value| value.to_str().unwrap_or("unreadable"))
        .collect();
    let sent = sent.join(",");
    if sent.trim().is_empty() {
        return OFFERED.first().copied();
    }
    let ranges: Vec<Range<'_>> = sent.split(',').filter_map(Range::parse).collect();
    let mut best = None;
    for format in OFFERED {
        let matching = ranges
            .iter()
            .filter_map(|range| Some((range.closeness(media_type(format))?, range.quality)));
        let quality = matching.max().map_or(0, |(_, quality)| quality);
        if quality > best.map_or(0, |(most, _)| most) {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format)
}

/// One of the media types, or of the sets of them, that a caller accepts.
struct Range<'a> {
    name: &'a str,
    /// Its weight in thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Range<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?;
        let weight = parts.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| value.trim())
        });
        let quality = match weight {
            None => 1000,
            Some(weight) => thousandths(weight)?,
        };
        Some(Range { name, quality })
    }

    /// How closely it names a media type: as that, as one of its kind, as any.
    fn closeness(&self, media_type: &str) -> Option<u8> {
        if self.name.eq_ignore_ascii_case(media_type) {
            return Some(2);
        }
        if self.name == "*/*" {
            return Some(0);
        }
        let kind = self.name.strip_suffix("/*")?;
        let (own, _) = media_type.split_once('/')?;
        kind.eq_ignore_ascii_case(own).then_some(1)
    }
}

/// A weight from 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !["0", "1"].contains(&whole) || decimals.len() > 3 {
        return None;
    }
    let digits = format!("{whole}{decimals:0<3}");
    let quality = digits.parse().ok()?;
    (quality <= 1000 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(quality)
}

/// Runs a statement and sends its answer. Nothing of it leaves before the first [`SHORT`] bytes
/// are there, or all of it. A failure after that breaks it off: it is whole only if it has its
/// end.
pub(crate) async fn respond(
    querier: Querier,
    asked: Asked,
    wanted: &Wanted,
) -> Result<Response, ApiError> {
    let Asked {
        asker,
        sql,
        parameters,
        places,
    } = asked;
    let answer = querier
        .run(&asker, &sql, &parameters, &Extras::default())
        .await
        .map_err(|error| query_error(error, places))?;
    let mut headers = HeaderMap::new();
    headers.insert(REVISION, answer.revision.into());
    headers.insert(header::CACHE_CONTROL, CACHED);
    headers.insert(header::VARY, VARIES);
    if let Some(validator) = &answer.validator {
        let tag = answer_tag(validator, wanted.format.name());
        let value = HeaderValue::try_from(format!("\"{tag}\""));
        let value = value.map_err(|error| ApiError::internal(&error))?;
        headers.insert(header::ETAG, value);
        if wanted.unless.names(&tag) {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
    }
    if answer.schema.fields().is_empty() {
        return Err(places.fault(
            "not_representable",
            "the answer has no columns: select some",
        ));
    }
    let writer = AnswerWriter::new(wanted.format, &answer.schema);
    let writer = writer.map_err(|error| unwritable(&error, places))?;
    let media_type = HeaderValue::from_static(media_type(wanted.format));
    headers.insert(header::CONTENT_TYPE, media_type);
    let mut outgoing = Outgoing {
        batches: answer.batches,
        writer: Some(writer),
        revision: answer.revision,
        querier,
        asker,
        places,
    };

    let mut first = Vec::new();
    while first.len() <= SHORT {
        match outgoing.next().await? {
            Some(bytes) => first.extend_from_slice(&bytes),
            None => return Ok((StatusCode::OK, headers, first).into_response()),
        }
    }
    if wanted.version < Version::HTTP_11 {
        let message =
            "a long answer takes HTTP/1.1: before, one that breaks off looks like a whole one";
        return Err(ApiError::malformed(message));
    }
    let first = stream::iter([Ok(Bytes::from(first))]);
    let pieces = first.chain(stream::try_unfold(outgoing, piece));
    Ok((StatusCode::OK, headers, Body::from_stream(pieces)).into_response())
}

/// An answer that has begun cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
struct BrokenOff;

async fn piece(mut outgoing: Outgoing) -> Result<Option<(Bytes, Outgoing)>, BrokenOff> {
    match outgoing.next().await {
        Ok(bytes) => Ok(bytes.map(|bytes| (bytes, outgoing))),
        Err(error) => {
            let request_id = outgoing.asker.request_id.as_deref();
            tracing::warn!(request_id, ?error, "the answer to a query broke off");
            Err(BrokenOff)
        }
    }
}

/// What is left of an answer. To drop it ends the query.
struct Outgoing {
    batches: BoxStream<'static, Result<Guarded, QueryError>>,
    /// `None` after the end.
    writer: Option<AnswerWriter>,
    revision: Revision,
    querier: Querier,
    asker: Asker,
    places: Places,
}

impl Outgoing {
    /// The next bytes, never none of them; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        while let Some(mut writer) = self.writer.take() {
            let rows = self.rows().await;
            let rows = rows.map_err(|error| query_error(error, self.places))?;
            let at_work = tokio::task::spawn_blocking(move || {
                let mut out = Vec::new();
                let left = match rows {
                    Some(rows) => {
                        writer.write(&rows, &mut out)?;
                        Some(writer)
                    }
                    None => {
                        writer.finish(&mut out)?;
                        None
                    }
                };
                Ok((left, out))
            });
            // An encoder that panics ends this answer and nothing else.
            let written = at_work.await.map_err(|error| ApiError::internal(&error))?;
            let (writer, out) = written.map_err(|error| unwritable(&error, self.places))?;
            self.writer = writer;
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
        Ok(None)
    }

    /// The next rows; `None` at the end.
    async fn rows(&mut self) -> Result<Option<Guarded>, QueryError> {
        let rows = self.batches.next().await.transpose()?;
        if rows.is_none() {
            // Rows that were held back, until there are enough of them or for the end of a file,
            // may have waited for long.
            self.querier.still(&self.asker, self.revision).await?;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).expect("a header");
            headers.append(header::ACCEPT, value);
        }
        headers
    }

    #[test]
    fn the_format_that_is_liked_best_is_found() {
        let (csv, arrow) = ("text/csv", "application/vnd.apache.arrow.stream");
        let parquet = "application/vnd.apache.parquet";
        for (sent, expected) in [
            (vec![], Some(Format::Json)),
            (vec![""], Some(Format::Json)),
            (vec!["*/*"], Some(Format::Json)),
            (vec!["application/*"], Some(Format::Json)),
            (vec!["text/*"], Some(Format::Csv)),
            (vec![csv], Some(Format::Csv)),
            (vec!["Text/CSV ; header=present"], Some(Format::Csv)),
            (vec!["application/x-ndjson"], Some(Format::Ndjson)),
            (vec![arrow], Some(Format::ArrowStream)),
            (vec![parquet, "text/html"], Some(Format::Parquet)),
            (vec!["text/html, */*;q=0.1"], Some(Format::Json)),
            (
                vec!["text/csv;q=0.5, application/x-ndjson;q=0.9"],
                Some(Format::Ndjson),
            ),
            (
                vec!["text/csv;q=0.5", "application/json;q=0.5"],
                Some(Format::Json),
            ),
            (vec!["*/*, application/json;q=0"], Some(Format::Ndjson)),
            (
                vec!["application/*;q=0.2, text/csv; q=0.3"],
                Some(Format::Csv),
            ),
            (vec!["application/json;q=0"], None),
            (vec!["text/html"], None),
            (vec!["text/csv;q=2"], None),
            (
                vec!["text/csv;q=x, application/json;q=0.001"],
                Some(Format::Json),
            ),
        ] {
            assert_eq!(accepted(&accepting(&sent)), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_format_that_is_named_comes_before_what_is_accepted() {
        let headers = accepting(&["text/html"]);
        let read = |format| Wanted::read(format, &headers, Version::HTTP_11);
        let format = read(Some("arrow")).map(|wanted| wanted.format);
        assert_eq!(format.ok(), Some(Format::ArrowStream));
        assert!(read(None).is_err() && read(Some("xlsx")).is_err());
    }

    #[test]
    fn weights_have_three_decimals() {
        for (text, expected) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.123", Some(123)),
            ("0.1234", None),
            ("1.001", None),
            ("-1", None),
            ("0.+1", None),
            ("", None),
        ] {
            assert_eq!(thousandths(text), expected, "{text}");
        }
    }
}
