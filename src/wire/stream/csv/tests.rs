#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};

use super::super::drive::{LIMITS, Outcome, drive, however_it_arrives, wanted};
use super::*;

fn filter(text: &[u8], on_invalid: OnInvalid, wanted: &Wanted) -> Outcome {
    however_it_arrives(|step| {
        let mut csv = Csv::new(LIMITS, on_invalid);
        drive(&mut csv, text, step, wanted, Csv::write)
    })
}

fn country() -> Wanted {
    wanted(&[("country", DataType::Utf8)])
}

#[test]
fn what_passes_is_written_as_it_came() {
    // (text, written)
    let cases = [
        ("country,n\nFR,1\nDE,2\nIT,3\n", "country,n\nFR,1\nIT,3\n"),
        ("n,country\n1,FR\n2,DE\n", "n,country\n1,FR\n"),
        (
            "country,n\r\nFR,1\r\nDE,2\r\nIT,3\r\n",
            "country,n\r\nFR,1\r\nIT,3\r\n",
        ),
        ("n,country\r\n1,DE\r\n2,FR\r\n", "n,country\r\n2,FR\r\n"),
        ("country,n\nFR,1", "country,n\nFR,1\n"),
        ("country,n\nFR,1\nDE,1", "country,n\nFR,1\n"),
        ("country,n\nDE,1\n", "country,n\n"),
        ("country,n\n", "country,n\n"),
        ("country,n", "country,n\n"),
        ("country,n\r\n", "country,n\r\n"),
        ("\n\r\ncountry,n\nFR,1\n", "country,n\nFR,1\n"),
        (
            "country,n\n\nFR,1\n\r\n\nIT,2\n\n",
            "country,n\nFR,1\nIT,2\n",
        ),
        (
            "country,n\n\"DE\",1\n\"FR\",\"2\"\n",
            "country,n\n\"FR\",\"2\"\n",
        ),
        (
            "\"country\",n\nFR,\"a,\"\"b\"\"\nc\"\n\"DE\",\"x\ny\"\n",
            "\"country\",n\nFR,\"a,\"\"b\"\"\nc\"\n",
        ),
        (
            "country,n\n\"D\"\"E\",1\nDE ,2\nde,3\n",
            "country,n\n\"D\"\"E\",1\nDE ,2\nde,3\n",
        ),
        ("country,n\n,1\n\"\",2\n", "country,n\n,1\n\"\",2\n"),
        ("country\nDE\n\nFR\n\"\"\n", "country\nFR\n\"\"\n"),
        (
            "country,n\nFR,\u{e9}\u{20ac}\u{1f600}\nIT,\u{e4}\nES,1\nPT,2\n",
            "country,n\nFR,\u{e9}\u{20ac}\u{1f600}\nIT,\u{e4}\nES,1\nPT,2\n",
        ),
        (
            "country,n\nFR,a field that is longer than the window of this test\nIT,1\n",
            "country,n\nFR,a field that is longer than the window of this test\nIT,1\n",
        ),
        (
            "country,n\nFR,\"\"\"\"\"\"\nDE,\"\"\n",
            "country,n\nFR,\"\"\"\"\"\"\n",
        ),
    ];
    for (text, written) in cases {
        let outcome = filter(text.as_bytes(), OnInvalid::Abort, &country());
        assert_eq!(outcome.error, None, "{text:?}");
        assert_eq!(outcome.out, written, "{text:?}");
    }
}

