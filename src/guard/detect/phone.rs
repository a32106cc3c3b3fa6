//! Telephone numbers.
//!
//! Without a word near or the name of the column, a number must look like one: a `+` or `00` and
//! a number that the plan of its country knows, or the groups and marks that are usual in
//! North America, after a zero in most of Europe, in Spain and in Brazil. With one, any digits
//! will do that could be dialled in one of some countries; and where the name of the column says
//! that it holds telephone numbers, also what only looks dialled.

use std::ops::Range;

use super::edge::MANY;
use super::numbering::{NATIONAL, is_dialled, is_number, split};
use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::Phone,
        trigger: Trigger::Digits(7, MANY),
        find,
    },
    Probe {
        detector: Detector::Phone,
        trigger: Trigger::Column(Topic::Phone),
        find: whole,
    },
];

/// The fewest and the most digits of a number with its country calling code.
const FEWEST: usize = 7;
const MOST: usize = 15;

/// Countries whose numbers are written with a zero in front, and Italy, where it belongs to them.
const ZERO_LED: [u16; 10] = [44, 49, 33, 39, 31, 32, 41, 43, 46, 61];

/// Countries whose numbers are found behind `00` though nothing parts the digits.
const BARE: [u16; 9] = [49, 44, 33, 34, 39, 31, 32, 41, 43];

/// The digits that are dialled.
#[derive(Clone, Copy, Default)]
struct Dialled {
    digits: [u8; MOST + 3],
    len: usize,
}

impl Dialled {
    /// The digits of a text, without a zero in parentheses. `None` if there are too many.
    fn of(bytes: &[u8]) -> Option<Dialled> {
        let mut dialled = Dialled::default();
        let mut rest = bytes;
        while let [byte, behind @ ..] = rest {
            rest = match rest {
                [b'(', b'0', b')', behind @ ..] => behind,
                _ => behind,
            };
            if byte.is_ascii_digit() {
                *dialled.digits.get_mut(dialled.len)? = *byte;
                dialled.len += 1;
            }
        }
        Some(dialled)
    }

    fn get(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// What stands before a group where a number can begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    Plus(usize),
    Plain(usize),
}

fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    if let [only] = spot.groups {
        return bare(spot, only);
    }
    for place in 0..spot.groups.len() {
        let found = match lead(spot, place) {
            None => None,
            Some(Lead::Plus(start)) => international(spot, place, start, 0),
            Some(Lead::Plain(start)) => usual(spot, place, start),
        };
        if found.is_some() {
            return found;
        }
    }
    // Three, two and four are of social security in the United States.
    let lens = spot.groups.iter().map(Range::len);
    if lens.eq([3, 2, 4]) || is_date_or_address(spot) || !spot.is_about(Topic::Phone) {
        return None;
    }
    (0..spot.groups.len().min(8)).find_map(|place| in_context(spot, place))
}

fn group<'a>(spot: &Spot<'a>, place: usize) -> Option<&'a [u8]> {
    spot.bytes().get(spot.groups.get(place)?.clone())
}

/// What is between a group and the next one.
fn gap<'a>(spot: &Spot<'a>, place: usize) -> Option<&'a [u8]> {
    let start = spot.groups.get(place)?.end;
    spot.bytes().get(start..spot.groups.get(place + 1)?.start)
}

fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a number can begin with a group, and where its marks begin.
fn lead(spot: &Spot<'_>, place: usize) -> Option<Lead> {
    let mut start = spot.groups.get(place)?.start;
    let before = |at: usize| spot.before(at);
    if place > 0 {
        let gap = gap(spot, place - 1)?;
        // Fours in a row are of a payment card or a bank account.
        let four = |place: usize| group(spot, place).is_some_and(|group| group.len() == 4);
        if gap == b" " && four(place - 1) && four(place) {
            return None;
        }
        let bracket = usize::from(gap.ends_with(b"("));
        return gap.contains(&b' ').then_some(Lead::Plain(start - bracket));
    }
    if before(start) == Some(b'(') {
        start -= 1;
    }
    if before(start) == Some(b'+') {
        start -= 1;
        let free = !is_word(before(start)) && before(start) != Some(b'+');
        // `(+49) 30 1234567`
        let closed = gap(spot, 0).is_some_and(|gap| gap.starts_with(b")"));
        let bracket = usize::from(closed && before(start) == Some(b'('));
        return free.then_some(Lead::Plus(start - bracket));
    }
    if spot.text.get(..start)?.ends_with("%2B") {
        return Some(Lead::Plus(start - 3));
    }
    let free = match before(start) {
        Some(b'.') => before(start - 1).is_some_and(|byte| byte.is_ascii_alphabetic()),
        Some(b'-' | b'/' | b'#' | b'$' | b'@' | b'\\' | b'*') => false,
        byte => !is_word(byte),
    };
    free.then_some(Lead::Plain(start))
}

