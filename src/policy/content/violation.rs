//! Violations: what content policies found, told without any value of a record.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Action;

/// By which way records would leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// A run that reads its model.
    Sync,
    /// A run whose records are sent to it.
    Upload,
    /// A stream that comes back, or goes on, without what is withheld.
    Stream,
    /// A query.
    Query,
}

impl Via {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Sync => "sync",
            Via::Upload => "upload",
            Via::Stream => "stream",
            Via::Query => "query",
        }
    }

    /// The way of a word.
    pub fn parse(word: &str) -> Option<Via> {
        [Via::Sync, Via::Upload, Via::Stream, Via::Query]
            .into_iter()
            .find(|via| via.as_str() == word)
    }
}

/// One run, stream or query, in which records of a model are judged: violations are grouped by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Identifier: that of the run, or one of its own.
    pub id: Uuid,
    /// Which way.
    pub via: Via,
    /// The workspace.
    pub workspace_id: Uuid,
    /// The source that the records are from.
    pub source_id: Uuid,
    /// The model.
    pub model_id: Uuid,
    /// The run, where it is one.
    pub run_id: Option<Uuid>,
    /// On whose behalf.
    pub account_id: Uuid,
}

/// What one policy found in records that were judged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The policy.
    pub policy_id: Uuid,
    /// What it does about it.
    pub action: Action,
    /// How many records it found something in.
    pub records: u64,
    /// The first things that it found.
    pub seen: Vec<Seen>,
}

/// One thing that a policy found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which of the passage's records: it tells two of them apart.
    pub place: u64,
    /// By what a person finds the record again: its key, or its line.
    pub record: String,
    /// The column, with the path within it.
    pub column: String,
    /// What found it: the name of a detector, `match`, `column`, `judge`, or `judge_unavailable`
    /// where a judge was to decide and has not.
    pub detector: String,
    /// What it looks like.
    pub shape: String,
}

/// A violation as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Identifier.
    pub id: Uuid,
    /// The policy.
    pub policy_id: Uuid,
    /// Its name now.
    pub policy_name: String,
    /// What was done about it.
    pub action: Action,
    /// Where.
    pub passage: Passage,
    /// What was found.
    pub seen: Seen,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a policy that alerts found in one passage, all together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentAlert {
    /// Identifier.
    pub id: Uuid,
    /// The policy.
    pub policy_id: Uuid,
    /// Its name now.
    pub policy_name: String,
    /// What was done about it.
    pub action: Action,
    /// Where.
    pub passage: Passage,
    /// How many records it found something in.
    pub records: u64,
    /// In which columns, and what found it there, each once.
    pub found: Vec<(String, String)>,
    /// When it found the first.
    pub first_at: DateTime<Utc>,
    /// When it found the last.
    pub last_at: DateTime<Utc>,
}
