//! Content policies as a part of the guard: what they find in records that would leave, and which
//! of these they withhold.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use regex::{Regex, RegexSet};
use uuid::Uuid;

use super::apply::GuardError;
use super::detect::plain::Plain;
use super::detect::shape::shape;
use super::detect::texts::{Column, columns_of, may_hold_text};
use super::detect::{Found, Scanner};
use super::gathered::Gathered;
use super::judging::{Deadline, Judge, Judged, Leaf, Sentence, Texts};
use super::presence::{is_within, present_at};
use super::registry::NoGuard;
use super::sighting::holds_nothing;
use crate::policy::content::prose::{PATTERN_BYTES, understand};
use crate::policy::content::{Action, ContentPolicy, Detectors};
use crate::policy::fold::fold;

/// Most findings that one policy tells one by one of one batch; records are always counted.
const SEEN: usize = 100;

/// The content policies of a guard.
#[derive(Clone, Debug)]
pub struct Content {
    rules: Vec<ContentRule>,
    /// Looks for all that the rules look for that look everywhere.
    everywhere: Scanner,
    /// Whether there is anything of that.
    looks_everywhere: bool,
}

/// One content policy.
#[derive(Clone, Debug)]
struct ContentRule {
    policy_id: Uuid,
    name: String,
    action: Action,
    detectors: Detectors,
    /// The columns that it looks at, folded, and what looks there; `None`: all of them.
    columns: Option<(Vec<String>, Scanner)>,
    /// Its own expressions: whether any matches, and each of them.
    patterns: Option<(RegexSet, Vec<Regex>)>,
    /// What of it a judge decides.
    judged: Option<Judged>,
}

/// What of the records would leave.
#[derive(Clone, Copy, Debug)]
pub enum Leaving<'a> {
    /// Every column of the batch.
    All,
    /// These columns of it.
    Columns(&'a [String]),
    /// What was gathered from the bytes of the records, which go on as they came.
    Gathered(&'a Gathered),
}

impl Leaving<'_> {
    /// Whether a column of the batch leaves.
    fn has(&self, column: &String) -> bool {
        match self {
            Leaving::Columns(sent) => sent.contains(column),
            Leaving::All | Leaving::Gathered(_) => true,
        }
    }
}

/// What one policy found in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The policy.
    pub policy_id: Uuid,
    /// Its name.
    pub name: String,
    /// What it does about it.
    pub action: Action,
    /// The rows in which it found something.
    pub rows: BooleanBuffer,
    /// The first things that it found.
    pub seen: Vec<Finding>,
    /// Every column in which it found something, with the path within it.
    pub columns: BTreeSet<String>,
}

/// One thing that was found, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The row of the batch.
    pub row: usize,
    /// The column, with as much of the path within it as tells no value; empty for the record as a
    /// whole.
    pub column: String,
    /// What found it: the name of a detector, `match`, `column`, `judge`, or `judge_unavailable`
    /// where a judge has not decided.
    pub detector: &'static str,
    /// What it looks like.
    pub shape: String,
}

impl Content {
    /// The content policies as one; `None` if there is nothing that they would find. A judge
    /// decides what no detector covers.
    ///
    /// Errors: a policy that cannot be understood, and one that blocks, names nothing that can be
    /// detected and has no judge.
    pub fn compile(
        policies: &[Arc<ContentPolicy>],
        judge: Option<&Arc<dyn Judge>>,
    ) -> Result<Option<Content>, NoGuard> {
        let mut rules = Vec::new();
        for policy in policies {
            rules.extend(ContentRule::compile(policy, judge)?);
        }
        if rules.is_empty() {
            return Ok(None);
        }
        let mut detectors = Detectors::NONE;
        let mut looks_everywhere = false;
        for rule in rules.iter().filter(|rule| rule.columns.is_none()) {
            detectors = detectors.and(rule.detectors);
            looks_everywhere |= rule.patterns.is_some() || rule.judged.is_some();
        }
        Ok(Some(Content {
            rules,
            everywhere: Scanner::new(detectors),
            looks_everywhere: looks_everywhere || !detectors.is_empty(),
        }))
    }

