//! A request on its way to a destination: the records in its body are found, judged together, and
//! those that policies withhold are cut out. Every other byte stays.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::Array;
use bytes::Bytes;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Proxy, ProxyError, Subject};
use crate::guard::{Gathered, Guard};
use crate::policy::Revision;
use crate::policy::content::Sighting;
use crate::sink::forward::RecordsAt;
use crate::wire::Format;
use crate::wire::stream::coding::{Coding, Decoder, Encoder, Expansion};
use crate::wire::stream::pass::Tally;
use crate::wire::stream::{
    self, Batch, Columns, Limits, Next, OnInvalid, Records, StreamError, Wanted, locate_array,
};

/// Bytes that are decoded at once.
const PIECE: usize = 64 << 10;

/// The whole body of a request.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The bytes as they came.
    pub bytes: Bytes,
    /// How they are compressed.
    pub coding: Coding,
    /// The format of the records; JSON where they are a part of the body.
    pub format: Format,
    /// Where the records stand.
    pub records: RecordsAt,
}

/// What a whole body may ask of us.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For its records.
    pub limits: Limits,
    /// For its compression.
    pub expansion: Expansion,
    /// Bytes in all, decoded.
    pub whole_bytes: usize,
}

/// A body after the judgement of all its records, by one guard.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What became of the records.
    pub tally: Tally,
    /// The revision that judged them.
    pub revision: Revision,
    /// What may go on; `None` if there were records and none of them may.
    pub body: Option<Bytes>,
    /// Whether it differs from what came.
    pub changed: bool,
    guard: Arc<Guard>,
    columns: Columns,
}

impl Proxy {
    /// Judges the records of a whole body at the revision that is committed now.
    ///
    /// Errors: no records where they should be, records that are not well-formed, columns that
    /// policies read and none of the records has, policies that do not compile.
    pub async fn judge(
        &self,
        subject: &Subject,
        whole: &Whole,
        bounds: Bounds,
    ) -> Result<Judged, ProxyError> {
        let whole = whole.clone();
        let reading = blocking(move || Reading::open(whole, bounds)).await?;
        let columns = reading.records.columns();
        let guard = self.guard(subject, &columns).await?;
        let guard = guard.ok_or_else(|| malformed("the records end before their columns"))?;
        let of = subject.clone();
        let (judged, found) = blocking(move || reading.judge(guard, columns, &of)).await?;
        for sightings in found {
            let passage = subject.passage();
            self.store
                .record_sightings(&passage, &sightings, (self.clock)())
                .await?;
        }
        Ok(judged)
    }

    /// Whether the judgement is what it would be now: whoever waits after it asks again.
    pub async fn still_holds(
        &self,
        subject: &Subject,
        judged: &Judged,
    ) -> Result<bool, ProxyError> {
        let guard = self.guard(subject, &judged.columns).await?;
        Ok(guard.is_some_and(|guard| Arc::ptr_eq(&guard, &judged.guard)))
    }
}

/// Does work beside the threads that serve connections; a panic in it is an error of this work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StreamError> + Send + 'static,
) -> Result<T, ProxyError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| ProxyError::Internal)??)
}

fn malformed(what: impl Into<String>) -> StreamError {
    StreamError::Malformed { what: what.into() }
}

/// The records of a body, and where they stand in it.
struct Found {
    /// The body without its compression.
    body: Bytes,
    /// The document that the records stand in: the body, or the text of one of its fields.
    document: Bytes,
    /// Where they stand in the document.
    records: Range<usize>,
    /// Whether the document is a single record, and no array.
    is_record: bool,
    /// Where the text of the field stands in the body.
    field: Option<Range<usize>>,
}

impl Found {
    fn find(body: Bytes, whole: &Whole, limits: &Limits) -> Result<Found, StreamError> {
        let (document, field) = match &whole.records {
            RecordsAt::FormField { name, .. } => {
                let (place, text) = form_field(&body, name)?;
                (Bytes::from(text), Some(place))
            }
            RecordsAt::Body | RecordsAt::Pointer(_) => (body.clone(), None),
        };
        let pointer = match &whole.records {
            RecordsAt::Pointer(pointer) => Some(pointer),
            RecordsAt::FormField { pointer, .. } => pointer.as_ref(),
            RecordsAt::Body => None,
        };
        let records = match pointer {
            Some(pointer) => locate_array(&document, pointer, limits)
                .map_err(|error| malformed(error.to_string()))?,
            None => 0..document.len(),
        };
        let first = document.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_record = pointer.is_none() && whole.format == Format::Json && first == Some(&b'{');
        Ok(Found {
            body,
            document,
            records,
            is_record,
            field,
        })
    }

