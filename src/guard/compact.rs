//! Columns without the values that none of their rows refers to.
//!
//! Rows of a dictionary, view or list view share one store of values, and a selection of rows
//! keeps it whole: written down as it is, it would carry values of the rows that were left out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, DictionaryArray, MutableArrayData,
    RecordBatch, make_array,
};
use arrow::compute::filter;
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, DataType};
use arrow::downcast_dictionary_array;
use arrow::error::ArrowError;

/// A batch whose columns hold no value that its rows do not refer to.
pub(crate) fn compact_batch(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let shared = |column: &ArrayRef| shares(column.data_type());
    if !batch.columns().iter().any(shared) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(|column| match shared(column) {
        true => compact(column),
        false => Ok(column.clone()),
    });
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)
}

/// Whether values of a type may stand in a store that rows share.
fn shares(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..)
        | DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Union(..) => true,
        // Their children may be written from the byte on in which a neighbour's last bits are.
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::Map(..)
        | DataType::RunEndEncoded(..) => true,
        DataType::FixedSizeList(item, _) => shares(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| shares(field.data_type())),
        _ => false,
    }
}

fn compact(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(..) => {
            let column = column.as_ref();
            downcast_dictionary_array!(
                column => used(column),
                _ => Err(ArrowError::InvalidArgumentError(String::new())),
            )
        }
        DataType::Utf8View => Ok(Arc::new(column.as_string_view().gc())),
        DataType::BinaryView => Ok(Arc::new(column.as_binary_view().gc())),
        _ => {
            // A copy of the rows has in its children what they refer to and nothing else.
            let data = column.to_data();
            let mut copy = MutableArrayData::new(vec![&data], false, data.len());
            copy.try_extend(0, 0, data.len())?;
            Ok(make_array(with_compact_children(copy.freeze())?))
        }
    }
}

fn with_compact_children(data: ArrayData) -> Result<ArrayData, ArrowError> {
    let children = data.child_data().iter().map(|child| {
        if shares(child.data_type()) {
            compact(&make_array(child.clone())).map(|child| child.to_data())
        } else {
            Ok(child.clone())
        }
    });
    let children = children.collect::<Result<Vec<_>, ArrowError>>()?;
    data.into_builder().child_data(children).build()
}

/// A dictionary with the values alone that its keys name.
fn used<K: ArrowDictionaryKeyType>(
    dictionary: &DictionaryArray<K>,
) -> Result<ArrayRef, ArrowError> {
    let values = dictionary.values();
    let named = dictionary.occupancy();
    if named.count_set_bits() == values.len() && !shares(values.data_type()) {
        return Ok(Arc::new(dictionary.clone()));
    }
    let mut places = vec![K::Native::default(); values.len()];
    for (new, old) in named.set_indices().enumerate() {
        if let (Some(place), Some(new)) = (places.get_mut(old), K::Native::from_usize(new)) {
            *place = new;
        }
    }
    let keys = dictionary.keys().unary::<_, K>(|key| {
        // A key under a NULL may be anything.
        places.get(key.as_usize()).copied().unwrap_or_default()
    });
    let mut values = filter(values, &BooleanArray::new(named, None))?;
    if shares(values.data_type()) {
        values = compact(&values)?;
    }
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}
