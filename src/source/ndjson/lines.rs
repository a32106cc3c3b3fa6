//! The objects of one NDJSON file, line by line.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::source::SourceError;
use crate::source::files::{Stored, StoredFile};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

/// Most bytes of a line.
const MOST_LINE: usize = 64 * 1024 * 1024;

/// A file being read.
pub(super) struct Lines<'a> {
    file: &'a StoredFile,
    reader: Box<dyn AsyncRead + Send + Unpin>,
    window: Vec<u8>,
    /// Where the next line starts in the window.
    start: usize,
    ended: bool,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) async fn open(
        stored: &Stored,
        file: &'a StoredFile,
    ) -> Result<Lines<'a>, SourceError> {
        let reader = stored.open(file).await?;
        Ok(Lines {
            file,
            reader,
            window: Vec::new(),
            start: 0,
            ended: false,
            line: 0,
        })
    }

    /// The next object, the line it is on, and its length in bytes. Blank lines are passed over.
    pub(super) async fn next(
        &mut self,
    ) -> Result<Option<(u64, Map<String, Value>, usize)>, SourceError> {
        loop {
            let Some(end) = self.line_end().await? else {
                return Ok(None);
            };
            let bytes = self.window.get(self.start..end).unwrap_or_default();
            let bytes = bytes
                .strip_prefix(b"\xef\xbb\xbf")
                .filter(|_| self.line == 0)
                .unwrap_or(bytes);
            self.line += 1;
            let blank = bytes.iter().all(u8::is_ascii_whitespace);
            let length = bytes.len();
            let record = (!blank).then(|| serde_json::from_slice::<Record>(bytes));
            self.start = (end + 1).min(self.window.len());
            match record {
                None => {}
                Some(Ok(Record(record))) => return Ok(Some((self.line, record, length))),
                Some(Err(error)) => {
                    // The parser's message may quote the line; its category and column do not.
                    let what = match error.classify() {
                        serde_json::error::Category::Data => {
                            "the line is not one JSON object with every key once".to_owned()
                        }
                        _ => format!("the line is not JSON (column {})", error.column()),
                    };
                    return Err(SourceError::Line {
                        file: self.file.name.clone(),
                        line: self.line,
                        what,
                    });
                }
            }
        }
    }

    /// Where the line that starts at `start` ends; `None` at the end of the file.
    async fn line_end(&mut self) -> Result<Option<usize>, SourceError> {
        let mut searched = self.start;
        loop {
            let unsearched = self.window.get(searched..).unwrap_or_default();
            if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(searched + length));
            }
            if self.ended {
                return Ok((self.start < self.window.len()).then_some(self.window.len()));
            }
            if self.window.len() - self.start > MOST_LINE {
                return Err(SourceError::Line {
                    file: self.file.name.clone(),
                    line: self.line + 1,
                    what: format!("the line is longer than {MOST_LINE} bytes"),
                });
            }
            self.window.drain(..self.start);
            self.start = 0;
            searched = self.window.len();
            self.window.reserve(CHUNK);
            let read = (&mut self.reader)
                .take(CHUNK as u64)
                .read_buf(&mut self.window)
                .await;
            let read = read.map_err(|error| {
                self.file
                    .error(format!("it cannot be read: {}", error.kind()))
            })?;
            self.ended = read == 0;
        }
    }
}

/// An object in which no key comes twice: readers differ on which of two would count.
struct Record(Map<String, Value>);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Record;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Record, A::Error> {
                let mut record = Map::new();
                while let Some(key) = entries.next_key::<String>()? {
                    if record.insert(key, entries.next_value()?).is_some() {
                        return Err(A::Error::custom("a key comes twice"));
                    }
                }
                Ok(Record(record))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
