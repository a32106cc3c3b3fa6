//! Objects well-formed and not, cut, and of changing shapes.

use arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn scanner(columns: &[&str], only: bool) -> Scanner {
    let fields: Vec<_> = columns
        .iter()
        .map(|name| Field::new(*name, DataType::Utf8, true))
        .collect();
    let mut scanner = Scanner::new(&Limits::default(), Space::InLine);
    scanner.want(&Wanted {
        schema: Arc::new(Schema::new(fields)),
        only,
    });
    scanner
}

fn padded(text: &str) -> Vec<u8> {
    let mut window = text.as_bytes().to_vec();
    window.resize(text.len() + super::super::window::PADDING, 0);
    window
}

fn scan(scanner: &mut Scanner, text: &str) -> Result<usize, Fault> {
    scanner.scan(&padded(text), 0, text.len())
}

#[test]
fn well_formed_objects_end_at_their_brace() {
    for text in [
        "{}",
        "{ \t}",
        r#"{"a":1}"#,
        r#"{ "a" : -0.5e+10 , "b" : [ ] }"#,
        r#"{"a":[1,[2,{"b":null}],true,false]}"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#,
        r#"{"":"","a":"ü—😀"}"#,
        r#"{"a":12345678901234567890123456789012345678901234567890}"#,
        r#"{"long key that fills more than thirty-two bytes in all":"x","b":2}"#,
    ] {
        let mut scanner = scanner(&["a"], false);
        // The second and third time its shape is known.
        for _ in 0..3 {
            assert_eq!(scan(&mut scanner, text), Ok(text.len()), "{text}");
        }
    }
}

#[test]
fn what_is_not_well_formed_is_refused_with_any_known_shape() {
    for text in [
        "",
        "1",
        "[]",
        "{",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{a:1}"#,
        r#"{'a':1}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e999}"#,
        r#"{"a":0x10}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":tru}"#,
        r#"{"a":truE}"#,
        r#"{"a":nul}"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        "{\"a\":\"\t\"}",
        "{\"a\":\"\u{0}\"}",
        "{\"a\":1,\n\"b\":2}",
        "{\"a\":1,\r\"b\":2}",
        "{\"a\":\u{a0}1}",
        r#"{"a":[1,]}"#,
        r#"{"a":[1}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"x":{"b":1,"b":2}}"#,
        r#"{"x":[{"b":1,"\u0062":2}]}"#,
        r#"{"A":1}"#,
        r#"{"a":1,"A":2}"#,
        r#"{"x":1,"ａ":2}"#,
        r#"{"\u0041":1}"#,
        r#"{"a\u0000":1}"#,
        r#"{"x":{"$serde_json::private::RawValue":"{}"}}"#,
        r#"{"x":{"$serde_json::private::Number":"5"}}"#,
    ] {
        let mut scanner = scanner(&["a"], false);
        assert!(scan(&mut scanner, text).is_err(), "{text}");
        for known in [
            r#"{"a":1}"#,
            r#"{"a":"x"}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"x":{}}"#,
        ] {
            assert_eq!(scan(&mut scanner, known), Ok(known.len()));
            assert!(scan(&mut scanner, text).is_err(), "{text} after {known}");
        }
    }
}

#[test]
fn a_cut_object_is_at_fault_where_it_is_cut() {
    let whole = r#"{"a":"x\u00e9","b":[1.5e3,true,{"c":null}],"d":false,"e":-12}"#;
    for cut in 1..whole.len() {
        let mut scanner = scanner(&["a"], false);
        let text = &whole[..cut];
        assert_eq!(scan(&mut scanner, text).unwrap_err().at, cut, "{text}");
        assert_eq!(scan(&mut scanner, whole), Ok(whole.len()));
        assert_eq!(scan(&mut scanner, text).unwrap_err().at, cut, "{text}");
    }
}

#[test]
fn wanted_values_are_found_in_objects_of_changing_shapes() {
    let mut scanner = scanner(&["b", "a"], false);
    let cases = [
        (r#"{"a":"x","b":1}"#, Raw::Number(b"1"), Raw::Text(b"x")),
        (r#"{"a":"y","b":22}"#, Raw::Number(b"22"), Raw::Text(b"y")),
        (r#"{"b":true,"c":0}"#, Raw::Bool(true), Raw::Null),
        (r#"{"a":null,"b":"\n"}"#, Raw::Escaped(br"\n"), Raw::Null),
        (r#"{"c":0}"#, Raw::Null, Raw::Null),
        (
            r#"{"b":[1],"a":{}}"#,
            Raw::Nested(b"[1]"),
            Raw::Nested(b"{}"),
        ),
        (r#"{"a":"z","b":3}"#, Raw::Number(b"3"), Raw::Text(b"z")),
        (r#"{"\u0061":"z"}"#, Raw::Null, Raw::Text(b"z")),
    ];
    for (text, b, a) in cases.iter().chain(&cases) {
        let window = padded(text);
        assert_eq!(scanner.scan(&window, 0, text.len()), Ok(text.len()));
        assert_eq!(scanner.value(&window, 0), *b, "{text}");
        assert_eq!(scanner.value(&window, 1), *a, "{text}");
    }
}

#[test]
fn limits_hold() {
    let mut limits = Limits::default();
    (limits.nesting, limits.columns) = (3, 2);
    let check = |text: &str| {
        let mut scanner = Scanner::new(&limits, Space::Any);
        scanner.scan(&padded(text), 0, text.len()).is_ok()
    };
    assert!(check(r#"{"a":[[1]]}"#));
    assert!(!check(r#"{"a":[[[1]]]}"#));
    assert!(check("{\"a\":1,\n\"b\":2}"));
    assert!(!check(r#"{"a":1,"b":2,"c":3}"#));
    assert!(!check(r#"{"a":{"a":1,"b":2,"c":3}}"#));
}

#[test]
fn keys_that_are_no_column_are_refused_where_only_columns_may_come() {
    let mut scanner = scanner(&["a"], true);
    assert!(scan(&mut scanner, r#"{"a":1}"#).is_ok());
    assert!(scan(&mut scanner, r#"{"a":1,"b":2}"#).is_err());
}

#[test]
fn numbers_have_the_grammar_of_json() {
    for (text, is) in [
        ("0", true),
        ("-0", true),
        ("10", true),
        ("1.50", true),
        ("1e10", true),
        ("1E-400", true),
        ("", false),
        ("-", false),
        ("00", false),
        ("1 ", false),
        ("1e400", false),
        ("NaN", false),
    ] {
        assert_eq!(is_number(text.as_bytes()), is, "{text}");
    }
}
