//! Snapshots: how a solution stood at a moment.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{SnapshotId, SolutionId};

/// What made a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotType {
    /// Somebody asked for it.
    Manual,
    /// Its time had come.
    Scheduled,
    /// A policy of the solution changed.
    Triggered,
}

/// How a solution stood at a moment (seed 000, "ComplianceSnapshot Object").
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ComplianceSnapshot)]
pub struct Snapshot {
    /// Identifier.
    pub id: SnapshotId,
    /// The solution.
    pub solution_id: SolutionId,
    /// What made it.
    pub snapshot_type: SnapshotType,
    /// Whether nothing can change it any more.
    pub frozen: bool,
    /// 0 to 100, with one decimal.
    pub score: f64,
    /// Policies of the solution.
    pub total_policies: u64,
    /// Those that were met.
    pub compliant_policies: u64,
    /// The others.
    pub non_compliant_policies: u64,
    /// SHA-256, in hexadecimal digits, of what was frozen; `None` before.
    #[schema(required)]
    pub digest: Option<String>,
    /// When it was approved.
    #[schema(required)]
    pub approved_at: Option<DateTime<Utc>>,
    /// By whom.
    #[schema(required)]
    pub approved_by: Option<Uuid>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl SnapshotType {
    /// Its word in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            SnapshotType::Manual => "manual",
            SnapshotType::Scheduled => "scheduled",
            SnapshotType::Triggered => "triggered",
        }
    }
}

impl Snapshot {
    /// SHA-256, in hexadecimal digits, of what the snapshot says, with its content as the store
    /// holds it: id, solution, type, score, the three counts, time and account of the approval,
    /// creation time, and content, with a line feed between them. Times have microseconds; what
    /// is not there is an empty line.
    pub fn digest_with(&self, content: &str) -> String {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let parts = [
            self.id.to_string(),
            self.solution_id.to_string(),
            self.snapshot_type.as_str().to_owned(),
            self.score.to_string(),
            self.total_policies.to_string(),
            self.compliant_policies.to_string(),
            self.non_compliant_policies.to_string(),
            self.approved_at.map(time).unwrap_or_default(),
            self.approved_by
                .map(|id| id.to_string())
                .unwrap_or_default(),
            time(self.created_at),
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part);
            digest.update("\n");
        }
        digest.update(content);
        let digest = digest.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Made with `printf ... | sha256sum`.
    const DIGEST: &str = "02bfe0aaf1b60877659b737aafbf38c562102bba1b3dd3bb9abf8ee998688277";

    fn snapshot() -> Snapshot {
        let at = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        Snapshot {
            id: SnapshotId(Uuid::from_u128(1)),
            solution_id: SolutionId(Uuid::from_u128(2)),
            snapshot_type: SnapshotType::Manual,
            frozen: false,
            score: 94.5,
            total_policies: 12,
            compliant_policies: 11,
            non_compliant_policies: 1,
            digest: None,
            approved_at: None,
            approved_by: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn the_digest_can_be_made_elsewhere() {
        assert_eq!(snapshot().digest_with("{\"a\":1}"), DIGEST);
        // What happens when it is frozen is no part of it.
        let frozen = Snapshot {
            frozen: true,
            digest: Some(DIGEST.to_owned()),
            updated_at: DateTime::from_timestamp(1_760_000_000, 0).unwrap(),
            ..snapshot()
        };
        assert_eq!(frozen.digest_with("{\"a\":1}"), DIGEST);
    }

    #[test]
    fn the_digest_stands_for_every_part() {
        let whole = snapshot();
        let later = DateTime::from_timestamp(1_750_000_001, 0);
        let changes: [fn(&mut Snapshot); 6] = [
            |snapshot| snapshot.id = SnapshotId(Uuid::from_u128(3)),
            |snapshot| snapshot.solution_id = SolutionId(Uuid::from_u128(3)),
            |snapshot| snapshot.snapshot_type = SnapshotType::Triggered,
            |snapshot| snapshot.score = 94.6,
            |snapshot| snapshot.total_policies = 13,
            |snapshot| (snapshot.compliant_policies, snapshot.non_compliant_policies) = (1, 11),
        ];
        let mut digests = BTreeSet::from([whole.digest_with(""), whole.digest_with(" ")]);
        for change in changes {
            let mut changed = whole.clone();
            change(&mut changed);
            digests.insert(changed.digest_with(""));
        }
        for (approved_at, approved_by, created_at) in [
            (later, None, None),
            (None, Some(Uuid::nil()), None),
            (None, None, later),
        ] {
            let changed = Snapshot {
                approved_at,
                approved_by,
                created_at: created_at.unwrap_or(whole.created_at),
                ..whole.clone()
            };
            digests.insert(changed.digest_with(""));
        }
        assert_eq!(digests.len(), 11);
    }
}
