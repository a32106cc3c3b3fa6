//! Many short texts looked for at once, whatever the case of ASCII letters.
//!
//! Each has its least common three bytes in a set of bits, so that nearly all of a buffer is passed
//! by with one look-up for each byte.

use std::ops::Range;

/// The classes of bytes: letters whatever their case, digits, what joins words, the rest.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            letter @ (b'a'..=b'z' | b'A'..=b'Z') => letter.to_ascii_lowercase() - b'a' + 1,
            b'0'..=b'9' => 27,
            b' ' | b'_' => 28,
            b'-' | b'.' => 29,
            0x80.. => 30,
            0x21.. => 31,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// How common the classes are in text, by a rough count: only their order matters.
const COMMON: [u32; 32] = [
    1, 80, 15, 28, 42, 120, 22, 20, 60, 70, 3, 8, 40, 25, 67, 75, 19, 2, 60, 63, 90, 28, 10, 23, 3,
    20, 2, 250, 180, 120, 10, 30,
];

#[inline]
fn class(byte: u8) -> u32 {
    CLASS.get(usize::from(byte)).copied().map_or(0, u32::from)
}

fn common(byte: u8) -> u32 {
    COMMON.get(class(byte) as usize).copied().unwrap_or(1)
}

/// Texts that are looked for together.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// The triples of classes that any of them is known by.
    known: Box<[bool; 1 << 15]>,
    /// By triple.
    marks: Vec<Mark>,
    /// Where the marks of each triple begin.
    first: Vec<u16>,
}

#[derive(Clone, Debug)]
struct Mark {
    triple: u32,
    /// Where the triple begins in the text.
    before: usize,
    text: &'static str,
    /// Which of the texts it is.
    number: usize,
}

impl Marks {
    /// Looks for texts of at least three bytes; shorter ones are never found.
    pub(super) fn new(texts: &[&'static str]) -> Marks {
        let mut known = Box::new([false; 1 << 15]);
        let mut marks = Vec::with_capacity(texts.len());
        for (number, text) in texts.iter().copied().enumerate() {
            let rare = |triple: &(usize, &[u8])| {
                triple.1.iter().map(|byte| common(*byte)).product::<u32>()
            };
            let triples = text.as_bytes().windows(3).enumerate();
            let Some((at, bytes)) = triples.min_by_key(rare) else {
                continue;
            };
            let triple = bytes
                .iter()
                .fold(0, |triple, byte| triple << 5 | class(*byte));
            if let Some(known) = known.get_mut(triple as usize) {
                *known = true;
            }
            marks.push(Mark {
                triple,
                before: at,
                text,
                number,
            });
        }
        marks.sort_by_key(|mark| mark.triple);
        let mut first = vec![0; 1 << 15];
        for (place, mark) in marks.iter().enumerate().rev() {
            if let Some(first) = first.get_mut(mark.triple as usize) {
                *first = u16::try_from(place).unwrap_or(u16::MAX);
            }
        }
        Marks {
            known,
            marks,
            first,
        }
    }

    /// Every place in a range of the bytes at which one of the texts stands, by which it is. They
    /// come in almost ascending order; also given is a position that ascends, and is in the text.
    pub(super) fn each(
        &self,
        bytes: &[u8],
        range: Range<usize>,
        mut found: impl FnMut(usize, Range<usize>, usize),
    ) {
        let start = range.start;
        let Some(within) = bytes.get(range) else {
            return;
        };
        let mut triple = 0u16;
        for (behind, byte) in within.iter().enumerate() {
            let class = CLASS.get(usize::from(*byte)).copied().unwrap_or_default();
            triple = (triple << 5 | u16::from(class)) & 0x7fff;
            let known = self.known.get(usize::from(triple)).copied();
            if known.unwrap_or_default()
                && let Some(at) = behind.checked_sub(2)
            {
                self.verify(within, at, u32::from(triple), |number, range| {
                    found(number, start + range.start..start + range.end, start + at);
                });
            }
        }
    }

    /// The texts whose triple begins at a place, and that do stand there.
    fn verify(
        &self,
        within: &[u8],
        at: usize,
        triple: u32,
        mut found: impl FnMut(usize, Range<usize>),
    ) {
        let Some(first) = self.first.get(triple as usize) else {
            return;
        };
        for mark in self.marks.get(usize::from(*first)..).unwrap_or_default() {
            if mark.triple != triple {
                return;
            }
            let Some(from) = at.checked_sub(mark.before) else {
                continue;
            };
            let to = from + mark.text.len();
            let text = within.get(from..to).unwrap_or_default();
            if text.eq_ignore_ascii_case(mark.text.as_bytes()) {
                found(mark.number, from..to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let texts = [
            "né le",
            "abc",
            "bca",
            "sk_live_",
            "-----begin",
            "date of birth",
        ];
        let marks = Marks::new(&texts);
        let text = "ABCabca sk_LIVE_x né le -----BEGIN date of birth";
        for start in 0..3 {
            let mut found = Vec::new();
            marks.each(text.as_bytes(), start..text.len(), |number, range, at| {
                assert!(range.contains(&at));
                found.push((range.start, texts[number]));
            });
            found.sort();
            let mut expected: Vec<(usize, &str)> = texts
                .iter()
                .flat_map(|mark| {
                    let lower = text.to_lowercase();
                    let places = lower.match_indices(mark).map(|(at, _)| at);
                    places.map(|at| (at, *mark)).collect::<Vec<_>>()
                })
                .filter(|(at, _)| *at >= start)
                .collect();
            expected.push((3 - 3, "abc"));
            expected.retain(|(at, _)| *at >= start);
            expected.sort();
            expected.dedup();
            assert_eq!(found, expected);
        }
    }
}
