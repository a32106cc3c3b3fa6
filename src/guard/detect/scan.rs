//! Going through texts: where something may stand, each detector is asked.
//!
//! Texts of one column lie one behind the other in one buffer, and each pass is over all of it;
//! only at a spot it matters where a text begins and ends.

use std::ops::Range;

use super::marks::Marks;
use super::passing::{is, is_little, is_uuid, next_dense, next_stop, ordinary};
use super::{Probe, Spot, Topics, Trigger, edge, probes};
use crate::policy::content::{Detector, Detectors};

/// Texts, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    values: &'a str,
    /// Where each begins, and where the last one ends.
    bounds: &'a [usize],
}

impl<'a> Texts<'a> {
    /// Texts that lie in `values`; each goes from one of the bounds to the next. `None` unless
    /// these ascend and are within the values, on character boundaries.
    pub fn new(values: &'a str, bounds: &'a [usize]) -> Option<Texts<'a>> {
        let ascend = bounds.is_sorted();
        let fit = bounds.iter().all(|bound| values.is_char_boundary(*bound));
        (ascend && fit).then_some(Texts { values, bounds })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    pub fn get(&self, place: usize) -> Option<&'a str> {
        self.values
            .get(*self.bounds.get(place)?..*self.bounds.get(place + 1)?)
    }

    /// Whether all of them are of ASCII characters.
    pub fn is_ascii(&self) -> bool {
        self.values.is_ascii()
    }

    fn range(&self) -> Range<usize> {
        match (self.bounds.first(), self.bounds.last()) {
            (Some(first), Some(last)) => *first..*last,
            _ => 0..0,
        }
    }
}

/// What was found in a text; the first of its kind there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of the texts.
    pub place: usize,
    /// What was found.
    pub detector: Detector,
    /// Where in the text it stands.
    pub range: Range<usize>,
}

/// Looks for what some detectors detect.
#[derive(Clone, Debug)]
pub struct Scanner {
    at: Vec<&'static Probe>,
    digits: Vec<(Range<usize>, &'static Probe)>,
    /// The fewest digits that any probe of them wants.
    fewest: usize,
    colons: Vec<&'static Probe>,
    pairs: Vec<&'static Probe>,
    tokens: Vec<(usize, &'static Probe)>,
    /// The shortest token that any probe of them wants.
    shortest: usize,
    columns: Vec<&'static Probe>,
    marks: Option<Marks>,
    /// The probe of each mark.
    marked: Vec<&'static Probe>,
}

/// The bytes of tokens.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        token[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'+' | b'/' | b'=' | b'_' | b'-' | b'.');
        byte += 1;
    }
    token
};

impl Scanner {
    /// A scanner for some detectors.
    pub fn new(wanted: Detectors) -> Scanner {
        let mut scanner = Scanner {
            at: Vec::new(),
            digits: Vec::new(),
            fewest: usize::MAX,
            colons: Vec::new(),
            pairs: Vec::new(),
            tokens: Vec::new(),
            shortest: usize::MAX,
            columns: Vec::new(),
            marks: None,
            marked: Vec::new(),
        };
        let mut marks = Vec::new();
        for probe in probes().filter(|probe| wanted.contains(probe.detector)) {
            match probe.trigger {
                Trigger::At => scanner.at.push(probe),
                Trigger::Digits(least, most) => {
                    scanner.fewest = scanner.fewest.min(least);
                    scanner.digits.push((least..most + 1, probe));
                }
                Trigger::Colons => scanner.colons.push(probe),
                Trigger::Pairs => scanner.pairs.push(probe),
                Trigger::Mark(texts) => {
                    for text in texts {
                        marks.push(*text);
                        scanner.marked.push(probe);
                    }
                }
                Trigger::Token(least) => {
                    scanner.shortest = scanner.shortest.min(least);
                    scanner.tokens.push((least, probe));
                }
                Trigger::Column(_) => scanner.columns.push(probe),
            }
        }
        if !marks.is_empty() {
            scanner.marks = Some(Marks::new(&marks));
        }
        scanner
    }

