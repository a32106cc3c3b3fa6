//! Arrow and Parquet streams through a guard, well-formed and hostile.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int64Array, ListViewArray, NullArray, RecordBatch,
    StringArray, StringViewArray, StructArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::file::properties::{WriterProperties, WriterVersion};
use serde_json::json;

use super::columnar_fixtures::{batch, everything, read_back, written};
use super::pass::{Passed, pass};
use super::{Columns, Limits, OnInvalid, Records, StreamError, Wanted, open};
use crate::guard::Guard;
use crate::policy::{FilterTree, PolicyKind, Requirement};
use crate::wire::Format;

const FORMATS: [Format; 2] = [Format::ArrowStream, Format::Parquet];

/// Which rows may pass; `null` is all.
fn guard(schema: &SchemaRef, tree: &serde_json::Value) -> Guard {
    let requirements: Vec<_> = match tree.is_null() {
        true => Vec::new(),
        false => vec![Requirement {
            policy_id: None,
            kind: PolicyKind::Draft,
            name: "a policy".into(),
            filter_tree: FilterTree::parse(tree).unwrap(),
        }],
    };
    Guard::compile(schema, &requirements, DateTime::UNIX_EPOCH, 1).unwrap()
}

struct Through {
    out: Vec<u8>,
    /// Rows of each batch.
    batches: Vec<usize>,
    /// The line of the first row of each batch.
    lines: Vec<u64>,
}

fn through(
    format: Format,
    limits: Limits,
    tree: &serde_json::Value,
    mut rest: &[u8],
    piece: usize,
) -> Result<Through, StreamError> {
    let mut records = open(format, limits, OnInvalid::Abort);
    let records: &mut dyn Records = records.as_mut();
    let mut result = Through {
        out: Vec::new(),
        batches: Vec::new(),
        lines: Vec::new(),
    };
    let mut guarded = None;
    let mut ended = false;
    loop {
        loop {
            let space = records.space();
            if space.is_empty() || ended {
                break;
            }
            if rest.is_empty() {
                records.end()?;
                ended = true;
                break;
            }
            let bytes = space.len().min(rest.len()).min(piece);
            space[..bytes].copy_from_slice(&rest[..bytes]);
            rest = &rest[bytes..];
            records.filled(bytes)?;
        }
        let Columns::Typed(schema) = records.columns() else {
            panic!("there is no schema, and no more space");
        };
        let guard = guarded.get_or_insert_with(|| guard(&schema, tree));
        loop {
            match pass(
                records,
                guard,
                &mut Default::default(),
                false,
                &mut result.out,
            )? {
                Passed::Batch { judgement, .. } => {
                    result.batches.push(judgement.passes().len());
                    result.lines.push(records.line_of(0));
                }
                Passed::Hungry => break,
                Passed::End => return Ok(result),
            }
        }
        assert!(!ended, "it is hungry although it ended");
    }
}

fn all(format: Format, bytes: &[u8]) -> Result<Through, StreamError> {
    let all = serde_json::Value::Null;
    through(format, Limits::default(), &all, bytes, 1 << 20)
}