/// Whether a number can end behind the last of some groups. `parted` tells that more than blanks
/// part its own groups.
fn ends(spot: &Spot<'_>, last: usize, parted: bool) -> bool {
    if let Some(gap) = gap(spot, last) {
        let next = group(spot, last + 1).unwrap_or_default();
        return gap.contains(&b' ') && (parted || gap.contains(&b'(') || next.starts_with(b"0"));
    }
    let end = spot.at.end;
    let behind = |distance: usize| spot.byte(end + distance);
    match behind(0) {
        // An extension.
        Some(b'x' | b'X') => behind(1).is_some_and(|byte| byte.is_ascii_digit()),
        Some(b'e' | b'E') => behind(1).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'x')),
        Some(b':' | b'-' | b'.') => !is_word(behind(1)),
        Some(b'@' | b'%') => false,
        byte => !is_word(byte),
    }
}

/// A number with its country calling code, of which some digits in front are not a part.
fn international(
    spot: &Spot<'_>,
    first: usize,
    start: usize,
    prefix: usize,
) -> Option<Range<usize>> {
    let from = spot.groups.get(first)?.start;
    let said = spot.topics.contains(Topic::Phone);
    // Each group has a digit at least.
    let most = spot.groups.len().min(first + 2 * MOST);
    for last in (first..most).rev() {
        let end = spot.groups.get(last)?.end;
        if end - from > 2 * MOST || !ends(spot, last, true) {
            continue;
        }
        let Some(dialled) = Dialled::of(spot.bytes().get(from..end)?) else {
            continue;
        };
        let Some(digits) = dialled.get().get(prefix..) else {
            continue;
        };
        if is_international(digits, said) {
            return Some(start..end);
        }
    }
    None
}

/// Whether digits with a country calling code are a number, or only look like one.
fn is_international(digits: &[u8], leniently: bool) -> bool {
    if !(FEWEST + 1..=MOST + 1).contains(&digits.len()) {
        return false;
    }
    let Some((code, national)) = split(digits) else {
        return false;
    };
    // The zero for long distances is often left where it does not belong.
    let without = national.strip_prefix(b"0");
    leniently
        || is_number(code, national)
        || without.is_some_and(|national| is_number(code, national))
}

/// A number in one of the usual national looks.
fn usual(spot: &Spot<'_>, first: usize, start: usize) -> Option<Range<usize>> {
    let head = group(spot, first)?;
    match head {
        // Fours are of the code of a product, or in the midst of a bank account.
        [_, _, _, _]
            if group(spot, first + 1)?.len() == 4
                && (first > 0 || gap(spot, first) == Some(b"-")) =>
        {
            None
        }
        [b'0', b'0', rest @ ..] => {
            let long = rest.len() <= 3
                || BARE
                    .iter()
                    .any(|code| split(rest).is_some_and(|(of, _)| of == *code));
            if !long {
                return None;
            }
            international(spot, first, start, 2)
        }
        // Five and four are a postal code of the United States.
        [b'0', _, _, _, _]
            if gap(spot, first) == Some(b"-") && group(spot, first + 1)?.len() == 4 =>
        {
            None
        }
        // Behind other digits, blanks alone tell nothing.
        [b'0', ..]
            if first > 0
                && gap(spot, first - 1) == Some(b" ")
                && gap(spot, first) == Some(b" ") =>
        {
            None
        }
        [b'0', ..] => zero_led(spot, first, start),
        _ => north_american(spot, first, start)
            .or_else(|| spanish(spot, first, start))
            .or_else(|| brazilian(spot, first, start)),
    }
}

/// The groups from one to another, if the number can end there.
struct Shape<'a> {
    lens: [usize; 6],
    count: usize,
    /// The range from the first digit to the last.
    range: Range<usize>,
    bytes: &'a [u8],
}

