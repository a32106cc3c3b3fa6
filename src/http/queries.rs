//! `/workspaces/{id}/query`: SQL over the rows of models that the caller may see.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, i256};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Version, header};
use axum::response::Response;
use datafusion::common::ScalarValue;
use serde_json::{Number, Value};
use uuid::Uuid;

use super::Api;
use super::answer::{self, Asked, Table, Wanted};
use super::auth::{Caller, Ids};
use super::body::{Fields, read_whole};
use super::error::ApiError;
use super::intake;
use super::query::Query;
use super::query_error::Places;
use crate::query::PERMISSION;

/// Answers one SELECT statement, in which models are tables: of each model the rows that the
/// caller's access policies let them see.
///
/// Another account's rows are asked for with `account_id`. That takes `governance.read` and an
/// account that sees every row itself, and the audit log names both.
///
/// A short answer comes as a whole. A failure in the middle of a long one breaks it off: it is
/// whole only if it has its end.
#[utoipa::path(
    post, path = "/workspaces/{id}/query", tag = "queries",
    extensions(("x-permission" = json!("models.read"))),
    params(
        ("format" = Option<String>, Query),
        ("If-None-Match" = Option<String>, Header),
    ),
    request_body(content(
        (ref("#/components/schemas/QueryBody") = "application/json"),
        (String = "text/plain"),
        (String = "application/sql"),
    )),
    responses(
        (
            status = 200,
            content(
                (inline(Table) = "application/json"),
                (String = "application/x-ndjson"),
                (String = "text/csv"),
                (String = "application/vnd.apache.arrow.stream"),
                (String = "application/vnd.apache.parquet"),
            ),
            headers(("ETag"), ("Syncguard-Policy-Revision")),
        ),
        (status = 304, headers(("ETag"), ("Syncguard-Policy-Revision"))),
    ),
)]
pub(crate) async fn query(
    State(api): State<Api>,
    caller: Caller,
    Ids(id): Ids<Uuid>,
    RawQuery(query): RawQuery,
    version: Version,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let member = caller.member(&api, id, PERMISSION).await?;
    let mut query = Query::read(query.as_deref().unwrap_or_default());
    let format = answer::format_parameter(&mut query);
    query.finish()?;
    let wanted = Wanted::read(format.as_deref(), &headers, version)?;
    let sent = Sent::read(&headers, body).await?;
    let asked = Asked {
        asker: answer::asker(&caller, &member, sent.account_id),
        sql: sent.sql,
        parameters: sent.parameters,
        places: sent.places,
    };
    answer::respond(api.querier.clone(), asked, &wanted).await
}

/// What a body asks for.
struct Sent {
    sql: String,
    parameters: Vec<ScalarValue>,
    account_id: Option<Uuid>,
    places: Places,
}

impl Sent {
    async fn read(headers: &HeaderMap, body: Body) -> Result<Sent, ApiError> {
        match is_text(headers)? {
            true => Sent::text(body).await,
            false => Sent::fields(Fields::read(body).await?),
        }
    }

    async fn text(body: Body) -> Result<Sent, ApiError> {
        let sql = String::from_utf8(read_whole(body).await?)
            .map_err(|_| ApiError::malformed("the body is not text in UTF-8"))?;
        if sql.contains('\0') {
            let message = "expected a text without NUL characters";
            return Err(ApiError::fault("$", message));
        }
        Ok(Sent {
            sql,
            parameters: Vec::new(),
            account_id: None,
            places: Places::TEXT,
        })
    }

    fn fields(mut fields: Fields) -> Result<Sent, ApiError> {
        let sql = fields.text("sql");
        if sql.is_none() {
            fields.fault_once("$.sql", "missing; expected a SQL statement");
        }
        let parameters = match fields.value("params") {
            None => Vec::new(),
            Some(Value::Array(values)) => scalars(&mut fields, &values),
            Some(_) => {
                fields.fault("$.params", "expected an array");
                Vec::new()
            }
        };
        let account_id = fields.optional_id("account_id");
        fields.finish()?;
        Ok(Sent {
            sql: sql.unwrap_or_default(),
            parameters,
            account_id,
            places: Places::JSON,
        })
    }
}

