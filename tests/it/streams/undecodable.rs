//! Arrow streams and Parquet files that are broken on purpose: they end with an error, or what
//! comes out is what the policy lets pass; nothing else happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int8Type, Int64Type, Schema};
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use reqwest::Method;
use serde_json::json;
use syncguard::guard::Guard;
use syncguard::wire::Format;
use syncguard::wire::stream::{Columns, OnInvalid};

use super::served::{World, filter_path};
use super::wires::decoded;
use super::{Streamed, Way, stream};
use crate::differential::requirement;
use crate::rig::condition;

const BINARY: [Format; 2] = [Format::ArrowStream, Format::Parquet];

/// Thirty records with a column of every kind of nesting; a third of them are from Germany.
fn table() -> RecordBatch {
    let rows = 30usize;
    let ids: Vec<i64> = (0..rows as i64).collect();
    let countries: Vec<_> = (0..rows).map(|row| ["DE", "US", "GB"][row % 3]).collect();
    let tags = (0..rows).map(|row| {
        (row % 4 != 0).then(|| (0..row % 3).map(|tag| Some(tag as i64)).collect::<Vec<_>>())
    });
    let city: ArrayRef = Arc::new(StringArray::from_iter(
        (0..rows).map(|row| (row % 5 != 0).then(|| format!("city {row}"))),
    ));
    let city = StructArray::try_from(vec![("city", city)]).unwrap();
    let kinds: DictionaryArray<Int8Type> = countries.iter().copied().map(Some).collect();
    let prices = Decimal128Array::from_iter_values((0..rows as i128).map(|row| row * 101))
        .with_precision_and_scale(10, 2)
        .unwrap();
    let scores = Float64Array::from_iter(
        ids.iter()
            .map(|id| (id % 7 != 0).then_some(*id as f64 / 3.0)),
    );
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from(ids)) as ArrayRef, true),
        ("country", Arc::new(StringArray::from(countries)), true),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(tags)),
            true,
        ),
        ("address", Arc::new(city), true),
        ("kind", Arc::new(kinds), true),
        ("price", Arc::new(prices), true),
        ("score", Arc::new(scores), true),
    ])
    .unwrap()
}

/// The table in two batches or row groups.
fn valid(format: Format) -> Vec<u8> {
    let table = table();
    let mut bytes = Vec::new();
    let halves = [table.slice(0, 20), table.slice(20, 10)];
    match format {
        Format::ArrowStream => {
            let mut writer = StreamWriter::try_new(&mut bytes, &table.schema()).unwrap();
            for half in halves {
                writer.write(&half).unwrap();
            }
            writer.finish().unwrap();
        }
        _ => {
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_max_row_group_row_count(Some(20))
                .build();
            let mut writer =
                ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties)).unwrap();
            for half in halves {
                writer.write(&half).unwrap();
            }
            writer.close().unwrap();
        }
    }
    bytes
}

/// The stream through the policy; `None` if a decoder panicked, which a server takes for an
/// internal fault.
fn streamed(format: Format, bytes: &[u8]) -> Option<Streamed> {
    let requirement = requirement(0, &condition("country", "not_in", json!(["DE", "FR"])));
    let way = Way::plain(OnInvalid::Abort);
    catch_unwind(AssertUnwindSafe(|| {
        stream(format, &way, bytes, |columns| match columns {
            Columns::Typed(schema) => {
                let now = "2026-01-31T12:00:00Z".parse().unwrap();
                Guard::compile(schema, std::slice::from_ref(&requirement), now, 1).ok()
            }
            _ => panic!("{format:?} has columns of its own"),
        })
    }))
    .ok()
}

/// What came out, which must be well-formed, holds nothing that is withheld.
fn assert_clean(format: Format, streamed: &Streamed, what: &str) {
    let (_, batches) = decoded(format, &streamed.out)
        .unwrap_or_else(|error| panic!("{what}: what came out cannot be read: {error}"));
    let mut rows = 0;
    for batch in &batches {
        rows += batch.num_rows();
        let countries = cast(batch.column_by_name("country").unwrap(), &DataType::Utf8).unwrap();
        for country in countries.as_string::<i32>() {
            let passes = country.is_some_and(|country| !["DE", "FR"].contains(&country));
            assert!(passes, "{what}: {country:?} came out");
        }
    }
    assert_eq!(rows, streamed.passed(), "{what}");
}

