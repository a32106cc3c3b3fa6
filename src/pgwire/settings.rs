//! The settings of a session that clients set and ask for: an allow-list. None of them changes
//! what a query answers or which rows it sees; clients set them because they always do, and those
//! that would ask for something else than what is done here are refused.

use std::collections::BTreeMap;

use bytes::BytesMut;
use pgwire::messages::startup::ParameterStatus;

use super::fault::{Fault, encode};

/// The version of PostgreSQL that clients take us for.
pub(super) const VERSION: &str = "15.0 (syncguard)";
/// Bytes of the value of a setting.
const MOST_BYTES: usize = 1024;

/// What a setting may be set to.
#[derive(Clone, Copy, Debug)]
enum Takes {
    /// Anything: it is kept, and does nothing.
    Any,
    /// What is as good as its default.
    Like(fn(&str) -> bool),
    /// Nothing.
    Nothing,
}
use Takes::{Any, Like, Nothing};

struct Known {
    name: &'static str,
    default: &'static str,
    takes: Takes,
    /// Whether the client is told of its value unasked.
    is_reported: bool,
}

const fn known(name: &'static str, default: &'static str, takes: Takes) -> Known {
    Known {
        name,
        default,
        takes,
        is_reported: false,
    }
}

const fn reported(name: &'static str, default: &'static str, takes: Takes) -> Known {
    Known {
        is_reported: true,
        ..known(name, default, takes)
    }
}

/// By name, in lower case.
const KNOWN: &[Known] = &[
    reported("application_name", "", Any),
    known("backslash_quote", "safe_encoding", Any),
    known("block_size", "8192", Nothing),
    known(
        "bytea_output",
        "hex",
        Like(|value| value.eq_ignore_ascii_case("hex")),
    ),
    known("check_function_bodies", "on", Any),
    reported("client_encoding", "UTF8", Like(is_utf8)),
    known("client_min_messages", "notice", Any),
    reported("DateStyle", "ISO, MDY", Like(is_iso)),
    known("default_transaction_deferrable", "off", Any),
    known("default_transaction_isolation", "read committed", Any),
    reported("default_transaction_read_only", "on", Any),
    known("escape_string_warning", "on", Any),
    known("extra_float_digits", "1", Any),
    known("idle_in_transaction_session_timeout", "0", Any),
    known("idle_session_timeout", "0", Any),
    reported("in_hot_standby", "off", Nothing),
    reported("integer_datetimes", "on", Nothing),
    reported(
        "IntervalStyle",
        "postgres",
        Like(|value| value.eq_ignore_ascii_case("postgres")),
    ),
    reported("is_superuser", "off", Nothing),
    known("jit", "off", Any),
    known("lc_collate", "C", Nothing),
    known("lc_ctype", "C.UTF-8", Nothing),
    known("lc_messages", "C", Any),
    known("lc_monetary", "C", Any),
    known("lc_numeric", "C", Any),
    known("lc_time", "C", Any),
    known("lock_timeout", "0", Any),
    known("max_identifier_length", "63", Nothing),
    known("max_index_keys", "32", Nothing),
    known("password_encryption", "scram-sha-256", Nothing),
    known("row_security", "on", Like(is_on)),
    known("search_path", "\"$user\", public", Any),
    reported("server_encoding", "UTF8", Nothing),
    reported("server_version", VERSION, Nothing),
    known("server_version_num", "150000", Nothing),
    reported("session_authorization", "", Nothing),
    reported("standard_conforming_strings", "on", Like(is_on)),
    known("statement_timeout", "0", Any),
    known("synchronize_seqscans", "on", Any),
    known("synchronous_commit", "on", Any),
    reported("TimeZone", "UTC", Any),
    known("transaction_deferrable", "off", Any),
    known("transaction_isolation", "read committed", Any),
    known("transaction_read_only", "on", Any),
    known("transaction_timeout", "0", Any),
    known("xmloption", "content", Any),
];

fn is_utf8(value: &str) -> bool {
    let word: String = value.chars().filter(|c| c.is_alphanumeric()).collect();
    ["utf8", "unicode"].contains(&word.to_ascii_lowercase().as_str())
}

/// The order of day and month matters only to those who read dates that are not ISO.
fn is_iso(value: &str) -> bool {
    let orders = [
        "ISO",
        "MDY",
        "DMY",
        "YMD",
        "US",
        "EURO",
        "EUROPEAN",
        "NONEUROPEAN",
    ];
    value.split(',').all(|part| {
        let part = part.trim();
        orders.iter().any(|order| order.eq_ignore_ascii_case(part))
    })
}

fn is_on(value: &str) -> bool {
    let yes = ["on", "true", "yes", "1"];
    yes.iter().any(|yes| yes.eq_ignore_ascii_case(value))
}

/// The settings of a session.
pub(super) struct Settings {
    user: String,
    /// Those that are not at their default.
    set: BTreeMap<&'static str, String>,
}

impl Settings {
    /// The settings of a user who has set none.
    pub(super) fn new(user: &str) -> Settings {
        Settings {
            user: user.to_owned(),
            set: BTreeMap::new(),
        }
    }

    /// The value of a setting.
    pub(super) fn get(&self, name: &str) -> Result<String, Fault> {
        Ok(self.value(find(name)?))
    }