    /// What is found in texts of a column whose name is about some topics. Of each detector, the
    /// first finding in each text.
    pub fn scan(&self, texts: Texts<'_>, topics: Topics, found: &mut Vec<Found>) {
        let mut hits = Hits {
            texts,
            topics,
            found,
            seen: Vec::new(),
        };
        if !(self.at.is_empty()
            && self.digits.is_empty()
            && self.colons.is_empty()
            && self.pairs.is_empty())
        {
            self.stops(texts, &mut hits);
        }
        if !self.tokens.is_empty() {
            self.tokens(texts, &mut hits);
        }
        if let Some(marks) = &self.marks {
            self.marks(marks, texts, &mut hits);
        }
        if !topics.is_empty() {
            self.columns(texts, topics, &mut hits);
        }
    }

    /// The pass that stops at digits, `@`, colons and hyphens.
    fn stops(&self, texts: Texts<'_>, hits: &mut Hits<'_, '_>) {
        let bytes = texts.values.as_bytes();
        let mut cursor = Cursor::new(texts);
        let mut groups = Vec::new();
        let Range { start, end } = texts.range();
        let mut at = start;
        while at < end {
            at = next_stop(bytes, at, end);
            let Some(byte) = bytes.get(at).copied().filter(|_| at < end) else {
                return;
            };
            match byte {
                b'@' => {
                    let within = cursor.seek(at);
                    for probe in &self.at {
                        hits.ask(probe, &within, at..at + 1, &[]);
                    }
                    at += 1;
                }
                b':' | b'-' => {
                    self.colon_or_hyphen(bytes, byte, at, &mut cursor, hits);
                    at += 1;
                }
                _ => {
                    let within = cursor.seek(at);
                    if hits.topics.is_empty() && is_little(bytes, &within) {
                        at = within.end;
                        continue;
                    }
                    if let Some(behind) = ordinary(bytes, at, &within) {
                        at = behind;
                        continue;
                    }
                    at = self.cluster(bytes, at, &within, &mut groups, hits);
                    if !self.pairs.is_empty() {
                        // The hyphens among them, of which pairs of digits may begin.
                        for group in groups.iter().skip(1) {
                            let mark = group.start + within.start - 1;
                            if bytes.get(mark) == Some(&b'-') {
                                self.colon_or_hyphen(bytes, b'-', mark, &mut cursor, hits);
                            }
                        }
                    }
                }
            }
        }
    }

    fn colon_or_hyphen(
        &self,
        bytes: &[u8],
        byte: u8,
        at: usize,
        cursor: &mut Cursor<'_>,
        hits: &mut Hits<'_, '_>,
    ) {
        // Cheap, and so before the text is known: most stand alone.
        let seems_again = |distance: usize| bytes.get(at + distance) == Some(&byte);
        let pairs = !self.pairs.is_empty() && seems_again(3) && seems_again(6);
        let colons = byte == b':' && !self.colons.is_empty() && (1..=5).any(seems_again);
        if !(pairs || colons) {
            return;
        }
        let within = cursor.seek(at);
        let text = bytes.get(..within.end).unwrap_or_default();
        let is_again = |distance: usize| text.get(at + distance) == Some(&byte);
        let back = |distance: usize| {
            let place = at.checked_sub(distance);
            let place = place.filter(|place| *place >= within.start)?;
            bytes.get(place)
        };
        if pairs && is_again(3) && is_again(6) && back(3) != Some(&byte) {
            for probe in &self.pairs {
                hits.ask(probe, &within, at..at + 1, &[]);
            }
        }
        if colons {
            let follows = back(1).is_some_and(|b| b.is_ascii_hexdigit()) || is_again(1);
            // A colon before it is of the same row only where it could have begun one.
            let begins = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':';
            let first = (1..=5).all(|distance| {
                back(distance) != Some(&b':') || !back(distance + 1).is_some_and(begins)
            });
            if follows && first && (1..=5).any(is_again) {
                for probe in &self.colons {
                    hits.ask(probe, &within, at..at + 1, &[]);
                }
            }
        }
    }

