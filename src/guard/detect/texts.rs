//! The texts of columns: strings wherever they stand in them, and what is text to whoever reads it
//! later, such as long whole numbers and bytes.

use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, GenericBinaryArray, OffsetSizeTrait,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;

use super::{Texts, Topic, Topics};

/// Whole numbers from here on are looked at as their digits: shorter ones are not distinctive.
const LONG: i128 = 100_000_000;

/// The texts of one column, or of one part of a nested one.
#[derive(Clone, Debug)]
pub struct Column {
    /// Where it stands: the column's name and, within it, those of the parts.
    pub path: String,
    /// What its name is about.
    pub topics: Topics,
    values: String,
    bounds: Vec<usize>,
    /// How much of the path is that of the outermost map it is in.
    map: Option<usize>,
    /// The row of each text; `None` where that is its place.
    rows: Option<Vec<u32>>,
    /// Where rows share values by dictionaries and unions, from the innermost outwards: of those the rows
    /// above are places in the values.
    shared: Vec<Arc<Entries>>,
}

/// The entries of a dictionary or of a union.
#[derive(Debug)]
struct Entries {
    /// The value of each.
    keys: Vec<u32>,
    /// The row of each; `None` where that is its place.
    rows: Option<Vec<u32>>,
    /// The entries in the order of their keys, once somebody asks.
    by_key: OnceLock<Vec<u32>>,
}

impl Entries {
    /// The rows of the entries that have a value.
    fn rows_of(&self, value: usize) -> impl Iterator<Item = usize> {
        let key = |entry: &u32| self.keys.get(*entry as usize).map(|key| *key as usize);
        let by_key = self.by_key.get_or_init(|| {
            let mut entries: Vec<u32> = (0..).take(self.keys.len()).collect();
            entries.sort_by_key(key);
            entries
        });
        let first = by_key.partition_point(|entry| key(entry) < Some(value));
        let from = by_key.get(first..).unwrap_or_default().iter();
        from.take_while(move |entry| key(entry) == Some(value))
            .filter_map(|entry| row_of(*entry as usize, self.rows.as_deref()))
    }
}

fn row_of(place: usize, rows: Option<&[u32]>) -> Option<usize> {
    match rows {
        Some(rows) => rows.get(place).map(|row| *row as usize),
        None => Some(place),
    }
}

impl Column {
    /// A column of no texts.
    pub fn new(path: &str) -> Column {
        Column {
            path: path.to_owned(),
            topics: Topics::of_name(path),
            values: String::new(),
            bounds: vec![0],
            map: None,
            rows: Some(Vec::new()),
            shared: Vec::new(),
        }
    }

    /// Adds the text of a row.
    pub fn push(&mut self, row: usize, text: &str) {
        self.values.push_str(text);
        self.bounds.push(self.values.len());
        if let Some(rows) = &mut self.rows {
            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
    }

    /// Forgets the texts.
    pub fn clear(&mut self) {
        self.values.clear();
        self.bounds.truncate(1);
        if let Some(rows) = &mut self.rows {
            rows.clear();
        }
    }

    /// About how many bytes are held for texts.
    pub fn held(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, Vec::capacity);
        self.values.capacity()
            + self.bounds.capacity() * size_of::<usize>()
            + rows * size_of::<u32>()
    }

    /// The path of the outermost map that it is in: any name within that may be one of its keys.
    pub fn map(&self) -> Option<&str> {
        self.path.get(..self.map?)
    }

    /// The texts.
    pub fn texts(&self) -> Option<Texts<'_>> {
        Texts::new(&self.values, &self.bounds)
    }

    /// Every text with its row; one that is shared comes once for each row that it stands in.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &str)> {
        let texts = self.texts();
        let places = 0..texts.map_or(0, |texts| texts.len());
        places.flat_map(move |place| {
            let text = texts.and_then(|texts| texts.get(place)).unwrap_or_default();
            self.rows_of(place).into_iter().map(move |row| (row, text))
        })
    }

    /// The rows in which the text at a place stands.
    pub fn rows_of(&self, place: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = row_of(place, self.rows.as_deref()).into_iter().collect();
        for entries in &self.shared {
            let above = rows.iter().flat_map(|value| entries.rows_of(*value));
            rows = above.collect();
        }
        rows
    }
}

/// Whether a column of a type may hold text, where its name is about some topics.
pub fn may_hold_text(field: &Field) -> bool {
    holds_text(field.data_type(), Topics::of_name(field.name()))
}

fn holds_text(data_type: &DataType, topics: Topics) -> bool {
    match data_type {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Int32
        | DataType::UInt32
        | DataType::Int64
        | DataType::UInt64
        | DataType::Float64 => true,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale <= 0,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            topics.contains(Topic::Birth)
        }
        DataType::Dictionary(_, values) => holds_text(values, topics),
        DataType::RunEndEncoded(_, values) => any_holds_text([values], topics),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => any_holds_text([item], topics),
        DataType::Struct(fields) => any_holds_text(fields, topics),
        DataType::Union(fields, _) => any_holds_text(fields.iter().map(|(_, field)| field), topics),
        _ => false,
    }
}

