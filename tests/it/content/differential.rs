//! Random batches, filters and policies: the guard says what one says who goes through the records
//! one at a time and knows what was planted in them; and each format says the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, Int64Array, LargeStringArray,
    ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use syncguard::guard::content::Content;
use syncguard::guard::{Guard, Leaving};
use syncguard::policy::content::{Action, ContentPolicy, Risk};
use syncguard::policy::{PolicyKind, Requirement};
use syncguard::wire::stream::{Columns, Limits, OnInvalid};
use syncguard::wire::{Format, check_schema};
use uuid::Uuid;

use crate::differential::{cases, requirement};
use crate::rig::condition;
use crate::streams::wires::written;
use crate::streams::{FORMATS, Way, stream};

/// What a text has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    Card,
    Email,
    Iban,
    /// What the expression of a policy matches.
    Staff,
}

const PLANTS: [Plant; 4] = [Plant::Card, Plant::Email, Plant::Iban, Plant::Staff];

impl Plant {
    /// How a policy forbids it.
    fn forbidden(self) -> &'static str {
        match self {
            Plant::Card => "Do not allow sharing of payment card numbers.",
            Plant::Email => "Do not allow sharing of e-mail addresses.",
            Plant::Iban => "Do not allow sharing of IBANs.",
            Plant::Staff => "match: /STAFF<[a-z]+>/",
        }
    }

    /// One of its values.
    fn value(self, salt: u64) -> String {
        match self {
            Plant::Card => with_check_digit(&format!("4{:014}", salt % 100_000_000_000_000)),
            Plant::Email => format!("person{}@mail.example.org", salt % 1000),
            Plant::Iban => iban(&format!("{:018}", salt % 1_000_000_000_000_000_000)),
            Plant::Staff => "STAFF<member>".to_owned(),
        }
    }
}

