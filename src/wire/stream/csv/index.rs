//! Where the fields and lines of CSV end, found 64 bytes at a time.

/// How far one call looks ahead, so that what it finds is used while it is still near.
const STRETCH: usize = 16 * 1024;

const QUOTE: u8 = 1;
const RETURN: u8 = 2;
const NUL: u8 = 4;

type Block = [u8; 64];

/// A line: which of [`Index::end`] are the ends of its first and its last field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) first: usize,
    pub(super) last: usize,
}

/// What stands outside quotes: the commas and line feeds. Positions count from the byte at which
/// it was begun, which begins a line.
pub(super) struct Index {
    ends: Vec<u32>,
    /// Which of the ends are line ends.
    lines: Vec<u32>,
    /// How many lines were taken, and the ends up to where.
    taken: usize,
    used: usize,
    /// Everything before it was looked at.
    until: usize,
    before: Before,
    /// Why the line that is open now cannot be told.
    fault: Option<&'static str>,
    /// Ends that a line may have before the rest of it is no longer told apart.
    most: usize,
}

/// What the byte before the next one is.
#[derive(Clone, Copy)]
struct Before {
    within_quotes: bool,
    closing_quote: bool,
    carriage_return: bool,
    /// The end of a field or a line, or nothing.
    end: bool,
}

const BEGINNING: Before = Before {
    within_quotes: false,
    closing_quote: false,
    carriage_return: false,
    end: true,
};

impl Index {
    /// An index of lines of so many columns at most: one that has more is told to have more, but
    /// not how many.
    pub(super) fn new(columns: usize) -> Index {
        Index {
            ends: Vec::new(),
            lines: Vec::new(),
            taken: 0,
            used: 0,
            until: 0,
            before: BEGINNING,
            fault: None,
            most: columns.saturating_add(1),
        }
    }

    /// Begins anew, at a byte that begins a line.
    pub(super) fn restart(&mut self) {
        self.ends.clear();
        self.lines.clear();
        (self.taken, self.used, self.until) = (0, 0, 0);
        self.before = BEGINNING;
        self.fault = None;
    }

    /// The next line that has come in full.
    #[inline]
    pub(super) fn line(&mut self) -> Option<Line> {
        let last = *self.lines.get(self.taken)? as usize;
        let first = self.used;
        self.taken += 1;
        self.used = last + 1;
        Some(Line { first, last })
    }

    /// Where a field ends: at a comma, a line feed, or the end of the stream.
    #[inline]
    pub(super) fn end(&self, field: usize) -> usize {
        self.ends.get(field).map_or(0, |end| *end as usize)
    }

