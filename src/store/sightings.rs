//! What content policies found: the violations, and what was found together.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::compliance::listing::{Bound, Listing, Sorts};
use super::database::{Db, Tx};
use super::{Store, StoreError, columns};
use crate::compliance::{Listed, Page, Purview, Sort};
use crate::policy::content::{Action, ContentAlert, Passage, Seen, Sighting, Via, Violation};

/// Most violations that are kept of one policy in one run, stream or query. Beyond it they are
/// only counted.
pub const KEPT: u64 = 1_000;

/// How long sightings, their violations and the messages about them are kept.
const KEPT_FOR: TimeDelta = TimeDelta::days(90);
/// Most rows of a table that are deleted at once.
const FORGOTTEN: u64 = 5_000;
/// Most pairs of a column and a detector that are kept of one policy in one run, stream or query.
const PAIRS: usize = 200;
/// Most characters of a column's path or a record's key: an index holds no longer ones.
const CHARACTERS: usize = 500;

/// Which violations, or alerts, are wanted.
#[derive(Clone, Debug)]
pub struct SightingFilter {
    /// Those in workspaces that it covers.
    pub purview: Purview,
    /// Those of a policy.
    pub policy_id: Option<Uuid>,
    /// Those in a workspace.
    pub workspace_id: Option<Uuid>,
    /// Those in records of a source.
    pub source_id: Option<Uuid>,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Up to this time.
    pub to: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
pub(super) struct PassageRow {
    passage_id: Uuid,
    via: String,
    workspace_id: Uuid,
    source_id: Uuid,
    model_id: Uuid,
    run_id: Option<Uuid>,
    account_id: Uuid,
}

impl TryFrom<PassageRow> for Passage {
    type Error = StoreError;

    fn try_from(row: PassageRow) -> Result<Passage, StoreError> {
        let via = Via::parse(&row.via).ok_or_else(|| columns::unreadable("via"))?;
        Ok(Passage {
            id: row.passage_id,
            via,
            workspace_id: row.workspace_id,
            source_id: row.source_id,
            model_id: row.model_id,
            run_id: row.run_id,
            account_id: row.account_id,
        })
    }
}

#[derive(sqlx::FromRow)]
struct ViolationRow {
    id: Uuid,
    policy_id: Uuid,
    policy_name: String,
    action: i64,
    #[sqlx(flatten)]
    passage: PassageRow,
    place: i64,
    record: String,
    column_name: String,
    detector: String,
    shape: String,
    at: DateTime<Utc>,
}

impl TryFrom<ViolationRow> for Violation {
    type Error = StoreError;

