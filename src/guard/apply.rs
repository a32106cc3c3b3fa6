//! Applying: a guard and a batch to the rows that may leave, and who withheld the others.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::compile::{Guard, Rule};
use super::content::{Findings, Leaving};
use super::expression::Judge;
use super::leaf::definitely;
use crate::catalog::{MappedColumn, WithheldBy};
use crate::policy::content::Action;
use crate::policy::{PolicyKind, Revision};

/// Why a batch could not be judged. Nothing of it may leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The batch is not of the schema that the guard was compiled against.
    #[error(
        "the model no longer has the columns its policies were compiled against: column \"{column}\" is missing or of another type; save the model again"
    )]
    Schema {
        /// The first column that differs.
        column: String,
    },
    /// A column that was asked for is not among those that were read.
    #[error("column \"{0}\" is mapped and the model does not have it")]
    Column(String),
    /// The engine could not evaluate the policies. The text says no more, because an engine's
    /// errors may quote values.
    #[error("the policies could not be evaluated on a batch")]
    Engine,
}

/// Rows that a guard let pass: the proof that sinks, response bodies and query sessions ask for.
/// Only this module makes one.
#[derive(Clone, Debug)]
pub struct Guarded {
    batch: RecordBatch,
    revision: Revision,
    place: u64,
}

impl Guarded {
    /// Rows that were computed from nothing but rows that a guard of this revision let pass.
    pub(super) fn derived(batch: RecordBatch, revision: Revision) -> Guarded {
        Guarded {
            batch,
            revision,
            place: 0,
        }
    }

    /// The rows.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// How many there are.
    pub fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The revision that let them pass.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The same rows, the first of which is the `place`-th that a run lets pass, counted from 0;
    /// 0 where nobody said.
    pub fn placed_at(self, place: u64) -> Guarded {
        Guarded { place, ..self }
    }

    /// Where the first of the rows stands among those a run lets pass: it tells equal rows apart.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// `length` of the rows from `offset` on, cut to those there are.
    pub fn slice(&self, offset: usize, length: usize) -> Guarded {
        let offset = offset.min(self.num_rows());
        let length = length.min(self.num_rows() - offset);
        Guarded {
            batch: self.batch.slice(offset, length),
            revision: self.revision,
            place: self.place + offset as u64,
        }
    }

    /// The rows with the columns that a mapping names, under the names it gives them.
    pub fn map(&self, mapping: &[MappedColumn]) -> Result<Guarded, GuardError> {
        let schema = mapped_schema(&self.batch.schema(), mapping)?;
        let columns = mapping
            .iter()
            .filter_map(|column| self.batch.column_by_name(&column.from).cloned())
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|_| GuardError::Engine)?;
        Ok(Guarded {
            batch,
            revision: self.revision,
            place: self.place,
        })
    }
}

