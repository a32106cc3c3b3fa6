//! Bodies of control routes: read whole within a limit and a time, parsed as one JSON object,
//! and taken apart field by field so that every fault is reported at once.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::ApiError;
use crate::policy::Fault;
use crate::store::StoreError;

/// Most bytes of a body on a control route.
pub(crate) const LIMIT: usize = 2 * 1024 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fields of a JSON object, with the faults found so far.
///
/// Each getter takes its field out and answers a stand-in where it is faulty: nothing may be
/// done with the values before [`Fields::finish`] has agreed.
#[derive(Debug)]
pub(crate) struct Fields {
    left: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Fields {
    /// Reads a body as one JSON object.
    pub(crate) async fn read(body: Body) -> Result<Fields, ApiError> {
        match parse(&read_whole(body).await?)? {
            Value::Object(left) => Ok(Fields::of(left)),
            _ => Err(ApiError::fault("$", "expected an object")),
        }
    }

    /// The fields of an object that came in another form.
    pub(crate) fn of(left: Map<String, Value>) -> Fields {
        Fields {
            left,
            known: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads a body as the changes of an object: a field that is null is as one that was not sent.
    pub(crate) async fn read_changes(body: Body) -> Result<Fields, ApiError> {
        let mut fields = Fields::read(body).await?;
        fields.left.retain(|_, value| !value.is_null());
        Ok(fields)
    }

    /// The same of a body that may be left out, which is an object without fields.
    pub(crate) async fn read_optional(body: Body) -> Result<Fields, ApiError> {
        let bytes = read_whole(body).await?;
        match bytes.is_empty() {
            true => Fields::read(Body::from("{}")).await,
            false => Fields::read(Body::from(bytes)).await,
        }
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(Fault::new(path, message));
    }

    /// Notes a fault, unless there is one at this place already.
    pub(crate) fn fault_once(&mut self, path: &str, message: &str) {
        if !self.faults.iter().any(|fault| fault.path == path) {
            self.fault(path, message);
        }
    }

    /// Notes faults.
    pub(crate) fn faults(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// An object that a field refers to: where it is not there, that is a fault of the field.
    pub(crate) fn referred<T>(
        &mut self,
        key: &'static str,
        found: Result<T, StoreError>,
    ) -> Result<Option<T>, ApiError> {
        match found {
            Ok(object) => Ok(Some(object)),
            Err(StoreError::NotFound(what)) => {
                let path = format!("$.{key}");
                // A field that is no UUID has its fault already.
                if !self.faults.iter().any(|fault| fault.path == path) {
                    self.fault(&path, format!("there is no such {what}"));
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses unknown keys, and everything if there was any fault.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        self.finish_within("$")
    }

    /// The same for an object that stands at a path of the body: faults tell where in the body.
    pub(crate) fn finish_within(mut self, path: &str) -> Result<(), ApiError> {
        let expected = self.known.join(", ");
        for key in self.left.keys() {
            let message = format!("unknown key; expected {expected}");
            self.faults.push(Fault::new(format!("$.{key}"), message));
        }
        for fault in &mut self.faults {
            fault.path = fault.path.replacen('$', path, 1);
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.faults))
        }
    }

    /// Whether a field was sent, even as null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// Whether a field was sent and is not null.
    pub(crate) fn gives(&self, key: &str) -> bool {
        self.left.get(key).is_some_and(|value| !value.is_null())
    }

    /// Names a key that may be sent, for the message about one that may not.
    pub(crate) fn know(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    /// A field of any kind; null counts as absent.
    pub(crate) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.know(key);
        self.left.shift_remove(key).filter(|value| !value.is_null())
    }

    /// The identifier of what a request is about: required. A text that is no identifier names
    /// nothing, as an identifier does that nothing bears.
    pub(crate) fn subject<T: FromStr + From<Uuid>>(&mut self, key: &'static str) -> T {
        let nothing = || T::from(Uuid::max());
        match self.required(key, "an identifier") {
            Some(Value::String(text)) => text.parse().unwrap_or_else(|_| nothing()),
            Some(_) => {
                self.fault(&format!("$.{key}"), "expected a text");
                nothing()
            }
            None => nothing(),
        }
    }

    fn required(&mut self, key: &'static str, expected: &str) -> Option<Value> {
        let value = self.value(key);
        if value.is_none() {
            self.fault(&format!("$.{key}"), format!("missing; expected {expected}"));
        }
        value
    }

    /// A name: required, 1 to 200 characters, not only blanks, no control characters.
    pub(crate) fn name(&mut self, key: &'static str) -> String {
        match self.required(key, NAME) {
            Some(Value::String(name)) if is_name(&name) => name,
            Some(_) => {
                self.fault(&format!("$.{key}"), format!("expected {NAME}"));
                String::new()
            }
            None => String::new(),
        }
    }

    /// A name; where it was not sent, the one the object has already.
    pub(crate) fn name_or(&mut self, key: &'static str, before: Option<&String>) -> String {
        match before.filter(|_| !self.has(key)) {
            Some(before) => {
                self.know(key);
                before.clone()
            }
            None => self.name(key),
        }
    }

    /// A text; where it was not sent, the one the object has already, or none.
    pub(crate) fn text_or(&mut self, key: &'static str, before: Option<&String>) -> String {
        match before.filter(|_| !self.has(key)) {
            Some(before) => {
                self.know(key);
                before.clone()
            }
            None => self.text(key).unwrap_or_default(),
        }
    }

    /// A text that may be absent.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => {
                self.storable(&format!("$.{key}"), &text);
                Some(text)
            }
            _ => {
                self.fault(&format!("$.{key}"), "expected a text");
                None
            }
        }
    }

    /// PostgreSQL has no text with a NUL in it.
    fn storable(&mut self, path: &str, text: &str) {
        if text.contains('\0') {
            self.fault(path, "expected a text without NUL characters");
        }
    }

    /// A switch that may be absent.
    pub(crate) fn switch(&mut self, key: &'static str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(on) => Some(on),
            _ => {
                self.fault(&format!("$.{key}"), "expected true or false");
                None
            }
        }
    }

    /// An identifier: required.
    pub(crate) fn id(&mut self, key: &'static str) -> Uuid {
        if !self.gives(key) {
            self.required(key, "a UUID");
            return Uuid::nil();
        }
        self.optional_id(key).unwrap_or_default()
    }

    /// An identifier that may be absent.
    pub(crate) fn optional_id(&mut self, key: &'static str) -> Option<Uuid> {
        let value = self.value(key)?;
        let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        if id.is_none() {
            self.fault(&format!("$.{key}"), "expected a UUID");
        }
        id
    }

    /// A point in time that may be absent.
    pub(crate) fn time(&mut self, key: &'static str) -> Option<DateTime<Utc>> {
        let value = self.value(key)?;
        let time = value
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        if time.is_none() {
            let message = "expected a time such as \"2026-01-31T09:30:00Z\"";
            self.fault(&format!("$.{key}"), message);
        }
        time.map(|time| time.to_utc())
    }

    /// A field of a type with few values or a fixed form; may be absent.
    ///
    /// What serde takes besides, an array in place of an object and an object in place of a word,
    /// is refused.
    pub(crate) fn typed<T: DeserializeOwned + Serialize>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Option<T> {
        let value = self.value(key)?;
        let typed = T::deserialize(&value).ok();
        let typed = typed.filter(|typed| is_form_of(&value, &json!(typed)));
        if typed.is_none() {
            self.fault(&format!("$.{key}"), format!("expected {expected}"));
        }
        typed
    }

    /// An object: required.
    pub(crate) fn object(&mut self, key: &'static str) -> Map<String, Value> {
        match self.required(key, "an object") {
            Some(Value::Object(object)) => object,
            Some(_) => {
                self.fault(&format!("$.{key}"), "expected an object");
                Map::new()
            }
            None => Map::new(),
        }
    }

    /// A list of texts that may be absent. What is no text has its fault and an empty text in its
    /// place.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let Value::Array(items) = value else {
            self.fault(&format!("$.{key}"), "expected an array of texts");
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => {
                    self.storable(&format!("$.{key}[{i}]"), &text);
                    texts.push(text);
                }
                _ => {
                    self.fault(&format!("$.{key}[{i}]"), "expected a text");
                    texts.push(String::new());
                }
            }
        }
        Some(texts)
    }

    /// A destination type: required.
    pub(crate) fn destination_type(&mut self, key: &'static str) -> String {
        match self.required(key, DESTINATION_TYPE) {
            Some(Value::String(text)) if is_destination_type(&text) => text,
            Some(_) => {
                self.fault(&format!("$.{key}"), format!("expected {DESTINATION_TYPE}"));
                String::new()
            }
            None => String::new(),
        }
    }

    /// Records: an array of objects, required.
    pub(crate) fn records(&mut self, key: &'static str) -> Vec<Map<String, Value>> {
        let Some(Value::Array(items)) = self.required(key, "an array of objects") else {
            if !self
                .faults
                .iter()
                .any(|fault| fault.path == format!("$.{key}"))
            {
                self.fault(&format!("$.{key}"), "expected an array of objects");
            }
            return Vec::new();
        };
        let mut records = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(record) => records.push(record),
                _ => self.fault(&format!("$.{key}[{i}]"), "expected an object"),
            }
        }
        records
    }
}

