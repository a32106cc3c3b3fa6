//! Record streams from end to end: the same records in every format, hostile ones, as real
//! clients send them, and many of them.

mod clients;
mod formats;
mod hostile;
mod loose;
mod million;
mod mutated;
pub(crate) mod served;
mod undecodable;
pub(crate) mod wires;

use serde_json::{Value, json};
use syncguard::guard::{Gathered, Guard};
use syncguard::wire::Format;
use syncguard::wire::stream::pass::{Passed, Tally, pass};
use syncguard::wire::stream::{
    Columns, Invalid, Limits, Next, OnInvalid, Records, StreamError, Wanted, open,
};

pub(crate) const FORMATS: [Format; 5] = [
    Format::Ndjson,
    Format::Json,
    Format::Csv,
    Format::ArrowStream,
    Format::Parquet,
];

/// A group of a filter tree.
fn group(kind: &str, children: &[Value]) -> Value {
    json!({"type": kind, "children": children})
}

/// How a stream is fed and read.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) limits: Limits,
    pub(crate) on_invalid: OnInvalid,
    /// The sizes of the pieces that the bytes come in, over and over.
    pub(crate) pieces: Vec<usize>,
    /// Whether each piece is judged at once.
    pub(crate) flush: bool,
}

impl Way {
    /// All at once.
    pub(crate) fn plain(on_invalid: OnInvalid) -> Way {
        Way {
            limits: Limits::default(),
            on_invalid,
            pieces: vec![usize::MAX],
            flush: false,
        }
    }
}

/// What became of a stream.
#[derive(Debug)]
pub(crate) struct Streamed {
    /// What was let through.
    pub(crate) out: Vec<u8>,
    /// Whether each valid record passes.
    pub(crate) verdicts: Vec<bool>,
    /// The line of each valid record.
    lines: Vec<u64>,
    /// The bytes of each valid record without its line end; empty for Arrow and Parquet.
    spans: Vec<Vec<u8>>,
    invalid: Vec<Invalid>,
    pub(crate) tally: Tally,
    pub(crate) end: Result<(), StreamError>,
}

impl Streamed {
    fn passed(&self) -> usize {
        self.verdicts.iter().filter(|passes| **passes).count()
    }

    fn withheld(&self) -> usize {
        self.verdicts.len() - self.passed()
    }

    /// The bytes of the records that pass.
    fn passing(&self) -> Vec<&[u8]> {
        let rows = self.spans.iter().zip(&self.verdicts);
        rows.filter(|(_, passes)| **passes)
            .map(|(span, _)| span.as_slice())
            .collect()
    }
}

/// Takes bytes through a guard that is compiled when the columns are known; `None` stands for
/// policies that do not compile against them.
pub(crate) fn stream(
    format: Format,
    way: &Way,
    bytes: &[u8],
    compile: impl Fn(&Columns) -> Option<Guard>,
) -> Streamed {
    let mut streamed = Streamed {
        out: Vec::new(),
        verdicts: Vec::new(),
        lines: Vec::new(),
        spans: Vec::new(),
        invalid: Vec::new(),
        tally: Tally::default(),
        end: Ok(()),
    };
    let mut records = open(format, way.limits, way.on_invalid);
    streamed.end = drive(records.as_mut(), way, bytes, compile, &mut streamed);
    streamed
}

fn drive(
    records: &mut dyn Records,
    way: &Way,
    mut bytes: &[u8],
    compile: impl Fn(&Columns) -> Option<Guard>,
    to: &mut Streamed,
) -> Result<(), StreamError> {
    let mut guard: Option<Guard> = None;
    let mut gathered = Gathered::default();
    let mut sizes = way.pieces.iter().cycle();
    let mut ended = false;
    loop {
        let before = bytes.len();
        let mut piece = (*sizes.next().unwrap()).clamp(1, bytes.len().max(1));
        while piece > 0 && !bytes.is_empty() {
            let space = records.space();
            if space.is_empty() {
                break;
            }
            let size = piece.min(space.len()).min(bytes.len());
            space[..size].copy_from_slice(&bytes[..size]);
            records.filled(size)?;
            bytes = &bytes[size..];
            piece -= size;
        }
        if bytes.is_empty() && !ended {
            records.end()?;
            ended = true;
        }
        let mut moved = ended || bytes.len() < before;
        let known = match &guard {
            Some(guard) => guard,
            None => match records.columns() {
                Columns::Unknown if ended => return without_columns(records, &mut to.out),
                Columns::Unknown => {
                    assert!(moved, "the space is full and the columns are not known");
                    continue;
                }
                columns => {
                    let made = compile(&columns);
                    guard.insert(made.ok_or_else(|| StreamError::Columns(vec![]))?)
                }
            },
        };
        loop {
            match pass(records, known, &mut gathered, way.flush, &mut to.out)? {
                Passed::Batch { judgement, invalid } => {
                    moved = true;
                    to.tally.enter(&judgement, &invalid);
                    for (row, passes) in judgement.passes().iter().enumerate() {
                        to.verdicts.push(passes);
                        to.lines.push(records.line_of(row));
                        let span = records.bytes_of(row).unwrap_or_default();
                        to.spans.push(without_line_end(span).to_vec());
                    }
                    to.invalid.extend(invalid);
                }
                Passed::Hungry => break,
                Passed::End => {
                    assert!(ended, "the records ended before their bytes did");
                    return Ok(());
                }
            }
        }
        assert!(moved, "the space is full, and yet there is no batch");
        assert!(!ended, "hungry after the end");
    }
}

/// A stream that ended before it told its columns.
fn without_columns(records: &mut dyn Records, out: &mut Vec<u8>) -> Result<(), StreamError> {
    let wanted = Wanted {
        schema: std::sync::Arc::new(arrow::datatypes::Schema::empty()),
        only: false,
    };
    match records.next(&wanted, true)? {
        Next::End => records.finish(out),
        next => panic!("{next:?} without columns"),
    }
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