#[test]
fn what_readers_could_frame_differently_ends_the_stream() {
    let long = format!("country,n\nFR,{}\n", "x".repeat(200));
    let endless = format!("country,n\nFR,\"{}", "x\n".repeat(200));
    let blank = format!("country,n\n{}", "\n".repeat(90));
    let wide = "country,b,c,d,e,f,g\n";
    // (text, error)
    let cases: [(&[u8], &str); 32] = [
        (b"country,n\nFR,a\"b\n", "invalid 2"),
        (b"country,n\nFR, \"b\"\n", "invalid 2"),
        (b"country,n\n\"FR\"x,b\n", "invalid 2"),
        (b"country,n\n\"FR\" ,b\n", "invalid 2"),
        (b"country,n\n\"FR\"\"x,b\nIT,1\n", "invalid 2"),
        (b"country,n\nFR,\"a\nb\nc", "invalid 2"),
        (b"country,n\nIT,\"a\nb\"\nFR,\"", "invalid 4"),
        (b"country,n\nFR,1\rIT,2\n", "invalid 2"),
        (b"country,n\nFR,1\r", "invalid 2"),
        (b"country,n\rFR,1\n", "invalid 1"),
        (b"country,n\nFR,\"1\"\r\r\n", "invalid 2"),
        (b"country,n\nFR,a\0b\n", "invalid 2"),
        (b"country,n\nFR,\"a\0b\"\n", "invalid 2"),
        (b"country,n\nFR,\xff\n", "invalid 2"),
        (b"country,n\nFR,\xc3\n", "invalid 2"),
        (b"country,n\nFR,\xc3", "invalid 2"),
        (b"country,n\nFR,\xed\xa0\x80\n", "invalid 2"),
        (b"country,n\nFR,1\n\n\nIT,\xc0\xaf\n", "invalid 5"),
        (b"\xef\xbb\xbfcountry,n\nFR,1\n", "malformed"),
        (b"\xef\xbb\xbf\"country\",n\nFR,1\n", "malformed"),
        (b"country,n,n\nFR,1,2\n", "malformed"),
        (b"country,Country\nFR,DE\n", "malformed"),
        (b"country, country\nFR,DE\n", "malformed"),
        ("country,\u{ff43}ountry\nFR,DE\n".as_bytes(), "malformed"),
        (b"COUNTRY,n\nFR,1\n", "malformed"),
        (wide.as_bytes(), "malformed"),
        (b"", "malformed"),
        (b"\n\r\n", "malformed"),
        (b"n,m\n1,2\n", "columns"),
        (long.as_bytes(), "limit"),
        (endless.as_bytes(), "limit"),
        (blank.as_bytes(), ""),
    ];
    for (text, error) in cases {
        for on_invalid in [OnInvalid::Abort, OnInvalid::Reject] {
            let outcome = filter(text, on_invalid, &country());
            assert_eq!(outcome.error(), error, "{}", text.escape_ascii());
            assert!(!outcome.out.contains("DE"), "{}", text.escape_ascii());
        }
    }
}

#[test]
fn an_invalid_record_is_left_out_or_ends_the_stream() {
    let typed = wanted(&[
        ("country", DataType::Utf8),
        ("n", DataType::Int64),
        ("ok", DataType::Boolean),
    ]);
    // (record, whether it is valid)
    let cases = [
        ("IT,1,true", true),
        ("IT,\"1\",\"FALSE\"", true),
        ("IT,,", true),
        ("IT,-0,True", true),
        ("IT,1", false),
        ("IT", false),
        ("IT,1,true,", false),
        ("IT,1,true,,,,,,,,,,,", false),
        ("IT,one,true", false),
        ("IT,01,true", false),
        ("IT, 1,true", false),
        ("IT,+1,true", false),
        ("IT,NaN,true", false),
        ("IT,\"\",true", false),
        ("IT,\"\"\"1\"\"\",true", false),
        ("IT,1,1", false),
        ("IT,1,yes", false),
        ("IT,1,tRUE", false),
        ("IT,1, true", false),
    ];
    for (record, valid) in cases {
        let text = format!("country,n,ok\nFR,1,true\n\n{record}\nES,3,false\nDE,2,true\n");
        let rejecting = filter(text.as_bytes(), OnInvalid::Reject, &typed);
        let aborting = filter(text.as_bytes(), OnInvalid::Abort, &typed);
        let written = match valid {
            true => format!("country,n,ok\nFR,1,true\n{record}\nES,3,false\n"),
            false => "country,n,ok\nFR,1,true\nES,3,false\n".into(),
        };
        assert_eq!(rejecting.out, written, "{record}");
        assert_eq!(rejecting.error, None, "{record}");
        let lines: Vec<_> = rejecting.invalid.iter().map(|(line, _)| *line).collect();
        match valid {
            true => {
                assert_eq!(aborting, rejecting);
                assert_eq!(lines, [0; 0]);
                assert_eq!(rejecting.lines, [2, 4, 5, 6]);
            }
            false => {
                assert_eq!(lines, [4], "{record}");
                assert_eq!(aborting.error(), "invalid 4", "{record}");
                assert_eq!(rejecting.lines, [2, 5, 6]);
            }
        }
    }
}