fn any_holds_text<'a>(fields: impl IntoIterator<Item = &'a FieldRef>, topics: Topics) -> bool {
    fields.into_iter().any(|field| {
        let own = Topics::of_name(field.name());
        holds_text(field.data_type(), topics) || holds_text(field.data_type(), own)
    })
}

/// The texts of a column, each part of it apart.
///
/// Errors: an array of a kind that cannot be read.
pub fn columns_of(name: &str, array: &ArrayRef) -> Result<Vec<Column>, ArrowError> {
    let mut columns = Vec::new();
    collect(name.to_owned(), array, None, &mut columns)?;
    Ok(columns)
}

fn collect(
    path: String,
    array: &ArrayRef,
    rows: Option<Vec<u32>>,
    columns: &mut Vec<Column>,
) -> Result<(), ArrowError> {
    let topics = Topics::of_name(&path);
    if !holds_text(array.data_type(), topics) {
        return Ok(());
    }
    let mut add = |values: String, bounds: Vec<usize>, rows: Option<Vec<u32>>| {
        columns.push(Column {
            path: path.clone(),
            topics,
            values,
            bounds,
            map: None,
            rows,
            shared: Vec::new(),
        });
    };
    match array.data_type() {
        DataType::Utf8 => {
            let (values, bounds) = joined(array.as_string::<i32>().iter());
            add(values, bounds, rows);
        }
        DataType::LargeUtf8 => {
            let (values, bounds) = joined(array.as_string::<i64>().iter());
            add(values, bounds, rows);
        }
        DataType::Utf8View => {
            let (values, bounds) = joined(array.as_string_view().iter());
            add(values, bounds, rows);
        }
        DataType::Binary => {
            let (values, bounds) = lossy(array.as_binary::<i32>());
            add(values, bounds, rows);
        }
        DataType::LargeBinary => {
            let (values, bounds) = lossy(array.as_binary::<i64>());
            add(values, bounds, rows);
        }
        DataType::BinaryView => {
            let values = array.as_binary_view().iter();
            let texts: Vec<_> = values.map(|v| v.map(String::from_utf8_lossy)).collect();
            let (values, bounds) = joined(texts.iter().map(Option::as_deref));
            add(values, bounds, rows);
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_any().downcast_ref::<FixedSizeBinaryArray>();
            let values = values.into_iter().flat_map(FixedSizeBinaryArray::iter);
            let texts: Vec<_> = values.map(|v| v.map(String::from_utf8_lossy)).collect();
            let (values, bounds) = joined(texts.iter().map(Option::as_deref));
            add(values, bounds, rows);
        }
        DataType::Int32
        | DataType::UInt32
        | DataType::Int64
        | DataType::UInt64
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            if let Some((values, bounds)) = long_numbers(array)? {
                add(values, bounds, rows);
            }
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let texts = cast(array, &DataType::Utf8)?;
            let (values, bounds) = joined(texts.as_string::<i32>().iter());
            add(values, bounds, rows);
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            if dictionary.values().is_empty() {
                return Ok(());
            }
            // An entry that is NULL leads nowhere.
            let keys = dictionary.normalized_keys();
            let keys = keys.into_iter().enumerate();
            let keys = keys.map(|(entry, key)| match dictionary.keys().is_null(entry) {
                true => u32::MAX,
                false => u32::try_from(key).unwrap_or(u32::MAX),
            });
            let entries = Arc::new(Entries {
                keys: keys.collect(),
                rows,
                by_key: OnceLock::new(),
            });
            shared(path, dictionary.values(), &entries, columns)?;
        }
        DataType::RunEndEncoded(_, values) => {
            let flat = cast(array, values.data_type())?;
            collect(path, &flat, rows, columns)?;
        }
        DataType::Struct(fields) => {
            let array = array.as_struct();
            for (field, child) in fields.iter().zip(array.columns()) {
                let path = format!("{path}.{}", field.name());
                collect(path, child, rows.clone(), columns)?;
            }
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let lengths = list.offsets().lengths();
            let first = list.offsets().first().map_or(0, |first| *first as usize);
            elements(path, list.values(), first, lengths, rows, columns)?;
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let lengths = list.offsets().lengths();
            let first = list.offsets().first().map_or(0, |first| *first as usize);
            elements(path, list.values(), first, lengths, rows, columns)?;
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let lengths = std::iter::repeat_n(size, list.len());
            elements(path, list.values(), 0, lengths, rows, columns)?;
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let lengths = map.offsets().lengths();
            let first = map.offsets().first().map_or(0, |first| *first as usize);
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let (before, whole) = (columns.len(), path.len());
            elements(path, &entries, first, lengths, rows, columns)?;
            for column in columns.iter_mut().skip(before) {
                column.map = Some(whole);
            }
        }
        DataType::ListView(item) => {
            let list = cast(array, &DataType::List(item.clone()))?;
            collect(path, &list, rows, columns)?;
        }
        DataType::LargeListView(item) => {
            let list = cast(array, &DataType::LargeList(item.clone()))?;
            collect(path, &list, rows, columns)?;
        }
        DataType::Union(fields, _) => {
            let union = array.as_union();
            for (type_id, field) in fields.iter() {
                // Entries of a dense one may share a value.
                let keys = (0..union.len()).map(|entry| match union.type_id(entry) == type_id {
                    true => u32::try_from(union.value_offset(entry)).unwrap_or(u32::MAX),
                    false => u32::MAX,
                });
                let entries = Arc::new(Entries {
                    keys: keys.collect(),
                    rows: rows.clone(),
                    by_key: OnceLock::new(),
                });
                let path = format!("{path}.{}", field.name());
                shared(path, union.child(type_id), &entries, columns)?;
            }
        }
        other => {
            return Err(ArrowError::NotYetImplemented(format!(
                "texts of a column of type {other}"
            )));
        }
    }
    Ok(())
}