    /// Groups of digits from a digit on; answers where to go on.
    fn cluster(
        &self,
        bytes: &[u8],
        start: usize,
        within: &Within,
        groups: &mut Vec<Range<usize>>,
        hits: &mut Hits<'_, '_>,
    ) -> usize {
        groups.clear();
        let digit = |at: usize| at < within.end && bytes.get(at).is_some_and(u8::is_ascii_digit);
        let gap = |at: usize| match bytes.get(at) {
            _ if at >= within.end => 0,
            Some(b' ' | b'.' | b'-' | b'/' | b'(' | b')') => 1,
            Some(0x80..) => edge::separator(bytes, at).map_or(0, |(_, length)| length),
            _ => 0,
        };
        let (mut at, mut digits) = (start, 0);
        loop {
            let group = at;
            while digit(at) {
                at += 1;
            }
            digits += at - group;
            groups.push(group - within.start..at - within.start);
            let one = gap(at);
            if one == 0 {
                break;
            }
            if digit(at + one) {
                at += one;
                continue;
            }
            let two = gap(at + one);
            if two == 0 || !digit(at + one + two) {
                break;
            }
            at += one + two;
        }
        if digits >= self.fewest {
            for (wanted, probe) in &self.digits {
                if wanted.contains(&digits) {
                    hits.ask(probe, within, start..at, groups);
                }
            }
        }
        at
    }

    /// The pass over runs of token bytes. A run of the wanted length covers at least one of the
    /// bytes that are looked at.
    fn tokens(&self, texts: Texts<'_>, hits: &mut Hits<'_, '_>) {
        let bytes = texts.values.as_bytes();
        let mut cursor = Cursor::new(texts);
        let token = |at: usize| bytes.get(at).is_some_and(|byte| is(&TOKEN, *byte));
        let Range { start, end } = texts.range();
        let mut at = start;
        while at < end {
            at = next_dense(bytes, at, end, self.shortest);
            if !token(at) {
                at += 1;
                continue;
            }
            let within = cursor.seek(at);
            if within.end - within.start < self.shortest {
                at = within.end;
                continue;
            }
            // Little more than a date.
            let date = ordinary(bytes, within.start, &within);
            if date.is_some_and(|behind| within.end - behind < self.shortest) {
                at = within.end;
                continue;
            }
            let (mut from, mut to) = (at, at + 1);
            while from > within.start && token(from - 1) {
                from -= 1;
            }
            while to < within.end && token(to) {
                to += 1;
            }
            let run = bytes.get(from..to).unwrap_or_default();
            if is_uuid(run) {
                at = to;
                continue;
            }
            for (least, probe) in &self.tokens {
                if to - from >= *least {
                    hits.ask(probe, &within, from..to, &[]);
                }
            }
            at = to;
        }
    }

    fn marks(&self, marks: &Marks, texts: Texts<'_>, hits: &mut Hits<'_, '_>) {
        let mut cursor = Cursor::new(texts);
        let bytes = texts.values.as_bytes();
        marks.each(bytes, texts.range(), |number, at, ascending| {
            let within = cursor.seek(ascending);
            if at.start < within.start || at.end > within.end {
                return;
            }
            if let Some(probe) = self.marked.get(number) {
                hits.ask(probe, &within, at, &[]);
            }
        });
    }

    /// The texts of a column whose name says what they are.
    fn columns(&self, texts: Texts<'_>, topics: Topics, hits: &mut Hits<'_, '_>) {
        for probe in &self.columns {
            let Trigger::Column(topic) = probe.trigger else {
                continue;
            };
            if !topics.contains(topic) {
                continue;
            }
            let mut cursor = Cursor::new(texts);
            for place in 0..texts.len() {
                let Some(text) = texts.get(place) else {
                    continue;
                };
                let trimmed = text.trim();
                if trimmed.is_empty() {
                    continue;
                }
                let within = cursor.take(place);
                let start = within.start + (text.len() - text.trim_start().len());
                hits.ask(probe, &within, start..start + trimmed.len(), &[]);
            }
        }
    }
}

