//! The counts of a run. Every record is entered once, under one outcome.

use crate::catalog::{Counts, Progress, WithheldBy};
use crate::policy::Revision;
use crate::telemetry;

/// The last record that was settled, by which whoever resumes finds the place again. The
/// checkpoint holds it as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastRow {
    /// How many records stand before it in the batch it was read with. Reading on begins with
    /// that batch, so that batches end where they ended before: a delivery that is repeated has
    /// the same records, and by that the same key.
    pub(super) place: u64,
    /// Digest of its columns.
    pub(super) digest: String,
}

impl std::fmt::Display for LastRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.place, self.digest)
    }
}

impl LastRow {
    /// Reads the text of a checkpoint.
    pub(super) fn parse(text: &str) -> Option<LastRow> {
        let (place, digest) = text.split_once(':')?;
        Some(LastRow {
            place: place.parse().ok()?,
            digest: digest.to_owned(),
        })
    }
}

/// What is known of a run since its start, across crashes.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    progress: Progress,
    destination_type: String,
}

impl Ledger {
    pub(super) fn new(progress: Progress, destination_type: &str) -> Self {
        Ledger {
            progress,
            destination_type: destination_type.to_owned(),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Records that were let pass so far: where the next delivery stands among them.
    pub(super) fn sent(&self) -> u64 {
        let counts = self.progress.counts;
        counts.delivered + counts.rejected + counts.failed
    }

    /// Records read so far: where the next one stands among all.
    pub(super) fn position(&self) -> u64 {
        self.progress.checkpoint.rows
    }

    /// Enters the next records. `counts.read` is how many they are; `revision` judged them, if
    /// they were judged.
    pub(super) fn enter(
        &mut self,
        counts: Counts,
        withheld_by: impl IntoIterator<Item = WithheldBy>,
        revision: Option<Revision>,
        last_row: &LastRow,
    ) {
        debug_assert!(counts.balanced());
        self.progress.counts += counts;
        self.progress.checkpoint.rows += counts.read;
        self.progress.checkpoint.last_row = Some(last_row.to_string());
        for by in withheld_by {
            let known = &mut self.progress.withheld_by;
            match known
                .iter_mut()
                .find(|k| (k.policy_id, k.kind) == (by.policy_id, by.kind))
            {
                Some(known) => known.count += by.count,
                None => known.push(by),
            }
        }
        let known = &mut self.progress.policy_revisions;
        if let Some(revision) = revision
            && let Err(place) = known.binary_search(&revision)
        {
            known.insert(place, revision);
        }
        self.measure(counts);
    }

    /// Enters the next records as failed, without going on behind them: whoever sends them again
    /// may have more luck.
    pub(super) fn fail(&mut self, records: u64) {
        let counts = Counts {
            read: records,
            failed: records,
            ..Counts::default()
        };
        self.progress.counts += counts;
        self.measure(counts);
    }

    /// Takes back what had failed without being gone past.
    pub(super) fn retry(&mut self) {
        let counts = &mut self.progress.counts;
        counts.read -= std::mem::take(&mut counts.failed);
    }

    fn measure(&self, counts: Counts) {
        let outcomes = [
            ("delivered", counts.delivered),
            ("withheld", counts.withheld),
            ("rejected", counts.rejected),
            ("invalid", counts.invalid),
            ("failed", counts.failed),
        ];
        for (outcome, rows) in outcomes.into_iter().filter(|(_, rows)| *rows > 0) {
            metrics::counter!(
                telemetry::ROWS_TOTAL,
                telemetry::OUTCOME => outcome,
                telemetry::DESTINATION_TYPE => self.destination_type.clone()
            )
            .increment(rows);
        }
    }

    /// What an atomic destination seemed to have is lost: it shows nothing before the end.
    pub(super) fn undeliver(&mut self) {
        let counts = &mut self.progress.counts;
        counts.failed += std::mem::take(&mut counts.delivered);
    }
}
