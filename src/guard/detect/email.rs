//! E-mail addresses.
//!
//! Found are a local part and a domain with a top level of letters. Not found, though they look
//! alike: logins in URLs and of scp (`git@github.com:org/repo`), names of fediverse accounts
//! (`@name@host.social`), packages with versions, files (`icon@2x.png`), hosts without a dot.

use std::ops::Range;

use super::{Probe, Spot, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::Email,
        trigger: Trigger::At,
        find: plain,
    },
    Probe {
        detector: Detector::Email,
        trigger: Trigger::Mark(&["%40"]),
        find: plain,
    },
    Probe {
        detector: Detector::Email,
        trigger: Trigger::Mark(&["(at)", "[at]"]),
        find: spelled,
    },
];

/// The most bytes of a local part, a label and a domain.
const LOCAL: usize = 64;
const LABEL: usize = 63;
const DOMAIN: usize = 255;

/// Who logs in where files are kept, and is no person.
const LOGINS: [&[u8]; 8] = [
    b"git",
    b"hg",
    b"svn",
    b"root",
    b"deploy",
    b"ubuntu",
    b"ec2-user",
    b"backup",
];

/// Where scripts begin that are written without blanks: there, an address ends where its script
/// does.
const UNSPACED: char = '\u{2e80}';

/// Last labels that are no top-level domains but kinds of files and of units of systemd.
const NO_TOP: [&str; 36] = [
    "png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "tif", "tiff", "ico", "css", "scss", "js",
    "mjs", "ts", "jsx", "tsx", "json", "html", "htm", "php", "xml", "yaml", "yml", "toml", "txt",
    "csv", "pdf", "exe", "dll", "jar", "log", "service", "socket", "timer", "target",
];

fn plain(spot: &Spot<'_>) -> Option<Range<usize>> {
    let domain = spot.at.end..domain(spot, spot.at.end)?;
    let start = match spot.before(spot.at.start)? {
        b'"' => quoted(spot)?,
        _ => local(spot, spot.at.start)?,
    };
    let start = match (spot.byte(start), spot.byte(domain.end)) {
        (Some(b'_'), Some(b'_')) => {
            let name = spot.bytes().get(start..spot.at.start)?;
            start + name.iter().position(|byte| *byte != b'_')?
        }
        _ => start,
    };
    (!is_login(spot, start, domain.end)).then_some(start..domain.end)
}

/// `name (at) example (dot) com`.
fn spelled(spot: &Spot<'_>) -> Option<Range<usize>> {
    let blank = |at: usize| spot.byte(at) == Some(b' ');
    let mut at = spot.at.end + usize::from(blank(spot.at.end));
    let mut labels = 0;
    let end = loop {
        let end = label(spot.text, at)?;
        labels += 1;
        match dot(spot, end) {
            Some(next) if labels < 6 => at = next,
            _ => break end,
        }
    };
    if labels < 2 || !is_top(spot.text.get(at..end)?) {
        return None;
    }
    let before = spot.at.start.checked_sub(1)?;
    let start = local(spot, before + usize::from(!blank(before)))?;
    Some(start..end)
}

/// Where the label begins that follows a dot, spelled out or not.
fn dot(spot: &Spot<'_>, at: usize) -> Option<usize> {
    let rest = spot.bytes().get(at..)?;
    if let [b'.', next, ..] = rest {
        return (*next != b' ').then_some(at + 1);
    }
    let blanks = usize::from(rest.first() == Some(&b' '));
    let word = rest.get(blanks..blanks + 5)?;
    if !(word.eq_ignore_ascii_case(b"(dot)") || word.eq_ignore_ascii_case(b"[dot]")) {
        return None;
    }
    let next = at + blanks + 5;
    Some(next + usize::from(spot.byte(next) == Some(b' ')))
}

/// Where the local part begins that ends at a position.
fn local(spot: &Spot<'_>, end: usize) -> Option<usize> {
    let text = spot.text.get(..end)?;
    let mut start = end;
    let mut right = None;
    for (at, char) in text.char_indices().rev() {
        let part = match char {
            '.' | '_' | '+' | '-' | '\'' => true,
            _ if char.is_ascii() => char.is_ascii_alphanumeric(),
            _ => char.is_alphanumeric(),
        };
        if !part || char >= UNSPACED && right.is_some_and(|right: char| right.is_ascii()) {
            break;
        }
        if end - at > LOCAL {
            return None;
        }
        right = Some(char);
        start = at;
    }
    // What is left of a mark that URLs encode is no part of it.
    let encoded = text.get(start..)?.as_bytes();
    if let (Some(b'%'), [first, second, ..]) = (spot.before(start), encoded)
        && first.is_ascii_hexdigit()
        && second.is_ascii_hexdigit()
    {
        start += 2;
    }
    let found = text.get(start..)?;
    let start = end - found.trim_start_matches(['.', '-', '+', '\'']).len();
    let found = text.get(start..)?;
    let whole = !found.is_empty() && !found.ends_with(['.', '\'']) && !found.contains("..");
    whole.then_some(start)
}