/// Where one text begins and ends among all.
#[derive(Clone, Debug)]
pub(super) struct Within {
    /// Which text.
    pub(super) place: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Finds the text of ascending positions.
struct Cursor<'a> {
    bounds: &'a [usize],
    place: usize,
}

impl<'a> Cursor<'a> {
    fn new(texts: Texts<'a>) -> Cursor<'a> {
        Cursor {
            bounds: texts.bounds,
            place: 0,
        }
    }

    fn take(&mut self, place: usize) -> Within {
        self.place = place;
        let bound = |at: usize| self.bounds.get(at).copied().unwrap_or_default();
        Within {
            place,
            start: bound(place),
            end: bound(place + 1),
        }
    }

    /// The text of a position, which is not before the last one that was asked for.
    fn seek(&mut self, at: usize) -> Within {
        let mut place = self.place;
        // Near, mostly; where it is not, halving is faster than walking.
        for _ in 0..8 {
            match self.bounds.get(place + 1) {
                Some(end) if *end <= at => place += 1,
                _ => return self.take(place),
            }
        }
        let rest = self.bounds.get(place + 1..).unwrap_or_default();
        let place = place + rest.partition_point(|end| *end <= at);
        self.take(place)
    }
}

/// Asks the probes, and takes down what they found.
struct Hits<'t, 'f> {
    texts: Texts<'t>,
    topics: Topics,
    found: &'f mut Vec<Found>,
    /// What was found in each text; empty before the first finding.
    seen: Vec<Detectors>,
}

impl Hits<'_, '_> {
    fn ask(&mut self, probe: &Probe, within: &Within, at: Range<usize>, groups: &[Range<usize>]) {
        let seen = self.seen.get(within.place).copied().unwrap_or_default();
        if seen.contains(probe.detector) {
            return;
        }
        let Some(text) = self.texts.get(within.place) else {
            return;
        };
        let spot = Spot {
            text,
            at: at.start - within.start..at.end - within.start,
            groups,
            topics: self.topics,
        };
        let Some(range) = (probe.find)(&spot) else {
            return;
        };
        if self.seen.is_empty() {
            self.seen = vec![Detectors::NONE; self.texts.len()];
        }
        if let Some(seen) = self.seen.get_mut(within.place) {
            *seen = seen.with(probe.detector);
        }
        self.found.push(Found {
            place: within.place,
            detector: probe.detector,
            range,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_can_be_looked_for() {
        for probe in probes() {
            if let Trigger::Mark(texts) = probe.trigger {
                assert!(texts.iter().all(|text| text.len() >= 3), "{texts:?}");
            }
        }
    }

    #[test]
    fn texts_must_fit_their_bounds() {
        assert!(Texts::new("aä", &[0, 1, 3]).is_some());
        assert!(Texts::new("aä", &[0, 2, 3]).is_none());
        assert!(Texts::new("aä", &[0, 4]).is_none());
        assert!(Texts::new("aä", &[1, 0]).is_none());
    }

    /// What some texts, one behind the other, have: each finding once, in the order of texts.
    fn found(texts: &[&str]) -> Vec<(usize, Detector, String)> {
        let values = texts.concat();
        let mut bounds = vec![0];
        for text in texts {
            bounds.push(bounds.last().unwrap() + text.len());
        }
        let wanted = [
            Detector::PaymentCard,
            Detector::UsSsn,
            Detector::IpAddress,
            Detector::MacAddress,
            Detector::Jwt,
        ];
        let wanted = wanted.into_iter().fold(Detectors::NONE, Detectors::with);
        let all = Texts::new(&values, &bounds).unwrap();
        let mut found = Vec::new();
        Scanner::new(wanted).scan(all, Topics::default(), &mut found);
        let mut found: Vec<_> = found
            .into_iter()
            .map(|f| (f.place, f.detector, texts[f.place][f.range].to_owned()))
            .collect();
        found.sort_by_key(|(place, ..)| *place);
        found
    }

    const CARD: &str = "4111111111111111";
    const SSN: &str = "123-45-6789";
    const MAC: &str = "3c:22:fb:9a:0b:c1";

    #[test]
    fn what_is_passed_by_hides_no_neighbour() {
        use Detector::{IpAddress, MacAddress, PaymentCard, UsSsn};
        let v6 = "2a01:4f8:c0c:9d3e::17";
        for (text, detector, finding) in [
            ("2024-01-01 4111111111111111", PaymentCard, CARD),
            ("2024-01-01 12:4111111111111111", PaymentCard, CARD),
            ("2024-01-01T12:30:4111111111111111", PaymentCard, CARD),
            ("2024-01-01 12:30 4111111111111111", PaymentCard, CARD),
            ("2024-01-01 12:30:00 4111111111111111", PaymentCard, CARD),
            (
                "2024-01-01T12:30:00.123Z 4111111111111111",
                PaymentCard,
                CARD,
            ),
            ("2024-01-01,4111111111111111", PaymentCard, CARD),
            ("2024-01-01: 4111111111111111", PaymentCard, CARD),
            ("4111111111111111 2024-01-01", PaymentCard, CARD),
            ("4111111111111111,2024-01-01T12:30:00Z", PaymentCard, CARD),
            ("2024-01-01 12:30:123-45-6789", UsSsn, SSN),
            ("2024-01-01 12:123-45-6789", UsSsn, SSN),
            ("123-45-6789,2024-01-01", UsSsn, SSN),
            ("2024-01-01 12:30 ssn 123-45-6789", UsSsn, SSN),
            ("2024-01-01 12:10.20.30.40", IpAddress, "10.20.30.40"),
            ("2024-01-01 12:30:10.20.30.40", IpAddress, "10.20.30.40"),
            ("10.20.30.40 2024-01-01", IpAddress, "10.20.30.40"),
            ("2024-01-01 2a01:4f8:c0c:9d3e::17", IpAddress, v6),
            (
                "2024-01-01 12:34:56:78:9a:bc",
                MacAddress,
                "12:34:56:78:9a:bc",
            ),
            ("2024-01-01 3c:22:fb:9a:0b:c1", MacAddress, MAC),
            (
                "0190f3c2-7d4e-7a51-9c3b-5e2f8a6d1b04 3c:22:fb:9a:0b:c1",
                MacAddress,
                MAC,
            ),
            (
                "0190f3c2-7d4e-7a51-9c3b-5e2f8a6d1b04 4111111111111111",
                PaymentCard,
                CARD,
            ),
            ("10.9.8.7", IpAddress, "10.9.8.7"),
        ] {
            let expected = (detector, finding.to_owned());
            let has = |texts: &[&str], place: usize| {
                let found = found(texts).into_iter();
                found
                    .filter(|f| f.0 == place)
                    .any(|f| (f.1, f.2) == expected)
            };
            assert!(has(&[text], 0), "{text}");
            assert!(has(&["7", text, "7"], 1), "{text}");
            assert!(has(&["12:30:", text, ":30:00"], 1), "{text}");
            assert!(has(&["a-b-", text, "-12-34"], 1), "{text}");
            // Wherever it lies in the chunks that are looked at together.
            for length in (14..=18).chain(62..=66) {
                let padded = format!("{} {text}", "x".repeat(length));
                assert!(has(&[&padded], 0), "{padded}");
                let behind = format!("{text} {}", "x".repeat(length));
                assert!(has(&["y", &behind], 1), "{behind}");
            }
        }
    }

    #[test]
    fn colons_and_hyphens_are_of_their_own_text() {
        assert_eq!(
            found(&["a:", MAC, ":7"]),
            [(1, Detector::MacAddress, MAC.to_owned())]
        );
        assert_eq!(found(&["ab:", "3c:22:fb:9a:0b:c1"])[0].0, 1);
        assert_eq!(found(&["-1", "3c-22-fb-9a-0b-c1"])[0].0, 1);
        assert_eq!(found(&["fe80:", "2a01:4f8:c0c:9d3e::17"])[0].0, 1);
        assert!(found(&["3c:22:fb:", "9a:0b:c1"]).is_empty());
        assert!(found(&["2a01:4f8", "::17"]).is_empty());
    }
}