/// Whether a body is declared to be the statement itself; without a type it is JSON, as
/// everywhere else.
fn is_text(headers: &HeaderMap) -> Result<bool, ApiError> {
    if !headers.contains_key(header::CONTENT_TYPE) {
        return Ok(false);
    }
    let declared = intake::only(headers, &header::CONTENT_TYPE).and_then(|value| {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let is_text = match name.as_str() {
            "text/plain" | "application/sql" => true,
            "application/json" => false,
            _ => return None,
        };
        intake::is_utf8(parts).then_some(is_text)
    });
    declared.ok_or_else(|| {
        ApiError::unsupported(
            "Content-Type: expected one of application/json, text/plain, application/sql; text \
             is UTF-8",
        )
    })
}

/// The values of `$1`, `$2`, ...
fn scalars(fields: &mut Fields, values: &[Value]) -> Vec<ScalarValue> {
    let mut scalars = Vec::with_capacity(values.len());
    for (i, value) in values.iter().enumerate() {
        let fault = match scalar(value) {
            Some(ScalarValue::Utf8(Some(text))) if text.contains('\0') => {
                "expected a text without NUL characters"
            }
            Some(scalar) => {
                scalars.push(scalar);
                continue;
            }
            None => "expected a text, a number of at most 76 digits, true, false or null",
        };
        fields.fault(&format!("$.params[{i}]"), fault);
    }
    scalars
}

fn scalar(value: &Value) -> Option<ScalarValue> {
    match value {
        Value::Null => Some(ScalarValue::Null),
        Value::Bool(value) => Some(ScalarValue::Boolean(Some(*value))),
        Value::String(text) => Some(ScalarValue::Utf8(Some(text.clone()))),
        Value::Number(value) => number(value),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A whole number keeps every digit.
fn number(number: &Number) -> Option<ScalarValue> {
    if let Some(number) = number.as_i64() {
        return Some(ScalarValue::Int64(Some(number)));
    }
    if let Some(number) = number.as_u64() {
        return Some(ScalarValue::UInt64(Some(number)));
    }
    let text = number.to_string();
    let digits = text.trim_start_matches('-');
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = number.as_f64().filter(|number| number.is_finite())?;
        return Some(ScalarValue::Float64(Some(number)));
    }
    if digits.len() <= usize::from(DECIMAL128_MAX_PRECISION) {
        let number = text.parse::<i128>().ok()?;
        let precision = DECIMAL128_MAX_PRECISION;
        return Some(ScalarValue::Decimal128(Some(number), precision, 0));
    }
    if digits.len() <= usize::from(DECIMAL256_MAX_PRECISION) {
        let number = i256::from_string(&text)?;
        let precision = DECIMAL256_MAX_PRECISION;
        return Some(ScalarValue::Decimal256(Some(number), precision, 0));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_parameters_lose_nothing() {
        let most = "9".repeat(76);
        for (text, expected) in [
            ("null", Some(ScalarValue::Null)),
            ("true", Some(ScalarValue::Boolean(Some(true)))),
            ("\"a\"", Some(ScalarValue::Utf8(Some("a".into())))),
            ("-7", Some(ScalarValue::Int64(Some(-7)))),
            (
                "18446744073709551615",
                Some(ScalarValue::UInt64(Some(u64::MAX))),
            ),
            (
                "-18446744073709551615",
                Some(ScalarValue::Decimal128(
                    Some(-18_446_744_073_709_551_615),
                    38,
                    0,
                )),
            ),
            (
                most.as_str(),
                Some(ScalarValue::Decimal256(i256::from_string(&most), 76, 0)),
            ),
            ("1.5", Some(ScalarValue::Float64(Some(1.5)))),
            ("1e2", Some(ScalarValue::Float64(Some(100.0)))),
            ("1e400", None),
            ("[1]", None),
            ("{}", None),
        ] {
            let value: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(scalar(&value), expected, "{text}");
        }
        let beyond: Value = serde_json::from_str(&"9".repeat(77)).expect("JSON");
        assert_eq!(scalar(&beyond), None);
    }

    #[test]
    fn a_body_is_what_it_is_declared_to_be() {
        for (value, expected) in [
            ("text/plain", Some(true)),
            ("Text/Plain; charset=UTF-8", Some(true)),
            ("application/sql", Some(true)),
            ("application/json", Some(false)),
            ("text/plain; charset=latin1", None),
            ("application/x-www-form-urlencoded", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            let value = axum::http::HeaderValue::from_static(value);
            headers.insert(header::CONTENT_TYPE, value.clone());
            assert_eq!(is_text(&headers).ok(), expected, "{value:?}");
            headers.append(header::CONTENT_TYPE, value);
            assert!(is_text(&headers).is_err(), "twice");
        }
        assert_eq!(is_text(&HeaderMap::new()).ok(), Some(false));
    }
}
