//! One batch through a guard: read, judged, and what passes written.

use super::{Invalid, Next, Records, StreamError, Wanted};
use crate::catalog::WithheldBy;
use crate::guard::{Gathered, Guard, Judgement};
use crate::policy::Revision;

/// What became of one batch.
#[derive(Debug)]
pub enum Passed {
    /// A batch was judged, and what passes of it was written.
    Batch {
        /// The judgement.
        judgement: Judgement,
        /// Records that were left out because they are not well-formed.
        invalid: Vec<Invalid>,
    },
    /// Nothing before more bytes come.
    Hungry,
    /// The stream ended, and what belongs at its end was written.
    End,
}

/// Takes the next batch of a stream through a guard, which must have been compiled against the
/// columns of the stream, or of its model where the format tells none. `gathered` is room that is
/// used again for each batch.
pub fn pass(
    records: &mut dyn Records,
    guard: &Guard,
    gathered: &mut Gathered,
    flush: bool,
    out: &mut Vec<u8>,
) -> Result<Passed, StreamError> {
    let wanted = Wanted {
        schema: guard.read_schema(),
        only: false,
    };
    match records.next(&wanted, flush)? {
        Next::Hungry => Ok(Passed::Hungry),
        Next::End => {
            records.finish(out)?;
            Ok(Passed::End)
        }
        Next::Batch(batch) => {
            let judgement = records.judge(guard, &batch, gathered)?;
            records.release(&judgement, out)?;
            Ok(Passed::Batch {
                judgement,
                invalid: batch.invalid,
            })
        }
    }
}

/// What became of the records of a stream: `read` is the sum of the next three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that were read.
    pub read: u64,
    /// Those that were let pass.
    pub allowed: u64,
    /// Those that policies withhold.
    pub withheld: u64,
    /// Those that are not well-formed.
    pub invalid: u64,
    /// Which policies withhold how many.
    pub withheld_by: Vec<WithheldBy>,
    /// The revision that judged the last batch; `None` before the first.
    pub revision: Option<Revision>,
}

impl Tally {
    /// Enters a batch.
    pub fn enter(&mut self, judgement: &Judgement, invalid: &[Invalid]) {
        let (rows, withheld) = (judgement.passes().len() as u64, judgement.withheld());
        self.read += rows + invalid.len() as u64;
        self.allowed += rows - withheld as u64;
        self.withheld += withheld as u64;
        self.invalid += invalid.len() as u64;
        self.revision = Some(judgement.revision());
        for by in judgement.withheld_by(0, withheld) {
            let known = &mut self.withheld_by;
            match known
                .iter_mut()
                .find(|known| (known.policy_id, known.kind) == (by.policy_id, by.kind))
            {
                Some(known) => known.count += by.count,
                None => known.push(by),
            }
        }
    }
}
