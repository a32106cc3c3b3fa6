//! Batches cut into pieces that are small when they are written down.
//!
//! An operator may hand on all of an answer as one batch, and many cells may share one long text:
//! a batch that is small in memory can be huge as bytes on their way to a client.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes that a piece may have, if it has more than one row.
const PIECE: usize = 1 << 20;

/// A batch in pieces of at most `most` rows.
pub(super) fn cut(batch: RecordBatch, most: usize) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut left = vec![batch];
    while let Some(batch) = left.pop() {
        let rows = batch.num_rows();
        let half = match rows {
            0 | 1 => None,
            rows if rows > most => Some(most),
            rows if bytes(&batch) > PIECE => Some(rows / 2),
            _ => None,
        };
        match half {
            None => pieces.push(batch),
            Some(half) => {
                left.push(batch.slice(half, rows - half));
                left.push(batch.slice(0, half));
            }
        }
    }
    pieces
}

fn bytes(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns.map(size).fold(0, usize::saturating_add)
}

/// Bytes of a column's values, each counted as often as it is there.
fn size(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().lengths().map(widened).sum(),
        DataType::BinaryView => column.as_binary_view().lengths().map(widened).sum(),
        _ => column.to_data().get_slice_memory_size().unwrap_or(PIECE),
    }
}

fn widened(length: u32) -> usize {
    length as usize + size_of::<u128>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringViewArray};

    use super::*;

    #[test]
    fn cells_that_share_a_text_are_cut_apart() {
        let long = "x".repeat(PIECE / 4);
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values([&long; 1]));
        let same = arrow::array::UInt32Array::from(vec![0; 100]);
        let texts = arrow::compute::take(&texts, &same, None).unwrap();
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let pieces = cut(batch.clone(), 1_000);
        assert!(pieces.len() >= 25, "{}", pieces.len());
        assert_eq!(pieces.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
        assert!(pieces.iter().all(|piece| bytes(piece) <= PIECE));
    }

    #[test]
    fn rows_keep_their_order_and_their_number() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let pieces = cut(batch.clone(), 4);
        let rows: Vec<usize> = pieces.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, [4, 4, 2]);
        let joined = arrow::compute::concat_batches(&batch.schema(), &pieces).unwrap();
        assert_eq!(joined, batch);
        let none = batch.slice(0, 0);
        assert_eq!(cut(none.clone(), 4), [none]);
    }
}