impl<'a> Shape<'a> {
    fn of(spot: &Spot<'a>, first: usize, count: usize) -> Option<Shape<'a>> {
        let groups = spot.groups.get(first..first + count)?;
        let mut lens = [0; 6];
        for (len, group) in lens.iter_mut().zip(groups) {
            *len = group.len();
        }
        let range = groups.first()?.start..groups.last()?.end;
        let bytes = spot.bytes().get(range.clone())?;
        Some(Shape {
            lens,
            count,
            range,
            bytes,
        })
    }

    fn lens(&self) -> &[usize] {
        self.lens.get(..self.count).unwrap_or_default()
    }

    fn has(&self, mark: u8) -> bool {
        self.bytes.contains(&mark)
    }

    /// Whether more than blanks part the groups.
    fn is_parted(&self) -> bool {
        self.bytes
            .iter()
            .any(|byte| !byte.is_ascii_digit() && *byte != b' ')
    }

    fn is_of(&self, codes: &[u16]) -> bool {
        Dialled::of(self.bytes).is_some_and(|dialled| is_dialled(codes, dialled.get()))
    }
}

/// Whether all gaps of some groups are the same, and which one.
fn same_gaps<'a>(spot: &Spot<'a>, first: usize, count: usize) -> Option<&'a [u8]> {
    let one = gap(spot, first)?;
    (first..first + count - 1)
        .all(|place| gap(spot, place) == Some(one))
        .then_some(one)
}

/// `(212) 555-0142`, `212-555-0142`, `1 212.555.0142`.
fn north_american(spot: &Spot<'_>, first: usize, start: usize) -> Option<Range<usize>> {
    let long = usize::from(group(spot, first)? == b"1");
    let area = first + long;
    let shape = Shape::of(spot, area, 3)?;
    if shape.lens() != [3, 3, 4] {
        return None;
    }
    let bracket = spot.before(shape.range.start) == Some(b'(');
    let usual = match (gap(spot, area)?, gap(spot, area + 1)?) {
        (b") " | b")" | b")-", b"-" | b" " | b".") => bracket,
        (b"-", b"-") | (b".", b".") | (b" ", b"-" | b" ") | (b"/", b"-") => !bracket,
        _ => false,
    };
    let parted = bracket || shape.is_parted();
    let alone = parted || first == 0 && area + 3 == spot.groups.len();
    // The brackets and the hyphen say enough, whether such an area is or not.
    let distinct = bracket && shape.has(b'-');
    let fits = usual && alone && ends(spot, area + 2, parted) && (distinct || shape.is_of(&[1]));
    fits.then_some(start..shape.range.end)
}

/// `612 34 56 78`, `91 445 44 54`.
fn spanish(spot: &Spot<'_>, first: usize, start: usize) -> Option<Range<usize>> {
    let shape = Shape::of(spot, first, 4)?;
    let usual = matches!(shape.lens(), [3, 2, 2, 2] | [2, 3, 2, 2])
        && matches!(same_gaps(spot, first, 4), Some(b" " | b"-"))
        && first == 0
        && spot.groups.len() == 4;
    (usual && ends(spot, first + 3, true) && shape.is_of(&[34])).then_some(start..shape.range.end)
}

/// `(11) 98765-4321`.
fn brazilian(spot: &Spot<'_>, first: usize, start: usize) -> Option<Range<usize>> {
    let shape = Shape::of(spot, first, 3)?;
    let usual = matches!(shape.lens(), [2, 4 | 5, 4])
        && start < shape.range.start
        && matches!(gap(spot, first), Some(b") " | b")"))
        && matches!(gap(spot, first + 1), Some(b"-" | b" "));
    (usual && ends(spot, first + 2, true) && shape.is_of(&[55])).then_some(start..shape.range.end)
}

/// `020 7946 0958`, `030/1234567`, `(030) 26 55 02 80`, `06 12 34 56 78`.
fn zero_led(spot: &Spot<'_>, first: usize, start: usize) -> Option<Range<usize>> {
    let most = 5.min(spot.groups.len() - first);
    (2..=most).rev().find_map(|count| {
        let shape = Shape::of(spot, first, count)?;
        let digits: usize = shape.lens().iter().sum();
        if !(9..=12).contains(&digits) || !is_zero_led(spot, first, &shape) {
            return None;
        }
        let parted = shape.is_parted() || start < shape.range.start;
        let fits = ends(spot, first + count - 1, parted) && shape.is_of(&ZERO_LED);
        fits.then_some(start..shape.range.end)
    })
}