    /// The records alone, as a reader of their format expects them.
    fn text(&self) -> Bytes {
        let records = self.document.get(self.records.clone()).unwrap_or_default();
        match self.is_record {
            true => [b"[", records, b"]"].concat().into(),
            false => self.document.slice_ref(records),
        }
    }

    /// The body with other records in the place of these.
    fn with(&self, records: &[u8]) -> Vec<u8> {
        let document = replaced(&self.document, &self.records, records);
        let Some(field) = &self.field else {
            return document;
        };
        let text: String = url::form_urlencoded::byte_serialize(&document).collect();
        replaced(&self.body, field, text.as_bytes())
    }
}

fn replaced(text: &[u8], place: &Range<usize>, by: &[u8]) -> Vec<u8> {
    let before = text.get(..place.start).unwrap_or_default();
    let after = text.get(place.end..).unwrap_or_default();
    [before, by, after].concat()
}

/// The records of a body on their way through a guard.
struct Reading {
    whole: Whole,
    found: Found,
    records: Box<dyn Records>,
    /// What the records have not taken yet.
    rest: Bytes,
    ended: bool,
}

impl Reading {
    /// Reads until the columns are known, or to the end.
    fn open(whole: Whole, bounds: Bounds) -> Result<Reading, StreamError> {
        let body = decoded(&whole, bounds)?;
        let found = Found::find(body, &whole, &bounds.limits)?;
        let mut reading = Reading {
            records: stream::open(whole.format, bounds.limits, OnInvalid::Abort),
            rest: found.text(),
            whole,
            found,
            ended: false,
        };
        while matches!(reading.records.columns(), Columns::Unknown) && reading.feed()? {}
        Ok(reading)
    }

    /// Gives the records what they have room for; whether that was anything.
    fn feed(&mut self) -> Result<bool, StreamError> {
        if self.rest.is_empty() {
            let ends = !self.ended;
            if ends {
                self.records.end()?;
                self.ended = true;
            }
            return Ok(ends);
        }
        let space = self.records.space();
        let length = space.len().min(self.rest.len());
        let piece = self.rest.split_to(length);
        if let Some(space) = space.get_mut(..length) {
            space.copy_from_slice(&piece);
        }
        self.records.filled(length)?;
        Ok(length > 0)
    }

    /// The judgement, and what content policies found, batch by batch.
    fn judge(
        mut self,
        guard: Arc<Guard>,
        columns: Columns,
        subject: &Subject,
    ) -> Result<(Judged, Vec<Vec<Sighting>>), StreamError> {
        let wanted = Wanted {
            schema: guard.read_schema(),
            only: false,
        };
        let mut unseen = Unseen::of(&guard, self.whole.format);
        let mut tally = Tally::default();
        let mut gathered = Gathered::default();
        let mut found = Vec::new();
        let mut passed = Vec::new();
        loop {
            match self.records.next(&wanted, false)? {
                Next::Batch(batch) => {
                    let judgement = self.records.judge(&guard, &batch, &mut gathered)?;
                    if !judgement.findings().is_empty() {
                        found.push(subject.sightings(self.records.as_ref(), &judgement));
                    }
                    unseen.look(&batch, self.records.as_ref());
                    tally.enter(&judgement, &batch.invalid);
                    self.records.release(&judgement, &mut passed)?;
                }
                Next::Hungry if self.feed()? => {}
                Next::Hungry => return Err(malformed("the records break off")),
                Next::End => break,
            }
        }
        self.records.finish(&mut passed)?;
        if self.found.is_record && tally.read != 1 {
            return Err(malformed(
                "more than one record stands where one was expected",
            ));
        }
        if tally.read > 0 && !unseen.columns.is_empty() {
            return Err(StreamError::Columns(unseen.columns));
        }
        // What was decoded and validated goes on as we write it: its own bytes may hold more than
        // its records.
        let written_anew = matches!(self.whole.format, Format::ArrowStream | Format::Parquet);
        let changed = tally.withheld > 0 || written_anew;
        let body = match tally.allowed {
            0 if tally.read > 0 => None,
            _ if changed => Some(encoded(self.whole.coding, self.found.with(&passed))?),
            _ => Some(self.whole.bytes.clone()),
        };
        let judged = Judged {
            changed,
            tally,
            revision: guard.revision(),
            body,
            guard,
            columns,
        };
        Ok((judged, found))
    }
}