    /// Looks further once every line was taken, at text of this length with a window's padding
    /// behind it. Answers whether there was more to look at.
    ///
    /// Errors: why no further line can be told.
    pub(super) fn extend(&mut self, bytes: &[u8], length: usize) -> Result<bool, &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.until >= length {
            return Ok(false);
        }
        self.ends.drain(..self.used.min(self.ends.len()));
        self.ends.truncate(self.most);
        self.lines.clear();
        (self.taken, self.used) = (0, 0);
        let stop = length.min(self.until + STRETCH);
        while self.until < stop && self.fault.is_none() {
            let rest = bytes.get(self.until..).unwrap_or_default();
            let Some(block) = rest.first_chunk() else {
                break;
            };
            self.look(block, (stop - self.until).min(64), bytes);
        }
        Ok(true)
    }

    /// Says that the stream ends here; the last line need not have a line feed.
    ///
    /// Errors: it may not end here, for a reason.
    pub(super) fn close(&mut self, length: usize, open: usize) -> Result<(), &'static str> {
        if self.before.within_quotes {
            return Err("the stream ends within quotes");
        }
        if self.before.carriage_return {
            return Err(BARE_RETURN);
        }
        if open < length {
            self.lines.push(self.ends.len() as u32);
            self.ends.push(length as u32);
        }
        Ok(())
    }

    /// Looks at the first bytes of a block.
    #[inline]
    fn look(&mut self, block: &Block, width: usize, bytes: &[u8]) {
        let within = u64::MAX >> (64 - width);
        let mut ends = mask(block, |byte| (byte == b',') | (byte == b'\n')) & within;
        let rare = rare(block);
        let before = self.before;
        if rare != 0 || before.within_quotes | before.closing_quote | before.carriage_return {
            ends = self.look_closely(block, width, rare, ends);
        }
        self.before.end = ends >> (width - 1) & 1 == 1;
        let at = self.until as u32;
        let mut left = ends;
        while left != 0 {
            let end = at + left.trailing_zeros();
            if bytes.get(end as usize) == Some(&b'\n') {
                self.lines.push(self.ends.len() as u32);
            }
            self.ends.push(end);
            left &= left.wrapping_sub(1);
        }
        self.until += width;
    }

    /// The ends that are outside quotes. A quote may only open behind an end (or double the one
    /// before it), an end must follow a quote that closes, and a line feed a carriage return.
    fn look_closely(&mut self, block: &Block, width: usize, rare: u8, ends: u64) -> u64 {
        let within = u64::MAX >> (64 - width);
        let present = |kind: u8, byte: u8| match rare & kind {
            0 => 0,
            _ => mask(block, |other| other == byte) & within,
        };
        let before = self.before;
        let quotes = present(QUOTE, b'"');
        // Every quote turns what follows inside out; a doubled one does it twice.
        let inside = parity(quotes) ^ if before.within_quotes { u64::MAX } else { 0 };
        let (opening, closing) = (quotes & inside, quotes & !inside);
        let mut ends = ends & !inside;
        let returns = present(RETURN, b'\r') & !inside;
        let nuls = present(NUL, 0);

        let behind_end = ends << 1 | u64::from(before.end);
        let behind_closing = closing << 1 | u64::from(before.closing_quote);
        let behind_return = returns << 1 | u64::from(before.carriage_return);
        let feeds = match behind_return {
            0 => 0,
            _ => mask(block, |byte| byte == b'\n'),
        };
        let faults = [
            (opening & !(behind_end | behind_closing), STRAY_QUOTE),
            (
                behind_closing & !(ends | returns | quotes) & within,
                "a field goes on behind its closing quote",
            ),
            (behind_return & !feeds & within, BARE_RETURN),
            (nuls, "there is a NUL byte"),
        ];
        let first = faults
            .into_iter()
            .filter(|(places, _)| *places != 0)
            .map(|(places, reason)| (places.trailing_zeros(), reason))
            .min_by_key(|(place, _)| *place);
        if let Some((place, reason)) = first {
            self.fault = Some(reason);
            ends &= (1 << place) - 1;
        }
        let last = |places: u64| places >> (width - 1) & 1 == 1;
        self.before = Before {
            within_quotes: last(inside),
            closing_quote: last(closing),
            carriage_return: last(returns),
            end: false,
        };
        ends
    }
}

const STRAY_QUOTE: &str = "there is a quote within a field that does not begin with one";
const BARE_RETURN: &str = "a carriage return outside quotes has no line feed behind it";

/// Which of the rare bytes stand in a block.
#[inline(always)]
fn rare(block: &Block) -> u8 {
    let mut flags = [0u8; 64];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(*byte == b'"') | u8::from(*byte == b'\r') << 1 | u8::from(*byte == 0) << 2;
    }
    let (words, _) = flags.as_chunks::<8>();
    let mut any = 0;
    for word in words {
        any |= u64::from_le_bytes(*word);
    }
    match any {
        0 => 0,
        _ => any
            .to_le_bytes()
            .into_iter()
            .fold(0, |rare, byte| rare | byte),
    }
}

/// One bit for each byte of a block of which something is true. Written so that compilers use
/// vector instructions.
#[inline(always)]
fn mask(block: &Block, is: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is(*byte));
    }
    let (words, _) = flags.as_chunks::<8>();
    let mut mask = 0;
    for (index, word) in words.iter().enumerate() {
        // The product brings the lowest bits of the eight bytes together in the highest byte.
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * index);
    }
    mask
}