/// Whether groups after a zero are as long as usual, and parted as usual.
fn is_zero_led(spot: &Spot<'_>, first: usize, shape: &Shape<'_>) -> bool {
    if shape.has(b'.') {
        let pairs = shape.lens() == [2, 2, 2, 2, 2];
        return pairs && same_gaps(spot, first, 5) == Some(b".");
    }
    match shape.lens() {
        [2, 6..=9] | [3, 6..=8] | [4, 5..=8] | [5, 4..=7] => true,
        // The last group is an extension.
        [3..=5, 4..=7, 1..=4] if gap(spot, first + 1) == Some(b"-") => true,
        [2, 3 | 4, 4] | [3, 4, 4] | [3, 3, 3 | 4] | [4, 3, 3 | 4] | [5, 3, 3] => true,
        [4, 4, 4] => first == 0 && spot.groups.len() == 3,
        [2..=4, 3, 2, 2] | [3..=5, 2, 2, 2] | [3, 2, 2, 2, 2] => true,
        [2, 2, 2, 2, 2] => same_gaps(spot, first, 5).is_some(),
        _ => false,
    }
}

/// One group of digits alone.
fn bare(spot: &Spot<'_>, only: &Range<usize>) -> Option<Range<usize>> {
    if only.len() > MOST + 2 {
        return None;
    }
    let lead = lead(spot, 0)?;
    if let Lead::Plus(start) = lead {
        return international(spot, 0, start, 0);
    }
    if !ends(spot, 0, false) {
        return None;
    }
    let digits = spot.bytes().get(only.clone())?;
    if let Some(start) = wide(spot, only, digits) {
        return Some(start..only.end);
    }
    let abroad = digits
        .strip_prefix(b"00")
        .filter(|digits| digits.len() >= 10 && !digits.starts_with(b"0"))
        .and_then(split);
    if let Some((code, national)) = abroad
        && BARE.contains(&code)
        && is_number(code, national)
    {
        return Some(only.clone());
    }
    let plausible = digits.len() >= 9 || spot.topics.contains(Topic::Phone);
    if !plausible || is_calendar(digits) || !spot.is_about(Topic::Phone) {
        return None;
    }
    is_any(digits).then(|| only.clone())
}

/// `030 / 1234567`: where the number begins, if an area code and a wide gap are before it.
fn wide(spot: &Spot<'_>, only: &Range<usize>, digits: &[u8]) -> Option<usize> {
    let bytes = spot.bytes();
    let before = bytes.get(only.start.saturating_sub(3)..only.start)?;
    if !matches!(before, b" / " | b" - ") {
        return None;
    }
    let mut from = only.start - 3;
    let end = from;
    while end - from < 14
        && matches!(
            spot.before(from),
            Some(b'0'..=b'9' | b' ' | b'(' | b')' | b'+')
        )
    {
        from -= 1;
    }
    let head = bytes.get(from..end)?;
    let blanks = head.iter().take_while(|byte| **byte == b' ').count();
    let (start, head) = (from + blanks, head.get(blanks..)?);
    if is_word(spot.before(start)) {
        return None;
    }
    let area = Dialled::of(head)?;
    let mut all = area;
    for digit in digits {
        *all.digits.get_mut(all.len)? = *digit;
        all.len += 1;
    }
    let fits = match head {
        [b'+', ..] => is_international(all.get(), false),
        [b'(', b'0', ..] | [b'0', ..] => {
            (3..=5).contains(&area.len) && is_dialled(&ZERO_LED, all.get())
        }
        _ => false,
    };
    fits.then_some(start)
}

/// Whether digits can be dialled in any of the countries that are known here.
fn is_any(digits: &[u8]) -> bool {
    if !(FEWEST..=MOST + 2).contains(&digits.len()) {
        return false;
    }
    if let Some(abroad) = digits.strip_prefix(b"00") {
        return is_international(abroad, true);
    }
    is_dialled(&NATIONAL, digits) || digits.len() > 10 && is_international(digits, false)
}

/// The longest run of groups from one on that can be dialled.
fn in_context(spot: &Spot<'_>, first: usize) -> Option<Range<usize>> {
    let Lead::Plain(start) = lead(spot, first)? else {
        return None;
    };
    let most = (first + 7).min(spot.groups.len());
    (first..most).rev().find_map(|last| {
        let range = spot.groups.get(first)?.start..spot.groups.get(last)?.end;
        if !ends(spot, last, true) {
            return None;
        }
        let dialled = Dialled::of(spot.bytes().get(range.clone())?)?;
        // `555-0142`, within a town.
        let shape = Shape::of(spot, first, last + 1 - first);
        let local = shape.is_some_and(|shape| {
            shape.lens() == [3, 4]
                && matches!(gap(spot, first), Some(b"-" | b" " | b"."))
                && !shape.bytes.starts_with(b"0")
        });
        let enough = dialled.len >= 9 || local || spot.topics.contains(Topic::Phone);
        let fits = enough && !is_calendar(dialled.get()) && (local || is_any(dialled.get()));
        fits.then_some(start..range.end)
    })
}

