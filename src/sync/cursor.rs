//! How far a judged batch is settled.

use crate::catalog::WithheldBy;
use crate::guard::Verdict;

/// How far a judged batch is settled.
pub(super) struct Cursor<'a> {
    verdict: &'a Verdict,
    passing: arrow::util::bit_iterator::BitIndexIterator<'a>,
    /// Rows of the batch that are settled.
    pub(super) row: usize,
    /// Passing rows among them.
    pub(super) passed: usize,
}

impl<'a> Cursor<'a> {
    /// Nothing of a batch is settled yet.
    pub(super) fn new(verdict: &'a Verdict) -> Self {
        Cursor {
            verdict,
            passing: verdict.passes().set_indices(),
            row: 0,
            passed: 0,
        }
    }

    /// Settles the next passing rows, and with them the withheld ones before; with the last of
    /// the passing rows also the withheld ones behind it. Answers how many were withheld, and
    /// by whom.
    pub(super) fn advance(
        &mut self,
        settled: usize,
    ) -> (usize, impl Iterator<Item = WithheldBy> + use<'a>) {
        let before = self.row - self.passed;
        if let Some(last) = settled.checked_sub(1).and_then(|n| self.passing.nth(n)) {
            self.row = last + 1;
        }
        self.passed += settled;
        if self.passed == self.verdict.guarded().num_rows() {
            self.row = self.verdict.passes().len();
        }
        let after = self.row - self.passed;
        (after - before, self.verdict.withheld_by(before, after))
    }
}
