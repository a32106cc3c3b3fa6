//! The tests of one column that DataFusion has no expression for. Each answers TRUE or FALSE,
//! never NULL, and cannot fail on any value.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBufferBuilder,
    OffsetSizeTrait, StructArray, downcast_primitive_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::comparison;
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, i256};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use regex::RegexSet;

/// A child of a struct column, NULL where the struct is.
#[derive(Debug, Eq)]
pub(super) struct StructField {
    parent: Arc<dyn PhysicalExpr>,
    index: usize,
    field: FieldRef,
}

// Written out because a derived comparison would move the expressions out of their `Arc`s.
impl PartialEq for StructField {
    fn eq(&self, other: &Self) -> bool {
        self.parent.eq(&other.parent) && (self.index, &self.field) == (other.index, &other.field)
    }
}

impl Hash for StructField {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.parent, self.index, &self.field).hash(state);
    }
}

impl StructField {
    pub(super) fn new(parent: Arc<dyn PhysicalExpr>, index: usize, field: &Field) -> Self {
        let field = Arc::new(field.clone().with_nullable(true));
        StructField {
            parent,
            index,
            field,
        }
    }
}

impl Display for StructField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.parent, self.field.name())
    }
}

impl PhysicalExpr for StructField {
    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let parent = self.parent.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(structs) = parent.downcast_ref_struct() else {
            return internal_err!("{} is not a struct", self.parent);
        };
        let Some(child) = structs.columns().get(self.index) else {
            return internal_err!("{} has too few fields", self.parent);
        };
        let Some(nulls) = structs.nulls() else {
            return Ok(ColumnarValue::Array(Arc::clone(child)));
        };
        let absent = BooleanArray::new(!nulls.inner(), None);
        Ok(ColumnarValue::Array(nullif(child, &absent)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.parent]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [parent] = one_child(children)?;
        Ok(Arc::new(StructField {
            parent,
            index: self.index,
            field: Arc::clone(&self.field),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

trait DowncastStruct {
    fn downcast_ref_struct(&self) -> Option<&StructArray>;
}

impl DowncastStruct for ArrayRef {
    fn downcast_ref_struct(&self) -> Option<&StructArray> {
        self.as_struct_opt()
    }
}

fn one_child(children: Vec<Arc<dyn PhysicalExpr>>) -> Result<[Arc<dyn PhysicalExpr>; 1]> {
    match <[_; 1]>::try_from(children) {
        Ok(child) => Ok(child),
        Err(children) => internal_err!("expected one child, found {}", children.len()),
    }
}

/// A test of one column.
#[derive(Debug, Eq)]
pub(super) struct Leaf {
    column: Arc<dyn PhysicalExpr>,
    test: Arc<Test>,
}

impl PartialEq for Leaf {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.test == other.test
    }
}

impl Hash for Leaf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.column, &self.test).hash(state);
    }
}

impl Leaf {
    pub(super) fn new(column: Arc<dyn PhysicalExpr>, test: Test) -> Self {
        Leaf {
            column,
            test: Arc::new(test),
        }
    }
}

impl Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.test.name(), self.column)
    }
}