/// Whether groups are those of a date or of an IP address.
fn is_date_or_address(spot: &Spot<'_>) -> bool {
    let mut lens = spot.groups.iter().map(Range::len);
    let first = (lens.next(), lens.next(), lens.next(), lens.next());
    let same = same_gaps(spot, 0, spot.groups.len().min(3));
    let dotted = same == Some(b".");
    match first {
        (Some(4), Some(1..=2), Some(1..=2), _) => same.is_some() && starts_as_year(spot, 0),
        (Some(1..=2), Some(1..=2), Some(4), _) => same.is_some() && starts_as_year(spot, 2),
        (Some(1..=3), Some(1..=3), Some(1..=3), Some(1..=3)) => {
            dotted && spot.groups.len() == 4 && group(spot, 0).is_some_and(|a| !a.starts_with(b"0"))
        }
        // A number with a fraction.
        (Some(_), Some(_), None, _) => dotted,
        _ => false,
    }
}

fn starts_as_year(spot: &Spot<'_>, place: usize) -> bool {
    let year = group(spot, place).unwrap_or_default();
    year.starts_with(b"19") || year.starts_with(b"20")
}

/// Whether digits without marks are a date, or a date and a time.
fn is_calendar(digits: &[u8]) -> bool {
    let date = match digits.len() {
        8 | 12 | 14 => digits.first_chunk::<8>(),
        _ => None,
    };
    date.is_some_and(|date| {
        matches!(
            date,
            [b'1', b'9', _, _, b'0', b'1'..=b'9', b'0'..=b'3', _]
                | [b'1', b'9', _, _, b'1', b'0'..=b'2', b'0'..=b'3', _]
                | [b'2', b'0', _, _, b'0', b'1'..=b'9', b'0'..=b'3', _]
                | [b'2', b'0', _, _, b'1', b'0'..=b'2', b'0'..=b'3', _]
        )
    })
}

/// A text that is a number as a whole, in a column of telephone numbers.
fn whole(spot: &Spot<'_>) -> Option<Range<usize>> {
    let text = spot.text.get(spot.at.clone())?;
    if text.len() > 64 {
        return None;
    }
    let main = text
        .find(|char: char| char.is_ascii_alphabetic() || matches!(char, '#' | ';' | ','))
        .unwrap_or(text.len());
    let (main, extension) = text.split_at_checked(main)?;
    let said = extension.trim_start_matches([' ', '#', ';', ',', '.']);
    let digits = said.bytes().filter(u8::is_ascii_digit).count();
    if said.len() > 14 || digits > 6 || !extension.is_empty() && digits == 0 {
        return None;
    }
    let main = main.trim_end();
    let (mut marks, mut dots, mut groups, mut last) = (0, 0, [0_usize; 16], ' ');
    let mut count = 0;
    for char in main.chars() {
        match char {
            '0'..='9' => {
                count += usize::from(!last.is_ascii_digit());
                *groups.get_mut(count.checked_sub(1)?)? += 1;
            }
            '.' => dots += 1,
            ' ' | '+' | '(' | ')' | '-' | '/' | '[' | ']' | '\u{a0}' | '\u{202f}' => marks += 1,
            '\u{2010}'..='\u{2015}' | '\u{2212}' => marks += 1,
            _ => return None,
        }
        last = char;
    }
    let dialled = Dialled::of(main.as_bytes())?;
    let digits = dialled.get();
    if !(FEWEST..=MOST + 3).contains(&digits.len()) || main.starts_with(['-', '.', '/']) {
        return None;
    }
    let dated = match groups.get(..count)? {
        [4, 1..=2, 1..=2, ..] => digits.starts_with(b"19") || digits.starts_with(b"20"),
        [1..=2, 1..=2, 4] => true,
        [1..=3, 1..=3, 1..=3, 1..=3] => dots == 3 && marks == 0,
        _ => is_calendar(digits),
    };
    let abroad = match main.trim_start_matches(['(', '[']).starts_with('+') {
        true => Some(digits),
        false => digits.strip_prefix(b"00"),
    };
    let parted = count > 1 && (marks > 0 || dots > 1) && digits.len() <= MOST;
    let fits = match abroad {
        Some(digits) => is_international(digits, true),
        None => !dated && (parted || count == 1 && is_any(digits)),
    };
    fits.then(|| spot.at.start..spot.at.start + main.len())
}