/// What a name is.
pub(crate) const NAME: &str = "a text of 1 to 200 characters";
/// What a destination type is.
pub(crate) const DESTINATION_TYPE: &str =
    "a destination type: small letters, digits and underscores, a letter first, at most 64";

/// Whether a text can be a destination type.
pub(crate) fn is_destination_type(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a text can be a name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= 200 && !name.chars().any(char::is_control)
}

/// Whether two values are of the same kind; of arrays, all items.
fn is_form_of(sent: &Value, read: &Value) -> bool {
    match (sent, read) {
        (Value::Array(sent), Value::Array(read)) => {
            let mut pairs = sent.iter().zip(read);
            sent.len() == read.len() && pairs.all(|(sent, read)| is_form_of(sent, read))
        }
        _ => std::mem::discriminant(sent) == std::mem::discriminant(read),
    }
}

/// Reads a body within the limit and the time that it may take.
pub(crate) async fn read_whole(body: Body) -> Result<Vec<u8>, ApiError> {
    let bytes = tokio::time::timeout(PATIENCE, collect(body)).await;
    bytes.map_err(|_| ApiError::timeout())?
}

async fn collect(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::malformed("the body broke off"))?;
        if bytes.len() + chunk.len() > LIMIT {
            return Err(ApiError::too_large(LIMIT));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Parses strictly: a key that an object has twice is refused, because two readers of such a
/// document may see different things.
fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    let malformed = |error: serde_json::Error| {
        let place = format!("line {} column {}", error.line(), error.column());
        ApiError::malformed(format!("the body is not a JSON document: {place}"))
    };
    let mut faults = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    UniqueKeys {
        path: "$",
        faults: &mut faults,
    }
    .deserialize(&mut reader)
    .map_err(malformed)?;
    reader.end().map_err(malformed)?;
    if !faults.is_empty() {
        return Err(ApiError::invalid(faults));
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Walks through a document and notes keys that come twice. A number comes as a map of one key,
/// which can be no duplicate.
struct UniqueKeys<'a> {
    path: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for i in 0usize.. {
            let path = format!("{}[{i}]", self.path);
            let seed = UniqueKeys {
                path: &path,
                faults: self.faults,
            };
            if items.next_element_seed(seed)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = format!("{}.{key}", self.path);
            entries.next_value_seed(UniqueKeys {
                path: &path,
                faults: self.faults,
            })?;
            if !seen.insert(key) {
                self.faults.push(Fault::new(path, "the key comes twice"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_twice_is_refused() {
        assert!(parse(br#"{"a": [{"b": 1.50, "b": 2}]}"#).is_err());
        assert!(parse(br#"{"a": [{"b": 1.50, "c": -2e400}], "d": null, "e": "x"}"#).is_ok());
    }

    #[tokio::test]
    async fn a_text_with_a_nul_is_refused() {
        for body in [r#"{"one": "a\u0000"}"#, r#"{"many": ["a", "\u0000b"]}"#] {
            let mut fields = Fields::read(Body::from(body)).await.expect("an object");
            fields.text("one");
            fields.texts("many");
            let faults: Vec<_> = fields.faults.iter().map(|f| f.path.as_str()).collect();
            let expected = if body.contains("one") {
                "$.one"
            } else {
                "$.many[1]"
            };
            assert_eq!(faults, [expected]);
        }
    }

    #[tokio::test]
    async fn a_form_that_only_serde_takes_is_refused() {
        use crate::catalog::{MappedColumn, RateLimit, SyncMode};

        let body = r#"{"pace": [], "mode": {"full": null}, "mapping": [["a", "b"]],
            "own pace": {"rows_per_second": null}, "own mode": "full",
            "own mapping": [{"from": "a", "to": "b"}]}"#;
        let mut fields = Fields::read(Body::from(body)).await.expect("an object");
        assert!(fields.typed::<RateLimit>("pace", "").is_none());
        assert!(fields.typed::<SyncMode>("mode", "").is_none());
        assert!(fields.typed::<Vec<MappedColumn>>("mapping", "").is_none());
        assert_eq!(fields.faults.len(), 3);
        assert!(fields.typed::<RateLimit>("own pace", "").is_some());
        assert!(fields.typed::<SyncMode>("own mode", "").is_some());
        assert!(
            fields
                .typed::<Vec<MappedColumn>>("own mapping", "")
                .is_some()
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "{", "{} {}", "[1,]", "\u{feff}{}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn destination_types_are_plain_names() {
        for good in ["webhook", "facebook_ads", "s3"] {
            assert!(is_destination_type(good), "{good}");
        }
        for bad in ["", "3s", "_x", "Facebook", "a-b", "a b", "\u{e9}"] {
            assert!(!is_destination_type(bad), "{bad}");
        }
    }
}