    fn try_from(row: ViolationRow) -> Result<Violation, StoreError> {
        Ok(Violation {
            id: row.id,
            policy_id: row.policy_id,
            policy_name: row.policy_name,
            action: action(row.action)?,
            passage: row.passage.try_into()?,
            seen: Seen {
                place: columns::from_count(row.place, "content_violations.place")?,
                record: row.record,
                column: row.column_name,
                detector: row.detector,
                shape: row.shape,
            },
            at: row.at,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct AlertRow {
    id: Uuid,
    policy_id: Uuid,
    policy_name: String,
    action: i64,
    #[sqlx(flatten)]
    passage: PassageRow,
    records: i64,
    found: String,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

impl TryFrom<AlertRow> for ContentAlert {
    type Error = StoreError;

    fn try_from(row: AlertRow) -> Result<ContentAlert, StoreError> {
        Ok(ContentAlert {
            id: row.id,
            policy_id: row.policy_id,
            policy_name: row.policy_name,
            action: action(row.action)?,
            passage: row.passage.try_into()?,
            records: columns::from_count(row.records, "content_sightings.records")?,
            found: columns::from_json(&row.found, "content_sightings.found")?,
            first_at: row.first_at,
            last_at: row.last_at,
        })
    }
}

fn action(number: i64) -> Result<Action, StoreError> {
    Action::of(number).ok_or_else(|| columns::unreadable("action"))
}

impl Store {
    /// Deletes violations that are older than 90 days, and sightings in which nothing was found
    /// since, with the messages about them; some thousands at once. Answers how many rows these
    /// were.
    pub async fn forget_sightings(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let before = now - KEPT_FOR;
        let violations = execute!(
            self,
            "DELETE FROM content_violations WHERE id IN (
                 SELECT id FROM content_violations WHERE at < $1 ORDER BY at, id LIMIT $2)",
            columns::time(before),
            columns::count(FORGOTTEN),
        )?;
        let sightings = execute!(
            self,
            "DELETE FROM content_sightings WHERE id IN (
                 SELECT s.id FROM content_sightings s
                 WHERE s.last_at < $1 AND NOT EXISTS (
                     SELECT 1 FROM content_violations v WHERE v.sighting_id = s.id)
                 ORDER BY s.last_at, s.id LIMIT $2)",
            columns::time(before),
            columns::count(FORGOTTEN),
        )?;
        Ok(violations + sightings)
    }

    /// Writes down what content policies found in records that were judged together, before any
    /// of these leaves.
    ///
    /// What is known already, from a batch that is judged again, is no second violation. Its
    /// records are counted as often as they are judged.
    pub async fn record_sightings(
        &self,
        passage: &Passage,
        sightings: &[Sighting],
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if sightings.is_empty() {
            return Ok(());
        }
        // Whoever else writes of this passage takes the rows in the same order: no two wait for
        // each other.
        let mut sightings: Vec<&Sighting> = sightings.iter().collect();
        sightings.sort_by_key(|sighting| sighting.policy_id);
        let mut tx = self.write().await?;
        for sighting in sightings {
            record(&mut tx, passage, sighting, columns::time(at)).await?;
        }
        tx.commit().await
    }

    /// The violations that a filter wants, newest first.
    pub async fn list_violations(
        &self,
        filter: &SightingFilter,
        skip: u64,
        take: u32,
    ) -> Result<Listed<Violation>, StoreError> {
        const SORTS: Sorts = &[("createdAt", "v.at")];
        let mut listing = filter.listing();
        if let Some(from) = filter.from {
            listing.holds("v.at >= {}", vec![Bound::from(from)]);
        }
        if let Some(to) = filter.to {
            listing.holds("v.at <= {}", vec![Bound::from(to)]);
        }
        let rows: Listed<ViolationRow> = listing
            .page(
                self,
                "v.id, s.policy_id, p.name AS policy_name, v.action, s.passage_id, s.via,
                 s.workspace_id, s.source_id, s.model_id, s.run_id, s.account_id, v.place,
                 v.record, v.column_name, v.detector, v.shape, v.at",
                "content_violations v JOIN content_sightings s ON s.id = v.sighting_id
                 JOIN content_policies p ON p.id = s.policy_id",
                SORTS,
                "v.id",
                newest_first(skip, take),
            )
            .await?;
        read(rows)
    }

    /// What policies that alert found in whole runs, streams and queries, as a filter wants it:
    /// newest first, by the last record.
    pub async fn list_alerts(
        &self,
        filter: &SightingFilter,
        skip: u64,
        take: u32,
    ) -> Result<Listed<ContentAlert>, StoreError> {
        const SORTS: Sorts = &[("createdAt", "s.last_at")];
        let mut listing = filter.listing();
        listing.holds("s.action >= 1", Vec::new());
        if let Some(from) = filter.from {
            listing.holds("s.last_at >= {}", vec![Bound::from(from)]);
        }
        if let Some(to) = filter.to {
            listing.holds("s.last_at <= {}", vec![Bound::from(to)]);
        }
        let rows: Listed<AlertRow> = listing
            .page(
                self,
                "s.id, s.policy_id, p.name AS policy_name, s.action, s.passage_id, s.via,
                 s.workspace_id, s.source_id, s.model_id, s.run_id, s.account_id, s.records,
                 s.found, s.first_at, s.last_at",
                "content_sightings s JOIN content_policies p ON p.id = s.policy_id",
                SORTS,
                "s.id",
                newest_first(skip, take),
            )
            .await?;
        read(rows)
    }

    /// The workspace of a content policy, deleted or not; `None` for one of the organisation.
    pub async fn content_policy_workspace(&self, id: Uuid) -> Result<Option<Uuid>, StoreError> {
        let row = optional!(
            self,
            (Option<Uuid>,),
            "SELECT workspace_id FROM content_policies WHERE id = $1",
            id,
        )?;
        row.map(|(workspace_id,)| workspace_id)
            .ok_or(StoreError::NotFound("policy"))
    }
}

impl SightingFilter {
    fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        if let Purview::Workspaces(ids) = &self.purview {
            listing.is_one_of("s.workspace_id", ids.iter().copied());
        }
        listing.equals("s.policy_id", self.policy_id);
        listing.equals("s.workspace_id", self.workspace_id);
        listing.equals("s.source_id", self.source_id);
        listing
    }
}

fn newest_first(skip: u64, take: u32) -> Page {
    Page {
        limit: take,
        offset: skip,
        sort: Sort {
            field: "createdAt",
            descending: true,
        },
    }
}

fn read<R, T>(rows: Listed<R>) -> Result<Listed<T>, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    let data: Result<Vec<T>, StoreError> = rows.data.into_iter().map(T::try_from).collect();
    Ok(Listed {
        data: data?,
        total: rows.total,
    })
}

/// Adds what one policy found to what it found in the same passage before.
async fn record(
    tx: &mut Tx,
    passage: &Passage,
    sighting: &Sighting,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let parts = [&passage.id, &passage.model_id, &sighting.policy_id];
    let new_id = id_of(at, &parts.map(|id| id.as_bytes().as_slice()));
    // From here on the row is ours until the transaction ends.
    let row = optional!(
        tx,
        (Uuid, i64, String),
        "INSERT INTO content_sightings (id, policy_id, passage_id, via, workspace_id, source_id,
             model_id, run_id, account_id, action, records, kept, found, first_at, last_at, told)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, '[]', $12, $12, 0)
         ON CONFLICT (passage_id, model_id, policy_id) DO UPDATE SET
             records = content_sightings.records + excluded.records,
             action = CASE WHEN excluded.action > content_sightings.action
                 THEN excluded.action ELSE content_sightings.action END,
             first_at = CASE WHEN excluded.first_at < content_sightings.first_at
                 THEN excluded.first_at ELSE content_sightings.first_at END,
             last_at = CASE WHEN excluded.last_at > content_sightings.last_at
                 THEN excluded.last_at ELSE content_sightings.last_at END
         RETURNING id, kept, found",
        new_id,
        sighting.policy_id,
        passage.id,
        passage.via.as_str(),
        passage.workspace_id,
        passage.source_id,
        passage.model_id,
        passage.run_id,
        passage.account_id,
        i64::from(sighting.action.number()),
        columns::count(sighting.records),
        at,
    )?;
    let lost = || StoreError::Corrupt("a sighting was not saved".into());
    let (id, kept, found) = row.ok_or_else(lost)?;
    let mut pairs: Vec<(String, String)> = columns::from_json(&found, "content_sightings.found")?;
    let mut now_kept = columns::from_count(kept, "content_sightings.kept")?;
    for seen in &sighting.seen {
        let column = storable(&seen.column);
        let known =
            |(name, detector): &(String, String)| *name == column && *detector == seen.detector;
        if pairs.len() < PAIRS && !pairs.iter().any(known) {
            pairs.push((column.clone(), seen.detector.clone()));
        }
        if now_kept < KEPT {
            now_kept += insert_violation(tx, id, sighting.action, seen, &column, at).await?;
        }
    }
    let now_found = columns::json(&pairs)?;
    if now_found != found || columns::count(now_kept) != kept {
        execute!(
            tx,
            "UPDATE content_sightings SET kept = $2, found = $3 WHERE id = $1",
            id,
            columns::count(now_kept),
            &now_found,
        )?;
    }
    Ok(())
}

