//! As much of Thrift's compact protocol as it takes to see what Parquet's metadata declares.

use std::io::{Read, Result};

/// How deep values may nest.
const MOST_DEPTH: usize = 32;
/// The most elements of one list: as many as a file may have row groups.
pub(super) const MOST_ELEMENTS: u64 = i16::MAX as u64;

/// The types of fields that are told apart.
pub(super) const STOP: u8 = 0;
pub(super) const I32: u8 = 5;
pub(super) const STRUCT: u8 = 12;

/// Reads values one after the other, within a number of bytes.
pub(super) struct Thrift<R> {
    from: R,
    left: u64,
}

impl<R: Read> Thrift<R> {
    pub(super) fn new(from: R, most: u64) -> Thrift<R> {
        Thrift { from, left: most }
    }

    /// How many of the bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    fn byte(&mut self) -> Result<u8> {
        self.left = self.left.checked_sub(1).ok_or_else(wrong)?;
        let mut byte = [0];
        self.from.read_exact(&mut byte)?;
        let [byte] = byte;
        Ok(byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(wrong())
    }

    pub(super) fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// An `i32`; any other number would be cut differently by others.
    pub(super) fn number(&mut self) -> Result<i32> {
        i32::try_from(self.zigzag()?).map_err(|_| wrong())
    }

    /// The id and type of the next field of a struct: [`STOP`] behind the last. Fields must be in
    /// order, so that none is there twice.
    pub(super) fn field(&mut self, last: &mut i16) -> Result<(i16, u8)> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == STOP {
            return Ok((0, STOP));
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.zigzag()?).map_err(|_| wrong())?,
            more => last.checked_add(i16::from(more)).ok_or_else(wrong)?,
        };
        if id <= *last {
            return Err(wrong());
        }
        *last = id;
        Ok((id, kind))
    }

    fn skip_bytes(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(wrong)?;
        let skipped = std::io::copy(&mut (&mut self.from).take(bytes), &mut std::io::sink())?;
        match skipped == bytes {
            true => Ok(()),
            false => Err(wrong()),
        }
    }

    /// Skips the value of a field, looking at all that it declares.
    pub(super) fn skip(&mut self, kind: u8) -> Result<()> {
        self.skip_below(kind, false, MOST_DEPTH)
    }

    fn skip_below(&mut self, kind: u8, in_list: bool, depth: usize) -> Result<()> {
        let below = depth.checked_sub(1).ok_or_else(wrong)?;
        match kind {
            // The value of a field of type boolean is its type.
            1 | 2 if !in_list => Ok(()),
            1..=3 => self.skip_bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip_bytes(8),
            8 => {
                let bytes = self.varint()?;
                self.skip_bytes(bytes)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    few => u64::from(few),
                };
                self.elements(count)?;
                (0..count).try_for_each(|_| self.skip_below(head & 0x0f, true, below))
            }
            11 => {
                let count = self.varint()?;
                self.elements(count)?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip_below(kinds >> 4, true, below)?;
                    self.skip_below(kinds & 0x0f, true, below)
                })
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (_, STOP) => return Ok(()),
                        (_, kind) => self.skip_below(kind, false, below)?,
                    }
                }
            }
            13 => self.skip_bytes(16),
            _ => Err(wrong()),
        }
    }

    /// Each element takes a byte at least.
    fn elements(&self, count: u64) -> Result<()> {
        match count <= self.left.min(MOST_ELEMENTS) {
            true => Ok(()),
            false => Err(wrong()),
        }
    }
}

/// The bytes are not what they should be. Nobody sees more of it than that.
pub(super) fn wrong() -> std::io::Error {
    std::io::ErrorKind::InvalidData.into()
}