/// For each bit whether an odd number of bits is set up to it, itself included.
fn parity(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .into_iter()
        .fold(bits, |bits, by| bits ^ bits << by)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a test fails by panicking"
    )]
    use super::*;

    /// The same, byte by byte: the fields of each line, and the fault.
    fn plainly(text: &[u8]) -> (Vec<Vec<Vec<u8>>>, bool) {
        let (mut lines, mut line, mut field) = (vec![], vec![], vec![]);
        let mut at = 0;
        while at < text.len() {
            if field.is_empty() && text[at] == b'"' {
                loop {
                    field.push(text[at]);
                    at += 1;
                    match text.get(at) {
                        None => return (lines, true),
                        Some(0) => return (lines, true),
                        Some(b'"') if text.get(at + 1) == Some(&b'"') => {
                            field.push(b'"');
                            at += 1;
                        }
                        Some(b'"') => break,
                        Some(_) => {}
                    }
                }
                field.push(b'"');
                at += 1;
                if !matches!(text.get(at), None | Some(b',' | b'\n' | b'\r')) {
                    return (lines, true);
                }
                continue;
            }
            match text[at] {
                b',' => line.push(std::mem::take(&mut field)),
                b'\n' => {
                    line.push(std::mem::take(&mut field));
                    lines.push(std::mem::take(&mut line));
                }
                b'\r' if text.get(at + 1) == Some(&b'\n') => {}
                b'\r' | b'"' | 0 => return (lines, true),
                other => field.push(other),
            }
            at += 1;
        }
        if !line.is_empty() || !field.is_empty() {
            line.push(field);
            lines.push(line);
        }
        (lines, false)
    }

    fn indexed(text: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, bool) {
        let mut padded = text.to_vec();
        padded.extend([b'"'; 64]);
        let mut index = Index::new(1_000);
        let (mut lines, mut start, mut length) = (vec![], 0, 0);
        let mut closed = false;
        loop {
            while let Some(line) = index.line() {
                let mut from = start;
                let mut fields = vec![];
                for field in line.first..=line.last {
                    let end = index.end(field);
                    let mut field = &padded[from..end];
                    if field.last() == Some(&b'\r') {
                        field = &field[..field.len() - 1];
                    }
                    fields.push(field.to_vec());
                    from = end + 1;
                }
                start = from.min(text.len());
                lines.push(fields);
            }
            match index.extend(&padded, length) {
                Err(_) => return (lines, true),
                Ok(true) => continue,
                Ok(false) => {}
            }
            if length < text.len() {
                length = (length + step).min(text.len());
            } else if closed {
                return (lines, false);
            } else {
                closed = true;
                if index.close(length, start).is_err() {
                    return (lines, true);
                }
            }
        }
    }

    #[test]
    fn fields_are_found_as_byte_by_byte_however_the_text_arrives() {
        let parts: [&[u8]; 14] = [
            b"a",
            b",",
            b"\n",
            b"\"",
            b"\"\"",
            b"\r\n",
            b"\r",
            b"word",
            b"\"x\"",
            b",\"a,b\"",
            b"longer text of a field",
            b"\"y\n\"\"z\"",
            b"\0",
            b",,",
        ];
        let mut seed = 7u64;
        let mut sound = 0;
        for round in 0..4_000 {
            let mut text = vec![];
            // Most texts hold nothing that can be wrong, or they would all end early.
            let kinds = [parts.len(), 6, 3][round % 3];
            for _ in 0..round % 60 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let kind = (seed >> 33) as usize;
                text.extend_from_slice(match (round % 3, kind % kinds) {
                    (1, 3) => b"\"quoted, with\r\n\"\"all\"\"\",",
                    (1, 4) => b"\n",
                    (_, kind) => parts[kind],
                });
            }
            let expected = plainly(&text);
            sound += usize::from(!expected.1);
            for step in [1, 7, 64, 100_000] {
                assert_eq!(indexed(&text, step), expected, "{:?}", text.escape_ascii());
            }
        }
        assert!(sound > 1_000, "{sound}");
    }

    #[test]
    fn more_fields_than_columns_do_not_pile_up() {
        let mut text = vec![b','; 100 * STRETCH];
        text.extend(b"\na,b\n");
        text.extend([0; 64]);
        let mut index = Index::new(3);
        let mut lines = vec![];
        loop {
            while let Some(line) = index.line() {
                lines.push(line.last - line.first + 1);
            }
            if !index.extend(&text, text.len() - 64).unwrap() {
                break;
            }
            assert!(index.ends.len() <= STRETCH + 4);
        }
        assert!(lines[0] > 3);
        assert_eq!(lines[1..], [2]);
    }
}
