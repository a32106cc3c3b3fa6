//! From file to file: bytes read straight into the records, what passes written straight out.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use arrow::datatypes::Schema;
use tempfile::TempPath;

use super::Source;
use super::report::{Explanations, Progress};
use crate::guard::{Guard, Leaving};
use crate::wire::stream::coding::{Coding, Decoder, Encoder, Expansion};
use crate::wire::stream::pass::Tally;
use crate::wire::stream::{Next, Records, StreamError, Wanted};

/// Bytes that are read at once of a compressed input.
const PIECE: usize = 256 << 10;
/// A pipe or a terminal that gives fewer bytes than it was asked for, and so few, has no more to
/// give for now.
const TRICKLE: usize = 32 << 10;
/// It is for whoever owns the machine to say how much a file may become: nothing is kept of it.
/// The ratio is beyond what either coding reaches.
const UNBOUNDED: Expansion = Expansion {
    bytes: u64::MAX,
    ratio: 1 << 20,
};

/// Why the filter stops before the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The input.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The records.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The policies do not fit the columns of the input.
    #[error(transparent)]
    Rules(anyhow::Error),
    /// The output.
    #[error("the output cannot be written: {0}")]
    Write(io::Error),
    /// The explanations.
    #[error("{} cannot be written: {error}", .path.display())]
    Explain {
        /// Where they go.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Stop {
    /// Whether a record is not well-formed.
    pub(super) fn is_invalid(&self) -> bool {
        matches!(self, Stop::Stream(StreamError::Invalid(_)))
    }

    /// Whether the reason lies in the input.
    pub(super) fn is_of_input(&self) -> bool {
        matches!(self, Stop::Read(_) | Stop::Stream(_))
    }
}

/// Where bytes come from.
pub(super) struct Input {
    file: File,
    name: String,
    /// `None` where it is no regular file: more may come, and nobody knows how much.
    length: Option<u64>,
    compressed: Option<Compressed>,
    /// Bytes that were read.
    read: u64,
}

struct Compressed {
    decoder: Decoder,
    buffer: Vec<u8>,
    /// What of the buffer has not been decoded.
    rest: std::ops::Range<usize>,
    /// Whether the last read gave little.
    paused: bool,
}

/// Why [`Input::fill`] came back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// The records have no more space.
    Full,
    /// There may be nothing more for a while.
    Pause,
    /// The input ended, and the records know it.
    End,
}

impl Input {
    /// Opens a file, or standard input.
    pub(super) fn open(path: Option<&Path>, coding: Coding) -> anyhow::Result<Input> {
        let (file, name) = match path {
            Some(path) => {
                let name = path.display().to_string();
                let file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
                (file, name)
            }
            None => {
                let file = io::stdin().as_fd().try_clone_to_owned();
                let file = file.context("standard input cannot be read")?;
                (File::from(file), "standard input".to_owned())
            }
        };
        let metadata = file
            .metadata()
            .with_context(|| format!("{name} cannot be read"))?;
        let compressed = match coding {
            Coding::Identity => None,
            coding => Some(Compressed {
                decoder: Decoder::new(coding, UNBOUNDED)?,
                buffer: vec![0; PIECE],
                rest: 0..0,
                paused: false,
            }),
        };
        Ok(Input {
            file,
            name,
            length: metadata.is_file().then_some(metadata.len()),
            compressed,
            read: 0,
        })
    }

    /// Its name, for errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes it has, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Fills the space of the records until it is full, the input ends or seems to pause.
    fn fill(&mut self, records: &mut dyn Records) -> Result<Filled, Stop> {
        let endless = self.length.is_none();
        loop {
            let space = records.space();
            if space.is_empty() {
                return Ok(Filled::Full);
            }
            let Some(compressed) = &mut self.compressed else {
                let asked = space.len();
                let count = read(&mut self.file, space)?;
                if count == 0 {
                    records.end()?;
                    return Ok(Filled::End);
                }
                self.read += count as u64;
                records.filled(count)?;
                if endless && count < asked.min(TRICKLE) {
                    return Ok(Filled::Pause);
                }
                continue;
            };
            // A decoder may hold back output although it has taken all input.
            let rest = compressed.buffer.get(compressed.rest.clone());
            let (taken, made) = compressed.decoder.decode(rest.unwrap_or_default(), space)?;
            compressed.rest.start += taken;
            if made > 0 {
                records.filled(made)?;
            }
            if taken > 0 || made > 0 {
                continue;
            }
            if std::mem::take(&mut compressed.paused) {
                return Ok(Filled::Pause);
            }
            let count = read(&mut self.file, &mut compressed.buffer)?;
            if count == 0 {
                compressed.decoder.finish()?;
                records.end()?;
                return Ok(Filled::End);
            }
            self.read += count as u64;
            compressed.rest = 0..count;
            compressed.paused = endless && count < TRICKLE;
        }
    }
}

fn read(file: &mut File, to: &mut [u8]) -> Result<usize, Stop> {
    loop {
        match file.read(to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done.map_err(Stop::Read),
        }
    }
}

/// Where bytes go. Not buffered: what is written is large.
pub(super) struct Output {
    file: File,
    encoder: Option<Encoder>,
    encoded: Vec<u8>,
    /// The file that is being written, and the one it becomes when all is done.
    becomes: Option<(TempPath, PathBuf)>,
}

