//! The part of a stream that is being read: one buffer, used again and again.

use super::StreamError;

/// Bytes behind the last one that can be looked at without asking whether they are there: a NUL,
/// and then whatever was there before.
pub(super) const PADDING: usize = 64;

/// Bytes that have come and are not dealt with yet.
pub(super) struct Window {
    buffer: Vec<u8>,
    /// Where the first of them stands.
    start: usize,
    /// Behind the last of them.
    end: usize,
    ended: bool,
    most: usize,
}

impl Window {
    /// A window of a size, which grows for records that are longer, up to `record_bytes`.
    pub(super) fn new(size: usize, record_bytes: usize) -> Window {
        Window {
            buffer: vec![0; size.max(1) + PADDING],
            start: 0,
            end: 0,
            ended: false,
            most: record_bytes,
        }
    }

    /// Room for more bytes; empty only when the window is full.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let room = self.room();
        self.buffer.get_mut(self.end..room).unwrap_or_default()
    }

    fn room(&self) -> usize {
        self.buffer.len() - PADDING
    }

    /// Takes over bytes of the space.
    pub(super) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.room());
        self.close();
    }

    /// Puts a NUL behind the last byte: it is part of no record, so that nothing is read on into
    /// what is left of earlier bytes.
    fn close(&mut self) {
        if let Some(behind) = self.buffer.get_mut(self.end) {
            *behind = 0;
        }
    }

    /// No more bytes follow.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether no more bytes follow.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether no byte has room any more.
    pub(super) fn is_full(&self) -> bool {
        self.end == self.room()
    }

    /// Everything from the buffer's start on, padding included, so that positions stay the same
    /// until [`Window::make_room`]; and where the bytes stand in it that are not dealt with.
    pub(super) fn bytes(&self) -> (&[u8], std::ops::Range<usize>) {
        (&self.buffer, self.start..self.end)
    }

    /// The bytes up to a position are dealt with.
    pub(super) fn consume(&mut self, until: usize) {
        self.start = until.clamp(self.start, self.end);
    }

    /// Moves what is not dealt with to the front, and makes the buffer larger where that fills
    /// it: a single record does.
    ///
    /// Errors: the record is longer than it may be.
    pub(super) fn make_room(&mut self) -> Result<(), StreamError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.close();
        }
        if !self.is_full() {
            return Ok(());
        }
        // One byte more than a record may have tells a longer one from one that ends here.
        if self.end > self.most {
            return Err(StreamError::Limit {
                what: "bytes in one record",
                most: self.most as u64,
            });
        }
        let larger = self
            .room()
            .saturating_mul(2)
            .min(self.most.saturating_add(1));
        self.buffer.resize(larger + PADDING, 0);
        Ok(())
    }
}
