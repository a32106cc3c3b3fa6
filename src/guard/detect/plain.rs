//! Texts as whoever reads them sees them: digits of other scripts and wide letters are plain ones,
//! and what has no width is not there.

use super::Texts;

/// Zeros of scripts; nine more digits follow each of them.
const ZEROS: [u32; 18] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x17e0, 0x1810,
];

/// Copies of those texts that look plainer than they are. All others are empty, so that places
/// stay the same.
#[derive(Clone, Debug)]
pub struct Plain {
    values: String,
    bounds: Vec<usize>,
}

/// A character as it looks; `None` for one that is what it looks like.
fn seen(char: char) -> Option<Option<char>> {
    let code = u32::from(char);
    match code {
        0xad | 0x200b..=0x200d | 0x2060 | 0xfeff => Some(None),
        0x3000 => Some(Some(' ')),
        0xff01..=0xff5e => Some(char::from_u32(code - 0xff01 + 0x21)),
        0x1d7ce..=0x1d7ff => Some(char::from_digit((code - 0x1d7ce) % 10, 10)),
        0x660..=0x1819 => {
            let mut zeros = ZEROS.iter();
            let zero = zeros.find(|zero| (**zero..**zero + 10).contains(&code))?;
            Some(char::from_digit(code - zero, 10))
        }
        _ => None,
    }
}

impl Plain {
    /// The texts, plainly; `None` where all of them are as they look.
    pub fn of(texts: Texts<'_>) -> Option<Plain> {
        if texts.is_ascii() {
            return None;
        }
        let mut plain = Plain {
            values: String::new(),
            bounds: vec![0],
        };
        for place in 0..texts.len() {
            let text = texts.get(place).unwrap_or_default();
            if !text.is_ascii() && text.chars().any(|char| seen(char).is_some()) {
                let chars = text.chars();
                let chars = chars.filter_map(|char| seen(char).unwrap_or(Some(char)));
                plain.values.extend(chars);
            }
            plain.bounds.push(plain.values.len());
        }
        (!plain.values.is_empty()).then_some(plain)
    }

    /// The texts.
    pub fn texts(&self) -> Option<Texts<'_>> {
        Texts::new(&self.values, &self.bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_look() {
        for (text, expected) in [
            ("4111\u{200b}1111", Some("41111111")),
            ("a\u{ad}b\u{2060}c\u{feff}d\u{200d}", Some("abcd")),
            ("٤١١١ ۱۲۳ १२३ ４１１", Some("4111 123 123 411")),
            ("ａｎｎ＠example．org", Some("ann@example.org")),
            ("\u{1d7d8}\u{1d7ff}", Some("09")),
            ("plain", None),
            ("größe 中文 १a", Some("größe 中文 1a")),
            ("größe 中文", None),
        ] {
            let values = format!("ä{text}7");
            let bounds = [0, 2, values.len() - 1, values.len()];
            let plain = Plain::of(Texts::new(&values, &bounds).unwrap());
            let texts = plain.as_ref().and_then(Plain::texts);
            assert_eq!(texts.and_then(|texts| texts.get(1)), expected, "{text}");
            assert_eq!(texts.map_or(3, |texts| texts.len()), 3, "{text}");
        }
    }
}