/// Values that entries share.
fn shared(
    path: String,
    values: &ArrayRef,
    entries: &Arc<Entries>,
    columns: &mut Vec<Column>,
) -> Result<(), ArrowError> {
    let before = columns.len();
    collect(path, values, None, columns)?;
    for column in columns.iter_mut().skip(before) {
        column.shared.push(Arc::clone(entries));
    }
    Ok(())
}

/// The elements of lists, which stand one behind the other from `first` on.
fn elements(
    path: String,
    values: &ArrayRef,
    first: usize,
    lengths: impl Iterator<Item = usize>,
    rows: Option<Vec<u32>>,
    columns: &mut Vec<Column>,
) -> Result<(), ArrowError> {
    let mut of_elements = Vec::new();
    for (list, length) in lengths.enumerate() {
        let row = match &rows {
            Some(rows) => rows.get(list).copied().unwrap_or(u32::MAX),
            None => u32::try_from(list).unwrap_or(u32::MAX),
        };
        of_elements.extend(std::iter::repeat_n(row, length));
    }
    let values = values.slice(first, of_elements.len());
    collect(path, &values, Some(of_elements), columns)
}

/// Texts one behind the other; NULL is an empty one.
fn joined<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> (String, Vec<usize>) {
    let mut values = String::new();
    let mut bounds = Vec::with_capacity(texts.size_hint().0 + 1);
    bounds.push(0);
    for text in texts {
        values.push_str(text.unwrap_or_default());
        bounds.push(values.len());
    }
    (values, bounds)
}

fn lossy<O: OffsetSizeTrait>(array: &GenericBinaryArray<O>) -> (String, Vec<usize>) {
    let texts: Vec<_> = array
        .iter()
        .map(|value| value.map(String::from_utf8_lossy))
        .collect();
    joined(texts.iter().map(Option::as_deref))
}

