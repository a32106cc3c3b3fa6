//! Violations and alerts as the API shows them and as channels are told of them, with a sentence
//! for people.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Action, ContentAlert, Detector, Via, Violation};

/// Most columns that a sentence names.
const NAMED: usize = 5;

/// Something that a content policy found in a record. Its value stands nowhere.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyViolation {
    /// Identifier.
    id: Uuid,
    /// The policy.
    policy_id: Uuid,
    /// Its name now.
    policy_name: String,
    /// The organisation.
    org_id: String,
    /// The workspace.
    workspace_id: Uuid,
    /// The source that the record is from.
    repo_id: Uuid,
    /// The model that it is a record of.
    model_id: Uuid,
    /// The run, where it is one.
    #[schema(required)]
    run_id: Option<Uuid>,
    /// The run, stream or query; of a run, its id.
    passage_id: Uuid,
    /// By which way it would have left: `sync`, `upload`, `stream` or `query`.
    via: &'static str,
    /// What was done about it: 0, it is on record; 1, somebody is told as well; 2, the record is
    /// withheld as well.
    #[schema(value_type = u8)]
    action_type: Action,
    /// By what the record is found again: its key, or its place.
    record: String,
    /// The column, with the path within it; empty for the record as a whole.
    column: String,
    /// What found it: the name of a detector; `match`, an expression of the policy; `column`, the
    /// policy names the whole column; `judge`; or `judge_unavailable`, a judge has not decided.
    detector: String,
    /// What it looks like: letters and digits are others than those of the value.
    shape: String,
    /// All of that in a sentence.
    explanation: String,
    /// When.
    created_at: DateTime<Utc>,
}

/// What a policy that alerts found in one run, stream or query, all together.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAlert {
    /// Identifier.
    id: Uuid,
    /// The policy.
    policy_id: Uuid,
    /// Its name now.
    policy_name: String,
    /// The organisation.
    org_id: String,
    /// The workspace.
    workspace_id: Uuid,
    /// The source that the records are from.
    repo_id: Uuid,
    /// The model that they are records of.
    model_id: Uuid,
    /// The run, where it is one.
    #[schema(required)]
    run_id: Option<Uuid>,
    /// The run, stream or query; of a run, its id.
    passage_id: Uuid,
    /// By which way they would have left: `sync`, `upload`, `stream` or `query`.
    via: &'static str,
    /// The strictest that was done about it: 1, somebody is told; 2, records are withheld as well.
    #[schema(value_type = u8)]
    action_type: Action,
    /// How many records it found something in. One that was judged again is counted again.
    records: u64,
    /// In which columns, and what found it there.
    found: Vec<FoundThere>,
    /// All of that in a sentence.
    explanation: String,
    /// When it found the first.
    first_at: DateTime<Utc>,
    /// When it found the last.
    last_at: DateTime<Utc>,
}

/// What a policy found in a column.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FoundThere {
    /// The column, with the path within it; empty for records as a whole.
    column: String,
    /// What found it: the name of a detector, `match`, `column`, `judge`, or `judge_unavailable`
    /// where a judge has not decided.
    detector: String,
}

impl PolicyViolation {
    /// A violation in an organisation.
    pub fn of(violation: Violation, org_id: String) -> PolicyViolation {
        let explanation = violation.explanation();
        let Violation { passage, seen, .. } = violation;
        PolicyViolation {
            id: violation.id,
            policy_id: violation.policy_id,
            policy_name: violation.policy_name,
            org_id,
            workspace_id: passage.workspace_id,
            repo_id: passage.source_id,
            model_id: passage.model_id,
            run_id: passage.run_id,
            passage_id: passage.id,
            via: passage.via.as_str(),
            action_type: violation.action,
            record: seen.record,
            column: seen.column,
            detector: seen.detector,
            shape: seen.shape,
            explanation,
            created_at: violation.at,
        }
    }
}

impl PolicyAlert {
    /// An alert in an organisation.
    pub fn of(alert: ContentAlert, org_id: String) -> PolicyAlert {
        let explanation = alert.explanation();
        let ContentAlert { passage, found, .. } = alert;
        let found = found.into_iter();
        PolicyAlert {
            id: alert.id,
            policy_id: alert.policy_id,
            policy_name: alert.policy_name,
            org_id,
            workspace_id: passage.workspace_id,
            repo_id: passage.source_id,
            model_id: passage.model_id,
            run_id: passage.run_id,
            passage_id: passage.id,
            via: passage.via.as_str(),
            action_type: alert.action,
            records: alert.records,
            found: found
                .map(|(column, detector)| FoundThere { column, detector })
                .collect(),
            explanation,
            first_at: alert.first_at,
            last_at: alert.last_at,
        }
    }
}

impl Violation {
    /// What was found where, and what was done about it, in a sentence.
    fn explanation(&self) -> String {
        let what = about(&self.seen.detector);
        let (column, record) = (&self.seen.column, &self.seen.record);
        let place = match (column.as_str(), record.as_str()) {
            ("", "") => String::new(),
            ("", record) => format!(" in record {record}"),
            (column, "") => format!(" in column {column}"),
            (column, record) => format!(" in column {column} of record {record}"),
        };
        let mut sentence = format!("Policy \"{}\" found {what}{place}", self.policy_name);
        if !self.seen.shape.is_empty() {
            sentence.push_str(", which looks like ");
            sentence.push_str(&self.seen.shape);
        }
        sentence.push_str(match self.action {
            Action::Log => "; it is on record.",
            Action::Alert => "; somebody was told.",
            Action::Block => "; the record was withheld.",
        });
        sentence
    }
}

