//! Explaining: for single records, which policies and which of their conditions decided.

use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::apply::GuardError;
use super::compile::{Guard, Rule, compile_part};
use super::content::{Content, Finding, Leaving};
use crate::policy::content::Action;
use crate::policy::{FilterTree, PolicyKind};

/// What a condition says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told, because the column is NULL (or NaN). That withholds, too.
    Null,
}

/// A condition that had a part in withholding a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DecidingCondition {
    /// Where it stands in the policy's filter tree.
    pub path: String,
    /// The column it tests.
    pub column: String,
    /// Its operator.
    pub operator: &'static str,
    /// What it says of the record.
    pub outcome: Outcome,
}

/// A policy that withholds a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WithholdingPolicy {
    /// The policy; `None` for a draft.
    #[schema(required)]
    pub policy_id: Option<Uuid>,
    /// Its kind.
    pub kind: PolicyKind,
    /// Its name.
    pub name: String,
    /// The conditions on which it turned.
    pub conditions: Vec<DecidingCondition>,
    /// What a content policy found; empty for others.
    pub findings: Vec<DecidingFinding>,
}

/// A finding of a content policy, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DecidingFinding {
    /// The column, with the path within it.
    pub column: String,
    /// What found it: the name of a detector, `match` for a pattern, `column` for a column that
    /// may hold nothing.
    pub detector: &'static str,
    /// What it looks like: `9` for a digit, `a` or `A` for a letter.
    pub shape: String,
}

/// What becomes of a record, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explanation {
    /// Whether it may leave.
    pub passes: bool,
    /// The policies that withhold it, in the order they are listed; none if it passes.
    pub withheld_by: Vec<WithholdingPolicy>,
}

impl Guard {
    /// Explains every row of a batch of the compiled schema. Meant for few rows: each condition
    /// of each policy is evaluated on its own. As everywhere, content policies look at what no other
    /// policy withholds.
    pub fn explain(&self, batch: &RecordBatch) -> Result<Vec<Explanation>, GuardError> {
        let inputs = self.read_columns(batch)?;
        let passes = self.judge.mask(&inputs)?;
        let mut explanations: Vec<_> = passes
            .iter()
            .map(|passes| Explanation {
                passes,
                withheld_by: Vec::new(),
            })
            .collect();
        for rule in &self.rules {
            let rule_passes = rule.judge.mask(&inputs)?;
            let tree = self.judged_tree(&rule.filter_tree, "$", &inputs)?;
            for (row, explanation) in explanations.iter_mut().enumerate() {
                if !rule_passes.value(row) {
                    explanation.withheld_by.push(rule.withholding(&tree, row));
                }
            }
        }
        if let Some(content) = &self.content {
            for (row, explanation) in explanations.iter_mut().enumerate() {
                if explanation.passes {
                    explanation.withheld_by = Self::blocking(content, &batch.slice(row, 1))?;
                    explanation.passes = explanation.withheld_by.is_empty();
                }
            }
        }
        Ok(explanations)
    }

    /// The content policies that withhold a record, and why.
    fn blocking(
        content: &Content,
        record: &RecordBatch,
    ) -> Result<Vec<WithholdingPolicy>, GuardError> {
        let passes = BooleanBuffer::new_set(record.num_rows());
        let found = content.look(record, Leaving::All, &passes)?;
        let blocking = found
            .into_iter()
            .filter(|found| found.action == Action::Block);
        Ok(blocking
            .map(|found| WithholdingPolicy {
                policy_id: Some(found.policy_id),
                kind: PolicyKind::Content,
                name: found.name,
                conditions: Vec::new(),
                findings: found.seen.into_iter().map(DecidingFinding::from).collect(),
            })
            .collect())
    }

    /// The tree with the outcome of every node for every row.
    fn judged_tree<'a>(
        &self,
        tree: &'a FilterTree,
        path: &str,
        inputs: &RecordBatch,
    ) -> Result<Judged<'a>, GuardError> {
        let mask = |negated| {
            compile_part(tree, negated, &self.schema, &self.inputs, self.now)
                .ok_or(GuardError::Engine)?
                .mask(inputs)
        };
        let children = match tree {
            FilterTree::And(children) | FilterTree::Or(children) => children.as_slice(),
            FilterTree::Not(child) => std::slice::from_ref(child.as_ref()),
            FilterTree::Condition(_) => &[],
        };
        let children = children
            .iter()
            .enumerate()
            .map(|(i, child)| self.judged_tree(child, &format!("{path}.children[{i}]"), inputs))
            .collect::<Result<_, _>>()?;
        Ok(Judged {
            tree,
            path: path.to_owned(),
            yes: mask(false)?,
            no: mask(true)?,
            children,
        })
    }
}

impl Rule {
    fn withholding(&self, tree: &Judged<'_>, row: usize) -> WithholdingPolicy {
        let mut conditions = Vec::new();
        tree.deciding(row, true, &mut conditions);
        WithholdingPolicy {
            policy_id: self.policy_id,
            kind: self.kind,
            name: self.name.clone(),
            conditions,
            findings: Vec::new(),
        }
    }
}

impl From<Finding> for DecidingFinding {
    fn from(finding: Finding) -> DecidingFinding {
        DecidingFinding {
            column: finding.column,
            detector: finding.detector,
            shape: finding.shape,
        }
    }
}

struct Judged<'a> {
    tree: &'a FilterTree,
    path: String,
    yes: BooleanBuffer,
    no: BooleanBuffer,
    children: Vec<Judged<'a>>,
}

impl Judged<'_> {
    fn outcome(&self, row: usize) -> Outcome {
        match (self.yes.value(row), self.no.value(row)) {
            (true, _) => Outcome::True,
            (false, true) => Outcome::False,
            (false, false) => Outcome::Null,
        }
    }

    /// Collects the conditions because of which this node is not what `wanted` asks for.
    fn deciding(&self, row: usize, wanted: bool, conditions: &mut Vec<DecidingCondition>) {
        let satisfied = match self.outcome(row) {
            Outcome::True => wanted,
            Outcome::False => !wanted,
            Outcome::Null => false,
        };
        if satisfied {
            return;
        }
        match self.tree {
            FilterTree::Condition(condition) => conditions.push(DecidingCondition {
                path: self.path.clone(),
                column: condition.column.clone(),
                operator: condition.operator.name(),
                outcome: self.outcome(row),
            }),
            FilterTree::Not(_) => {
                self.children
                    .iter()
                    .for_each(|child| child.deciding(row, !wanted, conditions));
            }
            FilterTree::And(_) | FilterTree::Or(_) => {
                self.children
                    .iter()
                    .for_each(|child| child.deciding(row, wanted, conditions));
            }
        }
    }
}
