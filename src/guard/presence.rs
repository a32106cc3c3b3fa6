//! Which rows have a value in a part of a column.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;

use crate::policy::fold::fold;

/// Whether a path is another, or something within it.
pub(super) fn is_within(outer: &str, path: &str) -> bool {
    below(outer, path).is_some()
}

/// What of a path is within another.
fn below<'a>(outer: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(outer)?;
    match rest.is_empty() {
        true => Some(rest),
        false => rest.strip_prefix('.'),
    }
}

/// The rows that have a value in a part of a column, whose path in it is folded; `None` if there
/// is no such part. Within lists, maps and the like, where a row has many values or none, each row
/// counts that has the list.
pub(super) fn present_at(array: &ArrayRef, part: &str) -> Option<BooleanBuffer> {
    let own = match array.logical_nulls() {
        Some(nulls) => nulls.into_inner(),
        None => BooleanBuffer::new_set(array.len()),
    };
    if part.is_empty() {
        return Some(own);
    }
    let DataType::Struct(fields) = array.data_type() else {
        return has(array.data_type(), part).then_some(own);
    };
    let children = fields.iter().zip(array.as_struct().columns());
    let present = children.filter_map(|(field, child)| {
        let part = below(&fold(field.name()), part)?;
        present_at(child, part)
    });
    // Names that are folded alike are one.
    let present = present.reduce(|one, other| &one | &other)?;
    Some(&own & &present)
}

/// Whether a type has a part.
fn has(data_type: &DataType, part: &str) -> bool {
    let in_field = |name: &str, data_type: &DataType| {
        below(&fold(name), part).is_some_and(|part| has(data_type, part))
    };
    match data_type {
        _ if part.is_empty() => true,
        DataType::Struct(fields) => fields.iter().any(|f| in_field(f.name(), f.data_type())),
        DataType::Union(fields, _) => {
            let mut fields = fields.iter();
            fields.any(|(_, f)| in_field(f.name(), f.data_type()))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::RunEndEncoded(_, item) => has(item.data_type(), part),
        DataType::Dictionary(_, values) => has(values, part),
        // Any name may be one of its keys.
        DataType::Map(..) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Int32Array, ListArray, MapBuilder, StringArray, StringBuilder, StructArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Field;

    use super::*;

    fn rows(array: &ArrayRef, part: &str) -> Option<Vec<usize>> {
        Some(present_at(array, part)?.set_indices().collect())
    }

    fn people() -> StructArray {
        let ssn: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("y")]));
        let other: ArrayRef = Arc::new(Int32Array::from(vec![None, Some(1), None]));
        StructArray::from(vec![
            (Arc::new(Field::new("SSN", DataType::Utf8, true)), ssn),
            (
                Arc::new(Field::new("ssn", DataType::Int32, true)),
                Arc::clone(&other),
            ),
            (Arc::new(Field::new("a.b", DataType::Int32, true)), other),
        ])
    }

    #[test]
    fn parts_are_known_whatever_the_case() {
        let people: ArrayRef = Arc::new(people());
        assert_eq!(rows(&people, "ssn"), Some(vec![0, 1, 2]));
        assert_eq!(rows(&people, "a.b"), Some(vec![1]));
        assert_eq!(rows(&people, ""), Some(vec![0, 1, 2]));
        assert_eq!(rows(&people, "ss"), None);
        assert_eq!(rows(&people, "ssn.x"), None);
    }

    #[test]
    fn what_is_in_lists_and_maps_counts_where_they_are() {
        let people = people();
        let item = Arc::new(Field::new("item", people.data_type().clone(), true));
        let nulls = NullBuffer::from(vec![true, false, true]);
        let offsets = OffsetBuffer::from_lengths([1, 0, 2]);
        let list = ListArray::new(item, offsets, Arc::new(people), Some(nulls));
        let list: ArrayRef = Arc::new(list);
        assert_eq!(rows(&list, "ssn"), Some(vec![0, 2]));
        assert_eq!(rows(&list, "name"), None);

        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        map.keys().append_value("ssn");
        map.values().append_value("x");
        map.append(true).unwrap();
        map.append(false).unwrap();
        let map: ArrayRef = Arc::new(map.finish());
        assert_eq!(rows(&map, "ssn"), Some(vec![0]));
    }
}
