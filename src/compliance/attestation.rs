//! Attestations: somebody certifies what a snapshot shows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AttestationId, SnapshotId, SolutionId};

/// What is certified.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AttestationType {
    /// SOC 2.
    Soc2,
    /// HIPAA.
    Hipaa,
    /// GDPR.
    Gdpr,
    /// ISO/IEC 27001.
    Iso27001,
    /// Something else.
    Custom,
}

impl AttestationType {
    /// All of them, in the order in which the API lists them.
    pub const ALL: [AttestationType; 5] = [
        AttestationType::Soc2,
        AttestationType::Hipaa,
        AttestationType::Gdpr,
        AttestationType::Iso27001,
        AttestationType::Custom,
    ];

    /// Its word in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            AttestationType::Soc2 => "soc2",
            AttestationType::Hipaa => "hipaa",
            AttestationType::Gdpr => "gdpr",
            AttestationType::Iso27001 => "iso27001",
            AttestationType::Custom => "custom",
        }
    }
}

/// How many attestations there are of each type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AttestationTypeCounts)]
pub struct TypeCounts {
    /// Of SOC 2.
    pub soc2: u64,
    /// Of HIPAA.
    pub hipaa: u64,
    /// Of the GDPR.
    pub gdpr: u64,
    /// Of ISO/IEC 27001.
    pub iso27001: u64,
    /// Of something else.
    pub custom: u64,
}

/// Counts of attestations at a moment. Each is either active, revoked or expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttestationSummary {
    /// All of them.
    pub total: u64,
    /// Those that hold.
    pub active: u64,
    /// Those that somebody took back, whether their time has run out since or not.
    pub revoked: u64,
    /// Those whose time ran out.
    pub expired: u64,
    /// All of them by what they certify.
    pub by_type: TypeCounts,
    /// Those that hold, and end within 30 days.
    #[serde(rename = "expiringWithin30Days")]
    pub expiring: u64,
    /// The moment.
    pub generated_at: DateTime<Utc>,
}

/// Whether an attestation holds, at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttestationStatus {
    /// It does.
    Active,
    /// Its time ran out.
    Expired,
    /// Somebody took it back.
    Revoked,
}

/// What an attestation rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// Where the document is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_url: Option<String>,
    /// What is to be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// A certification (seed 000, "Attestation Object"). Its status depends on the time, and so is
/// not written with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    /// Identifier.
    pub id: AttestationId,
    /// The solution of the snapshot.
    pub solution_id: SolutionId,
    /// What is certified to be so.
    pub snapshot_id: SnapshotId,
    /// What is certified.
    #[serde(rename = "type")]
    pub attestation_type: AttestationType,
    /// Who certifies it.
    pub attested_by: Uuid,
    /// When.
    pub attested_at: DateTime<Utc>,
    /// What it rests on.
    pub evidence: Evidence,
    /// When it ends; `None`: it does not.
    pub expiration: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// By whom.
    pub revoked_by: Option<Uuid>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_reason: Option<String>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Last change.
    pub updated_at: DateTime<Utc>,
}

impl Attestation {
    /// Whether it holds at a moment.
    pub fn status(&self, now: DateTime<Utc>) -> AttestationStatus {
        match (self.revoked_at, self.expiration) {
            (Some(_), _) => AttestationStatus::Revoked,
            (None, Some(end)) if end <= now => AttestationStatus::Expired,
            _ => AttestationStatus::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_status_follows_the_time_and_a_revocation_is_for_good() {
        let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        let attestation = |expiration: Option<i64>, revoked: Option<i64>| Attestation {
            id: AttestationId(Uuid::nil()),
            solution_id: SolutionId(Uuid::nil()),
            snapshot_id: SnapshotId(Uuid::nil()),
            attestation_type: AttestationType::Soc2,
            attested_by: Uuid::nil(),
            attested_at: at(0),
            evidence: Evidence::default(),
            expiration: expiration.map(at),
            revoked_at: revoked.map(at),
            revoked_by: revoked.map(|_| Uuid::nil()),
            revocation_reason: None,
            created_at: at(0),
            updated_at: at(0),
        };
        use AttestationStatus::{Active, Expired, Revoked};
        for (expiration, revoked, now, expected) in [
            (None, None, 1 << 40, Active),
            (Some(10), None, 9, Active),
            (Some(10), None, 10, Expired),
            (Some(10), None, 11, Expired),
            (Some(10), Some(5), 6, Revoked),
            (Some(10), Some(5), 11, Revoked),
            (None, Some(5), 6, Revoked),
        ] {
            let found = attestation(expiration, revoked).status(at(now));
            assert_eq!(found, expected, "{expiration:?} {revoked:?} {now}");
        }
    }
}