impl Output {
    /// Opens a file, or standard output.
    pub(super) fn open(path: Option<&Path>, coding: Coding) -> anyhow::Result<Output> {
        let (file, becomes) = match path {
            Some(path) => {
                open_file(path).with_context(|| format!("{} cannot be written", path.display()))?
            }
            None => {
                let file = io::stdout().as_fd().try_clone_to_owned();
                let file = file.context("standard output cannot be written")?;
                (File::from(file), None)
            }
        };
        let encoder = match coding {
            Coding::Identity => None,
            coding => Some(Encoder::new(coding)?),
        };
        Ok(Output {
            file,
            encoder,
            encoded: Vec::new(),
            becomes,
        })
    }

    /// Whether somebody watches what comes out.
    pub(super) fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Writes bytes and clears them.
    fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.encoder {
            None => self.file.write_all(bytes).map_err(Stop::Write)?,
            Some(encoder) => {
                encoder.encode(bytes, &mut self.encoded)?;
                self.file.write_all(&self.encoded).map_err(Stop::Write)?;
                self.encoded.clear();
            }
        }
        bytes.clear();
        Ok(())
    }

    /// Ends it: only now a file stands under its name.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        if let Some(encoder) = &mut self.encoder {
            encoder.finish(&mut self.encoded)?;
            self.file.write_all(&self.encoded).map_err(Stop::Write)?;
        }
        match self.becomes {
            None => Ok(()),
            Some((temporary, path)) => temporary
                .persist(path)
                .map_err(|error| Stop::Write(error.error)),
        }
    }
}

/// A file beside the one that is asked for, which it replaces at the end; a device or a pipe is
/// written to as it is.
fn open_file(path: &Path) -> io::Result<(File, Option<(TempPath, PathBuf)>)> {
    let path = match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let file = File::options().write(true).open(path)?;
            return Ok((file, None));
        }
        // A link stays one.
        Ok(_) => path.canonicalize()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".syncguard-filter-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(folder)?;
    let (file, temporary) = temporary.into_parts();
    Ok((file, Some((temporary, path))))
}

/// Takes records through a guard.
pub(super) struct Pump<'a> {
    records: &'a mut dyn Records,
    /// `None` until the columns of the records are known.
    guard: Option<(Guard, Wanted)>,
    explanations: Option<Explanations>,
    progress: Progress,
    /// What became of the records so far.
    pub(super) tally: Tally,
}

impl<'a> Pump<'a> {
    /// Prepares for records; `guard` is `None` where their columns are not known yet.
    pub(super) fn new(
        records: &'a mut dyn Records,
        guard: Option<Guard>,
        explanations: Option<Explanations>,
        progress: Progress,
    ) -> Pump<'a> {
        Pump {
            records,
            guard: guard.map(with_columns),
            explanations,
            progress,
            tally: Tally::default(),
        }
    }

    /// Pumps until the input ends.
    pub(super) fn run(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        source: &Source<'_>,
    ) -> Result<(), Stop> {
        let done = self.pump(input, output, source);
        self.progress.finish();
        done
    }

    fn pump(
        &mut self,
        input: &mut Input,
        output: &mut Output,
        source: &Source<'_>,
    ) -> Result<(), Stop> {
        let mut out = Vec::new();
        loop {
            let filled = input.fill(self.records)?;
            if self.guard.is_none() {
                let columns = self.records.columns();
                let guard = source.guard(&columns).map_err(Stop::Rules)?;
                self.guard = guard.map(with_columns);
            }
            self.drain(filled, output, &mut out)?;
            self.progress.show(input.read, &self.tally);
            if let (Some(explanations), Filled::Pause | Filled::End) =
                (&mut self.explanations, filled)
            {
                explanations.flush()?;
            }
            if filled == Filled::End {
                return Ok(());
            }
        }
    }

    /// Judges and writes what is there.
    fn drain(
        &mut self,
        filled: Filled,
        output: &mut Output,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let Some((guard, wanted)) = &self.guard else {
            return match filled {
                Filled::End => Err(self.without_columns()),
                Filled::Full | Filled::Pause => Ok(()),
            };
        };
        loop {
            match self.records.next(wanted, filled == Filled::Pause)? {
                Next::Hungry if filled == Filled::End => {
                    return Err(ended_early("the last record"));
                }
                Next::Hungry => return Ok(()),
                Next::End => {
                    self.records.finish(out)?;
                    return output.write(out);
                }
                Next::Batch(batch) => {
                    let judgement = guard
                        .judge(&batch.rows, Leaving::All)
                        .map_err(StreamError::from)?;
                    if let Some(explanations) = &mut self.explanations {
                        explanations.enter(guard, self.records, &batch, &judgement)?;
                    }
                    self.records.release(&judgement, out)?;
                    self.tally.enter(&judgement, &batch.invalid);
                    output.write(out)?;
                }
            }
        }
    }

    /// Why the columns are not known although the input ended.
    fn without_columns(&mut self) -> Stop {
        let none = Wanted {
            schema: Schema::empty().into(),
            only: false,
        };
        match self.records.next(&none, false) {
            Err(error) => error.into(),
            Ok(_) => ended_early("its columns"),
        }
    }
}

fn with_columns(guard: Guard) -> (Guard, Wanted) {
    let wanted = Wanted {
        schema: guard.read_schema(),
        only: false,
    };
    (guard, wanted)
}

fn ended_early(before: &str) -> Stop {
    Stop::Stream(StreamError::Malformed {
        what: format!("it ends before {before} ended"),
    })
}