/// The schema that a mapping makes of another.
pub fn mapped_schema(schema: &Schema, mapping: &[MappedColumn]) -> Result<SchemaRef, GuardError> {
    let fields = mapping
        .iter()
        .map(|column| match schema.field_with_name(&column.from) {
            Ok(field) => Ok(Field::clone(field).with_name(&column.to)),
            Err(_) => Err(GuardError::Column(column.from.clone())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Which rows of one batch may leave, and who withholds the others: the proof by which bytes are
/// handed on that were never made into a batch of their own. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Judgement {
    passes: BooleanBuffer,
    withheld: Vec<WithheldRows>,
    findings: Vec<Findings>,
    revision: Revision,
}

/// The judgement of one batch, and the rows that may leave.
#[derive(Clone, Debug)]
pub struct Verdict {
    guarded: Guarded,
    judgement: Judgement,
}

/// The rows that one policy withholds, as a mask over the withheld rows alone.
#[derive(Clone, Debug)]
struct WithheldRows {
    by: WithheldBy,
    rows: BooleanBuffer,
}

impl Verdict {
    /// The rows that may leave.
    pub fn guarded(&self) -> &Guarded {
        &self.guarded
    }
}

impl std::ops::Deref for Verdict {
    type Target = Judgement;

    fn deref(&self) -> &Judgement {
        &self.judgement
    }
}

impl Judgement {
    /// Which rows of the batch may leave.
    pub fn passes(&self) -> &BooleanBuffer {
        &self.passes
    }

    /// What content policies found in the rows that no other policy withholds. It is to be on
    /// record before any of them leaves.
    pub fn findings(&self) -> &[Findings] {
        &self.findings
    }

    /// How many rows of the batch were withheld.
    pub fn withheld(&self) -> usize {
        self.passes.len() - self.passes.count_set_bits()
    }

    /// The revision that judged them.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The rows of a batch that may leave, where it is the one that was judged, or has the same
    /// rows with other columns.
    pub fn guard(&self, batch: &RecordBatch) -> Result<Guarded, GuardError> {
        let rows = batch.num_rows();
        if self.passes.len() != rows {
            return Err(GuardError::Engine);
        }
        let batch = match self.passes.count_set_bits() {
            all if all == rows => batch.clone(),
            0 => batch.slice(0, 0),
            _ => filter_record_batch(batch, &BooleanArray::new(self.passes.clone(), None))
                .map_err(|_| GuardError::Engine)?,
        };
        Ok(Guarded {
            batch,
            revision: self.revision,
            place: 0,
        })
    }

    /// How many of the withheld rows from `start` to `end` (counting only withheld rows) each
    /// policy withholds; policies that withhold none are left out.
    pub fn withheld_by(&self, start: usize, end: usize) -> impl Iterator<Item = WithheldBy> {
        self.withheld.iter().filter_map(move |policy| {
            let rows = policy.rows.slice(start, end.saturating_sub(start));
            let count = rows.count_set_bits() as u64;
            (count > 0).then(|| WithheldBy {
                count,
                ..policy.by.clone()
            })
        })
    }
}

/// What policies found that withhold the record.
fn blocked(findings: &[Findings]) -> impl Iterator<Item = &Findings> {
    findings
        .iter()
        .filter(|found| found.action == Action::Block)
}

impl Judgement {
    /// The judgement with what content policies found in the rows that it lets pass.
    fn found(self, findings: Vec<Findings>) -> Judgement {
        let before = &self.passes;
        let passes =
            blocked(&findings).fold(before.clone(), |passes, found| &passes & &!&found.rows);
        if passes.count_set_bits() == before.count_set_bits() {
            return Judgement { findings, ..self };
        }
        // The rows of each policy among all that are withheld now.
        let hidden: Vec<usize> = (!&passes).set_indices().collect();
        let mut withheld: Vec<WithheldRows> = Vec::with_capacity(self.withheld.len() + 1);
        for policy in &self.withheld {
            let mut own = policy.rows.iter();
            let rows = hidden
                .iter()
                .map(|row| !before.value(*row) && own.next().unwrap_or(false));
            withheld.push(WithheldRows {
                by: policy.by.clone(),
                rows: rows.collect(),
            });
        }
        for found in blocked(&findings) {
            let rows: BooleanBuffer = hidden.iter().map(|row| found.rows.value(*row)).collect();
            withheld.push(WithheldRows {
                by: WithheldBy {
                    policy_id: Some(found.policy_id),
                    kind: PolicyKind::Content,
                    count: rows.count_set_bits() as u64,
                },
                rows,
            });
        }
        Judgement {
            passes,
            withheld,
            findings,
            revision: self.revision,
        }
    }
}

impl Guard {
    /// Judges a batch of the schema that the guard was compiled against: columns that no policy
    /// reads may be absent. `leaving` is what content policies look at.
    ///
    /// All policies are evaluated as one predicate; only for rows that it withholds is each
    /// policy asked whether it is responsible.
    pub fn apply(&self, batch: &RecordBatch, leaving: Leaving<'_>) -> Result<Verdict, GuardError> {
        let judgement = self.judge(batch, leaving)?;
        Ok(Verdict {
            guarded: judgement.guard(batch)?,
            judgement,
        })
    }

    /// Judges such a batch without a copy of the rows that may leave. `leaving` is what content
    /// policies look at.
    pub fn judge(
        &self,
        batch: &RecordBatch,
        leaving: Leaving<'_>,
    ) -> Result<Judgement, GuardError> {
        let judgement = self.filter(batch)?;
        let Some(content) = &self.content else {
            return Ok(judgement);
        };
        let findings = content.look(batch, leaving, &judgement.passes)?;
        Ok(judgement.found(findings))
    }

    /// Judges such a batch by the filters alone.
    fn filter(&self, batch: &RecordBatch) -> Result<Judgement, GuardError> {
        let inputs = self.read_columns(batch)?;
        let rows = batch.num_rows();
        let passes = self.judge.mask(&inputs)?;
        let passing = passes.count_set_bits();
        let withheld = match (passing == rows, self.rules.as_slice()) {
            (true, _) => Vec::new(),
            (false, [rule]) => {
                vec![rule.withheld(BooleanBuffer::new_set(rows - passing))]
            }
            (false, rules) => {
                let hidden = BooleanArray::new(!&passes, None);
                let hidden =
                    filter_record_batch(&inputs, &hidden).map_err(|_| GuardError::Engine)?;
                rules
                    .iter()
                    .map(|rule| Ok(rule.withheld(!&rule.judge.mask(&hidden)?)))
                    .collect::<Result<_, GuardError>>()?
            }
        };
        Ok(Judgement {
            passes,
            withheld,
            findings: Vec::new(),
            revision: self.revision,
        })
    }

    /// Which rows of such a batch pass: all that [`Guard::apply`] finds out without a copy of the
    /// rows, for those who only count.
    pub fn passes(
        &self,
        batch: &RecordBatch,
        leaving: Leaving<'_>,
    ) -> Result<BooleanBuffer, GuardError> {
        let passes = self.judge.mask(&self.read_columns(batch)?)?;
        match self.content.as_ref().filter(|content| content.blocks()) {
            Some(content) => {
                let findings = content.look(batch, leaving, &passes)?;
                Ok(blocked(&findings).fold(passes, |passes, found| &passes & &!&found.rows))
            }
            None => Ok(passes),
        }
    }

    /// The columns of a batch that the policies read, checked against the compiled schema.
    pub(super) fn read_columns(&self, batch: &RecordBatch) -> Result<RecordBatch, GuardError> {
        let actual = batch.schema_ref();
        let indices = if Arc::ptr_eq(actual, &self.schema) {
            self.inputs.clone()
        } else {
            self.columns
                .iter()
                .zip(&self.inputs)
                .map(|(column, index)| {
                    let expected = self
                        .schema
                        .fields()
                        .get(*index)
                        .map(|field| field.data_type());
                    let mut same = actual.fields().iter().enumerate().filter(|(_, field)| {
                        field.name() == column && Some(field.data_type()) == expected
                    });
                    match (same.next(), same.next()) {
                        (Some((index, _)), None) => Ok(index),
                        _ => Err(GuardError::Schema {
                            column: column.clone(),
                        }),
                    }
                })
                .collect::<Result<_, _>>()?
        };
        batch.project(&indices).map_err(|_| GuardError::Engine)
    }
}

impl Rule {
    fn withheld(&self, rows: BooleanBuffer) -> WithheldRows {
        let count = rows.count_set_bits() as u64;
        let by = WithheldBy {
            policy_id: self.policy_id,
            kind: self.kind,
            count,
        };
        WithheldRows { by, rows }
    }
}

impl Judge {
    /// The rows that pass, of the columns the guard reads.
    pub(super) fn mask(&self, inputs: &RecordBatch) -> Result<BooleanBuffer, GuardError> {
        let rows = inputs.num_rows();
        match self {
            Judge::Always(true) => Ok(BooleanBuffer::new_set(rows)),
            Judge::Always(false) => Ok(BooleanBuffer::new_unset(rows)),
            Judge::Where(expr) => expr
                .evaluate(inputs)
                .and_then(|value| definitely(value, rows))
                .map_err(|_| GuardError::Engine),
        }
    }
}
