//! Packs as text: YAML that [`pack::parse`] reads back as the same policies.
//!
//! Written by hand, because a serialiser would have to be told which texts other readers of YAML
//! take for something else, and numbers keep their digits only as text.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Fault;
use super::difference::alike;
use super::pack::{self, Pack, PackPolicy};

/// Writes a pack.
///
/// # Errors
///
/// Every policy that would not be read back as it is: YAML keeps 15 digits of a fraction.
pub fn write(pack: &Pack) -> Result<String, Vec<Fault>> {
    let policies: Vec<_> = pack.policies.iter().map(document).collect();
    let mut out = String::from("version: 1\npolicies:");
    below(&mut out, &Value::Array(policies), 1);
    out.push('\n');
    let read = pack::parse(&out)?;
    let mut faults = Vec::new();
    for (i, policy) in pack.policies.iter().enumerate() {
        if !read.policies.get(i).is_some_and(|read| same(read, policy)) {
            let message = "this policy cannot be written as YAML without loss";
            faults.push(Fault::new(format!("$.policies[{i}]"), message));
        }
    }
    match faults.is_empty() {
        true => Ok(out),
        false => Err(faults),
    }
}

fn document(policy: &PackPolicy) -> Value {
    let mut document = Map::new();
    document.insert("name".into(), json!(policy.name));
    if !policy.description.is_empty() {
        document.insert("description".into(), json!(policy.description));
    }
    if let Some(model) = &policy.model {
        document.insert("model".into(), json!(model));
    }
    document.insert("destination_types".into(), json!(policy.destination_types));
    document.insert("filter_tree".into(), policy.filter_tree.json().clone());
    if !policy.enabled {
        document.insert("enabled".into(), json!(false));
    }
    Value::Object(document)
}

fn same(a: &PackPolicy, b: &PackPolicy) -> bool {
    a.name == b.name
        && a.description == b.description
        && a.model == b.model
        && a.destination_types == b.destination_types
        && a.enabled == b.enabled
        && alike(a.filter_tree.json(), b.filter_tree.json())
}

/// Writes what follows `key:` or `-`: a scalar behind it, anything else on the lines below.
fn below(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(object) if !object.is_empty() => entries(out, object, depth, false),
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                line(out, depth);
                out.push('-');
                match item {
                    Value::Object(object) if !object.is_empty() => {
                        entries(out, object, depth + 1, true);
                    }
                    item => below(out, item, depth + 1),
                }
            }
        }
        Value::String(text) => {
            out.push(' ');
            self::text(out, text);
        }
        // Numbers have the text they came with; empty lists and objects are as in JSON.
        other => {
            let _ = write!(out, " {other}");
        }
    }
}

/// Writes the entries of an object; `behind`: the first one on the line that has begun.
fn entries(out: &mut String, object: &Map<String, Value>, depth: usize, mut behind: bool) {
    for (key, value) in object {
        match behind {
            true => out.push(' '),
            false => line(out, depth),
        }
        behind = false;
        text(out, key);
        out.push(':');
        below(out, value, depth + 1);
    }
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// Writes a text, in quotes unless every reader takes it for a text without them.
fn text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Words that some readers of YAML take for booleans, nothing or numbers.
const RESERVED: [&str; 12] = [
    "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity",
];

fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(|c| {
            c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '(' | ')')
        })
        && !RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(value: Value) -> Value {
        json!({"type": "condition", "condition_type": "property", "column": "c", "operator": "in", "value": value})
    }

    fn pack(policies: Value) -> Pack {
        pack::policies(&json!({"policies": policies})).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let texts = json!([
            "NO",
            "no",
            "Yes",
            "null",
            "~",
            "",
            " a ",
            "a ",
            "a: b",
            "a #b",
            "- a",
            "'",
            "\"",
            "\\",
            "line\nline\r\n\ttab",
            "\u{7}\u{7f}\u{85}\u{2028}\u{feff}",
            "é😀",
            "01",
            "1_000",
            "7",
            "0x10",
            "1e3",
            ".inf",
            "nan",
            "Infinity",
            "2026-01-01",
            "{a}",
            "[a]",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "|",
            ">",
            "?",
            "<<",
            "=",
            "United Kingdom",
            "true",
            "..."
        ]);
        let numbers = r#"[0, -7, 9007199254740993, 18446744073709551615, 0.1, 1.50, -2.5e-3]"#;
        let numbers: Value = serde_json::from_str(numbers).unwrap();
        let tree = json!({"type": "not", "children": [{"type": "or", "children": [
            condition(texts),
            condition(numbers),
            {"type": "condition", "condition_type": "property", "column": "a: b", "operator": "within_last",
             "value": {"value": 7, "unit": "days"}, "timezone": "Europe/Berlin"},
        ]}]});
        let pack = pack(json!([
            {"name": "yes", "description": "# no\n\ncomment: at all\n", "model": "on",
             "destination_types": ["webhook", "y"], "filter_tree": tree, "enabled": false},
            {"name": "a", "destination_type": "webhook", "filter_tree": condition(json!([false, 1]))},
            // The same name for another destination type.
            {"name": "a", "destination_type": "file", "filter_tree": condition(json!(["x"]))},
        ]));
        let text = write(&pack).unwrap();
        let read = pack::parse(&text).unwrap();
        assert_eq!(read.policies.len(), 3, "{text}");
        for (read, written) in read.policies.iter().zip(&pack.policies) {
            assert!(same(read, written), "{read:#?}\n{written:#?}\n{text}");
        }
        assert!(
            text.contains("- \"NO\"\n") && text.contains("- United Kingdom\n"),
            "{text}"
        );
    }

    #[test]
    fn a_number_that_would_lose_digits_is_refused() {
        for number in ["0.1234567890123456789", "18446744073709551616", "1e300"] {
            let value: Value = serde_json::from_str(&format!("[{number}]")).unwrap();
            let pack = pack(json!([
                {"name": "a", "destination_type": "x", "filter_tree": condition(value)}
            ]));
            let faults = write(&pack).unwrap_err();
            assert_eq!(
                faults[0].path, "$.policies[0].filter_tree.value[0]",
                "{number}"
            );
        }
    }
}
