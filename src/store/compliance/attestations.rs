//! Attestations.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::error::is_dangling;
use super::super::{Store, StoreError, audit, columns, object, objects, touched};
use super::listing::{Listing, Sorts};
use crate::audit::Event;
use crate::compliance::{
    Attestation, AttestationId, AttestationSummary, AttestationType, Listed, Page, SnapshotId,
    SolutionId, TypeCounts,
};
use crate::principal::Act;

/// How long before its end an attestation counts as expiring.
const EXPIRING: TimeDelta = TimeDelta::days(30);

/// Which attestations are wanted: those that meet everything that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttestationFilter {
    /// Their solution.
    pub solution_id: Option<SolutionId>,
    /// Their snapshot.
    pub snapshot_id: Option<SnapshotId>,
    /// What they certify.
    pub attestation_type: Option<AttestationType>,
    /// Whether somebody took them back.
    pub revoked: Option<bool>,
}

#[derive(sqlx::FromRow)]
struct AttestationRow {
    id: Uuid,
    solution_id: Uuid,
    snapshot_id: Uuid,
    attestation_type: String,
    evidence: String,
    expiration: Option<DateTime<Utc>>,
    attested_by: Uuid,
    attested_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    revoked_by: Option<Uuid>,
    revocation_reason: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<AttestationRow> for Attestation {
    type Error = StoreError;

    fn try_from(row: AttestationRow) -> Result<Attestation, StoreError> {
        let attestation_type = &row.attestation_type;
        Ok(Attestation {
            id: AttestationId(row.id),
            solution_id: SolutionId(row.solution_id),
            snapshot_id: SnapshotId(row.snapshot_id),
            attestation_type: columns::from_word(attestation_type, "attestation_type")?,
            attested_by: row.attested_by,
            attested_at: row.attested_at,
            evidence: columns::from_json(&row.evidence, "compliance_attestations.evidence")?,
            expiration: row.expiration,
            revoked_at: row.revoked_at,
            revoked_by: row.revoked_by,
            revocation_reason: row.revocation_reason,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
    total: i64,
    active: i64,
    revoked: i64,
    expired: i64,
    expiring: i64,
    soc2: i64,
    hipaa: i64,
    gdpr: i64,
    iso27001: i64,
    custom: i64,
}

const SORTS: Sorts = &[
    ("createdAt", "created_at"),
    ("updatedAt", "updated_at"),
    ("attestedAt", "attested_at"),
    ("expiration", "expiration"),
    ("type", "attestation_type"),
];

impl Store {
    /// A part of the attestations.
    pub async fn list_attestations(
        &self,
        filter: &AttestationFilter,
        page: Page,
    ) -> Result<Listed<Attestation>, StoreError> {
        let mut listing = Listing::new();
        listing.equals("solution_id", filter.solution_id.map(|id| id.0));
        listing.equals("snapshot_id", filter.snapshot_id.map(|id| id.0));
        listing.equals(
            "attestation_type",
            filter.attestation_type.map(AttestationType::as_str),
        );
        listing.equals("(revoked_at IS NOT NULL)", filter.revoked);
        let select = "id, solution_id, snapshot_id, attestation_type, evidence, expiration, \
             attested_by, attested_at, revoked_at, revoked_by, revocation_reason, created_at, \
             updated_at";
        let listed: Listed<AttestationRow> = listing
            .page(self, select, "compliance_attestations", SORTS, "id", page)
            .await?;
        Ok(Listed {
            data: objects(Ok(listed.data))?,
            total: listed.total,
        })
    }

    /// The attestations of a solution, oldest first.
    pub async fn attestations_of(
        &self,
        solution_id: SolutionId,
    ) -> Result<Vec<Attestation>, StoreError> {
        objects(all!(
            self,
            AttestationRow,
            "SELECT id, solution_id, snapshot_id, attestation_type, evidence, expiration,
                 attested_by, attested_at, revoked_at, revoked_by, revocation_reason, created_at,
                 updated_at
             FROM compliance_attestations WHERE solution_id = $1 ORDER BY created_at, id",
            solution_id.0,
        ))
    }

    /// One attestation.
    pub async fn get_attestation(&self, id: AttestationId) -> Result<Attestation, StoreError> {
        object(optional!(self, AttestationRow, SELECT, id.0), "attestation")
    }

    /// Adds an attestation.
    ///
    /// Errors: not found, if there is no such snapshot of that solution.
    pub async fn insert_attestation(
        &self,
        attestation: &Attestation,
        act: &Act,
    ) -> Result<(), StoreError> {
        let evidence = columns::json(&attestation.evidence)?;
        let mut tx = self.govern().await?;
        let saved = execute!(
            tx,
            "INSERT INTO compliance_attestations (id, solution_id, snapshot_id, attestation_type,
                 evidence, expiration, attested_by, attested_at, created_at, updated_at)
             SELECT $1, solution_id, id, $4, $5, $6, $7, $8, $9, $10
             FROM compliance_snapshots WHERE solution_id = $2 AND id = $3",
            attestation.id.0,
            attestation.solution_id.0,
            attestation.snapshot_id.0,
            attestation.attestation_type.as_str(),
            &evidence,
            attestation.expiration.map(columns::time),
            attestation.attested_by,
            columns::time(attestation.attested_at),
            columns::time(attestation.created_at),
            columns::time(attestation.updated_at),
        );
        let saved = saved.map_err(|error| match is_dangling(&error) {
            true => StoreError::NotFound("snapshot"),
            false => error.into(),
        })?;
        touched(saved, "snapshot")?;
        let id = Some(attestation.id.0);
        let event = Event::of("attestation", id, None, Some(attestation));
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await
    }

    /// Takes an attestation back that holds at the time of the act.
    ///
    /// Errors: `attestation_not_active`.
    pub async fn revoke_attestation(
        &self,
        id: AttestationId,
        reason: Option<&str>,
        act: &Act,
    ) -> Result<Attestation, StoreError> {
        let at = columns::time(act.at);
        let mut tx = self.govern().await?;
        let before = attestation(&mut tx, id).await?;
        let revoked = execute!(
            tx,
            "UPDATE compliance_attestations
             SET revoked_at = $2, revoked_by = $3, revocation_reason = $4, updated_at = $2
             WHERE id = $1 AND revoked_at IS NULL",
            id.0,
            at,
            act.account_id,
            reason,
        )?;
        let after = attestation(&mut tx, id).await?;
        if revoked == 0 {
            return Err(StoreError::Refused {
                code: "attestation_not_active",
                message: "the attestation was revoked before".to_owned(),
            });
        }
        let event = Event {
            action: "attestation.revoke".to_owned(),
            ..Event::of("attestation", Some(id.0), Some(&before), Some(&after))
        };
        audit::append(&mut tx, None, act, &event).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Counts of all attestations at a moment.
    pub async fn attestation_summary(
        &self,
        now: DateTime<Utc>,
    ) -> Result<AttestationSummary, StoreError> {
        let at = columns::time(now);
        let row = optional!(
            self,
            SummaryRow,
            "SELECT count(*) AS total,
                 count(*) FILTER (WHERE revoked_at IS NULL
                     AND (expiration IS NULL OR expiration > $1)) AS active,
                 count(revoked_at) AS revoked,
                 count(*) FILTER (WHERE revoked_at IS NULL AND expiration <= $1) AS expired,
                 count(*) FILTER (WHERE revoked_at IS NULL
                     AND expiration > $1 AND expiration <= $2) AS expiring,
                 count(*) FILTER (WHERE attestation_type = 'soc2') AS soc2,
                 count(*) FILTER (WHERE attestation_type = 'hipaa') AS hipaa,
                 count(*) FILTER (WHERE attestation_type = 'gdpr') AS gdpr,
                 count(*) FILTER (WHERE attestation_type = 'iso27001') AS iso27001,
                 count(*) FILTER (WHERE attestation_type = 'custom') AS custom
             FROM compliance_attestations",
            at,
            at + EXPIRING,
        )?;
        let row = row.ok_or_else(|| columns::unreadable("count"))?;
        let count = |value| columns::from_count(value, "count");
        Ok(AttestationSummary {
            total: count(row.total)?,
            active: count(row.active)?,
            revoked: count(row.revoked)?,
            expired: count(row.expired)?,
            by_type: TypeCounts {
                soc2: count(row.soc2)?,
                hipaa: count(row.hipaa)?,
                gdpr: count(row.gdpr)?,
                iso27001: count(row.iso27001)?,
                custom: count(row.custom)?,
            },
            expiring: count(row.expiring)?,
            generated_at: now,
        })
    }
}

const SELECT: &str = "SELECT id, solution_id, snapshot_id, attestation_type, evidence, \
     expiration, attested_by, attested_at, revoked_at, revoked_by, revocation_reason, created_at, \
     updated_at FROM compliance_attestations WHERE id = $1";

async fn attestation(tx: &mut Tx, id: AttestationId) -> Result<Attestation, StoreError> {
    object(optional!(tx, AttestationRow, SELECT, id.0), "attestation")
}