fn with_check_digit(digits: &str) -> String {
    let doubled = |(place, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap() * if place % 2 == 0 { 2 } else { 1 };
        digit / 10 + digit % 10
    };
    let sum: u32 = digits.chars().rev().enumerate().map(doubled).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// A German account number: D is 13 and E is 14 where it is checked.
fn iban(account: &str) -> String {
    let rest = format!("{account}131400")
        .bytes()
        .fold(0_u32, |rest, digit| {
            (rest * 10 + u32::from(digit - b'0')) % 97
        });
    format!("DE{:02}{account}", 98 - rest)
}

/// A text: nothing, plain words, or something planted among them.
type Cell = Option<(Option<Plant>, u64)>;

fn text(cell: &Cell) -> Option<String> {
    let (plant, salt) = cell.as_ref()?;
    let words = ["a blue chair", "", "words and words", "very well"];
    let word = words[(salt % 4) as usize];
    Some(match plant {
        None => word.to_owned(),
        Some(plant) => format!("{word} {} and so", plant.value(*salt)),
    })
}

/// The kinds of columns that a text can stand in.
const KINDS: [&str; 9] = [
    "flat",
    "large",
    "view",
    "binary",
    "dictionary",
    "list",
    "struct",
    "map",
    "deep",
];

/// A column of a kind.
fn column(kind: &str, cells: &[Cell]) -> ArrayRef {
    let texts: Vec<Option<String>> = cells.iter().map(text).collect();
    let nulls = || arrow::buffer::NullBuffer::from_iter(texts.iter().map(Option::is_some));
    match kind {
        "flat" => Arc::new(StringArray::from(texts)),
        "large" => Arc::new(LargeStringArray::from(texts)),
        "view" => Arc::new(StringViewArray::from_iter(texts)),
        "binary" => Arc::new(BinaryArray::from_iter(texts)),
        "dictionary" => {
            let mut values: Vec<&String> = texts.iter().flatten().collect();
            values.sort();
            values.dedup();
            let place = |text: &String| values.iter().position(|value| *value == text);
            let keys = texts.iter().map(|text| {
                let text = text.as_ref()?;
                i32::try_from(place(text)?).ok()
            });
            let keys: Int32Array = keys.collect();
            let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
            Arc::new(DictionaryArray::new(keys, values))
        }
        "list" => {
            let mut list = ListBuilder::new(StringBuilder::new());
            for (row, text) in texts.iter().enumerate() {
                match text {
                    Some(text) => {
                        let before = std::iter::repeat_n("before", row % 3);
                        before.for_each(|word| list.values().append_value(word));
                        list.values().append_value(text);
                        list.values().append_null();
                        list.append(true);
                    }
                    None => list.append(false),
                }
            }
            Arc::new(list.finish())
        }
        "struct" => {
            let inner: ArrayRef = Arc::new(StringArray::from(texts.clone()));
            let field = Field::new("inner", DataType::Utf8, true);
            let arrays = vec![inner];
            Arc::new(StructArray::new(vec![field].into(), arrays, Some(nulls())))
        }
        "map" => {
            let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
            for (row, text) in texts.iter().enumerate() {
                for (place, text) in text.iter().enumerate() {
                    map.keys().append_value(format!("k{}{place}", row % 3));
                    map.values().append_value(text);
                }
                map.append(text.is_some()).unwrap();
            }
            Arc::new(map.finish())
        }
        _ => {
            let list = column("list", cells);
            let field = Field::new("lines", list.data_type().clone(), true);
            Arc::new(StructArray::new(
                vec![field].into(),
                vec![list],
                Some(nulls()),
            ))
        }
    }
}

/// A policy of random batches: an action, what it forbids, and the columns that it names.
#[derive(Clone, Debug)]
struct Rule {
    action: u8,
    plants: Vec<Plant>,
    columns: Vec<&'static str>,
}

impl Rule {
    fn content(&self) -> String {
        let mut lines: Vec<String> = self
            .plants
            .iter()
            .map(|plant| plant.forbidden().to_owned())
            .collect();
        if !self.columns.is_empty() {
            lines.push(format!("columns: {}", self.columns.join(", ")));
        }
        lines.join("\n")
    }

    /// Whether it finds something in a record.
    fn finds(&self, kinds: &[&'static str], record: &[&Cell]) -> bool {
        kinds.iter().zip(record).any(|(kind, cell)| {
            let looks = self.columns.is_empty() || self.columns.contains(kind);
            match (cell, self.plants.is_empty()) {
                (None, _) => false,
                (Some(_), true) => looks,
                (Some((plant, _)), false) => {
                    looks && plant.is_some_and(|plant| self.plants.contains(&plant))
                }
            }
        })
    }
}

/// A batch, its filter and its policies.
#[derive(Clone, Debug)]
struct Scene {
    kinds: Vec<&'static str>,
    /// For each row the number that the filter reads, and a cell for each kind.
    rows: Vec<(i64, Vec<Cell>)>,
    /// Numbers below it are withheld.
    least: i64,
    rules: Vec<Rule>,
    /// The rows that are judged.
    slice: (usize, usize),
}

fn cells() -> impl Strategy<Value = Cell> {
    let plant = prop_oneof![6 => Just(None), 2 => prop::sample::select(&PLANTS[..]).prop_map(Some)];
    prop_oneof![1 => Just(None), 6 => (plant, any::<u64>()).prop_map(Some)]
}

fn rules(kinds: Vec<&'static str>) -> impl Strategy<Value = Rule> {
    let columns = prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::sample::subsequence(kinds.clone(), 1..=kinds.len().min(2)),
    ];
    let plants = prop::sample::subsequence(PLANTS.to_vec(), 0..=3);
    (0..3_u8, plants, columns).prop_filter_map("finds nothing", |(action, plants, columns)| {
        let rule = Rule {
            action,
            plants,
            columns,
        };
        (!rule.plants.is_empty() || !rule.columns.is_empty()).then_some(rule)
    })
}

fn scenes(kinds: &'static [&'static str]) -> impl Strategy<Value = Scene> {
    let kinds = prop::sample::subsequence(kinds, 1..=kinds.len().min(4));
    kinds.prop_flat_map(|kinds| {
        let row = (0..10_i64, prop::collection::vec(cells(), kinds.len()));
        (
            prop::collection::vec(row, 1..30),
            0..6_i64,
            prop::collection::vec(rules(kinds.clone()), 1..4),
            (0..10_usize, 1..30_usize),
        )
            .prop_map(move |(rows, least, rules, (offset, length))| {
                let offset = offset.min(rows.len() - 1);
                Scene {
                    kinds: kinds.clone(),
                    slice: (offset, length.min(rows.len() - offset)),
                    rows,
                    least,
                    rules,
                }
            })
    })
}