/// Columns that policies read and that no record of a JSON body has had so far. A column that
/// some records lack is NULL there; one that all of them lack says that these are other records
/// than the policies are about. The other formats name their columns themselves.
struct Unseen {
    columns: Vec<String>,
}

impl Unseen {
    fn of(guard: &Guard, format: Format) -> Unseen {
        Unseen {
            columns: match format {
                Format::Json | Format::Ndjson => guard.columns().to_vec(),
                Format::Csv | Format::ArrowStream | Format::Parquet => Vec::new(),
            },
        }
    }

    fn look(&mut self, batch: &Batch, records: &dyn Records) {
        let rows = batch.rows.num_rows();
        self.columns.retain(|name| {
            let column = batch.rows.column_by_name(name);
            column.is_none_or(|column| column.logical_null_count() == rows)
        });
        for record in (0..rows).filter_map(|row| records.bytes_of(row)) {
            if self.columns.is_empty() {
                return;
            }
            let keys = Keys(&mut self.columns);
            // What cannot be read has shown no key.
            let _ = serde_json::Deserializer::from_slice(record).deserialize_map(keys);
        }
    }
}

/// Takes the keys of an object out of a list.
struct Keys<'a>(&'a mut Vec<String>);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some((key, IgnoredAny)) = entries.next_entry::<String, IgnoredAny>()? {
            self.0.retain(|name| *name != key);
        }
        Ok(())
    }
}

/// The body without its compression.
fn decoded(whole: &Whole, bounds: Bounds) -> Result<Bytes, StreamError> {
    if whole.coding == Coding::Identity {
        return Ok(whole.bytes.clone());
    }
    let mut decoder = Decoder::new(whole.coding, bounds.expansion)?;
    let mut rest = whole.bytes.as_ref();
    let mut piece = vec![0; PIECE];
    let mut decoded = Vec::new();
    loop {
        let (taken, made) = decoder.decode(rest, &mut piece)?;
        rest = rest.get(taken..).unwrap_or_default();
        decoded.extend_from_slice(piece.get(..made).unwrap_or_default());
        if decoded.len() > bounds.whole_bytes {
            return Err(StreamError::Limit {
                what: "bytes in the body, decoded",
                most: bounds.whole_bytes as u64,
            });
        }
        if taken == 0 && made == 0 {
            break;
        }
    }
    decoder.finish()?;
    match rest.is_empty() {
        true => Ok(decoded.into()),
        false => Err(malformed(
            "something follows the end of the compressed body",
        )),
    }
}

fn encoded(coding: Coding, body: Vec<u8>) -> Result<Bytes, StreamError> {
    if coding == Coding::Identity {
        return Ok(body.into());
    }
    let mut encoder = Encoder::new(coding)?;
    let mut encoded = Vec::new();
    encoder.encode(&body, &mut encoded)?;
    encoder.finish(&mut encoded)?;
    Ok(encoded.into())
}

/// The text of a field of a form (`application/x-www-form-urlencoded`), and where its encoded
/// form stands. What servers read differently is refused: a field that comes twice, or beside one
/// that some take for the same, and text that is not encoded in full.
fn form_field(body: &[u8], name: &str) -> Result<(Range<usize>, Vec<u8>), StreamError> {
    let mut found = None;
    let mut at = 0;
    for pair in body.split(|byte| *byte == b'&') {
        // Older servers also end a pair at a semicolon.
        for (i, part) in pair.split(|byte| *byte == b';').enumerate() {
            let (key, value) = match part.iter().position(|byte| *byte == b'=') {
                Some(equals) => (
                    part.get(..equals).unwrap_or_default(),
                    part.get(equals + 1..),
                ),
                None => (part, None),
            };
            let (key, _) = form_decoded(key);
            if !may_be_same(&key, name.as_bytes()) {
                continue;
            }
            if found.is_some() || i > 0 || key != name.as_bytes() {
                return Err(malformed(format!(
                    "the form field \"{name}\" comes twice, or beside one that some servers take \
                     for the same"
                )));
            }
            let start = at + part.len() - value.map_or(0, <[u8]>::len);
            let text = match (value.map(form_decoded), part.len() == pair.len()) {
                (Some((text, true)), true) => text,
                _ => {
                    return Err(malformed(format!(
                        "the form field \"{name}\" is not percent-encoded in full"
                    )));
                }
            };
            found = Some((start..at + part.len(), text));
        }
        at += pair.len() + 1;
    }
    found.ok_or_else(|| malformed(format!("the form has no field \"{name}\"")))
}