fn error(result: Result<Through, StreamError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn every_type_comes_through_as_it_was() {
    for format in FORMATS {
        let batch = everything(format);
        let bytes = written(format, &[batch.clone(), batch.clone()]);
        for piece in [1, 1 << 20] {
            let all = serde_json::Value::Null;
            let through = through(format, Limits::default(), &all, &bytes, piece).unwrap();
            let back = read_back(format, through.out);
            let twice = concat_batches(&batch.schema(), [&batch, &batch]).unwrap();
            for (index, field) in twice.schema().fields().iter().enumerate() {
                let place = (format, field.name());
                let back_field = back.schema().field(index).clone();
                assert_eq!(back_field.data_type(), field.data_type(), "{place:?}");
                // Unions and runs have no equality of their own: compared as they are shown.
                let shown = |column: &ArrayRef| {
                    let shown = arrow::util::pretty::pretty_format_columns(
                        "c",
                        std::slice::from_ref(column),
                    );
                    shown.unwrap().to_string()
                };
                assert_eq!(
                    shown(back.column(index)),
                    shown(twice.column(index)),
                    "{place:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_withheld_leaves_no_trace_in_what_rows_share() {
    let names = [
        "kept, and longer than a view",
        "SECRET and longer than a view",
    ];
    let dictionary: DictionaryArray<Int32Type> = names.into_iter().collect();
    let fields = vec![Field::new("d", dictionary.data_type().clone(), true)];
    let inner: Vec<ArrayRef> = vec![Arc::new(dictionary.clone())];
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let values = Arc::new(StringArray::from(names.to_vec()));
    let (offsets, sizes) = (vec![0, 1], vec![1, 1]);
    let list_view = ListViewArray::new(item, offsets.into(), sizes.into(), values, None);
    let batch = batch(vec![
        ("country", Arc::new(StringArray::from(vec!["FR", "DE"]))),
        ("dictionary", Arc::new(dictionary)),
        ("view", Arc::new(StringViewArray::from(names.to_vec()))),
        ("list_view", Arc::new(list_view)),
        (
            "struct",
            Arc::new(StructArray::new(fields.into(), inner, None)),
        ),
    ]);
    let bytes = written(Format::ArrowStream, std::slice::from_ref(&batch));
    let tree = json!({
        "type": "condition", "condition_type": "property",
        "column": "country", "operator": "equals", "value": "FR",
    });
    let limits = Limits::default();
    let through = through(Format::ArrowStream, limits, &tree, &bytes, 1 << 20).unwrap();
    let secret = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"SECRET");
    assert!(secret(&bytes) && !secret(&through.out));
    let back = read_back(Format::ArrowStream, through.out);
    assert_eq!(back, batch.slice(0, 1));
}

#[test]
fn a_stream_that_is_cut_off_or_goes_on_is_an_error() {
    for format in FORMATS {
        let batch = batch(vec![("a", Arc::new(Int64Array::from(vec![1, 2, 3])))]);
        let bytes = written(format, &[batch]);
        assert!(all(format, &bytes).is_ok());
        for end in 0..bytes.len() {
            assert!(
                all(format, &bytes[..end]).is_err(),
                "{format:?} cut at {end}"
            );
        }
        let longer = [bytes.as_slice(), b"\0"].concat();
        assert!(all(format, &longer).is_err(), "{format:?}");
    }
}

#[test]
fn a_flipped_byte_is_an_error_or_a_result() {
    for format in FORMATS {
        let bytes = written(format, &[everything(format).slice(0, 2)]);
        let short = batch(vec![
            (
                "a",
                Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
            ),
            (
                "b",
                Arc::new(StringArray::from(vec![Some("x"), None, Some("zz")])),
            ),
        ]);
        let short = written(format, &[short]);
        for bytes in [bytes, short] {
            for at in 0..bytes.len().min(2_000) {
                for flip in [0x01, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= flip;
                    let _ = all(format, &damaged);
                }
            }
        }
    }
}

#[test]
fn large_batches_come_in_parts_and_lines_are_counted() {
    let ids = Int64Array::from_iter_values(0..20_000);
    let batch = batch(vec![("id", Arc::new(ids))]);
    for format in FORMATS {
        let bytes = written(format, std::slice::from_ref(&batch));
        let through = all(format, &bytes).unwrap();
        assert_eq!(through.batches, [8_192, 8_192, 3_616], "{format:?}");
        assert_eq!(through.lines, [1, 8_193, 16_385], "{format:?}");
        assert_eq!(read_back(format, through.out), batch, "{format:?}");
    }
}

#[test]
fn a_value_that_rows_share_counts_for_each_of_them() {
    let long = "x".repeat(100_000);
    let dictionary: DictionaryArray<Int32Type> = std::iter::repeat_n(long.as_str(), 64).collect();
    let columns = vec![("d", Arc::new(dictionary) as ArrayRef)];
    let texts = StringArray::from_iter_values(std::iter::repeat_n(long.as_str(), 64));
    let batches = [
        batch(columns),
        batch(vec![("d", Arc::new(texts) as ArrayRef)]),
    ];
    for format in FORMATS {
        for batch in &batches {
            if format == Format::ArrowStream && batch.column(0).data_type() == &DataType::Utf8 {
                continue;
            }
            let bytes = written(format, std::slice::from_ref(batch));
            let limits = |batch_bytes| Limits {
                batch_bytes,
                ..Limits::default()
            };
            let all = serde_json::Value::Null;
            let parts = through(format, limits(1 << 20), &all, &bytes, 1 << 20).unwrap();
            assert!(parts.batches.len() >= 7, "{format:?} {:?}", parts.batches);
            assert_eq!(parts.batches.iter().sum::<usize>(), 64, "{format:?}");
            let refused = through(format, limits(90_000), &all, &bytes, 1 << 20);
            assert!(error(refused).starts_with("more than"), "{format:?}");
        }
    }
}

#[test]
fn compressed_buffers_are_bounded_before_they_are_decoded() {
    let zeros = batch(vec![("a", Arc::new(Int64Array::from(vec![0; 100_000])))]);
    let compressed = |codec| {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(codec))
            .unwrap();
        let mut bytes = Vec::new();
        let schema = zeros.schema();
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options).unwrap();
        writer.write(&zeros).unwrap();
        writer.finish().unwrap();
        drop(writer);
        bytes
    };
    let bytes = compressed(CompressionType::ZSTD);
    let through_it = all(Format::ArrowStream, &bytes).unwrap();
    assert_eq!(read_back(Format::ArrowStream, through_it.out), zeros);
    let limits = Limits {
        batch_bytes: 100_000,
        ..Limits::default()
    };
    let nothing = serde_json::Value::Null;
    let refused = through(Format::ArrowStream, limits, &nothing, &bytes, 1 << 20);
    assert!(error(refused).starts_with("more than 100000 bytes in one batch"));
    // This one's decoder does not stop at the size that is declared.
    let refused = all(Format::ArrowStream, &compressed(CompressionType::LZ4_FRAME));
    assert!(error(refused).contains("LZ4"));
}

#[test]
fn rows_without_bytes_are_bounded() {
    let batch = batch(vec![("a", Arc::new(NullArray::new(1 << 40)))]);
    let bytes = written(Format::ArrowStream, &[batch]);
    let refused = error(all(Format::ArrowStream, &bytes));
    assert!(refused.contains("rows in one batch"), "{refused}");
}

#[test]
fn dictionaries_may_change_from_batch_to_batch() {
    let of = |texts: [&str; 2]| {
        let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
        batch(vec![("d", Arc::new(dictionary) as ArrayRef)])
    };
    let batches = [
        of(["a", "b"]),
        of(["c", "a"]),
        of(["c", "a"]),
        of(["x", "x"]),
    ];
    let bytes = written(Format::ArrowStream, &batches);
    let through = all(Format::ArrowStream, &bytes).unwrap();
    let reader = StreamReader::try_new(through.out.as_slice(), None).unwrap();
    let back: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(back, batches);
}

#[test]
fn columns_are_there_once_and_by_their_own_name() {
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let named = |names: &[&str]| {
        let fields = names
            .iter()
            .map(|name| Field::new(*name, DataType::Int64, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, names.iter().map(|_| one.clone()).collect()).unwrap()
    };
    let wanted = |only| Wanted {
        schema: named(&["id"]).schema(),
        only,
    };
    for format in FORMATS {
        for (names, only, expected) in [
            (
                &["id", "id"][..],
                false,
                Some("column \"id\" is there twice"),
            ),
            (
                &["id", "ID"],
                false,
                Some("column \"ID\" differs only in case"),
            ),
            (
                &["ＩＤ", "id"],
                false,
                Some("column \"ＩＤ\" differs only in case"),
            ),
            (&["x"], false, Some("the records lack column \"id\"")),
            (&["id", "X", "x"], false, None),
            (
                &["id", "x"],
                true,
                Some("the model does not have column \"x\""),
            ),
            (&["id"], true, None),
        ] {
            let bytes = written(format, &[named(names)]);
            let mut records = open(format, Limits::default(), OnInvalid::Abort);
            let mut read = || {
                let mut rest = bytes.as_slice();
                loop {
                    let space = records.space();
                    if space.is_empty() {
                        break;
                    }
                    if rest.is_empty() {
                        records.end()?;
                        break;
                    }
                    let bytes = space.len().min(rest.len());
                    space[..bytes].copy_from_slice(&rest[..bytes]);
                    rest = &rest[bytes..];
                    records.filled(bytes)?;
                }
                records.next(&wanted(only), false)
            };
            let error = read().err().map(|error: StreamError| error.to_string());
            match expected {
                None => assert_eq!(error, None, "{format:?} {names:?}"),
                Some(text) => {
                    let error = error.unwrap_or_default();
                    assert!(error.contains(text), "{format:?} {names:?}: {error}");
                }
            }
        }
    }
}

#[test]
fn columns_are_neither_too_many_nor_too_deep() {
    let text = everything(Format::Parquet);
    for format in FORMATS {
        let bytes = written(format, std::slice::from_ref(&text));
        for (columns, nesting) in [(10, 64), (2_000, 2)] {
            let limits = Limits {
                columns,
                nesting,
                ..Limits::default()
            };
            let all = serde_json::Value::Null;
            let refused = error(through(format, limits, &all, &bytes, 1 << 20));
            assert!(refused.starts_with("more than"), "{format:?} {refused}");
        }
    }
}

#[test]
fn parquet_is_read_in_every_encoding() {
    let texts = (0..3_000).map(|i| (i % 7 != 0).then(|| format!("prefix-{}", i * 7919 % 1000)));
    let batch = batch(vec![
        ("t", Arc::new(StringArray::from_iter(texts))),
        ("n", Arc::new(Int64Array::from_iter_values(0..3_000))),
    ]);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for encoding in [
            Encoding::PLAIN,
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Encoding::DELTA_BYTE_ARRAY,
        ] {
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_dictionary_enabled(false)
                .set_data_page_row_count_limit(500)
                .set_column_encoding("t".into(), encoding)
                .build();
            let mut bytes = Vec::new();
            let mut writer =
                ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let through = all(Format::Parquet, &bytes).unwrap();
            let back = read_back(Format::Parquet, through.out);
            assert_eq!(back, batch, "{version:?} {encoding:?}");
        }
    }
}

#[test]
fn a_footer_that_declares_more_than_it_has_is_refused() {
    let footers: [&[u8]; 4] = [
        // A schema of two thousand million elements.
        &[0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07],
        // As many row groups.
        &[0x15, 0x02, 0x39, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07],
        // Text as long.
        &[0x68, 0xff, 0xff, 0xff, 0xff, 0x07],
        &[],
    ];
    for footer in footers {
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let bytes = [b"PAR1", footer, &length, b"PAR1"].concat();
        let refused = error(all(Format::Parquet, &bytes));
        assert!(refused.contains("footer"), "{refused}");
    }
    let length = u32::MAX.to_le_bytes();
    let bytes = [b"PAR1", &length[..], b"PAR1"].concat();
    assert!(all(Format::Parquet, &bytes).is_err());
}