impl Scene {
    fn batch(&self) -> RecordBatch {
        let numbers = self.rows.iter().map(|(number, _)| *number);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        let columns = self.kinds.iter().enumerate().map(|(place, kind)| {
            let cells: Vec<Cell> = self.rows.iter().map(|(_, cells)| cells[place]).collect();
            (*kind, column(kind, &cells), true)
        });
        let all = std::iter::once(("number", numbers, true)).chain(columns);
        let batch = RecordBatch::try_from_iter_with_nullable(all).unwrap();
        batch.slice(self.slice.0, self.slice.1)
    }

    fn filter(&self) -> Vec<Requirement> {
        let least = condition("number", "greater_than", json!(self.least - 1));
        vec![requirement(1_000, &least)]
    }

    fn policies(&self) -> Vec<Arc<ContentPolicy>> {
        let rules = self.rules.iter().enumerate();
        rules
            .map(|(place, rule)| policy(place as u128 + 1, rule.action, &rule.content()))
            .collect()
    }

    /// One record after the other: which pass, and how many each policy withholds.
    fn expected(&self) -> (Vec<bool>, BTreeMap<u128, u64>) {
        let mut by = BTreeMap::new();
        let (offset, length) = self.slice;
        let records = self.rows.iter().skip(offset).take(length);
        let passes = records.map(|(number, cells)| {
            if *number < self.least {
                *by.entry(1_000).or_default() += 1;
                return false;
            }
            let record: Vec<&Cell> = cells.iter().collect();
            let mut passes = true;
            for (place, rule) in self.rules.iter().enumerate() {
                if rule.action == 2 && rule.finds(&self.kinds, &record) {
                    *by.entry(place as u128 + 1).or_default() += 1;
                    passes = false;
                }
            }
            passes
        });
        (passes.collect(), by)
    }

    /// How many records each policy finds something in.
    fn found(&self) -> BTreeMap<u128, usize> {
        let (offset, length) = self.slice;
        let mut found = BTreeMap::new();
        for (number, cells) in self.rows.iter().skip(offset).take(length) {
            let record: Vec<&Cell> = cells.iter().collect();
            for (place, rule) in self.rules.iter().enumerate() {
                if *number >= self.least && rule.finds(&self.kinds, &record) {
                    *found.entry(place as u128 + 1).or_default() += 1;
                }
            }
        }
        found
    }
}

/// A content policy of a number.
pub(super) fn policy(number: u128, action: u8, content: &str) -> Arc<ContentPolicy> {
    let at = DateTime::<Utc>::UNIX_EPOCH;
    Arc::new(ContentPolicy {
        id: Uuid::from_u128(number),
        workspace_id: None,
        source_id: None,
        name: format!("policy {number}"),
        content: content.to_owned(),
        risk: Risk::High,
        action: Action::of(action.into()).unwrap(),
        created_by: Uuid::nil(),
        created_at: at,
        updated_by: Uuid::nil(),
        updated_at: at,
    })
}

/// A guard of filters and content policies.
pub(super) fn guard_of(
    schema: &SchemaRef,
    filters: &[Requirement],
    policies: &[Arc<ContentPolicy>],
) -> Guard {
    let guard = Guard::compile(schema, filters, DateTime::<Utc>::UNIX_EPOCH, 1).unwrap();
    let content = Content::compile(policies, None).unwrap();
    assert!(content.is_some(), "nothing is looked for");
    guard.with_content(content.map(Arc::new))
}

fn check<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        // Each compiles policies, which takes longer than to judge by them.
        cases: cases() / 10,
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(error) = TestRunner::new(config).run(&strategy, property) {
        panic!("{error}");
    }
}

