//! What somebody declares of a resource: attributes as nested objects or dotted keys, flattened
//! to facts by dotted path.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::fact::{Fact, Facts, Origin};
use crate::policy::Fault;

/// Most facts that are declared of one resource.
pub const MOST_FACTS: usize = 200;
/// Most values of a list.
const MOST_ITEMS: usize = 200;
/// Most words of a path.
const MOST_WORDS: usize = 8;
/// Most characters of a path.
const LONGEST_PATH: usize = 200;
/// Most characters of a text.
const LONGEST_TEXT: usize = 1_000;
/// Most characters of a number.
const LONGEST_NUMBER: usize = 40;

/// A change of what is declared of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The values that are declared, by dotted path.
    pub declared: BTreeMap<String, Value>,
    /// Paths that are no longer declared, nor is what stands below them.
    pub removed: BTreeSet<String>,
}

impl Declaration {
    /// Reads attributes: each leaf is a scalar or a list of scalars; null removes. Answers what
    /// could be read, and every fault, with its path below `path`: nothing may be declared if
    /// there is any.
    pub fn read(attributes: &Map<String, Value>, path: &str) -> (Declaration, Vec<Fault>) {
        let mut reader = Reader::default();
        reader.object(attributes, &mut Vec::new(), path);
        if reader.found.declared.len() > MOST_FACTS {
            let message = format!("a resource has at most {MOST_FACTS} declared facts");
            reader.faults.push(Fault::new(path, message));
        }
        (reader.found, reader.faults)
    }

    /// What is declared afterwards, given what was before. What is removed and declared at once
    /// is declared.
    pub fn apply(&self, before: &Facts, account_id: Uuid, at: DateTime<Utc>) -> Facts {
        let mut after = before.clone();
        after.0.retain(|path, _| !self.removes(path));
        for (path, value) in &self.declared {
            let fact = Fact {
                value: value.clone(),
                origin: Origin::Declared,
                declared_by: Some(account_id),
                declared_at: Some(at),
            };
            after.0.insert(path.clone(), fact);
        }
        after
    }