impl ContentAlert {
    /// What was found where, and what was done about it, in a sentence. No record is named.
    fn explanation(&self) -> String {
        let mut found: Vec<String> = self
            .found
            .iter()
            .take(NAMED)
            .map(|(column, detector)| match column.as_str() {
                "" => about(detector).to_owned(),
                column => format!("{} in column {column}", about(detector)),
            })
            .collect();
        if let Some(more) = self.found.len().checked_sub(NAMED).filter(|more| *more > 0) {
            found.push(format!("{more} more"));
        }
        let found = match found.split_last() {
            None => "something".to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, before)) => format!("{} and {last}", before.join(", ")),
        };
        let run = self.passage.run_id.unwrap_or(self.passage.id);
        let passage = match self.passage.via {
            Via::Sync | Via::Upload => format!("run {run}"),
            Via::Stream => "a stream".to_owned(),
            Via::Query => "a query".to_owned(),
        };
        let (number, was) = match self.records {
            1 => ("1 record".to_owned(), "it was"),
            records => (format!("{records} records"), "they were"),
        };
        let done = match self.action {
            Action::Block => format!("{was} withheld"),
            Action::Alert | Action::Log => format!("{was} let pass"),
        };
        let policy = &self.policy_name;
        format!("Policy \"{policy}\" found {found}: {number} of {passage}; {done}.")
    }
}

/// What a detector finds, in words.
fn about(detector: &str) -> &str {
    match detector {
        "match" => "a text that one of its expressions matches",
        "column" => "a value",
        "judge" => "what it forbids",
        "judge_unavailable" => "something that its judge has not decided on",
        name => Detector::of(name).map_or(name, |detector| detector.about()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::content::{Passage, Seen};

    fn passage(via: Via) -> Passage {
        Passage {
            id: Uuid::from_u128(1),
            via,
            workspace_id: Uuid::from_u128(2),
            source_id: Uuid::from_u128(3),
            model_id: Uuid::from_u128(4),
            run_id: (via == Via::Sync).then_some(Uuid::from_u128(1)),
            account_id: Uuid::from_u128(5),
        }
    }

    #[test]
    fn violation_is_told_in_a_sentence() {
        let mut violation = Violation {
            id: Uuid::from_u128(6),
            policy_id: Uuid::from_u128(7),
            policy_name: "PII Protection Policy".into(),
            action: Action::Block,
            passage: passage(Via::Stream),
            seen: Seen {
                place: 7,
                record: "id=7".into(),
                column: "notes.text".into(),
                detector: "payment_card".into(),
                shape: "9999 9999 9999 9999".into(),
            },
            at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            violation.explanation(),
            "Policy \"PII Protection Policy\" found a payment card number in column notes.text \
             of record id=7, which looks like 9999 9999 9999 9999; the record was withheld."
        );
        violation.action = Action::Log;
        violation.seen.detector = "column".into();
        violation.seen.shape.clear();
        assert_eq!(
            violation.explanation(),
            "Policy \"PII Protection Policy\" found a value in column notes.text of record id=7; \
             it is on record."
        );
        violation.seen.column.clear();
        violation.action = Action::Block;
        for (detector, what) in [
            ("judge", "what it forbids"),
            (
                "judge_unavailable",
                "something that its judge has not decided on",
            ),
        ] {
            violation.seen.detector = detector.into();
            assert_eq!(
                violation.explanation(),
                format!(
                    "Policy \"PII Protection Policy\" found {what} in record id=7; the record was \
                     withheld."
                )
            );
        }
    }

    #[test]
    fn alert_names_columns_and_no_record() {
        let pair = |column: &str, detector: &str| (column.to_owned(), detector.to_owned());
        let mut alert = ContentAlert {
            id: Uuid::from_u128(6),
            policy_id: Uuid::from_u128(7),
            policy_name: "Secrets".into(),
            action: Action::Block,
            passage: passage(Via::Query),
            records: 1,
            found: vec![pair("note", "jwt")],
            first_at: DateTime::UNIX_EPOCH,
            last_at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            alert.explanation(),
            "Policy \"Secrets\" found a JSON web token in column note: 1 record of a query; it \
             was withheld."
        );
        alert.found = vec![pair("", "judge"), pair("", "judge_unavailable")];
        assert_eq!(
            alert.explanation(),
            "Policy \"Secrets\" found what it forbids and something that its judge has not decided \
             on: 1 record of a query; it was withheld."
        );
        alert.found = vec![pair("note", "jwt")];
        alert
            .found
            .extend((0..6).map(|n| pair(&format!("c{n}"), "match")));
        alert.records = 12;
        alert.action = Action::Alert;
        let told = alert.explanation();
        assert!(
            told.contains("in column c3 and 2 more: 12 records of a query"),
            "{told}"
        );
        assert!(told.ends_with("; they were let pass."), "{told}");
    }
}