#[test]
fn the_guard_says_what_a_reader_of_single_records_says() {
    check(scenes(&KINDS), |scene| {
        let batch = scene.batch();
        let guard = guard_of(&batch.schema(), &scene.filter(), &scene.policies());
        let verdict = guard.apply(&batch, Leaving::All).unwrap();
        let (passes, by) = scene.expected();
        prop_assert_eq!(verdict.passes().iter().collect::<Vec<_>>(), passes.clone());
        let counted = verdict.passes().count_set_bits();
        prop_assert_eq!(verdict.guarded().num_rows(), counted);
        let said: BTreeMap<u128, u64> = verdict
            .withheld_by(0, verdict.withheld())
            .map(|by| {
                let content = by.kind == PolicyKind::Content;
                let id = by.policy_id.unwrap().as_u128();
                assert_eq!(content, id != 1_000);
                (id, by.count)
            })
            .collect();
        prop_assert_eq!(said, by);
        let found: BTreeMap<u128, usize> = verdict
            .findings()
            .iter()
            .map(|found| (found.policy_id.as_u128(), found.rows.count_set_bits()))
            .collect();
        prop_assert_eq!(found, scene.found());
        let alone = guard.passes(&batch, Leaving::All).unwrap();
        prop_assert_eq!(alone.iter().collect::<Vec<_>>(), passes.clone());
        let explained = guard.explain(&batch).unwrap();
        let explained: Vec<bool> = explained.iter().map(|record| record.passes).collect();
        prop_assert_eq!(explained, passes);
        Ok(())
    });
}

#[test]
fn columns_that_do_not_leave_are_not_looked_at() {
    check(scenes(&KINDS), |scene| {
        let batch = scene.batch();
        let guard = guard_of(&batch.schema(), &scene.filter(), &scene.policies());
        let sent = [scene.kinds[0].to_owned()];
        let passes = guard.passes(&batch, Leaving::Columns(&sent)).unwrap();
        let mut alone = scene.clone();
        alone.kinds.truncate(1);
        alone
            .rows
            .iter_mut()
            .for_each(|(_, cells)| cells.truncate(1));
        prop_assert_eq!(passes.iter().collect::<Vec<_>>(), alone.expected().0);
        Ok(())
    });
}

/// Takes a scene through a format.
fn streamed(scene: &Scene, format: Format) -> Result<(), TestCaseError> {
    let batch = scene.batch();
    let schema = batch.schema();
    if check_schema(format, &schema).is_err() {
        return Ok(());
    }
    let bytes = written(format, &schema, std::slice::from_ref(&batch));
    let way = Way {
        limits: Limits {
            batch_rows: 7,
            window_bytes: 512,
            ..Limits::default()
        },
        on_invalid: OnInvalid::Abort,
        pieces: vec![13, 200],
        flush: false,
    };
    let streamed = stream(format, &way, &bytes, |columns| {
        let columns = match columns {
            Columns::Typed(columns) => columns,
            _ => &schema,
        };
        Some(guard_of(columns, &scene.filter(), &scene.policies()))
    });
    prop_assert!(streamed.end.is_ok(), "{:?}: {:?}", format, streamed.end);
    let (passes, by) = scene.expected();
    prop_assert_eq!(&streamed.verdicts, &passes, "{:?}", format);
    let said: BTreeMap<u128, u64> = streamed
        .tally
        .withheld_by
        .iter()
        .map(|by| (by.policy_id.unwrap().as_u128(), by.count))
        .collect();
    prop_assert_eq!(said, by, "{:?}", format);
    Ok(())
}

#[test]
fn each_format_says_the_same() {
    check(scenes(&["flat"]), |mut scene| {
        // Where an empty text stands, CSV has none, and a policy that lets nothing be there differs.
        scene.rules.retain(|rule| !rule.plants.is_empty());
        prop_assume!(!scene.rules.is_empty());
        FORMATS
            .iter()
            .try_for_each(|format| streamed(&scene, *format))
    });
    check(
        scenes(&["flat", "large", "list", "struct", "deep"]),
        |scene| {
            let mut nesting = FORMATS.iter().filter(|format| **format != Format::Csv);
            nesting.try_for_each(|format| streamed(&scene, *format))
        },
    );
}

#[test]
fn the_findings_of_planted_values_are_what_they_seem() {
    let plants: Vec<(usize, Value)> = PLANTS
        .iter()
        .enumerate()
        .map(|(place, plant)| (place, json!(plant.value(123_456_789_012))))
        .collect();
    for (place, value) in plants {
        let text: ArrayRef = Arc::new(StringArray::from(vec![value.as_str()]));
        let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
        for (other, plant) in PLANTS.iter().enumerate() {
            let guard = guard_of(&batch.schema(), &[], &[policy(1, 2, plant.forbidden())]);
            let passes = guard.passes(&batch, Leaving::All).unwrap();
            assert_eq!(passes.value(0), place != other, "{plant:?} in {value}");
        }
    }
}