    fn removes(&self, path: &str) -> bool {
        let is_below = |removed: &String| {
            let rest = path.strip_prefix(removed.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.removed.iter().any(is_below)
    }
}

#[derive(Default)]
struct Reader {
    found: Declaration,
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, at: &str, message: impl Into<String>) {
        self.faults.push(Fault::new(at, message));
    }

    /// Reads an object; `words` lead to it, and `at` is its place in the document.
    fn object(&mut self, object: &Map<String, Value>, words: &mut Vec<String>, at: &str) {
        for (key, value) in object {
            let at = format!("{at}.{key}");
            if !key.split('.').all(is_word) {
                let expected = "expected a key of letters, digits, `_` and `-`, or several such \
                    with dots between them";
                self.fault(&at, expected);
                continue;
            }
            let outside = words.len();
            words.extend(key.split('.').map(str::to_owned));
            self.value(value, words, &at);
            words.truncate(outside);
        }
    }

    fn value(&mut self, value: &Value, words: &mut Vec<String>, at: &str) {
        let path = words.join(".");
        if words.len() > MOST_WORDS || path.len() > LONGEST_PATH {
            let message = format!(
                "expected a path of at most {MOST_WORDS} words and {LONGEST_PATH} characters"
            );
            return self.fault(at, message);
        }
        match value {
            Value::Object(object) => return self.object(object, words, at),
            Value::Null => {
                self.found.removed.insert(path);
                return;
            }
            Value::Array(items) => {
                if items.len() > MOST_ITEMS {
                    self.fault(at, format!("expected at most {MOST_ITEMS} values"));
                }
                for (i, item) in items.iter().enumerate() {
                    self.scalar(item, &format!("{at}[{i}]"));
                }
            }
            scalar => self.scalar(scalar, at),
        }
        if self.found.declared.insert(path, value.clone()).is_some() {
            self.fault(at, "comes twice: write each attribute once");
        }
    }

    fn scalar(&mut self, value: &Value, at: &str) {
        match value {
            Value::Bool(_) => {}
            Value::Number(number) => {
                if number.to_string().len() > LONGEST_NUMBER {
                    let message = format!("expected a number of at most {LONGEST_NUMBER} digits");
                    self.fault(at, message);
                }
            }
            Value::String(text) => {
                if text.contains('\0') {
                    self.fault(at, "expected a text without NUL characters");
                }
                if text.chars().count() > LONGEST_TEXT {
                    let message = format!("expected a text of at most {LONGEST_TEXT} characters");
                    self.fault(at, message);
                }
            }
            _ => self.fault(at, "expected a text, a number, true or false"),
        }
    }
}

fn is_word(word: &str) -> bool {
    let of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !word.is_empty() && word.bytes().all(of_word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(attributes: Value) -> Result<Declaration, Vec<String>> {
        let attributes = attributes.as_object().cloned().expect("an object");
        let (read, faults) = Declaration::read(&attributes, "$.attributes");
        match faults.is_empty() {
            true => Ok(read),
            false => Err(faults.into_iter().map(|fault| fault.path).collect()),
        }
    }

    #[test]
    fn objects_and_dotted_keys_are_the_same() {
        let nested = json!({"a": {"b": {"c": 1}, "d": ["x", 2, true]}, "e": null, "f": {}});
        let dotted = json!({"a.b.c": 1, "a.d": ["x", 2, true], "e": null});
        let found = read(nested).expect("no fault");
        assert_eq!(found, read(dotted).expect("no fault"));
        let paths: Vec<&str> = found.declared.keys().map(String::as_str).collect();
        assert_eq!(paths, ["a.b.c", "a.d"]);
        assert_eq!(found.removed, BTreeSet::from(["e".to_owned()]));
    }

    #[test]
    fn every_fault_is_told() {
        let faulty = json!({
            "a b": 1,
            "": 2,
            "a..b": 3,
            "a.b": 4,
            "a": {"b": 5, "list": [1, null, {"x": 1}, [2]]},
            "long": "x".repeat(1_001),
            "fits": "ä".repeat(1_000),
            "nul": "\0",
            "a1.a2.a3.a4": {"a5.a6.a7.a8": 1, "a5": {"a6": {"a7": {"a8": {"a9": 1}}}}},
            "much": vec![1; 201],
        });
        let mut faults = read(faulty).expect_err("faults");
        faults.sort();
        let expected = [
            "$.attributes.",
            "$.attributes.a b",
            "$.attributes.a..b",
            "$.attributes.a.b",
            "$.attributes.a.list[1]",
            "$.attributes.a.list[2]",
            "$.attributes.a.list[3]",
            "$.attributes.a1.a2.a3.a4.a5.a6.a7.a8.a9",
            "$.attributes.long",
            "$.attributes.much",
            "$.attributes.nul",
        ];
        assert_eq!(faults, expected);
        let many = |count: usize| {
            let attributes = (0..count).map(|i| (format!("a{i}"), json!(i)));
            read(Value::Object(attributes.collect()))
        };
        assert!(many(MOST_FACTS).is_ok());
        assert_eq!(many(MOST_FACTS + 1), Err(vec!["$.attributes".to_owned()]));
        let number: Value = serde_json::from_str(&"9".repeat(41)).expect("a number");
        let faults = read(json!({"n": number}));
        assert_eq!(faults, Err(vec!["$.attributes.n".to_owned()]));
    }

    #[test]
    fn what_is_declared_stays_until_it_is_removed() {
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let change = |attributes: Value| read(attributes).expect("no fault");
        let none = Facts::default();
        let before = change(json!({"a.b": 1, "a.c": 2, "ab": 3, "d": 4}));
        let before = before.apply(&none, first, at(1));
        let after = change(json!({"a": null, "a.e": 5, "d": 6})).apply(&before, second, at(2));
        let shown: Vec<_> = after
            .0
            .iter()
            .map(|(path, fact)| (path.as_str(), fact.value.to_string(), fact.declared_by))
            .collect();
        let expected = [
            ("a.e", "5".to_owned(), Some(second)),
            ("ab", "3".to_owned(), Some(first)),
            ("d", "6".to_owned(), Some(second)),
        ];
        assert_eq!(shown, expected);
        assert_eq!(change(json!({})).apply(&after, first, at(3)), after);
    }
}
