//! What clients send, read from whole messages. Nothing is assumed of their content: a text has
//! to be UTF-8 and to end within its message, and a message has to end with its last field.

use bytes::Bytes;

use super::fault::Fault;
use super::link::Frame;

/// A prepared statement or a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Statement,
    Portal,
}

/// A message of a client who was let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Query(String),
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target, String),
    Execute {
        portal: String,
        most: u32,
    },
    Close(Target, String),
    Flush,
    Sync,
    Terminate,
    /// What belongs to a COPY that is not under way; it is passed over, as PostgreSQL does.
    Copy,
}

/// Values for the parameters of a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    /// The formats of the values: none, one for all, or one for each.
    pub(super) formats: Vec<i16>,
    /// The values; `None` is NULL.
    pub(super) values: Vec<Option<Bytes>>,
    /// The formats of the columns of the answer: none, one for all, or one for each.
    pub(super) results: Vec<i16>,
}

impl Request {
    /// Reads a message.
    pub(super) fn read(frame: Frame) -> Result<Request, Fault> {
        let mut fields = Fields(frame.body);
        let request = match frame.tag {
            b'Q' => Request::Query(fields.text()?),
            b'P' => Request::Parse {
                name: fields.text()?,
                text: fields.text()?,
                types: fields.list(Fields::u32)?,
            },
            b'B' => Request::Bind(Bind {
                portal: fields.text()?,
                statement: fields.text()?,
                formats: fields.list(Fields::i16)?,
                values: fields.list(Fields::value)?,
                results: fields.list(Fields::i16)?,
            }),
            b'D' => Request::Describe(fields.target()?, fields.text()?),
            b'E' => Request::Execute {
                portal: fields.text()?,
                // Anything below 1 asks for all rows.
                most: u32::try_from(fields.u32()?.cast_signed()).unwrap_or(0),
            },
            b'C' => Request::Close(fields.target()?, fields.text()?),
            b'H' => Request::Flush,
            b'S' => Request::Sync,
            b'X' => Request::Terminate,
            b'd' | b'c' | b'f' => return Ok(Request::Copy),
            tag => return Err(Fault::protocol(format!("unexpected message type {tag}"))),
        };
        fields.end()?;
        Ok(request)
    }
}

/// The fields of a message, one after the other.
pub(super) struct Fields(pub(super) Bytes);

impl Fields {
    /// A text that a zero byte ends.
    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let end = memchr::memchr(0, &self.0).ok_or_else(malformed)?;
        let text = self.take(end)?;
        self.take(1)?;
        String::from_utf8(text.into()).map_err(|_| {
            Fault::protocol("a text in a message is no UTF-8, which is the only encoding here")
        })
    }

    /// All the bytes that are left.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    /// So many bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<Bytes, Fault> {
        match length <= self.0.len() {
            true => Ok(self.0.split_to(length)),
            false => Err(malformed()),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        bytes
            .first_chunk()
            .map_or_else(|| Err(malformed()), |bytes| Ok(u32::from_be_bytes(*bytes)))
    }

    fn i16(&mut self) -> Result<i16, Fault> {
        let bytes = self.take(2)?;
        bytes
            .first_chunk()
            .map_or_else(|| Err(malformed()), |bytes| Ok(i16::from_be_bytes(*bytes)))
    }

    /// A number of bytes and the bytes, or -1 for none.
    pub(super) fn value(&mut self) -> Result<Option<Bytes>, Fault> {
        match self.u32()?.cast_signed() {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| malformed())?;
                self.take(length).map(Some)
            }
        }
    }

    fn target(&mut self) -> Result<Target, Fault> {
        match self.take(1)?.first() {
            Some(b'S') => Ok(Target::Statement),
            Some(b'P') => Ok(Target::Portal),
            _ => Err(malformed()),
        }
    }

    /// A number of fields and the fields. Nothing is set aside for those that may not be there.
    fn list<T>(&mut self, field: fn(&mut Fields) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let count = self.i16()?.cast_unsigned();
        (0..count).map(|_| field(self)).collect()
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(malformed()),
        }
    }
}

fn malformed() -> Fault {
    Fault::protocol("a message is malformed: its fields do not fit its length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, body: &[u8]) -> Result<Request, Fault> {
        let body = Bytes::copy_from_slice(body);
        Request::read(Frame { tag, body })
    }

    #[test]
    fn well_formed_messages_are_read() {
        let bind = Bind {
            portal: "p".into(),
            statement: String::new(),
            formats: vec![1],
            values: vec![None, Some(Bytes::from_static(b"7"))],
            results: vec![],
        };
        let types = vec![23, 25];
        let (name, text) = ("s".to_owned(), "SELECT 1".to_owned());
        let cases: [(u8, &[u8], Request); 8] = [
            (b'Q', b"SELECT 1\0", Request::Query("SELECT 1".into())),
            (b'Q', b"\0", Request::Query(String::new())),
            (
                b'P',
                b"s\0SELECT 1\0\0\x02\0\0\0\x17\0\0\0\x19",
                Request::Parse { name, text, types },
            ),
            (
                b'B',
                b"p\0\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x017\0\0",
                Request::Bind(bind),
            ),
            (
                b'D',
                b"Sx\0",
                Request::Describe(Target::Statement, "x".into()),
            ),
            (b'C', b"P\0", Request::Close(Target::Portal, String::new())),
            (
                b'E',
                b"c\0\0\0\0\x05",
                Request::Execute {
                    portal: "c".into(),
                    most: 5,
                },
            ),
            (b'S', b"", Request::Sync),
        ];
        for (tag, body, expected) in cases {
            assert_eq!(read(tag, body), Ok(expected), "{}", tag as char);
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let cases: [(u8, &[u8]); 17] = [
            (b'Q', b""),
            (b'Q', b"SELECT 1"),
            (b'Q', b"SELECT 1\0SELECT 2\0"),
            (b'Q', b"\xff\0"),
            (b'P', b"s\0SELECT 1\0"),
            (b'P', b"s\0SELECT 1\0\0\x02\0\0\0\x17"),
            (b'P', b"s\0SELECT 1\0\xff\xff"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x097\0\0"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0"),
            (b'B', b"\0\0\0\0\0\0\0\x01"),
            (b'D', b"Xs\0"),
            (b'D', b""),
            (b'E', b"\0\0\0"),
            (b'S', b"\0"),
            (b'p', b"secret\0"),
            (0, b""),
        ];
        for (tag, body) in cases {
            let fault = read(tag, body).expect_err("malformed");
            assert!(fault.is_fatal, "{}", tag as char);
            assert_eq!(fault.code, "08P01");
        }
    }
}
