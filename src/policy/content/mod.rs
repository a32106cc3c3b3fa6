//! Content policies (seeds 001 and 002): what no record may contain, in prose.
//!
//! `prose` understands what they say, `detector` is what they can name.

pub mod detector;
pub mod prose;
pub mod shown;
pub mod violation;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

pub use detector::{Detector, Detectors};
pub use prose::Understanding;
pub use shown::{PolicyAlert, PolicyViolation};
pub use violation::{ContentAlert, Passage, Seen, Sighting, Via, Violation};

/// How much depends on a content policy (seed 002).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Risk {
    /// `LOW`
    Low,
    /// `MEDIUM`
    Medium,
    /// `HIGH`
    High,
}

impl Risk {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Risk::Low => "LOW",
            Risk::Medium => "MEDIUM",
            Risk::High => "HIGH",
        }
    }

    /// The risk of a word.
    pub fn parse(word: &str) -> Option<Risk> {
        [Risk::Low, Risk::Medium, Risk::High]
            .into_iter()
            .find(|risk| risk.as_str() == word)
    }
}

/// What happens where a policy finds something (seed 002). In JSON it is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// 0: it is on record.
    Log,
    /// 1: it is on record, and somebody is told.
    Alert,
    /// 2: the record is withheld as well.
    Block,
}

impl Action {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Action::Log => 0,
            Action::Alert => 1,
            Action::Block => 2,
        }
    }

    /// The action of a number.
    pub fn of(number: i64) -> Option<Action> {
        match number {
            0 => Some(Action::Log),
            1 => Some(Action::Alert),
            2 => Some(Action::Block),
            _ => None,
        }
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        Action::of(number).ok_or_else(|| serde::de::Error::custom("no action"))
    }
}

/// A content policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContentPolicy {
    /// Identifier.
    pub id: Uuid,
    /// The workspace it is for; `None`: every workspace of the organisation.
    pub workspace_id: Option<Uuid>,
    /// The source it is for, one of that workspace; `None`: all of them.
    pub source_id: Option<Uuid>,
    /// Display name.
    pub name: String,
    /// What it says.
    pub content: String,
    /// How much depends on it.
    pub risk: Risk,
    /// What happens where it finds something.
    pub action: Action,
    /// The account that created it.
    pub created_by: Uuid,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// The account that changed it last.
    pub updated_by: Uuid,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl ContentPolicy {
    /// Whether it is for the records of a source of a workspace.
    pub fn covers(&self, workspace_id: Uuid, source_id: Uuid) -> bool {
        self.workspace_id.is_none_or(|own| own == workspace_id)
            && self.source_id.is_none_or(|own| own == source_id)
    }
}
