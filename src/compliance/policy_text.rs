//! Policies as YAML.

use serde_json::Value;

use crate::policy::Fault;
use crate::policy::pack::read_yaml;

/// Reads YAML into the same values that JSON gives: a key that comes twice is refused, only
/// `true` and `false` are booleans, and depth and aliases are bounded.
///
/// Texts that have passed through a form often come with the indentation of lists lost: what
/// belongs to an item stands as far in as its dash. Where the text cannot be read otherwise, such
/// lines are taken as the item's.
///
/// # Errors
///
/// Why it is not readable, at the path `$`.
pub fn read(text: &str) -> Result<Value, Vec<Fault>> {
    read_yaml(text).or_else(|faults| match indented(text) {
        Some(text) => read_yaml(&text).map_err(|_| faults),
        None => Err(faults),
    })
}

/// The text with the lines of items moved behind their dash; `None` of one with block scalars,
/// whose lines may look like items and are none.
fn indented(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    // How far in the dash of the list stands, and whether its item's lines are being moved.
    let mut list: Option<(usize, bool)> = None;
    for line in text.lines() {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content
            .split_once(": ")
            .is_some_and(|(_, value)| value.trim_start().starts_with(['|', '>']))
        {
            return None;
        }
        let is_item = content == "-" || content.starts_with("- ");
        list = match list {
            _ if content.is_empty() => list,
            Some((dash, moved)) if indent > dash => Some((dash, moved)),
            Some((dash, _)) if indent == dash && !is_item => Some((dash, true)),
            _ => is_item.then_some((indent, false)),
        };
        if list.is_some_and(|(_, moved)| moved) {
            out.push_str("  ");
        }
        out.push_str(line);
        out.push('\n');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_that_have_lost_their_indentation_are_read() {
        let lost = "name: n\nrules:\n - field: a\n operator: equals\n value: true\n - field: b\n \
                    operator: in\n value:\n  - x\n  - y\n\nseverity: high";
        let expected = json!({
            "name": "n",
            "rules": [
                {"field": "a", "operator": "equals", "value": true},
                {"field": "b", "operator": "in", "value": ["x", "y"]},
            ],
            "severity": "high",
        });
        assert_eq!(read(lost), Ok(expected.clone()));
        let whole = "name: n\nrules:\n - field: a\n   operator: equals\n   value: true\n - field: \
                     b\n   operator: in\n   value: [x, y]\nseverity: high\n";
        assert_eq!(read(whole), Ok(expected));
    }

    #[test]
    fn what_is_readable_is_read_as_it_stands() {
        // Here the line belongs to the whole, and it is not moved.
        let flat = "rules:\n- field: a\noperator: exists\n";
        let expected = json!({"rules": [{"field": "a"}], "operator": "exists"});
        assert_eq!(read(flat), Ok(expected));
    }

    #[test]
    fn what_is_no_yaml_is_refused_at_the_root() {
        for text in [
            "a: 1\na: 2",
            "a: [1",
            "rules:\n - a: 1\n a: 2",
            "text: |\n  - x\n  y\nrules:\n - a: 1\n b: 2",
            "a: 'x",
        ] {
            let faults = read(text).unwrap_err();
            assert_eq!(faults.len(), 1, "{text}");
            assert_eq!(faults[0].path, "$", "{text}");
        }
    }
}
