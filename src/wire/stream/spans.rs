//! Where the records of a batch stand in the window.

use std::ops::Range;

use super::StreamError;
use crate::guard::{GuardError, Judgement};

/// The places of the rows of a batch.
#[derive(Default)]
pub(super) struct Spans {
    spans: Vec<(Range<usize>, u64)>,
    /// Whether every row begins where the one before it ends.
    gaps: bool,
}

impl Spans {
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.gaps = false;
    }

    /// The next row, and the line it begins on.
    pub(super) fn push(&mut self, place: Range<usize>, line: u64) {
        self.spans.push((place, line));
    }

    /// Something stands between the rows that is no row.
    pub(super) fn gap(&mut self) {
        self.gaps = true;
    }

    pub(super) fn line_of(&self, row: usize) -> u64 {
        self.spans.get(row).map_or(0, |(_, line)| *line)
    }

    pub(super) fn bytes_of<'a>(&self, row: usize, window: &'a [u8]) -> Option<&'a [u8]> {
        let (place, _) = self.spans.get(row)?;
        window.get(place.clone())
    }

    /// Copies the rows that pass, as many at a time as stand side by side.
    pub(super) fn copy(
        &self,
        judgement: &Judgement,
        window: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let passes = judgement.passes();
        if passes.len() != self.spans.len() {
            return Err(GuardError::Engine.into());
        }
        for (first, behind) in passes.set_slices() {
            let rows = self.spans.get(first..behind).unwrap_or_default();
            match (rows, self.gaps) {
                ([], _) => {}
                ([(one, _), .., (other, _)], false) => {
                    out.extend_from_slice(window.get(one.start..other.end).unwrap_or_default());
                }
                (rows, _) => {
                    for (row, _) in rows {
                        out.extend_from_slice(window.get(row.clone()).unwrap_or_default());
                    }
                }
            }
        }
        Ok(())
    }
}
