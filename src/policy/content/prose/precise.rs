//! The precise lines of a content policy: `columns: a, b` and `match: /regex/`.

use regex::RegexBuilder;

use super::Understanding;

/// The most columns, and the most patterns, of a policy.
const MOST: usize = 100;
/// The most characters of a pattern, and of a column.
const LONGEST: usize = 1_000;
/// The most bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

/// Reads a line if it is a precise one. `Some(Err)`: it is one, and not well-formed.
pub(super) fn read(line: &str, into: &mut Understanding) -> Option<Result<(), String>> {
    let line = line.trim();
    let line = line
        .strip_prefix(['-', '*'])
        .map_or(line, |rest| rest.trim_start());
    let (key, value) = line.split_once(':')?;
    let key = key.trim_end();
    if key.eq_ignore_ascii_case("columns") {
        Some(columns(value, &mut into.columns))
    } else if key.eq_ignore_ascii_case("match") {
        Some(pattern(value.trim()).and_then(|pattern| add(pattern, &mut into.patterns)))
    } else {
        None
    }
}

fn add(name: String, names: &mut Vec<String>) -> Result<(), String> {
    if names.contains(&name) {
        return Ok(());
    }
    if names.len() == MOST {
        return Err(format!("there are more than {MOST}; make it two policies"));
    }
    names.push(name);
    Ok(())
}

fn columns(value: &str, into: &mut Vec<String>) -> Result<(), String> {
    let mut any = false;
    let mut rest = value;
    while !rest.is_empty() {
        let mut quote = None;
        let end = rest
            .char_indices()
            .find(|(_, c)| {
                match quote {
                    Some(open) if *c == open => quote = None,
                    None if matches!(c, '"' | '\'' | '`') => quote = Some(*c),
                    _ => {}
                }
                quote.is_none() && *c == ','
            })
            .map_or(rest.len(), |(at, _)| at);
        if let Some(quote) = quote {
            return Err(format!("a name has no closing {quote}; add it"));
        }
        let (name, others) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let name = unquoted(name.trim());
        if name.chars().count() > LONGEST {
            return Err(format!("a name is longer than {LONGEST} characters"));
        }
        if !name.is_empty() {
            any = true;
            add(name.to_owned(), into)?;
        }
        rest = others.strip_prefix(',').unwrap_or(others);
    }
    if any {
        Ok(())
    } else {
        Err("it names no column; write them after the colon, such as columns: email, notes".into())
    }
}

fn unquoted(name: &str) -> &str {
    ['"', '\'', '`']
        .into_iter()
        .find_map(|quote| {
            let inner = name.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner.trim())
        })
        .unwrap_or(name)
}

fn pattern(value: &str) -> Result<String, String> {
    let form = "write it as match: /expression/ or match: /expression/i";
    let Some(body) = value.strip_prefix('/') else {
        return Err(format!(
            "the expression does not begin with a slash; {form}"
        ));
    };
    let mut pattern = String::new();
    // Where the last slash stands that is not escaped, in the pattern and in the text.
    let mut closing = None;
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, '/')) => pattern.push('/'),
                Some((_, next)) => pattern.extend(['\\', next]),
                None => pattern.push('\\'),
            },
            '/' => {
                closing = Some((pattern.len(), at));
                pattern.push('/');
            }
            _ => pattern.push(c),
        }
    }
    let Some((length, at)) = closing else {
        return Err(format!("the expression has no closing slash; {form}"));
    };
    pattern.truncate(length);
    let flags = body.get(at + 1..).unwrap_or_default().trim();
    if !matches!(flags, "" | "i") {
        return Err(format!(
            "only the flag i may follow the closing slash; {form}, and a slash inside as \\/"
        ));
    }
    if pattern.chars().count() > LONGEST {
        return Err(format!(
            "the expression is longer than {LONGEST} characters; make it several lines"
        ));
    }
    if flags == "i" {
        pattern.insert_str(0, "(?i)");
    }
    let regex = RegexBuilder::new(&pattern)
        .size_limit(PATTERN_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "the expression is too large when compiled; make its repetitions smaller".to_owned()
            }
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                let why = last.trim().trim_start_matches("error: ");
                format!("the expression is not valid ({why}); correct it")
            }
        })?;
    // Word boundaries match nothing at some places only, so there is a text with such places.
    let matches_nothing = |text: &str| regex.find_iter(text).any(|found| found.is_empty());
    if ["", "a 0-"].into_iter().any(matches_nothing) {
        return Err(
            "the expression matches the empty text, so it would match everything; \
             say what must be there, such as + instead of *"
                .into(),
        );
    }
    Ok(pattern)
}