#[test]
fn a_column_of_a_type_without_a_form_takes_no_value() {
    let item = arrow::datatypes::Field::new("item", DataType::Utf8, true);
    let nested = wanted(&[("tags", DataType::List(item.into()))]);
    let outcome = filter(b"tags,n\n[],1\n", OnInvalid::Reject, &nested);
    assert_eq!(outcome.invalid[0].0, 2);
    assert!(outcome.invalid[0].1.contains("\"tags\""), "{outcome:?}");
}

#[test]
fn values_and_bytes_are_those_of_the_record() {
    let wanted = wanted(&[("n", DataType::Int64), ("country", DataType::Utf8)]);
    let mut csv = Csv::new(Limits::default(), OnInvalid::Abort);
    let text = b"country,x,n\r\n\"F\"\"R\"\"\",,7\r\n,\"\n\",\r\n\"\",,-1";
    csv.space()[..text.len()].copy_from_slice(text);
    csv.filled(text.len()).unwrap();
    let Next::Batch(batch) = csv.next(&wanted, true).unwrap() else {
        panic!("there are two records");
    };
    assert_eq!(batch.rows.num_rows(), 2, "the third may go on");
    csv.end().unwrap();
    let numbers = batch.rows.column(0).as_primitive::<Int64Type>();
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [Some(7), None]);
    let countries = batch.rows.column(1).as_string::<i32>();
    assert_eq!(countries.iter().collect::<Vec<_>>(), [Some("F\"R\""), None]);
    assert_eq!(csv.bytes_of(0), Some(&b"\"F\"\"R\"\"\",,7\r\n"[..]));
    assert_eq!(csv.bytes_of(1), Some(&b",\"\n\",\r\n"[..]));
    assert_eq!((csv.line_of(1), csv.line_of(0)), (3, 2));
    let Next::Batch(batch) = csv.next(&wanted, false).unwrap() else {
        panic!("there is a third record");
    };
    let countries = batch.rows.column(1).as_string::<i32>();
    assert_eq!(countries.iter().collect::<Vec<_>>(), [Some("")]);
    assert_eq!(csv.line_of(0), 5);
    assert!(matches!(csv.next(&wanted, false), Ok(Next::End)));
}

#[test]
fn only_known_columns_may_be_there_if_asked_for() {
    let only = Wanted {
        only: true,
        ..country()
    };
    let outcome = filter(b"country,n,m\nFR,1,2\n", OnInvalid::Reject, &only);
    let (kind, text) = outcome.error.unwrap();
    assert_eq!(kind, "malformed");
    assert!(text.contains("\"n\", \"m\""), "{text}");
    let outcome = filter(b"country\nFR\n", OnInvalid::Reject, &only);
    assert_eq!(outcome.out, "country\nFR\n");
}

#[test]
fn other_columns_may_be_wanted_in_mid_stream() {
    let mut csv = Csv::new(Limits::default(), OnInvalid::Abort);
    let text = b"country,n\nFR,7\nIT,8\n";
    csv.space()[..text.len()].copy_from_slice(text);
    csv.filled(text.len()).unwrap();
    // Read, but not given out yet.
    assert!(matches!(csv.next(&country(), false), Ok(Next::Hungry)));
    let numbers = wanted(&[("n", DataType::Int64)]);
    let Next::Batch(batch) = csv.next(&numbers, true).unwrap() else {
        panic!("there are records");
    };
    let values = batch.rows.column(0).as_primitive::<Int64Type>();
    assert_eq!(values.values().to_vec(), [7, 8]);
    assert_eq!(values.null_count(), 0);
    let missing = wanted(&[("m", DataType::Int64), ("o", DataType::Utf8)]);
    let error = csv.next(&missing, true).unwrap_err();
    assert!(matches!(error, StreamError::Columns(names) if names == ["m", "o"]));
}

#[test]
fn equal_texts_give_equal_batches() {
    let mut text = String::from("country,n\n");
    for number in 0..50 {
        text += &format!("FR,{}\n", "9".repeat(number % 7));
    }
    let outcome = filter(text.as_bytes(), OnInvalid::Abort, &country());
    assert_eq!(outcome.out, text);
    assert!(outcome.batches.iter().all(|(rows, _)| *rows <= 3));
    assert_eq!(
        outcome.batches.iter().map(|(rows, _)| rows).sum::<usize>(),
        50
    );
}
