//! Columns that policies name, and texts that do not look like what they are.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int32Array, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use syncguard::guard::Leaving;

use super::differential::{guard_of, policy};
use super::{BLOCK, CARDS, card, spaced};

/// The rows of a column in which a policy finds something.
fn found(name: &str, column: &ArrayRef, content: &str) -> Vec<usize> {
    let batch = RecordBatch::try_from_iter_with_nullable([(name, Arc::clone(column), true)]);
    let batch = batch.unwrap();
    let guard = guard_of(&batch.schema(), &[], &[policy(1, BLOCK, content)]);
    let judgement = guard.judge(&batch, Leaving::All).unwrap();
    let findings = judgement.findings().iter();
    findings
        .flat_map(|found| found.rows.set_indices())
        .collect()
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

#[test]
fn a_column_is_named_whatever_its_case() {
    let column = texts(&[Some("x"), None, Some("y")]);
    for (column_name, named) in [("SSN", "ssn"), ("ssn", "SSN"), ("Ssn", "ssn")] {
        let content = format!("columns: {named}");
        assert_eq!(found(column_name, &column, &content), [0, 2], "{named}");
        let content = format!("columns: {named}\nmatch: /^y$/");
        assert_eq!(found(column_name, &column, &content), [2], "{named}");
    }
}

/// Structures with a number each.
fn people() -> StructArray {
    let field = Field::new("Ssn", DataType::Utf8, true);
    let numbers = texts(&[Some("x"), None, Some("y")]);
    StructArray::from(vec![(Arc::new(field), numbers)])
}

#[test]
fn a_column_within_lists_and_maps_is_not_left_out() {
    let people = people();
    let item = Field::new("item", people.data_type().clone(), true);
    let offsets = OffsetBuffer::from_lengths([1, 2]);
    let list: ArrayRef = Arc::new(ListArray::new(
        Arc::new(item),
        offsets,
        Arc::new(people.clone()),
        None,
    ));
    assert_eq!(found("items", &list, "columns: items.ssn"), [0, 1]);
    let people: ArrayRef = Arc::new(people);
    assert_eq!(found("person", &people, "columns: person.ssn"), [0, 2]);

    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("ssn");
    map.values().append_value("x");
    map.append(true).unwrap();
    map.append(false).unwrap();
    let map: ArrayRef = Arc::new(map.finish());
    assert_eq!(found("attrs", &map, "columns: attrs.ssn"), [0]);
    assert_eq!(
        found("attrs", &map, "columns: attrs.ssn\nmatch: /^x$/"),
        [0]
    );
}

#[test]
fn a_number_is_found_as_it_looks() {
    let number = card();
    let wide: String = number
        .chars()
        .map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap())
        .collect();
    let arabic: String = number
        .chars()
        .map(|c| char::from_u32(u32::from(c) - 0x30 + 0x660).unwrap())
        .collect();
    let (front, rest) = number.split_at(6);
    let parted = format!("{front}\u{200b}{rest}");
    let column = texts(&[
        Some(&wide),
        Some("nothing، größe"),
        Some(&arabic),
        Some(&parted),
        Some(&spaced()),
        None,
    ]);
    assert_eq!(found("note", &column, CARDS), [0, 2, 3, 4]);
    let zebra = texts(&[Some("ze\u{ad}bra"), Some("ｚｅｂｒａ"), Some("horse")]);
    assert_eq!(found("note", &zebra, "match: /zebra/"), [0, 1]);
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    assert_eq!(found("note", &numbers, CARDS), [0; 0]);
}
