//! The values that a client binds to a statement's parameters: an Arrow stream from outside, read
//! as strictly as any other.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::FlightData;
use futures::{Stream, StreamExt};
use tonic::Status;

use crate::wire::Format;
use crate::wire::stream::{self, Limits, Next, OnInvalid, Records, StreamError, Wanted};

/// Most bytes of the values.
const BYTES: usize = 1 << 20;
/// Most parameters.
const PARAMETERS: usize = 1_000;
/// What begins every message of an Arrow stream; with no length behind it, it is the end.
const MARKER: [u8; 4] = [0xff; 4];

/// The row of values that a stream of messages holds; `None` if it holds no values at all.
///
/// Errors: it is not well-formed, too large, or has not one row.
pub(super) async fn read<S>(mut messages: S) -> Result<Option<RecordBatch>, Status>
where
    S: Stream<Item = Result<FlightData, Status>> + Unpin,
{
    let mut reader = Reader::new();
    while let Some(message) = messages.next().await {
        reader.message(&message?)?;
    }
    reader.finish()
}

struct Reader {
    records: Box<dyn Records>,
    wanted: Wanted,
    bytes: usize,
    row: Option<RecordBatch>,
}

impl Reader {
    fn new() -> Reader {
        let limits = Limits {
            record_bytes: BYTES,
            batch_bytes: BYTES,
            nesting: 16,
            columns: PARAMETERS,
            ..Limits::default()
        };
        Reader {
            records: stream::open(Format::ArrowStream, limits, OnInvalid::Abort),
            wanted: Wanted {
                schema: Arc::new(Schema::empty()),
                only: false,
            },
            bytes: 0,
            row: None,
        }
    }

    fn message(&mut self, message: &FlightData) -> Result<(), Status> {
        let (header, body) = (&message.data_header, &message.data_body);
        self.bytes += header.len() + body.len();
        if self.bytes > BYTES {
            let message = format!("the values of the parameters are more than {BYTES} bytes");
            return Err(Status::invalid_argument(message));
        }
        // The command may come before the values, in a message of its own.
        let length = u32::try_from(header.len()).unwrap_or(0);
        if length == 0 {
            return Ok(());
        }
        self.put(&MARKER)?;
        self.put(&length.to_le_bytes())?;
        self.put(header)?;
        self.put(body)
    }

    fn finish(mut self) -> Result<Option<RecordBatch>, Status> {
        if self.bytes == 0 {
            return Ok(None);
        }
        self.put(&MARKER)?;
        self.put(&[0; 4])?;
        self.records.end().map_err(malformed)?;
        self.take()?;
        match self.row {
            Some(row) => Ok(Some(row)),
            None => Err(rows(0)),
        }
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Status> {
        while !bytes.is_empty() {
            self.take()?;
            let space = self.records.space();
            let length = space.len().min(bytes.len());
            let Some((now, later)) = bytes.split_at_checked(length).filter(|_| length > 0) else {
                return Err(Status::invalid_argument(
                    "the values of the parameters are no Arrow stream",
                ));
            };
            for (to, from) in space.iter_mut().zip(now) {
                *to = *from;
            }
            self.records.filled(length).map_err(malformed)?;
            bytes = later;
        }
        self.take()
    }

    fn take(&mut self) -> Result<(), Status> {
        loop {
            let next = self.records.next(&self.wanted, true).map_err(malformed)?;
            let Next::Batch(batch) = next else {
                return Ok(());
            };
            let before = self.row.as_ref().map_or(0, RecordBatch::num_rows);
            let count = before + batch.rows.num_rows();
            if count > 1 {
                return Err(rows(count));
            }
            self.row = Some(batch.rows);
        }
    }
}

fn malformed(error: StreamError) -> Status {
    Status::invalid_argument(format!("the values of the parameters: {error}"))
}

fn rows(count: usize) -> Status {
    let found = match count {
        0 => "no row".to_owned(),
        count => format!("at least {count} rows"),
    };
    Status::invalid_argument(format!(
        "the values of the parameters are {found}: a query takes exactly one, so run it once for each"
    ))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringViewArray};
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use futures::executor::block_on;
    use futures::{TryStreamExt, stream};
    use tonic::Code;

    use super::*;

    fn batch(numbers: &[i64]) -> RecordBatch {
        let texts = numbers
            .iter()
            .map(|number| format!("number {number} in words"));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        RecordBatch::try_from_iter([("0", numbers), ("1", texts)]).expect("a batch")
    }

    fn messages(batches: Vec<RecordBatch>) -> Vec<FlightData> {
        let schema = batch(&[]).schema();
        let batches = stream::iter(batches.into_iter().map(Ok));
        let encoder = FlightDataEncoderBuilder::new().with_schema(schema);
        block_on(encoder.build(batches).try_collect()).expect("messages")
    }

    fn read_all(messages: Vec<FlightData>) -> Result<Option<RecordBatch>, Status> {
        block_on(read(stream::iter(messages.into_iter().map(Ok))))
    }

    #[test]
    fn one_row_is_read_and_no_other_number_of_rows() {
        let one = read_all(messages(vec![batch(&[7])])).expect("one row");
        assert_eq!(one, Some(batch(&[7])));
        let with_command = [vec![FlightData::default()], messages(vec![batch(&[7])])].concat();
        assert!(read_all(with_command).expect("one row").is_some());
        assert!(
            read_all(vec![FlightData::default()])
                .expect("none")
                .is_none()
        );
        let refused = [vec![], vec![batch(&[1, 2])], vec![batch(&[1]), batch(&[2])]];
        for batches in refused {
            let status = read_all(messages(batches)).expect_err("not one row");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert!(status.message().contains("exactly one"), "{status}");
        }
    }

    #[test]
    fn damaged_messages_are_refused() {
        let good = messages(vec![batch(&[7])]);
        for (number, message) in good.iter().enumerate() {
            for place in 0..message.data_header.len() {
                let mut header = message.data_header.to_vec();
                header[place] ^= 0xff;
                let mut damaged = good.clone();
                damaged[number].data_header = header.into();
                // It may still be read, but must not panic or hang.
                let _ = read_all(damaged);
            }
            let mut short = good.clone();
            let body = short[number].data_body.clone();
            short[number].data_body = body.slice(..body.len() / 2);
            if body.len() > 1 {
                assert!(read_all(short).is_err());
            }
        }
        let many = vec![good[0].clone(); 2];
        assert!(read_all(many).is_err());
    }

    #[test]
    fn too_many_bytes_are_refused() {
        let large = FlightData::default().with_data_body(vec![0; BYTES + 1]);
        let status = read_all(vec![large]).expect_err("too large");
        assert!(status.message().contains("more than"), "{status}");
    }
}