/// Whether some server takes a field for another: in another case, with other marks, or as a part
/// of it.
fn may_be_same(key: &[u8], name: &[u8]) -> bool {
    let plain = |text: &[u8]| -> Vec<u8> {
        text.trim_ascii()
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| match byte {
                b'.' | b' ' => b'_',
                byte => byte.to_ascii_lowercase(),
            })
            .collect()
    };
    let (key, name) = (plain(key), plain(name));
    let is_part = |part: &[u8], of: &[u8]| {
        part.strip_prefix(of)
            .is_some_and(|rest| rest.starts_with(b"["))
    };
    key == name || is_part(&key, &name) || is_part(&name, &key)
}

/// Text without its percent-encoding, and whether every percent sign began one.
fn form_decoded(text: &[u8]) -> (Vec<u8>, bool) {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut whole = true;
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, behind @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let byte = hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low);
                decoded.extend(byte.and_then(|byte| u8::try_from(byte).ok()));
                rest = behind;
            }
            (b'%', _) => {
                whole = false;
                decoded.push(b'%');
            }
            (byte, _) => decoded.push(*byte),
        }
    }
    (decoded, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_field_is_found_where_it_stands() {
        let body = b"a=1&payload=%5B%7B%22x%22%3A+1%7D%5D&b=2";
        let (place, text) = form_field(body, "payload").expect("the field");
        assert_eq!(text, br#"[{"x": 1}]"#);
        assert_eq!(&body[place.clone()], b"%5B%7B%22x%22%3A+1%7D%5D");
        assert_eq!(replaced(body, &place, b"%5B%5D"), b"a=1&payload=%5B%5D&b=2");
        let (place, text) = form_field(b"payload=", "payload").expect("the field");
        assert_eq!((place, text), (8..8, Vec::new()));
        let (place, text) = form_field(b"pay%6Coad=%C3%A9&", "payload").expect("the field");
        assert_eq!((place, text), (10..16, "\u{e9}".as_bytes().to_vec()));
    }

    #[test]
    fn a_form_that_servers_read_differently_is_refused() {
        for body in [
            "",
            "other=1",
            "payload=1&payload=2",
            "payload=1&pay%6coad=2",
            "payload=1&PAYLOAD=2",
            "payload=1&payload[]=2",
            "payload=1&payload%5B0%5D=2",
            "payload=1&+payload=2",
            "payload=1&x=2;payload=3",
            "payload=1;2",
            "payload=1;payload=2",
            "payload=%zz",
            "payload=1%2",
            "payload=%",
            "payload",
            "payload[]=1",
        ] {
            assert!(form_field(body.as_bytes(), "payload").is_err(), "{body}");
        }
        let field = form_field(b"payload[a]=1&payload[b]=2", "payload[a]");
        assert_eq!(field.expect("the field").0, 11..12);
    }

    #[test]
    fn the_records_are_cut_out_of_what_they_stand_in() {
        let document = Bytes::from_static(br#"{"a": [1, 2], "b": 3}"#);
        let found = Found {
            body: document.clone(),
            document,
            records: 6..12,
            is_record: false,
            field: None,
        };
        assert_eq!(found.text().as_ref(), b"[1, 2]");
        assert_eq!(found.with(b"[2]"), br#"{"a": [2], "b": 3}"#);
        let found = Found {
            body: Bytes::from_static(b"x=1&p=%7B%7D&y"),
            document: Bytes::from_static(b"{}"),
            records: 0..2,
            is_record: true,
            field: Some(6..12),
        };
        assert_eq!(found.text().as_ref(), b"[{}]");
        assert_eq!(found.with(b"[a b]"), b"x=1&p=%5Ba+b%5D&y");
    }

    #[test]
    fn keys_that_a_record_has_are_seen_however_they_are_written() {
        let mut missing = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let record = br#" {"\u0061": null, "x": {"c": 1}, "B": [1.5e400], "b": ""}, "#;
        let _ = serde_json::Deserializer::from_slice(record).deserialize_map(Keys(&mut missing));
        assert_eq!(missing, ["c"]);
    }
}
