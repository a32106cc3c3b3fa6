//! Batches in portions that are small enough, however large the values are that rows share.

use arrow::array::{
    Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch, UnionArray, make_array,
};
use arrow::datatypes::{ArrowNativeType, DataType, UnionMode};

use super::{Limits, StreamError};

/// What is left of a batch, which is cut as it is taken.
#[derive(Default)]
pub(super) struct Portions {
    /// The rows that come first are at the end.
    left: Vec<RecordBatch>,
}

impl Portions {
    /// A batch to be cut; the one before must have been taken.
    pub(super) fn put(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.left.push(batch);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next rows, at most `batch_rows` of them and `batch_bytes` bytes, where a value that
    /// rows share counts for each of them; and how many bytes they are.
    ///
    /// Errors: a single row is larger.
    pub(super) fn take(
        &mut self,
        limits: &Limits,
    ) -> Result<Option<(RecordBatch, u64)>, StreamError> {
        let most = limits.batch_bytes as u64;
        while let Some(batch) = self.left.pop() {
            let rows = batch.num_rows();
            let fitting = rows.min(limits.batch_rows.max(1));
            if fitting < rows {
                self.cut(&batch, fitting);
                continue;
            }
            let bytes = batch
                .columns()
                .iter()
                .fold(0u64, |sum, column| sum.saturating_add(total(column)));
            if bytes <= most {
                return Ok(Some((batch, bytes)));
            }
            if rows <= 1 {
                return Err(StreamError::Limit {
                    what: "bytes in one record",
                    most,
                });
            }
            // Portions that begin with a whole byte of bits can be written as they are.
            let half = match rows > 16 {
                true => (rows / 2).next_multiple_of(8),
                false => rows / 2,
            };
            self.cut(&batch, half);
        }
        Ok(None)
    }

    fn cut(&mut self, batch: &RecordBatch, at: usize) {
        self.left.push(batch.slice(at, batch.num_rows() - at));
        self.left.push(batch.slice(0, at));
    }
}

/// About how many bytes the rows of a column would be if none shared a value; never much less.
fn total(column: &ArrayRef) -> u64 {
    let rows = column.len() as u64;
    match column.data_type() {
        DataType::Null => 0,
        DataType::Utf8 => span(column.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => span(column.as_string::<i64>().value_offsets()),
        DataType::Binary => span(column.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => span(column.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => sum(column.as_string_view().views().iter().map(viewed)),
        DataType::BinaryView => sum(column.as_binary_view().views().iter().map(viewed)),
        DataType::Struct(_) => sum(column.as_struct().columns().iter().map(total)),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            part(list.value_offsets(), list.values())
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            part(list.value_offsets(), list.values())
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            part(map.value_offsets(), &entries)
        }
        DataType::FixedSizeList(..) => total(column.as_fixed_size_list().values()),
        DataType::Union(_, UnionMode::Sparse) => sum(members(column.as_union()).map(|m| total(&m))),
        DataType::ListView(_) => {
            let list = column.as_list_view::<i32>();
            let items = sum(list.value_sizes().iter().map(|size| size.as_usize() as u64));
            items.saturating_mul(widest(list.values()))
        }
        DataType::LargeListView(_) => {
            let list = column.as_list_view::<i64>();
            let items = sum(list.value_sizes().iter().map(|size| size.as_usize() as u64));
            items.saturating_mul(widest(list.values()))
        }
        _ => rows.saturating_mul(widest(column)),
    }
}

/// About how many bytes the largest row of a column is.
fn widest(column: &ArrayRef) -> u64 {
    match column.data_type() {
        DataType::Null => 0,
        DataType::Boolean => 1,
        DataType::FixedSizeBinary(bytes) => u64::try_from(*bytes).unwrap_or(0),
        DataType::Utf8 => longest(column.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => longest(column.as_string::<i64>().value_offsets()),
        DataType::Binary => longest(column.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => longest(column.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => most(column.as_string_view().views().iter().map(viewed)),
        DataType::BinaryView => most(column.as_binary_view().views().iter().map(viewed)),
        DataType::Struct(_) => sum(column.as_struct().columns().iter().map(widest)),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            longest(list.value_offsets()).saturating_mul(widest(list.values()))
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            longest(list.value_offsets()).saturating_mul(widest(list.values()))
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let entry = sum([map.keys(), map.values()].into_iter().map(widest));
            longest(map.value_offsets()).saturating_mul(entry)
        }
        DataType::FixedSizeList(_, items) => u64::try_from(*items)
            .unwrap_or(0)
            .saturating_mul(widest(column.as_fixed_size_list().values())),
        DataType::ListView(_) => {
            let list = column.as_list_view::<i32>();
            let items = most(list.value_sizes().iter().map(|size| size.as_usize() as u64));
            items.saturating_mul(widest(list.values()))
        }
        DataType::LargeListView(_) => {
            let list = column.as_list_view::<i64>();
            let items = most(list.value_sizes().iter().map(|size| size.as_usize() as u64));
            items.saturating_mul(widest(list.values()))
        }
        DataType::Union(..) => most(members(column.as_union()).map(|member| widest(&member))),
        DataType::Dictionary(..) => widest(column.as_any_dictionary().values()),
        DataType::RunEndEncoded(..) => match column.to_data().child_data() {
            [_, values] => widest(&make_array(values.clone())),
            _ => 0,
        },
        other => other.primitive_width().unwrap_or(16) as u64,
    }
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

fn most(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.max().unwrap_or(0)
}

/// The bytes of a view and of what it shows: its length is the lowest four.
fn viewed(view: &u128) -> u64 {
    16 + (view & u128::from(u32::MAX)) as u64
}

fn span<O: OffsetSizeTrait>(offsets: &[O]) -> u64 {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => last.as_usize().saturating_sub(first.as_usize()) as u64,
        _ => 0,
    }
}

fn longest<O: OffsetSizeTrait>(offsets: &[O]) -> u64 {
    most(offsets.windows(2).map(span))
}

/// The bytes of the items of lists.
fn part<O: OffsetSizeTrait>(offsets: &[O], items: &ArrayRef) -> u64 {
    let (Some(first), length) = (offsets.first(), span(offsets) as usize) else {
        return 0;
    };
    let start = first.as_usize().min(items.len());
    total(&items.slice(start, length.min(items.len() - start)))
}

fn members(union: &UnionArray) -> impl Iterator<Item = ArrayRef> {
    let ids: Vec<i8> = match union.data_type() {
        DataType::Union(fields, _) => fields.iter().map(|(id, _)| id).collect(),
        _ => Vec::new(),
    };
    ids.into_iter().map(|id| union.child(id).clone())
}
