//! The words and phrases that speak of topics, and reading texts for them.

use std::sync::LazyLock;

use super::context::{Topic, Topics};

const MARK: u8 = 0;

/// ASCII letters and digits in lower case, other ASCII as marks, and what is beyond as it is.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const LOWER: [u8; 256] = {
    let mut lower = [MARK; 256];
    let mut byte = 0;
    while byte < 256 {
        let it = byte as u8;
        if it.is_ascii_alphanumeric() || !it.is_ascii() {
            lower[byte] = it.to_ascii_lowercase();
        }
        byte += 1;
    }
    lower
};

/// Spells the words of a text in lower case, with one blank before, between and behind them. A
/// word ends at a mark, and where an upper-case letter follows a lower-case one or a digit.
#[inline]
pub(super) fn spell(text: &str, mut push: impl FnMut(u8)) {
    push(b' ');
    let (mut blank, mut low, mut at) = (true, false, 0);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        match LOWER.get(usize::from(byte)).copied().unwrap_or_default() {
            MARK => {
                if !blank {
                    push(b' ');
                }
                (blank, low) = (true, false);
            }
            lower @ ..=0x7f => {
                let upper = lower != byte;
                if upper && low {
                    push(b' ');
                }
                push(lower);
                (blank, low) = (false, !upper);
            }
            // Most letters of Western Europe.
            0xc3 if !matches!(bytes.get(at), None | Some(0x97 | 0xb7)) => {
                let second = bytes.get(at).copied().unwrap_or_default();
                let upper = second < 0x9f;
                if upper && low {
                    push(b' ');
                }
                push(byte);
                push(if upper { second | 0x20 } else { second });
                (blank, low) = (false, !upper);
                at += 1;
            }
            _ => {
                let Some(char) = text.get(at - 1..).and_then(|rest| rest.chars().next()) else {
                    continue;
                };
                at += char.len_utf8() - 1;
                // A combining mark is a part of the letter before it.
                if matches!(char, '\u{300}'..='\u{36f}') {
                    continue;
                }
                let upper = char.is_uppercase();
                if !blank && (!char.is_alphanumeric() || (upper && low)) {
                    push(b' ');
                }
                if !char.is_alphanumeric() {
                    (blank, low) = (true, false);
                    continue;
                }
                for lower in char.to_lowercase() {
                    lower.encode_utf8(&mut [0; 4]).bytes().for_each(&mut push);
                }
                (blank, low) = (false, !upper);
            }
        }
    }
    if !blank {
        push(b' ');
    }
}

/// The words of a text as `spell` spells them.
pub(super) fn spelt(text: &str) -> Vec<u8> {
    let mut words = Vec::with_capacity(text.len() + 8);
    spell(text, |byte| words.push(byte));
    words
}

/// The topics of words as `spell` spells them.
pub(super) fn speaking_of(words: &[u8]) -> Topics {
    let mut reader = Reader::new();
    words.iter().for_each(|byte| reader.take(*byte));
    reader.topics()
}

/// Most words of a phrase but the last.
const PHRASES: usize = 4;

/// Reads words as `spell` spells them, and keeps what they are about. A word is known by a number
/// that its bytes make; that another one makes the same is too rare to matter.
pub(super) struct Reader {
    known: &'static Lexicon,
    /// The number of the word so far; 0 before its first byte.
    word: u64,
    /// The phrases that the words before may be the beginning of; 0 is none.
    phrases: [u64; PHRASES],
    topics: Topics,
}

impl Reader {
    /// A reader that has read nothing.
    pub(super) fn new() -> Reader {
        Reader {
            known: &LEXICON,
            word: 0,
            phrases: [0; PHRASES],
            topics: Topics::NONE,
        }
    }

    /// Ends the phrases that the words so far may be the beginning of.
    pub(super) fn end_phrases(&mut self) {
        self.phrases = [0; PHRASES];
    }

    /// What the words so far are about.
    pub(super) fn topics(self) -> Topics {
        self.topics
    }

    /// Reads on.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) {
        match byte {
            b' ' if self.word != 0 => self.end_word(),
            b' ' => {}
            byte => self.word = self.word.rotate_left(9) ^ u64::from(byte),
        }
    }

    #[inline]
    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        let [begun, ..] = self.phrases;
        let alone = joined(0, word);
        if begun != 0 || self.known.may_have(alone) {
            self.end_known(word);
        }
    }

    /// The same where the word, or a phrase with it, may be known; apart, for most are not.
    #[inline(never)]
    fn end_known(&mut self, word: u64) {
        let (mut next, mut count) = ([0; PHRASES], 0);
        let begun = self.phrases.into_iter().take_while(|phrase| *phrase != 0);
        for phrase in begun.chain([0]) {
            let phrase = joined(phrase, word);
            let Some(entry) = self.known.get(phrase) else {
                continue;
            };
            self.topics = self.topics.and(entry.topics);
            if let (true, Some(place)) = (entry.goes_on, next.get_mut(count)) {
                *place = phrase;
                count += 1;
            }
        }
        self.phrases = next;
    }
}

