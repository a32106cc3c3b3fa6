//! The values of records that go on as the bytes they came as, for content policies: all of them,
//! also those that are no column of the model.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::StreamError;
use crate::guard::{Gathered, GuardError};

/// Most bytes of the place of a value that are told apart. Deeper parts go by what they are in:
/// every value would carry its whole path along.
const PATH_BYTES: usize = 1024;

/// Whole numbers of at least so many digits are looked at as text: shorter ones are not
/// distinctive.
const LONG: usize = 9;

/// Adds the values of a JSON record, which was validated.
pub(super) fn json(row: usize, record: &[u8], gathered: &mut Gathered) -> Result<(), StreamError> {
    let mut path = String::new();
    let mut record = serde_json::Deserializer::from_slice(record);
    let read = Value {
        row,
        path: &mut path,
        gathered,
        spelt: false,
    }
    .deserialize(&mut record);
    match read {
        Ok(()) => Ok(()),
        Err(_) if gathered.is_full() => Err(StreamError::Malformed {
            what: "the records have too many different keys for content policies to look at".into(),
        }),
        // What cannot be read again cannot be looked at.
        Err(_) => Err(StreamError::Guard(GuardError::Engine)),
    }
}

/// A number as content policies read it: its digits, if it is whole and long enough, however it
/// is written.
pub(super) fn long_number(text: &str) -> Option<String> {
    let digits = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        (whole && digits.len() >= LONG).then(|| digits.to_owned())
    };
    if !text.contains(['.', 'e', 'E']) {
        return digits(text);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_whole = fraction.bytes().all(|byte| byte == b'0');
    if let Some(digits) = digits(whole).filter(|_| is_whole) {
        return Some(digits);
    }
    // Beyond it a float is not sure of its last digit.
    let value: f64 = text.parse().ok()?;
    (value.fract() == 0.0 && value.abs() < 9.0e15).then(|| digits(&format!("{value:.0}")))?
}

/// Whether a key of a record is a name and no more: neither long nor a number.
fn is_name(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.- ".contains(&byte);
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    key.len() <= 30 && digits < LONG && key.bytes().all(plain)
}

/// A value and where it stands.
struct Value<'a> {
    row: usize,
    path: &'a mut String,
    gathered: &'a mut Gathered,
    /// Whether a text that is a number is one, with all its digits.
    spelt: bool,
}

impl Value<'_> {
    fn add<E: serde::de::Error>(self, text: Option<&str>) -> Result<(), E> {
        self.gathered.add(self.row, self.path, text);
        room(self.gathered)
    }
}

fn room<E: serde::de::Error>(gathered: &Gathered) -> Result<(), E> {
    match gathered.is_full() {
        true => Err(E::custom("too many keys")),
        false => Ok(()),
    }
}

/// Appends a key to a path, as much of it as there is room for.
fn push(path: &mut String, key: &str) {
    let room = PATH_BYTES.saturating_sub(path.len());
    let mut ends = (0..=room.min(key.len())).rev();
    let end = ends.find(|end| key.is_char_boundary(*end));
    path.push_str(key.get(..end.unwrap_or(0)).unwrap_or_default());
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.add(None)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.add(long_number(&value.to_string()).as_deref())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.add(long_number(&value.to_string()).as_deref())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.add(long_number(&format!("{value:.1}")).as_deref())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        // A record may have a text there as well, if it has that key itself.
        match self.spelt && is_number(text) {
            true => self.add(long_number(text).as_deref()),
            false => self.add(Some(text)),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items
            .next_element_seed(Value {
                row: self.row,
                path: self.path,
                gathered: self.gathered,
                spelt: false,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let outer = self.path.len();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'_, str>>()? {
            // With numbers of any length, this is how one is handed over.
            let spelt = key == NUMBER;
            if !spelt {
                // Keys are content as well: a map may be keyed by anything.
                if outer > 0 || !is_name(&key) {
                    self.gathered.add(self.row, self.path, Some(&key));
                    room(self.gathered)?;
                }
                if outer > 0 {
                    push(self.path, ".");
                }
                push(self.path, &key);
            }
            entries.next_value_seed(Value {
                row: self.row,
                path: self.path,
                gathered: self.gathered,
                spelt,
            })?;
            self.path.truncate(outer);
        }
        Ok(())
    }
}

/// Whether a text is a number as JSON writes it: without a plus or a zero in front.
fn is_number(text: &str) -> bool {
    text.parse::<serde_json::Number>().is_ok()
}

/// The key by which `serde_json` hands over a number with all its digits.
const NUMBER: &str = "$serde_json::private::Number";

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(record: &str) -> Gathered {
        let mut gathered = Gathered::default();
        json(0, record.as_bytes(), &mut gathered).unwrap();
        gathered
    }

    #[test]
    fn whole_numbers_are_their_digits_however_they_are_written() {
        for text in [
            "4111111111111111",
            "-4111111111111111",
            "4111111111111111.0",
            "4111111111111111.000",
            "4.111111111111111e15",
            "4111111111111111E0",
            "41111111111111110e-1",
        ] {
            assert_eq!(long_number(text).unwrap(), "4111111111111111", "{text}");
        }
        for text in [
            "12345678",
            "1.5",
            "123456789.5",
            "1e400",
            "12345678.0",
            "-1",
        ] {
            assert_eq!(long_number(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_by_which_numbers_are_handed_over_hides_no_text() {
        let at_column = gathered(r#"{"$serde_json::private::Number": "4111 1111 1111 1111"}"#);
        assert_eq!(at_column.texts_at(""), ["4111 1111 1111 1111"]);
        for text in ["+4915112345678", "0151.1234567", ".5", " 1", "1."] {
            let record = format!(r#"{{"phone": {{"$serde_json::private::Number": "{text}"}}}}"#);
            assert_eq!(gathered(&record).texts_at("phone"), [text]);
        }
        let within = gathered(r#"{"a": {"$serde_json::private::Number": {"b": "x"}}}"#);
        assert_eq!(within.texts_at("a.b"), ["x"]);
        assert_eq!(gathered(r#"{"a": 41.5}"#).texts_at("a"), [""; 0]);
        assert_eq!(
            gathered(r#"{"a": 1234567890}"#).texts_at("a"),
            ["1234567890"]
        );
    }

    #[test]
    fn keys_are_looked_at_as_well() {
        let keys = gathered(r#"{"4111111111111111": 1, "name": {"ann@example.org": 2}}"#);
        assert_eq!(keys.texts_at(""), ["4111111111111111"]);
        assert_eq!(keys.texts_at("name"), ["ann@example.org"]);
    }

    #[test]
    fn keys_without_end_take_no_memory_without_end() {
        let long = "k".repeat(1 << 20);
        let children: Vec<String> = (0..2_000).map(|i| format!("\"c{i}\": \"x\"")).collect();
        let record = format!("{{\"{long}\": {{{}}}}}", children.join(","));
        let held = gathered(&record);
        assert!(held.texts_at(&long[..PATH_BYTES]).len() >= 2_000);
        let mut gathered = Gathered::default();
        let record = |row: usize| {
            let keys = (0..2_000).map(|i| format!("\"{row:0100}{i}\": 1"));
            format!("{{\"a\": {{{}}}}}", keys.collect::<Vec<_>>().join(","))
        };
        let refused =
            (0..1_000).find_map(|row| json(row, record(row).as_bytes(), &mut gathered).err());
        assert!(
            matches!(refused, Some(StreamError::Malformed { .. })),
            "{refused:?}"
        );
        gathered.clear();
        assert!(!gathered.is_full());
    }
}
