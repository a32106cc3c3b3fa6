#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use arrow::datatypes::DataType;

use super::super::drive::{LIMITS, Outcome, drive, however_it_arrives, wanted};
use super::*;

fn filter(text: &[u8], on_invalid: OnInvalid) -> Outcome {
    let wanted = wanted(&[("country", DataType::Utf8), ("n", DataType::Int64)]);
    however_it_arrives(|step| {
        let mut array = JsonArray::new(LIMITS, on_invalid);
        drive(&mut array, text, step, &wanted, JsonArray::write)
    })
}

#[test]
fn what_passes_is_written_as_it_came() {
    let long = format!(r#"{{"country":"FR","x":"{}"}}"#, "x".repeat(100));
    let longer = format!(r#"[{long},{{"country":"DE"}} , {long}]"#);
    let joined = format!("[{long},{long}]");
    // (text, written)
    let cases = [
        ("[]", "[]"),
        (" \n[ \t]\r\n ", "[]"),
        (r#"[{"country":"DE"}]"#, "[]"),
        (r#"[{}]"#, "[{}]"),
        (
            r#"[{"country":"FR"},{"country":"DE"},{"country":"IT","n":1}]"#,
            r#"[{"country":"FR"},{"country":"IT","n":1}]"#,
        ),
        (
            "[\n  {\n    \"n\" : 1.0e0 ,\n\"country\":\"\\u0046R\"},\n  {\"country\": null}\n]\n",
            "[{\n    \"n\" : 1.0e0 ,\n\"country\":\"\\u0046R\"},{\"country\": null}]",
        ),
        (r#"[{"country":"\u0044E"},{"country":"D\u0045"}]"#, "[]"),
        (
            "[{\"country\":\"\u{e9}\u{20ac}\u{1f600}]}\"}]",
            "[{\"country\":\"\u{e9}\u{20ac}\u{1f600}]}\"}]",
        ),
        (&longer, &joined),
    ];
    for (text, written) in cases {
        let outcome = filter(text.as_bytes(), OnInvalid::Abort);
        assert_eq!(outcome.error, None, "{text:?}");
        assert_eq!(outcome.out, written, "{text:?}");
    }
}

#[test]
fn what_is_no_array_of_objects_ends_the_stream() {
    let long = format!(r#"[{{"x":"{}"}}]"#, "x".repeat(200));
    let deep = format!("[{{\"x\":{}{}}}]", "[".repeat(9), "]".repeat(9));
    // (text, error)
    let cases: [(&[u8], &str); 25] = [
        (b"", "malformed 1"),
        (b" \n ", "malformed 2"),
        (b"{}", "malformed 1"),
        (b"\xef\xbb\xbf[]", "malformed 1"),
        (b"\n\n1", "malformed 3"),
        (b"[", "malformed 1"),
        (b"[{}", "malformed 1"),
        (b"[{},", "malformed 1"),
        (b"[{\"n\":", "malformed 1"),
        (b"[{}\n{}]", "malformed 2"),
        (b"[{};{}]", "malformed 1"),
        (b"[{},]", "invalid 1"),
        (b"[,{}]", "invalid 1"),
        (b"[{},,{}]", "invalid 1"),
        (b"[{}]]", "malformed 1"),
        (b"[{}]\n{\"country\":\"DE\"}", "malformed 2"),
        (b"[{\"n\":1},\n{\"n\" 1}]", "invalid 2"),
        (b"[{\"n\":01}]", "invalid 1"),
        (b"[{'n':1}]", "invalid 1"),
        (b"[{\"n\":\"a\nb\"}]", "invalid 1"),
        (b"[{\"n\":1}, // none\n{}]", "invalid 1"),
        (b"[{\"x\":\"\xff\"}]", "malformed 1"),
        (b"[{},\n\xff]", "malformed 2"),
        (long.as_bytes(), "limit"),
        (deep.as_bytes(), "invalid 1"),
    ];
    for (text, error) in cases {
        for on_invalid in [OnInvalid::Abort, OnInvalid::Reject] {
            let outcome = filter(text, on_invalid);
            assert_eq!(outcome.error(), error, "{}", text.escape_ascii());
            assert!(!outcome.out.contains("DE"), "{}", text.escape_ascii());
            assert!(!outcome.out.ends_with(']'), "{}", text.escape_ascii());
        }
    }
}

#[test]
fn an_invalid_record_is_left_out_or_ends_the_stream() {
    let cases = [
        "1",
        "-1.5e3",
        "null",
        "true",
        "\"text\"",
        "[]",
        "[{}]",
        r#"{"n":"1"}"#,
        r#"{"n":1.5}"#,
        r#"{"n":true}"#,
        r#"{"country":1}"#,
        r#"{"country":["FR"]}"#,
        r#"{"Country":"DE"}"#,
    ];
    for record in cases {
        let text = format!("[{{\"n\":1}},\n{record} ,{{\"n\":2}}]");
        let rejecting = filter(text.as_bytes(), OnInvalid::Reject);
        assert_eq!(rejecting.error, None, "{record}");
        assert_eq!(rejecting.out, r#"[{"n":1},{"n":2}]"#, "{record}");
        assert_eq!(rejecting.invalid.len(), 1, "{record}");
        assert_eq!(rejecting.invalid[0].0, 2, "{record}");
        let aborting = filter(text.as_bytes(), OnInvalid::Abort);
        assert_eq!(aborting.error(), "invalid 2", "{record}");
    }
}

#[test]
fn a_key_that_stands_twice_never_passes() {
    for record in [
        r#"{"country":"FR","country":"DE"}"#,
        r#"{"country":"FR","countr\u0079":"DE"}"#,
        r#"{"x":{"y":1,"y":2}}"#,
    ] {
        let text = format!("[{{\"n\":1}},\n{record}]");
        let outcome = filter(text.as_bytes(), OnInvalid::Abort);
        assert_eq!(outcome.error(), "invalid 2", "{record}");
        assert!(!outcome.out.contains("country"), "{record}");
        // Its end is known, so it can be left out.
        let outcome = filter(text.as_bytes(), OnInvalid::Reject);
        assert!(!outcome.out.contains(record), "{record}");
        let invalid: usize = outcome.batches.iter().map(|(_, invalid)| invalid).sum();
        assert_eq!(invalid, 1, "{record}");
    }
}

#[test]
fn lines_are_those_that_records_begin_on() {
    let text = "\n[\n{},{\n},\n\n{}\n,{}]";
    let outcome = filter(text.as_bytes(), OnInvalid::Abort);
    assert_eq!(outcome.lines, [3, 3, 6, 7]);
    assert_eq!(outcome.batches, [(3, 0), (1, 0)]);
}

#[test]
fn an_array_is_found_by_its_pointer() {
    let document = r#" {"a": {"b": [1, [2, 3] ,{"c/d": []}], "": [[]], "m~n": [0]},
        "\u0065": ["x"], "s": "[]"} "#;
    // (pointer, what stands there)
    let cases = [
        ("/a/b", r#"[1, [2, 3] ,{"c/d": []}]"#),
        ("/a/b/1", "[2, 3]"),
        ("/a/b/2/c~1d", "[]"),
        ("/a/", "[[]]"),
        ("/a//0", "[]"),
        ("/a/m~0n", "[0]"),
        ("/e", r#"["x"]"#),
    ];
    for (pointer, array) in cases {
        let found = locate_array(document.as_bytes(), pointer, &Limits::default());
        assert_eq!(&document[found.unwrap()], array, "{pointer}");
    }
    let found = locate_array(b" [] ", "", &Limits::default());
    assert_eq!(found, Ok(1..3));
    // (pointer, a part of the fault)
    let faults = [
        ("", "does not lead to an array"),
        ("a", "is no JSON pointer"),
        ("/a~2", "is no JSON pointer"),
        ("/a~", "is no JSON pointer"),
        ("/a", "does not lead to an array"),
        ("/s", "does not lead to an array"),
        ("/s/0", "part 2, \"0\", is asked of"),
        ("/x/b", "part 1, \"x\", is not there"),
        ("/a/b/3", "part 3, \"3\", is not there"),
        ("/a/b/01", "part 3, \"01\", is no index"),
        ("/a/b/-", "part 3, \"-\", is no index"),
        ("/a/b/+1", "part 3, \"+1\", is no index"),
        ("/a//0/0", "part 4, \"0\", is not there"),
    ];
    for (pointer, fault) in faults {
        let found = locate_array(document.as_bytes(), pointer, &Limits::default());
        let error = found.unwrap_err().to_string();
        assert!(error.contains(fault), "{pointer}: {error}");
    }
}

#[test]
fn an_array_is_found_in_valid_documents_alone() {
    for document in [
        &b""[..],
        b"[",
        b"[] []",
        b"[]]",
        b"{\"a\":[]",
        b"[1,]",
        b"[\"\xff\"]",
        b"\xef\xbb\xbf[]",
        b"[{\"a\":1,\"a\":2}]",
        b"[01]",
        b"{\"a\":[],\"b\":nul}",
    ] {
        for pointer in ["", "/a"] {
            let found = locate_array(document, pointer, &Limits::default());
            assert!(found.is_err(), "{}", document.escape_ascii());
        }
    }
}