impl PhysicalExpr for Leaf {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let mask = self.test.mask(&column)?;
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(
            mask, None,
        ))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = one_child(children)?;
        Ok(Arc::new(Leaf {
            column,
            test: Arc::clone(&self.test),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// What a [`Leaf`] asks of a value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    /// In one of many ranges: sorted, disjoint, both ends included. NULL is not.
    Ranges(Vec<(i256, i256)>),
    /// Any of the patterns is found in the text, or with `negated` none is. NULL is FALSE.
    Text { patterns: Patterns, negated: bool },
    /// The folded text is among the folded texts, or with `negated` is not. NULL is FALSE.
    Folded { texts: FoldedSet, negated: bool },
    /// The list has no elements (or is NULL if `nulls`); with `negated`: it has some.
    EmptyList { negated: bool },
    /// The list has an element for each of the tests, or with `negated` lacks one for some.
    /// Elements that are NULL are passed over. A NULL list is FALSE.
    List { each: Vec<ValueTest>, negated: bool },
    /// The expression over the values of a dictionary, looked up once for each key; `nulls` is
    /// its answer for NULL keys.
    Dictionary { values: ValueTest, nulls: bool },
}

/// A test of list elements or dictionary values: an expression over a batch with them as its
/// only column.
#[derive(Debug, Eq)]
pub(super) struct ValueTest(pub(super) Arc<dyn PhysicalExpr>);

impl PartialEq for ValueTest {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Hash for ValueTest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Test {
    fn name(&self) -> &'static str {
        match self {
            Test::Ranges(_) => "in_ranges",
            Test::Text { .. } => "text_matches",
            Test::Folded { .. } => "folded_in_set",
            Test::EmptyList { .. } => "list_is_empty",
            Test::List { .. } => "list_contains",
            Test::Dictionary { .. } => "dictionary_matches",
        }
    }

    fn mask(&self, array: &ArrayRef) -> Result<BooleanBuffer> {
        match self {
            Test::Ranges(ranges) => in_ranges(array, ranges),
            Test::Text { patterns, negated } => patterns.mask(array, *negated),
            Test::Folded { texts, negated } => texts.mask(array, *negated),
            Test::EmptyList { negated } => {
                let lists = list(array)?;
                Ok(BooleanBuffer::collect_bool(
                    array.len(),
                    |row| match array.is_null(row) {
                        true => !negated,
                        false => lists.span(row).is_empty() != *negated,
                    },
                ))
            }
            Test::List { each, negated } => list_contains(array, each, *negated),
            Test::Dictionary { values, nulls } => dictionary(array, values, *nulls),
        }
    }
}

/// FALSE for NULL, else as `test` says, row by row.
fn where_valid(array: &dyn Array, test: impl FnMut(usize) -> bool) -> BooleanBuffer {
    let mask = BooleanBuffer::collect_bool(array.len(), test);
    match array.logical_nulls() {
        Some(nulls) => &mask & nulls.inner(),
        None => mask,
    }
}

/// The answer of a boolean expression as a mask: NULL is FALSE.
pub(super) fn definitely(value: ColumnarValue, rows: usize) -> Result<BooleanBuffer> {
    let array = value.into_array(rows)?;
    let Some(array) = array.as_boolean_opt() else {
        return internal_err!("expected a boolean, found {}", array.data_type());
    };
    Ok(match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    })
}

/// Native values as `i128`, the key their order is judged by.
trait Key: Copy {
    fn key(self) -> Option<i256>;
}

macro_rules! integer_keys {
    ($($native:ty),*) => { $(impl Key for $native {
        fn key(self) -> Option<i256> { Some(i256::from_i128(self.into())) }
    })* };
}
integer_keys!(i8, i16, i32, i64, u8, u16, u32, u64, i128);

impl Key for i256 {
    fn key(self) -> Option<i256> {
        Some(self)
    }
}

fn float_ordinal(data_type: &DataType, value: f64) -> Option<i256> {
    (!value.is_nan()).then(|| super::ordinal::float_key(data_type, value))
}

fn in_ranges(array: &ArrayRef, ranges: &[(i256, i256)]) -> Result<BooleanBuffer> {
    use arrow::datatypes::{Float16Type, Float32Type, Float64Type};
    let hit = |key: Option<i256>| {
        key.is_some_and(|key| {
            let after = ranges.partition_point(|(low, _)| *low <= key);
            after
                .checked_sub(1)
                .and_then(|i| ranges.get(i))
                .is_some_and(|(_, high)| key <= *high)
        })
    };
    let data_type = array.data_type().clone();
    macro_rules! floats {
        ($kind:ty, $widen:expr) => {{
            let values = array.as_primitive::<$kind>().values();
            where_valid(array, |row| {
                hit(values
                    .get(row)
                    .and_then(|v| float_ordinal(&data_type, $widen(*v))))
            })
        }};
    }
    macro_rules! integers {
        ($array:expr) => {{
            let values = $array.values();
            where_valid($array, |row| {
                hit(values.get(row).and_then(|value| integer(*value)))
            })
        }};
    }
    Ok(match data_type {
        DataType::Float16 => floats!(Float16Type, half_to_f64),
        DataType::Float32 => floats!(Float32Type, f64::from),
        DataType::Float64 => floats!(Float64Type, std::convert::identity),
        _ => {
            let array = array.as_ref();
            downcast_primitive_array! {
                array => integers!(array),
                other => return internal_err!("no ranges over {other}"),
            }
        }
    })
}

fn half_to_f64(value: <arrow::datatypes::Float16Type as ArrowPrimitiveType>::Native) -> f64 {
    value.to_f64()
}

/// The ordinal of a native value that is an integer of some width; other kinds have none.
fn integer<T: Copy + 'static>(value: T) -> Option<i256> {
    let value: &dyn std::any::Any = &value;
    macro_rules! any_of {
        ($($native:ty),*) => {
            None $(.or_else(|| value.downcast_ref::<$native>().and_then(|v| v.key())))*
        };
    }
    any_of!(i32, i64, i128, i256, i8, i16, u8, u16, u32, u64)
}

