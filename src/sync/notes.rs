//! What a run tells of its records besides how many they are.

use super::batches::Batch;
use crate::catalog::{Counts, Progress};
use crate::wire::stream::Invalid;

/// What a run's end tells besides its counts.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) first_rejection: Option<String>,
    first_invalid: Option<Invalid>,
    /// What compliance warns of.
    pub(super) warning: Option<String>,
}

impl Notes {
    /// What a run tells at its end, beside what it says by itself: warnings come last.
    pub(super) fn added_to(&self, said: Option<String>) -> Option<String> {
        let told: Vec<String> = said.into_iter().chain(self.warning.clone()).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// What there is to tell of the records, if anything.
    pub(super) fn told(&self, progress: &Progress) -> Option<String> {
        let counts = progress.counts;
        let unknown = || "the reason is not known any more".to_owned();
        let mut told = Vec::new();
        if counts.rejected > 0 {
            told.push(format!(
                "{} records were rejected by the destination; the first: {}",
                counts.rejected,
                self.first_rejection.clone().unwrap_or_else(unknown)
            ));
        }
        if counts.invalid > 0 {
            let first = self.first_invalid.as_ref().map(Invalid::to_string);
            told.push(format!(
                "{} records were left out because they are not valid; the first: {}",
                counts.invalid,
                first.unwrap_or_else(unknown)
            ));
        }
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Counts the records of a batch that are not valid along with the last of its rows.
    pub(super) fn leave_out(&mut self, batch: &Batch, counts: Counts) -> Counts {
        if self.first_invalid.is_none() {
            self.first_invalid = batch.invalid.first().cloned();
        }
        let invalid = batch.invalid.len() as u64;
        Counts {
            read: counts.read + invalid,
            invalid,
            ..counts
        }
    }
}
