//! What content policies found in a batch, as it goes on record: told so that a person finds the
//! record again, and without anything that must not be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::content::Findings;
use super::detect::{Scanner, Texts, Topics};
use crate::policy::content::{Detectors, Seen, Sighting};

/// Most things that a witness remembers of one policy and model.
const SEEN: usize = 100;

/// Most characters of a key that is told as it is.
const MOST: usize = 64;

/// What was found in a batch, given the place of each row among all records and the name by which
/// a person finds its record again.
pub fn sightings(
    findings: &[Findings],
    place: impl Fn(usize) -> u64,
    record: impl Fn(usize) -> String,
) -> Vec<Sighting> {
    let sighting = |found: &Findings| Sighting {
        policy_id: found.policy_id,
        action: found.action,
        records: found.rows.count_set_bits() as u64,
        seen: found
            .seen
            .iter()
            .map(|finding| Seen {
                place: place(finding.row),
                record: record(finding.row),
                column: finding.column.clone(),
                detector: finding.detector.to_owned(),
                shape: finding.shape.clone(),
            })
            .collect(),
    };
    findings.iter().map(sighting).collect()
}

/// The keys of the records of a batch.
pub struct Keys<'a> {
    columns: Vec<(&'a str, &'a ArrayRef)>,
    /// The columns of it in which something was found.
    hidden: BTreeSet<&'a str>,
    salt: Uuid,
}

impl<'a> Keys<'a> {
    /// The columns of a primary key, as far as the batch has them. What may not be told, such as
    /// columns in which something was found, is told as a digest. It says only that two keys are
    /// the same, where the salt is; nobody is shown that.
    pub fn of(
        batch: &'a RecordBatch,
        primary_key: &'a [String],
        findings: &[Findings],
        salt: Uuid,
    ) -> Keys<'a> {
        let columns = primary_key.iter().filter_map(|name| {
            let column = batch.column_by_name(name)?;
            Some((name.as_str(), column))
        });
        let found = |name: &&str| {
            let within = |path: &String| {
                let rest = path.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            findings
                .iter()
                .any(|found| found.columns.iter().any(within))
        };
        let names = primary_key.iter().map(String::as_str);
        Keys {
            columns: columns.collect(),
            hidden: names.filter(found).collect(),
            salt,
        }
    }

    /// The key of a row, such as `id=7`; `None` if there is none.
    pub fn of_row(&self, row: usize) -> Option<String> {
        let options = FormatOptions::new().with_null("null");
        let mut key = Vec::with_capacity(self.columns.len());
        for (name, column) in &self.columns {
            if row >= column.len() {
                return None;
            }
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options).ok()?;
            let text = formatter.value(row).try_to_string().ok()?;
            let is_told = !self.hidden.contains(name) && may_be_told(name, &text);
            key.push(match is_told {
                true => format!("{name}={text}"),
                false => format!("{name}=sha256:{}", self.digest(&text)),
            });
        }
        (!key.is_empty()).then(|| key.join(", "))
    }

    fn digest(&self, text: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(self.salt.as_bytes());
        digest.update(text.as_bytes());
        let digest = digest.finalize();
        digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}

/// What is found in the models of one query while they are read, until it is taken to the record.
/// Shared by the query's tables and by whoever releases its answer.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<BTreeMap<Uuid, Vec<Sighting>>>>);

impl Witness {
    /// Takes in what was found in records of a model.
    pub fn enter(&self, model_id: Uuid, sightings: Vec<Sighting>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(model_id).or_default();
        for sighting in sightings {
            let same = |known: &&mut Sighting| known.policy_id == sighting.policy_id;
            match known.iter_mut().find(same) {
                Some(known) => {
                    known.records += sighting.records;
                    let room = SEEN.saturating_sub(known.seen.len());
                    known.seen.extend(sighting.seen.into_iter().take(room));
                }
                None => known.push(sighting),
            }
        }
    }

    /// What was found since it was last asked, by model.
    pub fn take(&self) -> BTreeMap<Uuid, Vec<Sighting>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a key looks like one, and nothing that any detector knows is in it.
fn may_be_told(column: &str, text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:- ".contains(&byte);
    text.len() <= MOST && text.bytes().all(plain) && clean(text, Topics::of_name(column))
}

/// Whether nothing that any detector knows is in a text.
pub(super) fn holds_nothing(text: &str) -> bool {
    clean(text, Topics::of_name(""))
}

fn clean(text: &str, topics: Topics) -> bool {
    static ALL: LazyLock<Scanner> = LazyLock::new(|| Scanner::new(Detectors::all()));
    let bounds = [0, text.len()];
    let Some(texts) = Texts::new(text, &bounds) else {
        return false;
    };
    let mut found = Vec::new();
    ALL.scan(texts, topics, &mut found);
    found.is_empty()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::buffer::BooleanBuffer;

    use super::*;
    use crate::policy::content::Action;

    #[test]
    fn a_key_that_must_not_be_told_is_a_digest() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 4_111_111_111_111_111]));
        let codes: ArrayRef = Arc::new(StringArray::from(vec!["A-1", "ann@example.org"]));
        let batch = RecordBatch::try_from_iter([("id", ids), ("code", codes)]).unwrap();
        let key = ["id".to_owned(), "code".to_owned(), "gone".to_owned()];
        let keys = Keys::of(&batch, &key, &[], Uuid::from_u128(1));
        assert_eq!(keys.of_row(0).unwrap(), "id=7, code=A-1");
        let hidden = keys.of_row(1).unwrap();
        assert!(hidden.starts_with("id=sha256:"), "{hidden}");
        assert!(
            !hidden.contains("4111") && !hidden.contains("ann"),
            "{hidden}"
        );
        let other = Keys::of(&batch, &key, &[], Uuid::from_u128(2));
        assert_ne!(other.of_row(1).unwrap(), hidden);
        assert_eq!(keys.of_row(2), None);
        assert_eq!(Keys::of(&batch, &[], &[], Uuid::nil()).of_row(0), None);
    }

    #[test]
    fn a_key_in_which_something_was_found_is_a_digest() {
        let codes: ArrayRef = Arc::new(StringArray::from(vec!["A-1"]));
        let batch = RecordBatch::try_from_iter([("code", codes)]).unwrap();
        let key = ["code".to_owned()];
        let findings = |column: &str| Findings {
            policy_id: Uuid::nil(),
            name: String::new(),
            action: Action::Log,
            rows: BooleanBuffer::new_set(1),
            seen: Vec::new(),
            columns: BTreeSet::from([column.to_owned()]),
        };
        for (column, hidden) in [("code", true), ("code.x", true), ("codes", false)] {
            let findings = [findings(column)];
            let keys = Keys::of(&batch, &key, &findings, Uuid::nil());
            let told = keys.of_row(0).unwrap();
            assert_eq!(told != "code=A-1", hidden, "{told}");
        }
    }
}