    /// Whether it may withhold a record.
    pub fn blocks(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == Action::Block)
    }

    /// The columns of a schema that it looks at.
    pub fn columns(&self, schema: &Schema) -> Vec<String> {
        let fields = schema.fields().iter();
        let looked_at = fields.filter(|field| {
            (self.looks_everywhere && may_hold_text(field))
                || self.rules.iter().any(|rule| rule.names(field.name()))
        });
        looked_at.map(|field| field.name().clone()).collect()
    }

    /// What each policy finds in those rows of a batch that pass so far: what does not leave
    /// violates nothing. Policies that find nothing are left out.
    pub(super) fn look(
        &self,
        batch: &RecordBatch,
        leaving: Leaving<'_>,
        passes: &BooleanBuffer,
    ) -> Result<Vec<Findings>, GuardError> {
        if passes.count_set_bits() == 0 {
            return Ok(Vec::new());
        }
        let mut looks: Vec<Look<'_>> = self.rules.iter().map(|_| Look::new(passes)).collect();
        let mut found = Vec::new();
        match leaving {
            Leaving::Gathered(gathered) => {
                for (path, present) in &gathered.present {
                    self.presence(path, present, &mut looks);
                }
                for column in gathered.columns.values() {
                    self.column(column, top_of(&column.path), &mut looks, &mut found)?;
                }
            }
            Leaving::All | Leaving::Columns(_) => {
                for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
                    if !leaving.has(field.name()) {
                        continue;
                    }
                    let named = self.rules.iter().any(|rule| rule.names(field.name()));
                    if !(self.looks_everywhere || named) {
                        continue;
                    }
                    if named {
                        self.values(field.name(), array, &mut looks);
                    }
                    if !may_hold_text(field) {
                        continue;
                    }
                    let columns =
                        columns_of(field.name(), array).map_err(|_| GuardError::Engine)?;
                    for column in &columns {
                        self.column(column, field.name(), &mut looks, &mut found)?;
                    }
                }
            }
        }
        if self.rules.iter().any(|rule| rule.judged.is_some()) {
            self.ask(batch, leaving, passes, &mut looks)?;
        }
        let looks = self.rules.iter().zip(looks);
        Ok(looks
            .filter_map(|(rule, look)| {
                let rows = look.rows?;
                let seen = look.seen.into_iter();
                let seen = seen.map(|finding| match finding.column.is_empty() {
                    true => finding,
                    false => Finding {
                        column: self.told(&finding.column),
                        ..finding
                    },
                });
                Some(Findings {
                    policy_id: rule.policy_id,
                    name: rule.name.clone(),
                    action: rule.action,
                    rows: BooleanBuffer::from(rows),
                    seen: seen.collect(),
                    columns: look.columns,
                })
            })
            .collect())
    }

    /// Puts the records that nothing withholds so far to the judge.
    fn ask(
        &self,
        batch: &RecordBatch,
        leaving: Leaving<'_>,
        passes: &BooleanBuffer,
        looks: &mut [Look<'_>],
    ) -> Result<(), GuardError> {
        let mut open: Vec<bool> = passes.iter().collect();
        for (rule, look) in self.rules.iter().zip(looks.iter()) {
            if rule.action == Action::Block {
                look.close(&mut open);
            }
        }
        if !open.contains(&true) {
            return Ok(());
        }
        let leaves = leaves(batch, leaving)?;
        let mut deadline = Deadline::default();
        // Those that withhold come first: the others need not ask about what they withhold.
        for blocks in [true, false] {
            for (rule, look) in self.rules.iter().zip(looks.iter_mut()) {
                let Some(judged) = &rule.judged else { continue };
                if (rule.action == Action::Block) != blocks {
                    continue;
                }
                let mut own = open.clone();
                look.close(&mut own);
                let read = leaves.iter().filter(|leaf| rule.reads(leaf));
                let texts = Texts::of(read, |row| own.get(row).is_some_and(|open| *open));
                for (row, sentence) in judged.sentences(texts, &mut deadline) {
                    match sentence {
                        Sentence::Violates => look.enter(row, "", "judge", ""),
                        Sentence::Undecided if blocks => {
                            look.enter(row, "", "judge_unavailable", "");
                        }
                        Sentence::Undecided | Sentence::Passes => {}
                    }
                }
                // It may be about any text that the judge was shown.
                if look.columns.remove("") {
                    let shown = leaves.iter().filter(|leaf| rule.reads(leaf));
                    look.columns
                        .extend(shown.map(|leaf| leaf.column.path.clone()));
                }
                if blocks {
                    look.close(&mut open);
                }
            }
        }
        Ok(())
    }

    /// A path, as far as it tells no value: its parts may be keys of a record, and so be content
    /// themselves.
    fn told(&self, path: &str) -> String {
        let matched = |text: &str| {
            let mut patterns = self.rules.iter().filter_map(|rule| rule.patterns.as_ref());
            patterns.any(|(any, _)| any.is_match(text))
        };
        let end = path
            .match_indices('.')
            .map(|(at, _)| at)
            .chain([path.len()]);
        let told = end.filter_map(|end| path.get(..end)).take_while(|path| {
            let last = path.rsplit('.').next().unwrap_or_default();
            // The names of columns may have blanks in them.
            let is_column = last.len() == path.len();
            let name = last.replace(' ', if is_column { "_" } else { " " });
            is_name(&name) && !matched(last)
        });
        match told.last() {
            Some(whole) if whole == path && holds_nothing(path) => whole.to_owned(),
            Some(part) if part != path && holds_nothing(part) => format!("{part}.…"),
            _ => "…".to_owned(),
        }
    }

    /// Looks at the texts of a column.
    fn column(
        &self,
        column: &Column,
        top: &str,
        looks: &mut [Look<'_>],
        found: &mut Vec<Found>,
    ) -> Result<(), GuardError> {
        let texts = column.texts().ok_or(GuardError::Engine)?;
        let plain = Plain::of(texts);
        let plain = plain.as_ref().and_then(Plain::texts);
        // What is only found in texts as they look comes behind what is found in them as they are.
        let scan = |scanner: &Scanner, found: &mut Vec<Found>| {
            scanner.scan(texts, column.topics, found);
            let as_they_are = found.len();
            if let Some(plain) = plain {
                let known: HashSet<_> = found.iter().map(|f| (f.place, f.detector)).collect();
                let mut more = Vec::new();
                scanner.scan(plain, column.topics, &mut more);
                more.retain(|f| !known.contains(&(f.place, f.detector)));
                found.append(&mut more);
            }
            as_they_are
        };
        found.clear();
        let mut as_they_are = 0;
        if self.looks_everywhere {
            as_they_are = scan(&self.everywhere, found);
        }
        for (rule, look) in self.rules.iter().zip(looks) {
            let mut own = Vec::new();
            let (findings, as_they_are) = match &rule.columns {
                None => (found.as_slice(), as_they_are),
                Some((_, scanner)) if rule.names_path(top, column) => {
                    let as_they_are = scan(scanner, &mut own);
                    (own.as_slice(), as_they_are)
                }
                Some(_) => continue,
            };
            for (number, finding) in findings.iter().enumerate() {
                if rule.detectors.contains(finding.detector) {
                    let of = plain.filter(|_| number >= as_they_are).unwrap_or(texts);
                    let text = of.get(finding.place).unwrap_or_default();
                    let text = text.get(finding.range.clone()).unwrap_or_default();
                    let name = finding.detector.name();
                    for row in column.rows_of(finding.place) {
                        look.enter(row, &column.path, name, text);
                    }
                }
            }
            let Some((any, patterns)) = &rule.patterns else {
                continue;
            };
            for place in 0..texts.len() {
                let of = [Some(texts), plain].into_iter().flatten();
                let mut of = of.filter_map(|texts| texts.get(place));
                let matches = |text: &&str| !text.is_empty() && any.is_match(text);
                let Some(text) = of.find(matches) else {
                    continue;
                };
                let matched = patterns.iter().find_map(|pattern| pattern.find(text));
                let text = matched.map_or(text, |matched| matched.as_str());
                for row in column.rows_of(place) {
                    look.enter(row, &column.path, "match", text);
                }
            }
        }
        Ok(())
    }

    /// The rules for which any value of a column is a finding.
    fn values(&self, name: &str, array: &ArrayRef, looks: &mut [Look<'_>]) {
        let top = fold(name);
        for (rule, look) in self.rules.iter().zip(looks) {
            for path in rule.whole_columns(&top) {
                let within = path.strip_prefix(&top).unwrap_or_default();
                let part = within.strip_prefix('.').unwrap_or_default();
                let Some(present) = present_at(array, part) else {
                    continue;
                };
                let path = format!("{name}{within}");
                for row in present.set_indices() {
                    look.enter(row, &path, "column", "");
                }
            }
        }
    }

    /// The same of records that go on as they came.
    fn presence(&self, path: &str, present: &[usize], looks: &mut [Look<'_>]) {
        let folded = fold(path);
        for (rule, look) in self.rules.iter().zip(looks) {
            let mut named = rule.whole_columns(top_of(&folded));
            if named.any(|named| is_within(named, &folded)) {
                for row in present {
                    look.enter(*row, path, "column", "");
                }
            }
        }
    }
}

impl ContentRule {
    /// `None` for a policy that finds nothing and need not.
    fn compile(
        policy: &ContentPolicy,
        judge: Option<&Arc<dyn Judge>>,
    ) -> Result<Option<ContentRule>, NoGuard> {
        let misunderstood = || NoGuard::Content(policy.name.clone());
        let understood = understand(&policy.content).map_err(|_| misunderstood())?;
        let judged =
            judge.and_then(|judge| Judged::of(policy.id, &policy.content, &understood, judge));
        if !understood.detects() && judged.is_none() {
            return match policy.action {
                Action::Block => Err(NoGuard::NeedsJudge(policy.name.clone())),
                Action::Log | Action::Alert => Ok(None),
            };
        }
        let patterns = match understood.patterns.as_slice() {
            [] => None,
            patterns => {
                let any = regex::RegexSetBuilder::new(patterns)
                    .size_limit(PATTERN_BYTES * patterns.len())
                    .build();
                let each = patterns.iter().map(|pattern| {
                    let builder = &mut regex::RegexBuilder::new(pattern);
                    builder.size_limit(PATTERN_BYTES).build()
                });
                let each: Result<_, _> = each.collect();
                Some(
                    any.and_then(|any| Ok((any, each?)))
                        .map_err(|_| misunderstood())?,
                )
            }
        };
        let columns = match understood.columns.is_empty() {
            true => None,
            false => {
                let names = understood.columns.iter().map(|name| fold(name));
                Some((names.collect(), Scanner::new(understood.detectors)))
            }
        };
        Ok(Some(ContentRule {
            policy_id: policy.id,
            name: policy.name.clone(),
            action: policy.action,
            detectors: understood.detectors,
            columns,
            patterns,
            judged,
        }))
    }

    fn named(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().flat_map(|(columns, _)| columns)
    }

    /// Whether it names a top-level column, or something within it.
    fn names(&self, top: &str) -> bool {
        let top = fold(top);
        self.named().any(|named| is_within(&top, named))
    }

    /// Whether it names a part of a top-level column, or what that is within.
    fn names_path(&self, top: &str, column: &Column) -> bool {
        let (top, path) = (fold(top), fold(&column.path));
        let map = column.map().map(fold);
        let mut named = self.named().filter(|named| is_within(&top, named));
        named.any(|named| {
            is_within(named, &path) || map.as_ref().is_some_and(|map| is_within(map, named))
        })
    }

    /// Whether it looks at the texts of a column.
    fn reads(&self, leaf: &Leaf<'_>) -> bool {
        self.columns.is_none() || self.names_path(leaf.top, &leaf.column)
    }

    /// What it names of a top-level column, folded, where any value is a finding.
    fn whole_columns<'a>(&'a self, top: &'a str) -> impl Iterator<Item = &'a String> {
        let whole = self.detectors.is_empty() && self.patterns.is_none();
        self.named()
            .filter(move |named| whole && is_within(top, named))
    }
}

/// The texts that leave.
fn leaves<'a>(batch: &'a RecordBatch, leaving: Leaving<'a>) -> Result<Vec<Leaf<'a>>, GuardError> {
    if let Leaving::Gathered(gathered) = leaving {
        return Ok(gathered.columns.values().map(Leaf::gathered).collect());
    }
    let mut leaves = Vec::new();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if leaving.has(field.name()) {
            let columns = columns_of(field.name(), array).map_err(|_| GuardError::Engine)?;
            leaves.extend(columns.into_iter().map(|column| Leaf {
                top: field.name(),
                column: Cow::Owned(column),
            }));
        }
    }
    Ok(leaves)
}

/// Whether a part of a path looks like a name that somebody gave it, and no value.
fn is_name(part: &str) -> bool {
    let begins = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    begins && digits <= 8 && part.len() <= 64 && !part.contains(['@', ' ', ':', '/'])
}

pub(super) fn top_of(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// What one rule has found so far.
struct Look<'a> {
    /// The rows that pass otherwise.
    passes: &'a BooleanBuffer,
    /// Absent before the first finding.
    rows: Option<Vec<bool>>,
    seen: Vec<Finding>,
    columns: BTreeSet<String>,
}

impl Look<'_> {
    fn new(passes: &BooleanBuffer) -> Look<'_> {
        Look {
            passes,
            rows: None,
            seen: Vec::new(),
            columns: BTreeSet::new(),
        }
    }

    /// Takes the rows in which something was found out of others.
    fn close(&self, open: &mut [bool]) {
        for (open, found) in open.iter_mut().zip(self.rows.iter().flatten()) {
            *open &= !found;
        }
    }

    fn enter(&mut self, row: usize, column: &str, detector: &'static str, text: &str) {
        if row >= self.passes.len() || !self.passes.value(row) {
            return;
        }
        let rows = self.passes.len();
        let found = self.rows.get_or_insert_with(|| vec![false; rows]);
        if let Some(found) = found.get_mut(row) {
            *found = true;
        }
        if !self.columns.contains(column) {
            self.columns.insert(column.to_owned());
        }
        if self.seen.len() < SEEN {
            self.seen.push(Finding {
                row,
                column: column.to_owned(),
                detector,
                shape: shape(text),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_far_as_it_tells_no_value() {
        let content = Content {
            rules: vec![ContentRule {
                policy_id: Uuid::nil(),
                name: String::new(),
                action: Action::Log,
                detectors: Detectors::NONE,
                columns: None,
                patterns: Some((
                    RegexSet::new(["zebra"]).unwrap(),
                    vec![Regex::new("zebra").unwrap()],
                )),
                judged: None,
            }],
            everywhere: Scanner::new(Detectors::NONE),
            looks_everywhere: true,
        };
        for (path, told) in [
            ("note", "note"),
            ("Kundennotiz_2.größe", "Kundennotiz_2.größe"),
            ("Internal Note.text", "Internal Note.text"),
            ("notes.4111 1111 1111 1111.x", "notes.…"),
            ("notes.ann@example.org", "notes.…"),
            ("hosts.10.1.2.3", "hosts.…"),
            ("seen.my zebra", "seen.…"),
            ("seen.zebras.name", "seen.…"),
            ("4111111111111111", "…"),
            ("", "…"),
        ] {
            assert_eq!(content.told(path), told, "{path}");
        }
    }
}