/// Where a local part in quotes begins.
fn quoted(spot: &Spot<'_>) -> Option<usize> {
    let end = spot.at.start.checked_sub(1)?;
    let from = end.saturating_sub(LOCAL);
    let before = spot.bytes().get(from..end)?;
    let quote = before.iter().rposition(|byte| *byte == b'"')?;
    let inside = before.get(quote + 1..)?;
    let one_line = !inside.iter().any(u8::is_ascii_control);
    let stands_alone = !spot
        .before(from + quote)
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    (!inside.is_empty() && one_line && stands_alone).then_some(from + quote)
}

/// Where the domain ends that begins at a position.
fn domain(spot: &Spot<'_>, start: usize) -> Option<usize> {
    let (mut at, mut end, mut labels, mut numbers) = (start, start, 0, 0);
    let mut top = start..start;
    while let Some(label_end) = label(spot.text, at) {
        top = at..label_end;
        end = label_end;
        if end - start > DOMAIN {
            return None;
        }
        let digits = spot.bytes().get(top.clone())?.iter();
        numbers += usize::from(numbers == labels && digits.clone().all(u8::is_ascii_digit));
        labels += 1;
        if spot.byte(end) != Some(b'.') {
            break;
        }
        at = end + 1;
    }
    // Two numbers in front make a version.
    let plausible = labels >= 2 && numbers < 2 && is_top(spot.text.get(top)?);
    let ends = match spot.byte(end) {
        Some(b'@') => false,
        // A call: `this@Main.finish()`.
        Some(b'(') => spot.byte(end + 1) != Some(b')') && !is_of_object(spot),
        // The end of italics, or what comes next in the name of a file.
        Some(b'_') => spot
            .bytes()
            .get(end..)
            .and_then(|rest| rest.iter().take(LABEL).find(|byte| **byte != b'_'))
            .is_none_or(|byte| !byte.is_ascii_alphabetic()),
        _ => true,
    };
    (plausible && ends).then_some(end)
}

/// Where the label ends that begins at a position.
fn label(text: &str, start: usize) -> Option<usize> {
    let mut end = start;
    let mut left = None;
    for char in text.get(start..)?.chars() {
        let part = match char {
            '-' => end > start,
            _ if char.is_ascii() => char.is_ascii_alphanumeric(),
            _ => char.is_alphanumeric(),
        };
        if !part || char >= UNSPACED && left.is_some_and(|left: char| left.is_ascii()) {
            break;
        }
        end += char.len_utf8();
        if end - start > LABEL {
            return None;
        }
        left = Some(char);
    }
    let end = start + text.get(start..end)?.trim_end_matches('-').len();
    (end > start).then_some(end)
}

/// Whether a label can be a top-level domain.
fn is_top(label: &str) -> bool {
    let mut letters = 0;
    if label.len() > 4 && label.is_char_boundary(4) {
        let (head, _) = label.split_at(4);
        if head.eq_ignore_ascii_case("xn--") {
            return true;
        }
    }
    for char in label.chars() {
        if !char.is_alphabetic() {
            return false;
        }
        letters += 1;
    }
    letters >= 2 && !NO_TOP.iter().any(|no| label.eq_ignore_ascii_case(no))
}

/// Whether what looks like an address is who logs in where.
fn is_login(spot: &Spot<'_>, start: usize, end: usize) -> bool {
    let bytes = spot.bytes();
    if spot.before(start) == Some(b'@') {
        return true;
    }
    let before = bytes
        .get(start.saturating_sub(LOCAL)..start)
        .unwrap_or_default();
    // `scheme://user:password@host`; a path or query ends who logs in.
    let word = before
        .iter()
        .rposition(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?'));
    let in_url = word.is_some_and(|at| {
        let head = before.get(..=at).unwrap_or_default();
        head.ends_with(b"://")
    });
    if in_url {
        return true;
    }
    let command = |name: &[u8]| {
        let at = before.len().checked_sub(name.len());
        at.and_then(|at| before.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(name))
    };
    if command(b"ssh ") || command(b"scp ") {
        return true;
    }
    // `user@host:path/of/file`.
    let Some([b':', rest @ ..]) = bytes.get(end..) else {
        return false;
    };
    let rest = rest.get(..rest.len().min(LOCAL)).unwrap_or_default();
    let path = rest.split(u8::is_ascii_whitespace).next();
    let path = path.unwrap_or_default();
    if path.windows(3).any(|three| three == b"://") {
        return false;
    }
    match path.first() {
        Some(b'/') => true,
        Some(b'~') => path.contains(&b'/'),
        Some(b'0'..=b'9') | None => false,
        // A password may hold a slash too, so that it takes who logs in or what is fetched.
        Some(_) => {
            let mut parts = path.split(|byte| *byte == b'/');
            let folder = parts.next().unwrap_or_default();
            let file = parts.next_back();
            let named = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            let login = bytes.get(start..spot.at.start).unwrap_or_default();
            let known = LOGINS.iter().any(|name| login.eq_ignore_ascii_case(name));
            let fetched = |file: &[u8]| file.windows(4).any(|four| four == b".git");
            folder.iter().all(named) && file.is_some_and(|file| known || fetched(file))
        }
    }
}

/// Whether what is before the `@` is what labels of objects in code have.
fn is_of_object(spot: &Spot<'_>) -> bool {
    let before = spot.text.get(..spot.at.start).unwrap_or_default();
    before.ends_with("this") || before.ends_with("super")
}
