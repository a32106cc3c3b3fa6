//! What no detector covers, put to a judge: which texts of which records it is asked about, and
//! what follows from its answer and from its silence.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::content::top_of;
use super::detect::texts::Column;
use crate::policy::content::Understanding;
use crate::telemetry;

/// Most records of one question.
const MOST_RECORDS: usize = 20;

/// Most bytes of the records of one question.
const MOST_BYTES: usize = 64 << 10;

/// Most bytes of the texts of one record. A longer one is not asked about: a part of it proves
/// nothing.
const RECORD_BYTES: usize = 8 << 10;

/// How long the questions about one batch may take, one after another. What is open then stays
/// undecided; a question that has begun is waited for.
const BATCH_TIME: TimeDelta = TimeDelta::seconds(120);

/// Until when there may be questions about one batch. It is set by the first of them.
#[derive(Default)]
pub(super) struct Deadline(Option<DateTime<Utc>>);

impl Deadline {
    fn is_over(&mut self, now: DateTime<Utc>) -> bool {
        now >= *self.0.get_or_insert(now + BATCH_TIME)
    }
}

/// Whoever tells whether records violate a content policy. It may be asked on any thread, which it
/// may block.
pub trait Judge: Debug + Send + Sync {
    /// Whether each of the records violates the policy, in their order.
    fn judge(&self, question: &Question<'_>) -> Result<Vec<bool>, Undecided>;

    /// The time.
    fn now(&self) -> DateTime<Utc>;
}

/// What a judge is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The content policy, as it was written.
    pub policy: &'a str,
    /// The phrases of it that no detector covers.
    pub phrases: &'a [String],
    /// The records, each a JSON object with its texts by their paths.
    pub records: &'a [String],
}

/// There is no verdict on any of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the judge has not decided")]
pub struct Undecided;

/// What the judge says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    Passes,
    Violates,
    Undecided,
}

/// The part of one content policy that a judge decides.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    policy_id: Uuid,
    policy: String,
    phrases: Vec<String>,
    judge: Arc<dyn Judge>,
}

impl Judged {
    /// `None` where detectors cover all of the policy.
    pub(super) fn of(
        policy_id: Uuid,
        policy: &str,
        understood: &Understanding,
        judge: &Arc<dyn Judge>,
    ) -> Option<Judged> {
        let judged = || Judged {
            policy_id,
            policy: policy.to_owned(),
            phrases: understood.unknown.clone(),
            judge: Arc::clone(judge),
        };
        (!understood.unknown.is_empty()).then(judged)
    }

    /// What the judge says of each record that has any text, as far as it was asked in time.
    pub(super) fn sentences(
        &self,
        records: Texts,
        deadline: &mut Deadline,
    ) -> Vec<(usize, Sentence)> {
        let mut sentences = Vec::with_capacity(records.0.len());
        let (mut rows, mut texts, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (row, record) in records.0 {
            if record.bytes > RECORD_BYTES {
                sentences.push((row, Sentence::Undecided));
                continue;
            }
            let text = json!(record.texts).to_string();
            if rows.len() == MOST_RECORDS || bytes + text.len() > MOST_BYTES {
                self.ask(&rows, &texts, deadline, &mut sentences);
                rows.clear();
                texts.clear();
                bytes = 0;
            }
            bytes += text.len();
            rows.push(row);
            texts.push(text);
        }
        self.ask(&rows, &texts, deadline, &mut sentences);
        self.count(&sentences);
        sentences
    }

    fn ask(
        &self,
        rows: &[usize],
        records: &[String],
        deadline: &mut Deadline,
        sentences: &mut Vec<(usize, Sentence)>,
    ) {
        if rows.is_empty() {
            return;
        }
        let question = Question {
            policy: &self.policy,
            phrases: &self.phrases,
            records,
        };
        let violations = match deadline.is_over(self.judge.now()) {
            true => None,
            false => self.judge.judge(&question).ok(),
        };
        let violations = violations.filter(|violations| violations.len() == rows.len());
        let answers = (0..rows.len()).map(|place| {
            match violations.as_ref().and_then(|answer| answer.get(place)) {
                None => Sentence::Undecided,
                Some(true) => Sentence::Violates,
                Some(false) => Sentence::Passes,
            }
        });
        sentences.extend(rows.iter().copied().zip(answers));
    }

    fn count(&self, sentences: &[(usize, Sentence)]) {
        let mut undecided = 0;
        for (outcome, sentence) in [
            ("passes", Sentence::Passes),
            ("violates", Sentence::Violates),
            ("undecided", Sentence::Undecided),
        ] {
            let records = sentences.iter().filter(|(_, own)| *own == sentence).count();
            if records > 0 {
                metrics::counter!(telemetry::JUDGED_RECORDS_TOTAL, telemetry::OUTCOME => outcome)
                    .increment(records as u64);
            }
            undecided = records;
        }
        if undecided > 0 {
            tracing::warn!(
                policy_id = %self.policy_id,
                records = undecided,
                "the judge has not decided on records"
            );
        }
    }
}

/// The texts of records, by their rows.
#[derive(Default)]
pub(super) struct Texts(BTreeMap<usize, Record>);

#[derive(Default)]
struct Record {
    bytes: usize,
    /// In the order of their paths, so that equal records read alike wherever they come from.
    texts: BTreeMap<String, Value>,
}

impl Texts {
    /// Those of some columns, in the rows that are wanted.
    pub(super) fn of<'a>(
        columns: impl Iterator<Item = &'a Leaf<'a>>,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Texts {
        let mut texts = Texts::default();
        for leaf in columns {
            for (row, text) in leaf.column.entries() {
                if !text.is_empty() && is_wanted(row) {
                    texts.add(row, &leaf.column.path, text);
                }
            }
        }
        texts
    }

    fn add(&mut self, row: usize, path: &str, text: &str) {
        let record = self.0.entry(row).or_default();
        record.bytes = record.bytes.saturating_add(path.len() + text.len());
        if record.bytes > RECORD_BYTES {
            record.texts = BTreeMap::new();
            return;
        }
        let text = Value::from(text);
        match record.texts.get_mut(path) {
            None => {
                record.texts.insert(path.to_owned(), text);
            }
            Some(Value::Array(several)) => several.push(text),
            Some(one) => *one = Value::Array(vec![one.take(), text]),
        }
    }
}

/// The texts of a column that leave, and the top-level column that they stand in.
pub(super) struct Leaf<'a> {
    pub(super) top: &'a str,
    pub(super) column: Cow<'a, Column>,
}

impl<'a> Leaf<'a> {
    /// Of records that go on as they came.
    pub(super) fn gathered(column: &'a Column) -> Leaf<'a> {
        Leaf {
            top: top_of(&column.path),
            column: Cow::Borrowed(column),
        }
    }
}