/// Answers how many violations are new: 1, or 0 for one that is known.
async fn insert_violation(
    tx: &mut Tx,
    sighting_id: Uuid,
    action: Action,
    seen: &Seen,
    column: &str,
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let place = seen.place.to_be_bytes();
    let parts = [
        sighting_id.as_bytes().as_slice(),
        place.as_slice(),
        column.as_bytes(),
        seen.detector.as_bytes(),
    ];
    Ok(execute!(
        tx,
        "INSERT INTO content_violations (id, sighting_id, action, place, record, column_name,
             detector, shape, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT DO NOTHING",
        id_of(at, &parts),
        sighting_id,
        i64::from(action.number()),
        columns::count(seen.place),
        storable(&seen.record),
        column,
        &seen.detector,
        storable(&seen.shape),
        at,
    )?)
}

/// An identifier that begins with the time, as those do that are made by chance. The same parts
/// at the same time have the same one, and no others have.
fn id_of(at: DateTime<Utc>, parts: &[&[u8]]) -> Uuid {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let mut rest = [0; 10];
    for (to, from) in rest.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

/// A text as both databases take it: PostgreSQL has none with a NUL, and indexes no long one.
fn storable(text: &str) -> String {
    let characters = text.chars().take(CHARACTERS);
    characters
        .map(|c| if c == '\0' { '\u{fffd}' } else { c })
        .collect()
}