    /// The name of a setting as it is written.
    pub(super) fn name(name: &str) -> Result<&'static str, Fault> {
        Ok(find(name)?.name)
    }

    /// Every setting with its value.
    pub(super) fn all(&self) -> Vec<(&'static str, String)> {
        let all = KNOWN.iter();
        all.map(|known| (known.name, self.value(known))).collect()
    }

    /// Sets a setting, or with `None` puts it back to its default; the client is told where it
    /// expects to be.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<String>,
        out: &mut BytesMut,
    ) -> Result<(), Fault> {
        let known = find(name)?;
        let before = self.value(known);
        match (known.takes, value) {
            (Nothing, _) => {
                let message = format!("parameter \"{}\" cannot be changed", known.name);
                return Err(Fault::new("55P02", message));
            }
            (_, None) => drop(self.set.remove(known.name)),
            (Like(is_like), Some(value)) if !is_like(&value) => {
                let message = format!(
                    "parameter \"{}\" cannot be anything but {:?} here",
                    known.name, known.default
                );
                return Err(Fault::unsupported(message));
            }
            (Like(_), Some(_)) => {}
            (Any, Some(value)) if value.len() > MOST_BYTES || value.contains('\0') => {
                let message = format!(
                    "the value of parameter \"{}\" is longer than {MOST_BYTES} bytes",
                    known.name
                );
                return Err(Fault::new("22023", message));
            }
            (Any, Some(value)) => drop(self.set.insert(known.name, value)),
        }
        let after = self.value(known);
        if known.is_reported && before != after {
            encode(&ParameterStatus::new(known.name.to_owned(), after), out);
        }
        Ok(())
    }

    /// Puts everything back to its default.
    pub(super) fn reset(&mut self, out: &mut BytesMut) {
        for (name, _) in std::mem::take(&mut self.set) {
            // What was set is known.
            if let Ok(known) = find(name).map(|known| (known.is_reported, known.default))
                && known.0
            {
                let value = known.1.to_owned();
                encode(&ParameterStatus::new(name.to_owned(), value), out);
            }
        }
    }

    /// Tells the client of those that it expects to be told of.
    pub(super) fn report(&self, out: &mut BytesMut) {
        for known in KNOWN.iter().filter(|known| known.is_reported) {
            let status = ParameterStatus::new(known.name.to_owned(), self.value(known));
            encode(&status, out);
        }
    }

    fn value(&self, known: &Known) -> String {
        if known.name == "session_authorization" {
            return self.user.clone();
        }
        let set = self.set.get(known.name);
        set.cloned().unwrap_or_else(|| known.default.to_owned())
    }
}

fn find(name: &str) -> Result<&'static Known, Fault> {
    let found = KNOWN
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let message = format!("unrecognized configuration parameter \"{name}\"");
        Fault::new("42704", message)
    })
}

/// The settings that clients give as command-line options, such as
/// `-c statement_timeout=5s --search_path=public`. A backslash makes the next character part of
/// a word.
pub(super) fn of_options(options: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(chars.next()),
            (c, _) if c.is_whitespace() => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => Some(setting.to_owned()),
            None if word == "-c" => words.next(),
            None => word.strip_prefix("-c").map(str::to_owned),
        };
        let setting = setting.as_deref().and_then(|text| text.split_once('='));
        let (name, value) = setting.ok_or_else(|| {
            Fault::fatal("42601", "options: expected settings such as -c name=value")
        })?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<usize, &'static str> {
        let mut out = BytesMut::new();
        settings
            .set(name, Some(value.to_owned()), &mut out)
            .map(|()| out.len())
            .map_err(|fault| fault.code)
    }

    #[test]
    fn harmless_settings_are_kept_and_others_refused() {
        let cases = [
            ("application_name", "psql", Ok("psql")),
            ("extra_float_digits", "3", Ok("3")),
            ("timezone", "Europe/Berlin", Ok("Europe/Berlin")),
            ("DATESTYLE", "iso, dmy", Ok("ISO, MDY")),
            ("client_encoding", "utf-8", Ok("UTF8")),
            ("client_encoding", "'LATIN1'", Err("0A000")),
            ("datestyle", "German", Err("0A000")),
            ("standard_conforming_strings", "off", Err("0A000")),
            ("bytea_output", "escape", Err("0A000")),
            ("row_security", "off", Err("0A000")),
            ("is_superuser", "on", Err("55P02")),
            ("session_authorization", "admin", Err("55P02")),
            ("datafusion.execution.batch_size", "1", Err("42704")),
            ("role", "admin", Err("42704")),
        ];
        for (name, value, expected) in cases {
            let mut settings = Settings::new("ada@example.com");
            let outcome = set(&mut settings, name, value);
            match expected {
                Ok(kept) => {
                    assert!(outcome.is_ok(), "{name}");
                    assert_eq!(settings.get(name).as_deref(), Ok(kept), "{name}");
                }
                Err(code) => assert_eq!(outcome, Err(code), "{name}"),
            }
        }
    }

    #[test]
    fn client_is_told_only_of_what_changes() {
        let mut settings = Settings::new("ada@example.com");
        assert_eq!(set(&mut settings, "client_encoding", "UTF8"), Ok(0));
        assert_eq!(set(&mut settings, "search_path", "public"), Ok(0));
        assert!(set(&mut settings, "application_name", "a").is_ok_and(|told| told > 0));
        assert_eq!(set(&mut settings, "application_name", "a"), Ok(0));
        let mut out = BytesMut::new();
        settings.reset(&mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'S').count(), 1);
        assert_eq!(settings.get("application_name").as_deref(), Ok(""));
    }

    #[test]
    fn options_are_settings() {
        let read = |text| of_options(text).map_err(|fault| fault.code);
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = vec![own("statement_timeout", "5 s"), own("search_path", "a")];
        assert_eq!(
            read(r" -c statement_timeout=5\ s --search-path=a "),
            Ok(expected)
        );
        assert_eq!(read("-cjit=off"), Ok(vec![own("jit", "off")]));
        assert_eq!(read(""), Ok(vec![]));
        for bad in ["-d 5", "-c", "-c jit", "--jit", "jit=off"] {
            assert_eq!(read(bad), Err("42601"), "{bad}");
        }
    }
}
