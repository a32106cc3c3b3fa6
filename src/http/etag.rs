//! `ETag` on objects, `If-Match` on changes: who changes an object may ask that it still is what
//! they have read. `ETag` on answers to queries, `If-None-Match` on queries: who has an answer may
//! ask for another one only.

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Api;
use super::error::ApiError;

/// An object as an answer, with the `ETag` of what it says.
#[derive(Debug)]
pub(crate) struct Object<T> {
    status: StatusCode,
    value: T,
}

impl<T: Serialize> Object<T> {
    /// 200: an object as it is now.
    pub(crate) fn ok(value: T) -> Self {
        let status = StatusCode::OK;
        Object { status, value }
    }

    /// 201: a new object.
    pub(crate) fn created(value: T) -> Self {
        let status = StatusCode::CREATED;
        Object { status, value }
    }
}

impl<T: Serialize> IntoResponse for Object<T> {
    fn into_response(self) -> Response {
        let answer = written(&self.value).and_then(|bytes| {
            let tag = format!("\"{}\"", tag(&bytes));
            let tag = HeaderValue::try_from(tag).map_err(|error| ApiError::internal(&error))?;
            let json = HeaderValue::from_static("application/json");
            Ok((
                self.status,
                [(header::CONTENT_TYPE, json), (header::ETAG, tag)],
                bytes,
            ))
        });
        answer.into_response()
    }
}

/// The header `If-Match` of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum IfMatch {
    /// It was not sent, or is `*`: an object that is there will do.
    Whatever,
    /// One of these strong tags, without their quotes.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// Refuses with 412 unless the object, as it is now, is what the caller has read.
    pub(crate) fn check(&self, current: &impl Serialize) -> Result<(), ApiError> {
        let IfMatch::OneOf(tags) = self else {
            return Ok(());
        };
        let now = tag(&written(current)?);
        if tags.contains(&now) {
            return Ok(());
        }
        Err(ApiError::precondition_failed())
    }

    fn parse(text: &str) -> Option<IfMatch> {
        if text.trim() == "*" {
            return Some(IfMatch::Whatever);
        }
        // A weak tag says that two objects are alike, not that they are the same.
        let strong = tags(text)?.into_iter().filter(|(weak, _)| !weak);
        Some(IfMatch::OneOf(strong.map(|(_, tag)| tag).collect()))
    }
}

/// The header `If-None-Match` of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum IfNoneMatch {
    /// It is `*`: the caller has an answer, whatever it says.
    Whatever,
    /// The caller has the answers with these tags; none where it was not sent.
    OneOf(Vec<String>),
}

impl IfNoneMatch {
    /// Reads the header.
    ///
    /// Errors: 400 if it is no list of tags.
    pub(crate) fn read(headers: &HeaderMap) -> Result<IfNoneMatch, ApiError> {
        let sent = headers.get_all(header::IF_NONE_MATCH).iter();
        let sent: Result<Vec<&str>, _> = sent.map(HeaderValue::to_str).collect();
        let parsed = match sent {
            Ok(sent) if sent.is_empty() => Some(IfNoneMatch::OneOf(Vec::new())),
            Ok(sent) if sent.iter().all(|text| text.trim() == "*") => Some(IfNoneMatch::Whatever),
            Ok(sent) => tags(&sent.join(", "))
                .map(|tags| IfNoneMatch::OneOf(tags.into_iter().map(|(_, tag)| tag).collect())),
            Err(_) => None,
        };
        parsed.ok_or_else(|| {
            let message = "If-None-Match: expected * or the ETag of an answer, with its quotes";
            ApiError::malformed(message)
        })
    }

    /// Whether the caller has the answer with this tag already.
    pub(crate) fn names(&self, tag: &str) -> bool {
        match self {
            IfNoneMatch::Whatever => true,
            IfNoneMatch::OneOf(tags) => tags.iter().any(|known| known == tag),
        }
    }
}

/// The tag, without its quotes, of what stays the same as long as an answer does, in one format.
pub(crate) fn answer_tag(validator: &[u8; 32], format: &str) -> String {
    tag(&[validator, format.as_bytes()].concat())
}

/// The tags of a list, without their quotes, and whether each is weak.
fn tags(text: &str) -> Option<Vec<(bool, String)>> {
    let mut rest = text.trim();
    let mut tags = Vec::new();
    loop {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !tag.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push((weak, tag.to_owned()));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(tags);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

impl FromRequestParts<Api> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let sent = parts.headers.get_all(header::IF_MATCH);
        let sent: Result<Vec<&str>, _> = sent.iter().map(HeaderValue::to_str).collect();
        let parsed = match sent {
            Ok(sent) if sent.is_empty() => Some(IfMatch::Whatever),
            Ok(sent) => IfMatch::parse(&sent.join(", ")),
            Err(_) => None,
        };
        parsed.ok_or_else(|| {
            ApiError::malformed("If-Match: expected * or the ETag of the object, with its quotes")
        })
    }
}

fn written(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::internal(&error))
}

/// The first 16 bytes of the SHA-256 of some bytes, such as an object's JSON text, as hex digits.
fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let start = digest.iter().take(16);
    start.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_are_read_from_a_list() {
        let one_of = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            Some(IfMatch::OneOf(tags))
        };
        for (text, expected) in [
            ("*", Some(IfMatch::Whatever)),
            ("\"a\"", one_of(&["a"])),
            (" \"a\" ,\"b,c\", \"\"", one_of(&["a", "b,c", ""])),
            ("W/\"a\", \"b\"", one_of(&["b"])),
            ("W/\"a\"", one_of(&[])),
        ] {
            assert_eq!(IfMatch::parse(text), expected, "{text}");
        }
        for text in [
            "",
            " ",
            "a",
            "\"a",
            "\"a\" \"b\"",
            "*, \"a\"",
            "\"a\",",
            "w/\"a\"",
            "\"a b\"",
        ] {
            assert_eq!(IfMatch::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_answer_that_the_caller_has_is_known() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(text));
            IfNoneMatch::read(&headers).ok()
        };
        for (text, names) in [
            ("*", true),
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("\"b\"", false),
        ] {
            assert_eq!(
                read(text).map(|sent| sent.names("a")),
                Some(names),
                "{text}"
            );
        }
        assert!(read("a").is_none() && read("*, \"a\"").is_none() && read("").is_none());
        let unsent = IfNoneMatch::read(&HeaderMap::new()).expect("nothing");
        assert!(!unsent.names("a"));
    }

    #[test]
    fn an_answer_has_another_tag_in_another_format() {
        let tags = ["json", "csv"].map(|format| answer_tag(&[7; 32], format));
        assert_ne!(tags[0], tags[1]);
        assert_ne!(tags[0], answer_tag(&[8; 32], "json"));
    }

    #[test]
    fn a_tag_matches_the_very_object_only() {
        let value = serde_json::json!({"name": "a", "n": 1});
        let own = tag(&serde_json::to_vec(&value).expect("JSON"));
        assert_eq!(own.len(), 32);
        let other = IfMatch::OneOf(vec!["other".into(), own.clone()]);
        assert!(other.check(&value).is_ok());
        let changed = serde_json::json!({"name": "a", "n": 2});
        assert!(other.check(&changed).is_err());
        assert!(IfMatch::OneOf(Vec::new()).check(&value).is_err());
        assert!(IfMatch::Whatever.check(&value).is_ok());
    }
}