/// The digits of whole numbers that are long enough; `None` where none is.
fn long_numbers(array: &ArrayRef) -> Result<Option<(String, Vec<usize>)>, ArrowError> {
    let whole = |value: f64| value.fract() == 0.0 && value.abs() < 9.0e15;
    let is_long = match array.data_type() {
        DataType::Int32 => {
            let mut values = array
                .as_primitive::<arrow::datatypes::Int32Type>()
                .values()
                .iter();
            values.any(|value| i128::from(*value).abs() >= LONG)
        }
        DataType::UInt32 => {
            let mut values = array
                .as_primitive::<arrow::datatypes::UInt32Type>()
                .values()
                .iter();
            values.any(|value| i128::from(*value) >= LONG)
        }
        DataType::Int64 => {
            let mut values = array
                .as_primitive::<arrow::datatypes::Int64Type>()
                .values()
                .iter();
            values.any(|value| value.unsigned_abs() >= LONG as u64)
        }
        DataType::UInt64 => {
            let mut values = array
                .as_primitive::<arrow::datatypes::UInt64Type>()
                .values()
                .iter();
            values.any(|value| *value >= LONG as u64)
        }
        DataType::Float64 => {
            let values = array.as_primitive::<arrow::datatypes::Float64Type>();
            let mut numbers = values.iter().flatten();
            if !numbers.any(|value| whole(value) && value.abs() >= LONG as f64) {
                return Ok(None);
            }
            let texts: Vec<Option<String>> = values
                .iter()
                .map(|value| value.filter(|v| whole(*v)).map(|v| format!("{v:.0}")))
                .collect();
            return Ok(Some(joined(texts.iter().map(Option::as_deref))));
        }
        _ => true,
    };
    if !is_long {
        return Ok(None);
    }
    let texts = cast(array, &DataType::Utf8)?;
    Ok(Some(joined(texts.as_string::<i32>().iter())))
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal32Array, DictionaryArray, Int32Array, ListArray, StringArray, UnionArray,
    };
    use arrow::buffer::{OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::{Int32Type, UnionFields};

    use super::*;

    fn rows(array: ArrayRef, text: &str) -> Vec<usize> {
        let mut rows = Vec::new();
        for column in columns_of("c", &array).unwrap() {
            let texts = column.texts().unwrap();
            let places = (0..texts.len()).filter(|place| texts.get(*place) == Some(text));
            rows.extend(places.flat_map(|place| column.rows_of(place)));
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    #[test]
    fn the_rows_of_a_text_are_known_through_dictionaries() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let keys = Int32Array::from(vec![Some(2), None, Some(0), Some(2), Some(1)]);
        let flat = DictionaryArray::new(keys.clone(), Arc::clone(&texts));
        assert_eq!(rows(Arc::new(flat.clone()), "c"), [0, 3]);
        assert_eq!(rows(Arc::new(flat.slice(1, 3)), "c"), [2]);

        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let offsets = OffsetBuffer::from_lengths([2, 1, 0]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, texts, None));
        let of_lists = DictionaryArray::new(keys, lists);
        assert_eq!(rows(Arc::new(of_lists), "b"), [2]);

        let item = Arc::new(Field::new("item", flat.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([1, 0, 4]);
        let lists = ListArray::new(item, offsets, Arc::new(flat), None);
        assert_eq!(rows(Arc::new(lists), "c"), [0, 2]);
    }

    #[test]
    fn every_row_of_a_dense_union_has_the_value_it_shares() {
        let text = Arc::new(Field::new("s", DataType::Utf8, true));
        let number = Arc::new(Field::new("n", DataType::Int32, true));
        let array = UnionArray::try_new(
            [(0, text), (1, number)]
                .into_iter()
                .collect::<UnionFields>(),
            ScalarBuffer::from(vec![0_i8, 0, 1, 0, 0]),
            Some(ScalarBuffer::from(vec![1_i32, 1, 0, 0, 1])),
            vec![
                Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef,
                Arc::new(Int32Array::from(vec![123_456_789])),
            ],
        )
        .unwrap();
        assert_eq!(rows(Arc::new(array.clone()), "b"), [0, 1, 4]);
        assert_eq!(rows(Arc::new(array.clone()), "a"), [3]);
        assert_eq!(rows(Arc::new(array.clone()), "123456789"), [2]);
        assert_eq!(rows(Arc::new(array.slice(1, 3)), "b"), [0]);
    }

    #[test]
    fn small_decimals_are_their_digits() {
        let decimals = Decimal32Array::from(vec![123_456_789, 5]);
        let decimals = decimals.with_precision_and_scale(9, 0).unwrap();
        assert_eq!(rows(Arc::new(decimals), "123456789"), [0]);
    }

    #[test]
    fn a_dictionary_without_values_has_no_text() {
        let texts: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
        let empty = DictionaryArray::new(Int32Array::from(vec![None, None]), texts);
        assert_eq!(rows(Arc::new(empty), ""), [0; 0]);
    }

    fn entries(array: ArrayRef) -> Vec<(usize, String)> {
        let columns = columns_of("a", &array).unwrap();
        let all = columns.iter().flat_map(|column| column.entries());
        let mut all: Vec<_> = all.map(|(row, text)| (row, text.to_owned())).collect();
        all.sort();
        all
    }

    #[test]
    fn every_row_has_its_text() {
        let of = |entries: &[(usize, &str)]| -> Vec<(usize, String)> {
            let all = entries.iter();
            all.map(|(row, text)| (*row, (*text).to_owned())).collect()
        };
        let texts = [Some("x"), None, Some("y"), Some("x")];
        let plain: StringArray = texts.into_iter().collect();
        let expected = of(&[(0, "x"), (1, ""), (2, "y"), (3, "x")]);
        assert_eq!(entries(Arc::new(plain)), expected);
        let shared: DictionaryArray<Int32Type> = texts.into_iter().collect();
        let expected = of(&[(0, "x"), (2, "y"), (3, "x")]);
        assert_eq!(entries(Arc::new(shared)), expected);
        let list = [
            Some(vec![Some(123_456_789)]),
            None,
            Some(vec![Some(1), Some(987_654_321)]),
        ];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(list);
        let expected = of(&[(0, "123456789"), (2, "1"), (2, "987654321")]);
        assert_eq!(entries(Arc::new(lists)), expected);
    }
}