/// Text without regard to case: every character in lower case, on its own.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// Calls `test` with each text of a column of any string type; FALSE for NULL.
fn each_text(array: &ArrayRef, mut test: impl FnMut(&str) -> bool) -> Result<BooleanBuffer> {
    macro_rules! rows {
        ($strings:expr) => {{
            let strings = $strings;
            // NULL slots are readable; their answers are masked out.
            where_valid(strings, |row| {
                strings.is_valid(row) && test(strings.value(row))
            })
        }};
    }
    Ok(match array.data_type() {
        DataType::Utf8 => rows!(array.as_string::<i32>()),
        DataType::LargeUtf8 => rows!(array.as_string::<i64>()),
        DataType::Utf8View => rows!(array.as_string_view()),
        other => return internal_err!("no text in {other}"),
    })
}

/// Texts that are compared without regard to case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoldedSet(HashSet<String>);

impl Hash for FoldedSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut texts: Vec<_> = self.0.iter().collect();
        texts.sort_unstable();
        texts.hash(state);
    }
}

impl FoldedSet {
    pub(super) fn new(texts: impl IntoIterator<Item = String>) -> Self {
        FoldedSet(texts.into_iter().collect())
    }

    fn mask(&self, array: &ArrayRef, negated: bool) -> Result<BooleanBuffer> {
        let mut folded = String::new();
        each_text(array, |text| {
            fold_into(text, &mut folded);
            self.0.contains(&folded) != negated
        })
    }
}

/// One pattern of text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pattern {
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    /// A regular expression, with whether case counts.
    Matches(String, bool),
}

/// Patterns that are looked for together, in one pass over the text.
#[derive(Debug)]
pub(super) struct Patterns {
    patterns: Vec<Pattern>,
    fold: bool,
    set: RegexSet,
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        (&self.patterns, self.fold) == (&other.patterns, other.fold)
    }
}

impl Eq for Patterns {}

impl Hash for Patterns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.patterns, self.fold).hash(state);
    }
}

impl Patterns {
    /// Joins patterns. With `fold`, texts are folded before they are searched, and the patterns
    /// must be folded already.
    pub(super) fn new(patterns: Vec<Pattern>, fold: bool) -> Result<Self, regex::Error> {
        let regexes = patterns.iter().map(|pattern| match pattern {
            Pattern::Contains(text) => regex::escape(text),
            Pattern::StartsWith(text) => format!(r"\A{}", regex::escape(text)),
            Pattern::EndsWith(text) => format!(r"{}\z", regex::escape(text)),
            Pattern::Matches(regex, true) => regex.clone(),
            Pattern::Matches(regex, false) => format!("(?i){regex}"),
        });
        let set = regex::RegexSetBuilder::new(regexes)
            .size_limit(64 << 20)
            .build()?;
        Ok(Patterns {
            patterns,
            fold,
            set,
        })
    }

    fn mask(&self, array: &ArrayRef, negated: bool) -> Result<BooleanBuffer> {
        if let ([pattern], false) = (self.patterns.as_slice(), self.fold)
            && let Some(found) = literal(pattern, array)?
        {
            let mask = match negated {
                true => !found.values(),
                false => found.values().clone(),
            };
            return Ok(match found.nulls() {
                Some(nulls) => &mask & nulls.inner(),
                None => mask,
            });
        }
        let mut folded = String::new();
        each_text(array, |text| {
            let text = match self.fold {
                true => {
                    fold_into(text, &mut folded);
                    folded.as_str()
                }
                false => text,
            };
            self.set.is_match(text) != negated
        })
    }
}

/// Arrow's kernel for a pattern that is plain text.
fn literal(pattern: &Pattern, array: &ArrayRef) -> Result<Option<BooleanArray>> {
    use arrow::array::{LargeStringArray, Scalar, StringArray, StringViewArray};
    let text = |text: &str| -> ArrayRef {
        match array.data_type() {
            DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![text])),
            DataType::Utf8View => Arc::new(StringViewArray::from(vec![text])),
            _ => Arc::new(StringArray::from(vec![text])),
        }
    };
    Ok(match pattern {
        Pattern::Contains(part) => Some(comparison::contains(array, &Scalar::new(text(part)))?),
        Pattern::StartsWith(part) => {
            Some(comparison::starts_with(array, &Scalar::new(text(part)))?)
        }
        Pattern::EndsWith(part) => Some(comparison::ends_with(array, &Scalar::new(text(part)))?),
        Pattern::Matches(_, _) => None,
    })
}