/// The number of a phrase with one more word.
#[inline]
fn joined(phrase: u64, word: u64) -> u64 {
    (phrase.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What is known of a phrase.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Its number; 0 where there is none.
    phrase: u64,
    topics: Topics,
    /// Whether a longer phrase begins with it.
    goes_on: bool,
}

/// The words and phrases of all topics, each at the place of its number, or behind it.
struct Lexicon {
    entries: Vec<Entry>,
    shift: u32,
    /// A bit for each phrase, at the place that its number says; most have none.
    some: [u64; 64],
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let phrases = || {
        let of = |topic: Topic| topic.words().iter().map(move |words| (topic, *words));
        Topic::ALL.into_iter().flat_map(of)
    };
    let words = phrases()
        .map(|(_, words)| spelt(words).len())
        .sum::<usize>();
    // More places than half of the words have letters: most are empty.
    let size = (words / 2).next_power_of_two().max(64);
    let mut lexicon = Lexicon {
        entries: vec![Entry::default(); size],
        shift: u64::BITS - size.trailing_zeros(),
        some: [0; 64],
    };
    for (topic, words) in phrases() {
        let (mut word, mut phrase) = (0_u64, 0);
        let spelt = spelt(words);
        let mut left = spelt.iter().skip(1).filter(|byte| **byte == b' ').count();
        for byte in spelt.iter().skip(1) {
            if *byte != b' ' {
                word = word.rotate_left(9) ^ u64::from(*byte);
                continue;
            }
            phrase = joined(phrase, word);
            (word, left) = (0, left - 1);
            let topics = match left {
                0 => Topics::NONE.with(topic),
                _ => Topics::NONE,
            };
            lexicon.add(phrase, topics, left > 0);
        }
    }
    lexicon
});

impl Lexicon {
    /// Whether a phrase may be there; mostly not, where it is not.
    #[inline]
    fn may_have(&self, phrase: u64) -> bool {
        let bits = self.some.get((phrase >> 58) as usize);
        bits.is_some_and(|bits| bits >> (phrase >> 52 & 63) & 1 == 1)
    }

    /// The places where a phrase may be, in order.
    #[inline]
    fn places(&self, phrase: u64) -> impl Iterator<Item = usize> + use<> {
        let first = (phrase >> self.shift) as usize;
        let last = self.entries.len() - 1;
        (0..=last).map(move |step| (first + step) & last)
    }

    #[inline]
    fn get(&self, phrase: u64) -> Option<&Entry> {
        self.places(phrase)
            .filter_map(|place| self.entries.get(place))
            .find(|entry| entry.phrase == phrase || entry.phrase == 0)
            .filter(|entry| entry.phrase != 0)
    }

    fn add(&mut self, phrase: u64, topics: Topics, goes_on: bool) {
        if let Some(bits) = self.some.get_mut((phrase >> 58) as usize) {
            *bits |= 1 << (phrase >> 52 & 63);
        }
        for place in self.places(phrase) {
            match self.entries.get_mut(place) {
                Some(entry) if entry.phrase == phrase || entry.phrase == 0 => {
                    entry.phrase = phrase;
                    entry.topics = entry.topics.and(topics);
                    entry.goes_on |= goes_on;
                    return;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_known() {
        for topic in Topic::ALL {
            for words in topic.words() {
                assert!(speaking_of(&spelt(words)).contains(topic), "{words}");
                assert_eq!(spelt(words), format!(" {words} ").as_bytes());
                let more = words.split(' ').count();
                assert!(more <= PHRASES, "{words}");
            }
        }
        let entries = &LEXICON.entries;
        let full = entries.iter().filter(|entry| entry.phrase != 0).count();
        assert!(full * 2 < entries.len(), "{full} of {}", entries.len());
    }

    #[test]
    fn words_are_spelt_in_lower_case() {
        for (text, words) in [
            ("dateOfBirth", " date of birth "),
            ("a--B  7", " a b 7 "),
            ("ÄÖß×Éa", " äöß éa "),
            ("éÉ", " é é "),
            ("Пример", " пример "),
            ("e\u{301}t", " et "),
            ("", " "),
        ] {
            assert_eq!(spelt(text), words.as_bytes(), "{text}");
        }
    }
}