#[test]
fn the_table_passes_as_it_is() {
    for format in BINARY {
        let streamed = streamed(format, &valid(format)).unwrap();
        streamed.end.as_ref().unwrap();
        assert_eq!((streamed.passed(), streamed.withheld()), (20, 10));
        assert_clean(format, &streamed, "as it is");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_ends_with_an_error() {
    for format in BINARY {
        let bytes = valid(format);
        for size in 0..bytes.len() {
            let streamed = streamed(format, &bytes[..size]);
            let whole = streamed.is_some_and(|streamed| streamed.end.is_ok());
            assert!(
                !whole,
                "{format:?}: {size} of {} bytes look whole",
                bytes.len()
            );
        }
    }
}

#[test]
fn a_flipped_bit_lets_nothing_through() {
    for format in BINARY {
        let bytes = valid(format);
        let (mut panicked, mut read) = (0, 0);
        let places = (0..bytes.len()).step_by(2);
        let all = places.len();
        for at in places {
            // Another bit each time.
            let bit = at / 2 % 8;
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            match streamed(format, &flipped) {
                None => panicked += 1,
                Some(streamed) if streamed.end.is_ok() => {
                    read += 1;
                    let what = format!("{format:?}, bit {bit} of byte {at}");
                    assert_clean(format, &streamed, &what);
                }
                Some(_) => {}
            }
        }
        assert!(
            read > 0 && read < all,
            "{format:?}: {read} of {all} can be read"
        );
        // Decoders that panic now and then are contained by the server; ones that always do are
        // no decoders.
        assert!(panicked < all / 10, "{format:?}: {panicked} of {all} panic");
    }
}

/// Numbers that declare more than there is, at places all over the stream.
#[test]
fn a_huge_number_anywhere_lets_nothing_through() {
    let huge: [&[u8]; 7] = [
        &[0xff, 0xff, 0xff, 0x7f],
        &[0xff; 4],
        &[0, 0, 0, 0x80],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        // The same as a variable-length number.
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xfe, 0xff, 0xff, 0xff, 0x0f],
        &[0xfe, 0xff, 0x7f],
    ];
    for format in BINARY {
        let bytes = valid(format);
        for (at, number) in (0..bytes.len()).zip(huge.iter().cycle()).step_by(2) {
            let mut declared = bytes.clone();
            let end = (at + number.len()).min(declared.len());
            declared[at..end].copy_from_slice(&number[..end - at]);
            if let Some(streamed) = streamed(format, &declared)
                && streamed.end.is_ok()
            {
                let what = format!("{format:?}: {number:x?} at {at}");
                assert_clean(format, &streamed, &what);
            }
        }
    }
}

#[test]
fn what_is_of_another_format_is_refused() {
    let inputs: [&[u8]; 7] = [
        b"",
        b"{\"country\":\"US\"}\n",
        b"id,country\n1,US\n",
        b"PAR1",
        b"PAR1PAR1",
        b"ARROW1\0\0",
        &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ];
    for format in BINARY {
        let other = match format {
            Format::Parquet => valid(Format::ArrowStream),
            _ => valid(Format::Parquet),
        };
        for input in inputs.iter().copied().chain([other.as_slice()]) {
            let streamed = streamed(format, input);
            assert!(streamed.is_some(), "{format:?}: {input:?} panics");
            assert!(
                streamed.is_some_and(|s| s.end.is_err()),
                "{format:?}: {input:?}"
            );
        }
        // Bytes behind the end are no part of the stream, so that they may hide something.
        let mut longer = valid(format);
        longer.extend_from_slice(&valid(format));
        let streamed = streamed(format, &longer).unwrap();
        match format {
            Format::ArrowStream => assert!(streamed.end.is_err(), "two streams are taken for one"),
            // A Parquet file ends with its footer: all before it is the last file's own.
            _ if streamed.end.is_ok() => assert_clean(format, &streamed, "two files"),
            _ => {}
        }
    }
}

/// A stream whose policy column is missing, is there twice, or is of another type.
#[test]
fn columns_that_a_policy_cannot_read_are_refused() {
    let text = |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    for columns in [
        vec![("id", number.clone())],
        vec![("country", number.clone())],
        vec![("Country", text(["US", "DE"])), ("id", number.clone())],
        vec![
            ("country", text(["US", "US"])),
            ("country", text(["DE", "DE"])),
        ],
        // A destination that knows no case takes one for the other.
        vec![
            ("country", text(["US", "US"])),
            ("Country", text(["DE", "DE"])),
        ],
    ] {
        let fields: Vec<_> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = columns.iter().map(|(_, column)| column.clone()).collect();
        let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
        for format in BINARY {
            let bytes = super::wires::written(format, &schema, std::slice::from_ref(&batch));
            let streamed = streamed(format, &bytes).unwrap();
            assert!(streamed.end.is_err(), "{format:?}: {schema:?}");
            assert_eq!(streamed.passed(), 0);
        }
    }
}

/// A server answers each with an error or breaks the body, and goes on serving.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_outlives_what_it_cannot_decode() {
    let world = World::new(
        &table(),
        condition("country", "not_in", json!(["DE", "FR"])),
    )
    .await;
    let path = filter_path(&world, "webhook");
    for format in BINARY {
        let bytes = valid(format);
        let mut inputs: Vec<Vec<u8>> = vec![];
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x80;
            // Those that panic, and some of the others.
            if streamed(format, &flipped).is_none() || at % 41 == 0 {
                inputs.push(flipped);
            }
            if at % 97 == 0 {
                inputs.push(bytes[..at].to_vec());
            }
        }
        for input in inputs {
            let expected = streamed(format, &input).filter(|streamed| streamed.end.is_ok());
            let answer = world
                .send(Method::POST, &path, format, Bytes::from(input))
                .await;
            match (answer, expected) {
                (Ok((200, body)), Some(expected)) => assert_eq!(body, expected.out),
                (Ok((status, body)), None) => {
                    let text = String::from_utf8_lossy(&body);
                    assert!((400..600).contains(&status), "{format:?}: {status}: {text}");
                }
                (Err(_), None) => {}
                (answer, Some(_)) => panic!("{format:?}: {answer:?}"),
            }
        }
        let answer = world
            .send(Method::POST, &path, format, Bytes::from(bytes))
            .await;
        assert_eq!(answer.unwrap().0, 200, "{format:?}");
    }
}