/// The elements of lists, and where those of each row stand among them.
struct Lists<'a> {
    elements: ArrayRef,
    rows: Rows<'a>,
}

enum Rows<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
    Fixed(usize),
}

/// The lists of a column. Of a slice, only the elements that belong to it.
fn list(array: &ArrayRef) -> Result<Lists<'_>> {
    fn between<'a, O: OffsetSizeTrait>(
        offsets: &'a [O],
        values: &ArrayRef,
        rows: impl Fn(&'a [O]) -> Rows<'a>,
    ) -> Lists<'a> {
        let start = offsets.first().map_or(0, |offset| offset.as_usize());
        let end = offsets.last().map_or(0, |offset| offset.as_usize());
        Lists {
            elements: values.slice(start, end - start),
            rows: rows(offsets),
        }
    }
    Ok(match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            between(lists.value_offsets(), lists.values(), Rows::Small)
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            between(lists.value_offsets(), lists.values(), Rows::Large)
        }
        DataType::FixedSizeList(_, _) => {
            let lists = array.as_fixed_size_list();
            let length = usize::try_from(lists.value_length()).unwrap_or(0);
            Lists {
                elements: Arc::clone(lists.values()),
                rows: Rows::Fixed(length),
            }
        }
        other => return internal_err!("{other} is not a list"),
    })
}

impl Lists<'_> {
    fn span(&self, row: usize) -> std::ops::Range<usize> {
        fn between<O: OffsetSizeTrait>(offsets: &[O], row: usize) -> std::ops::Range<usize> {
            match (offsets.first(), offsets.get(row), offsets.get(row + 1)) {
                (Some(first), Some(start), Some(end)) => {
                    let first = first.as_usize();
                    start.as_usize() - first..end.as_usize() - first
                }
                _ => 0..0,
            }
        }
        match self.rows {
            Rows::Small(offsets) => between(offsets, row),
            Rows::Large(offsets) => between(offsets, row),
            Rows::Fixed(length) => row * length..(row + 1) * length,
        }
    }
}

fn list_contains(array: &ArrayRef, each: &[ValueTest], negated: bool) -> Result<BooleanBuffer> {
    let lists = list(array)?;
    let batch = single_column(Arc::clone(&lists.elements))?;
    let mut found: Option<BooleanBuffer> = None;
    for ValueTest(test) in each {
        let hits = definitely(test.evaluate(&batch)?, batch.num_rows())?;
        let rows = BooleanBuffer::collect_bool(array.len(), |row| {
            let span = lists.span(row);
            hits.slice(span.start, span.len()).has_true()
        });
        found = Some(match found {
            Some(found) => &found & &rows,
            None => rows,
        });
    }
    let found = found.unwrap_or_else(|| BooleanBuffer::new_set(array.len()));
    Ok(where_valid(array, |row| found.value(row) != negated))
}

/// A batch of one column, named by nothing: what element and dictionary tests are bound to.
fn single_column(array: ArrayRef) -> Result<RecordBatch> {
    let schema = single_column_schema(array.data_type());
    let options = RecordBatchOptions::new().with_row_count(Some(array.len()));
    Ok(RecordBatch::try_new_with_options(
        schema,
        vec![array],
        &options,
    )?)
}

/// The schema of the batches that element and dictionary tests are bound to.
pub(super) fn single_column_schema(data_type: &DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "value",
        data_type.clone(),
        true,
    )]))
}

fn dictionary(array: &ArrayRef, ValueTest(test): &ValueTest, nulls: bool) -> Result<BooleanBuffer> {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        return internal_err!("{} is not a dictionary", array.data_type());
    };
    let batch = single_column(Arc::clone(dictionary.values()))?;
    let hits = definitely(test.evaluate(&batch)?, batch.num_rows())?;
    let keys = dictionary.normalized_keys_checked();
    let mut mask = BooleanBufferBuilder::new(array.len());
    for (row, key) in keys.into_iter().enumerate() {
        let hit = match dictionary.keys().is_null(row) {
            true => nulls,
            false => key < hits.len() && hits.value(key),
        };
        mask.append(hit);
    }
    Ok(mask.finish())
}

trait NormalizedKeys {
    fn normalized_keys_checked(&self) -> Vec<usize>;
}

impl NormalizedKeys for &dyn arrow::array::AnyDictionaryArray {
    /// Keys as indices. Arrow's own function asserts that there are values; a dictionary of
    /// nothing but NULLs may have none.
    fn normalized_keys_checked(&self) -> Vec<usize> {
        match self.values().is_empty() {
            true => vec![0; self.keys().len()],
            false => self.normalized_keys(),
        }
    }
}
