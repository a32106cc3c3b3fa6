//! Columns that grow value by value, for the databases.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, NullBufferBuilder,
    RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};

use super::SourceError;
use super::database::misfit;
use super::rows::{MAX_BATCH_BYTES, Wanted, projected, with_marks};

/// One column of a batch that is being filled.
#[derive(Debug)]
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal {
        builder: Decimal128Builder,
        precision: u8,
        scale: i8,
    },
    Text(StringViewBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp {
        builder: TimestampMicrosecondBuilder,
        zoned: bool,
    },
    List(Box<List>),
}

/// A list column that is being filled.
#[derive(Debug)]
pub(super) struct List {
    data_type: DataType,
    items: Column,
    item_count: i32,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Column {
    /// An empty column; `None` for a type that no database source has.
    pub(super) fn new(data_type: &DataType) -> Option<Column> {
        Some(match data_type {
            DataType::Boolean => Column::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Column::Int16(Int16Builder::new()),
            DataType::Int32 => Column::Int32(Int32Builder::new()),
            DataType::Int64 => Column::Int64(Int64Builder::new()),
            DataType::Float32 => Column::Float32(Float32Builder::new()),
            DataType::Float64 => Column::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => Column::Decimal {
                builder: Decimal128Builder::new().with_data_type(data_type.clone()),
                precision: *precision,
                scale: *scale,
            },
            DataType::Utf8View => Column::Text(StringViewBuilder::new()),
            DataType::Binary => Column::Binary(BinaryBuilder::new()),
            DataType::Date32 => Column::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Column::Timestamp {
                builder: TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()),
                zoned: zone.is_some(),
            },
            DataType::List(item) => Column::List(Box::new(List {
                data_type: data_type.clone(),
                items: Column::new(item.data_type())?,
                item_count: 0,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
            })),
            _ => return None,
        })
    }

    /// Adds a NULL. What a list has got of a value that did not fit stays below it, unseen.
    pub(super) fn append_null(&mut self) {
        match self {
            Column::Boolean(builder) => builder.append_null(),
            Column::Int16(builder) => builder.append_null(),
            Column::Int32(builder) => builder.append_null(),
            Column::Int64(builder) => builder.append_null(),
            Column::Float32(builder) => builder.append_null(),
            Column::Float64(builder) => builder.append_null(),
            Column::Decimal { builder, .. } => builder.append_null(),
            Column::Text(builder) => builder.append_null(),
            Column::Binary(builder) => builder.append_null(),
            Column::Date(builder) => builder.append_null(),
            Column::Timestamp { builder, .. } => builder.append_null(),
            Column::List(list) => list.close(false),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, arrow::error::ArrowError> {
        Ok(match self {
            Column::Boolean(builder) => Arc::new(builder.finish()),
            Column::Int16(builder) => Arc::new(builder.finish()),
            Column::Int32(builder) => Arc::new(builder.finish()),
            Column::Int64(builder) => Arc::new(builder.finish()),
            Column::Float32(builder) => Arc::new(builder.finish()),
            Column::Float64(builder) => Arc::new(builder.finish()),
            Column::Decimal { builder, .. } => Arc::new(builder.finish()),
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Binary(builder) => Arc::new(builder.finish()),
            Column::Date(builder) => Arc::new(builder.finish()),
            Column::Timestamp { builder, .. } => Arc::new(builder.finish()),
            Column::List(list) => list.finish()?,
        })
    }
}

impl List {
    /// The column that the items of the list being filled go to; one [`List::push`] for each.
    pub(super) fn items(&mut self) -> &mut Column {
        &mut self.items
    }

    /// Counts an item that was added to [`List::items`]. `false`: there are too many.
    pub(super) fn push(&mut self) -> bool {
        match self.item_count.checked_add(1) {
            Some(count) => {
                self.item_count = count;
                true
            }
            None => false,
        }
    }

    /// Ends the list of one row; `valid` is false for NULL.
    pub(super) fn close(&mut self, valid: bool) {
        self.offsets.push(self.item_count);
        self.nulls.append(valid);
    }

    fn finish(&mut self) -> Result<ArrayRef, arrow::error::ArrowError> {
        let items = self.items.finish()?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(
            &mut self.offsets,
            vec![0],
        )));
        self.item_count = 0;
        let nulls = self.nulls.finish();
        let DataType::List(item) = &self.data_type else {
            return Err(arrow::error::ArrowError::SchemaError("not a list".into()));
        };
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            offsets,
            items,
            nulls,
        )?))
    }
}

/// A batch that is being filled row by row.
#[derive(Debug)]
pub(super) struct Filling {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// What does not fit in each row, where rows are marked.
    marks: Option<StringBuilder>,
    /// What does not fit in the row that is being filled.
    mark: Option<String>,
    rows: usize,
    bytes: usize,
    batch_rows: usize,
}

impl Filling {
    /// An empty batch of what is wanted of a schema.
    pub(super) fn new(schema: &SchemaRef, wanted: &Wanted) -> Result<Filling, SourceError> {
        let mut schema = projected(schema, &wanted.columns);
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                Column::new(field.data_type()).ok_or_else(|| SourceError::Column {
                    column: field.name().clone(),
                    what: "its type cannot be read from a database".into(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if wanted.marked {
            schema = with_marks(&schema);
        }
        Ok(Filling {
            schema,
            columns,
            marks: wanted.marked.then(StringBuilder::new),
            mark: None,
            rows: 0,
            bytes: 0,
            batch_rows: wanted.batch_rows,
        })
    }

    /// Adds a value to the column at `at` by `append`, which tells its size, or what it should
    /// have been: then it is NULL and the row is marked, or else that is the error.
    pub(super) fn add(
        &mut self,
        at: usize,
        record: u64,
        append: impl FnOnce(&mut Column) -> Result<usize, &'static str>,
    ) -> Result<usize, SourceError> {
        let Some(column) = self.columns.get_mut(at) else {
            return Err(SourceError::Failed("a batch lacks a column".into()));
        };
        match append(column) {
            Ok(bytes) => Ok(bytes),
            Err(expected) => {
                let error = misfit(&self.schema, at, record, expected);
                if self.marks.is_none() {
                    return Err(error);
                }
                column.append_null();
                self.mark = Some(error.to_string());
                Ok(1)
            }
        }
    }

    /// Ends a row that had `bytes` of values. `true`: the batch is full.
    pub(super) fn end_row(&mut self, bytes: usize) -> bool {
        let mark = self.mark.take();
        if let Some(marks) = &mut self.marks {
            marks.append_option(mark);
        }
        self.rows += 1;
        self.bytes += bytes;
        self.rows >= self.batch_rows || self.bytes >= MAX_BATCH_BYTES
    }

    /// The rows so far as a batch, unless there are none; then it begins anew.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let broken = |_| SourceError::Failed("a batch could not be put together".into());
        let mut arrays = self
            .columns
            .iter_mut()
            .map(Column::finish)
            .collect::<Result<Vec<_>, _>>()
            .map_err(broken)?;
        if let Some(marks) = &mut self.marks {
            arrays.push(Arc::new(marks.finish()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(broken)
    }
}
