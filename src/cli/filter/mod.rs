//! `syncguard filter`: records from a file or a pipe through policy packs, without a server.

mod pipe;
mod report;
mod rules;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};

use self::pipe::{Input, Output, Pump, Stop};
use self::report::{Explanations, Progress};
use self::rules::Rules;
use crate::guard::Guard;
use crate::policy::cases;
use crate::wire::Format;
use crate::wire::stream::coding::Coding;
use crate::wire::stream::pass::Tally;
use crate::wire::stream::{self, Columns, Limits, OnInvalid};

pub(super) const EXAMPLES: &str = "\
Example: the customers that may go to an ad platform, and why the others may not
  syncguard filter --rules rules/ --model customers --destination facebook_ads \\
    --explain withheld.ndjson < customers.ndjson > allowed.ndjson

Records that pass come out in the format they came in; NDJSON, JSON and CSV byte for byte. Only
the columns that policies read need types: they are taken from --schema, else from the cases
beside the packs, else from what the policies compare them with. Arrow and Parquet have their own.

Exit codes:
  0   done
  1   it failed, a record is not well-formed, or whoever reads the output is gone; what came out
      until then is no complete answer
With --detailed-exit-code also:
  0   nothing was withheld
  10  records were withheld
  20  records are not well-formed: they were left out, or the first of them ended the stream";

/// Exit codes that tell more, for those who ask for them.
const SOME_WITHHELD: u8 = 10;
const SOME_INVALID: u8 = 20;

/// Text that is read before it is judged: what the processor keeps at hand.
const WINDOW_BYTES: usize = 256 << 10;

/// Filters records by policy packs.
#[derive(clap::Args)]
pub struct Filter {
    /// Policy packs, or folders with packs; may be given several times
    #[arg(long, value_name = "PATH", default_value = "rules")]
    rules: Vec<PathBuf>,

    /// Model that the records belong to: policies for other models do not apply
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// Destination type that the records go to, such as facebook_ads
    #[arg(long, value_name = "TYPE")]
    destination: String,

    /// Where the records come from (default: standard input)
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Where those that pass go (default: standard output); the file appears when all is done
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Format of the records (default: by the extension of --input, else ndjson)
    #[arg(long, value_parser = formats())]
    format: Option<Format>,

    /// Compression of input and output (default: by the extension of either, .gz or .zst)
    #[arg(long, value_parser = codings())]
    encoding: Option<Coding>,

    /// Types of the columns that policies read: YAML or JSON such as {consent: boolean}; a type
    /// is boolean, integer, number, string, date or timestamp
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,

    /// What happens at a record that is not well-formed: the stream ends, or it is left out
    #[arg(long, value_parser = on_invalid(), default_value = "abort")]
    on_invalid: OnInvalid,

    /// Time that relative conditions count from, such as 2026-01-01T00:00:00Z (default: now)
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,

    /// Let every record pass if no policy applies; without this, that is an error
    #[arg(long)]
    allow_unguarded: bool,

    /// Write each record that is withheld or left out to a file, with the reasons: one JSON
    /// object a line
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,

    /// Write the counts to standard error as one JSON object
    #[arg(long)]
    summary: bool,

    /// Tell by the exit code whether records were withheld or not well-formed
    #[arg(long)]
    detailed_exit_code: bool,

    /// Most bytes of one batch of Arrow or Parquet, decoded
    #[arg(long, value_name = "BYTES", value_parser = counts(),
        default_value_t = Limits::default().batch_bytes)]
    batch_bytes: usize,

    /// Most bytes of one record of a text format
    #[arg(long, value_name = "BYTES", value_parser = counts(),
        default_value_t = Limits::default().record_bytes)]
    record_bytes: usize,

    /// How deep arrays and objects may nest in a record
    #[arg(long, value_name = "LEVELS", value_parser = counts(),
        default_value_t = Limits::default().nesting)]
    nesting: usize,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    let names = [
        Format::Ndjson,
        Format::Json,
        Format::Csv,
        Format::ArrowStream,
        Format::Parquet,
    ];
    PossibleValuesParser::new(names.map(Format::name))
        .try_map(|name| Format::from_name(&name).ok_or("no such format"))
}

fn codings() -> impl TypedValueParser<Value = Coding> {
    PossibleValuesParser::new(["identity", "gzip", "zstd"]).map(|name| match name.as_str() {
        "gzip" => Coding::Gzip,
        "zstd" => Coding::Zstd,
        _ => Coding::Identity,
    })
}

fn on_invalid() -> impl TypedValueParser<Value = OnInvalid> {
    PossibleValuesParser::new(["abort", "reject"]).map(|name| match name.as_str() {
        "reject" => OnInvalid::Reject,
        _ => OnInvalid::Abort,
    })
}

fn counts() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

impl Filter {
    /// Filters until the input ends.
    ///
    /// # Errors
    /// Packs or types that cannot be used, input that is not well-formed, files that cannot be
    /// read or written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let rules = Rules::load(&self.rules, self.model.as_deref(), &self.destination)?;
        if rules.is_empty() && !self.allow_unguarded {
            return Err(rules.none_applies(self.model.as_deref(), &self.destination));
        }
        let format = self.format();
        let source = Source {
            types: self.types(&rules, format)?,
            rules: &rules,
            now: self.now.unwrap_or_else(Utc::now),
        };
        // What can be refused before anything is opened, is.
        let guard = source.guard(&Columns::Untyped)?;
        let coding_of = |path: &Option<PathBuf>| {
            let by_name = path.as_deref().and_then(coding_of);
            self.encoding.or(by_name).unwrap_or_default()
        };
        for (name, other) in [("--input", &self.input), ("--output", &self.output)] {
            if let (Some(explain), Some(other)) = (&self.explain, other)
                && is_same(explain, other)
            {
                bail!(
                    "--explain and {name} name the same file: {}",
                    other.display()
                );
            }
        }
        let mut input = Input::open(self.input.as_deref(), coding_of(&self.input))?;
        let mut output = Output::open(self.output.as_deref(), coding_of(&self.output))?;
        let explanations = match &self.explain {
            Some(path) => Some(Explanations::create(path, format)?),
            None => None,
        };
        let mut records = stream::open(format, self.limits(), self.on_invalid);
        let progress = Progress::new(input.length(), output.is_terminal());
        let mut pump = Pump::new(records.as_mut(), guard, explanations, progress);
        let done = pump.run(&mut input, &mut output, &source);
        let tally = std::mem::take(&mut pump.tally);
        if let Err(stop) = done.and_then(|()| output.finish()) {
            return self.stopped(stop, &input, &tally);
        }
        let terminal = io::stderr().is_terminal();
        report::summarize(&tally, &rules, self.summary, terminal)?;
        Ok(self.code(&tally))
    }

    fn limits(&self) -> Limits {
        Limits {
            record_bytes: self.record_bytes,
            batch_bytes: self.batch_bytes,
            nesting: self.nesting,
            window_bytes: WINDOW_BYTES.min(self.record_bytes),
            ..Limits::default()
        }
    }

    /// The format that was asked for, or the one of the input's name.
    fn format(&self) -> Format {
        let by_name = || {
            let path = self.input.as_deref()?;
            match coding_of(path) {
                Some(_) => Format::from_extension(Path::new(path.file_stem()?)),
                None => Format::from_extension(path),
            }
        };
        self.format.or_else(by_name).unwrap_or(Format::Ndjson)
    }

    /// The columns of records that come without types; `None` for formats that have their own.
    fn types(&self, rules: &Rules, format: Format) -> anyhow::Result<Option<SchemaRef>> {
        let nested = match format {
            Format::Ndjson | Format::Json => true,
            Format::Csv => false,
            Format::ArrowStream | Format::Parquet => {
                let name = format.name();
                ensure!(
                    self.schema.is_none(),
                    "{name} has types of its own: leave --schema out"
                );
                return Ok(None);
            }
        };
        let Some(path) = &self.schema else {
            return rules.types(self.model.as_deref(), nested).map(Some);
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let shown = path.display().to_string();
        cases::columns(&text)
            .map(Some)
            .map_err(|faults| rules::refused(&format!("{shown} has no types to use"), &faults))
    }

    fn code(&self, tally: &Tally) -> ExitCode {
        match (tally.invalid, tally.withheld) {
            _ if !self.detailed_exit_code => ExitCode::SUCCESS,
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(SOME_WITHHELD),
            (_, _) => ExitCode::from(SOME_INVALID),
        }
    }

    fn stopped(&self, stop: Stop, input: &Input, tally: &Tally) -> anyhow::Result<ExitCode> {
        // Whoever closes the output has read enough, and knows it.
        if matches!(&stop, Stop::Write(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return Ok(ExitCode::FAILURE);
        }
        let invalid = stop.is_invalid();
        let advice = match invalid {
            true => "; --on-invalid reject leaves such records out",
            false => "",
        };
        let error = match stop {
            Stop::Rules(error) => error,
            stop if stop.is_of_input() => {
                let (name, read) = (input.name(), tally.read);
                anyhow::anyhow!("{name}: {stop}; {read} records were judged before{advice}")
            }
            stop => stop.into(),
        };
        match invalid && self.detailed_exit_code {
            true => {
                super::complain(&error);
                Ok(ExitCode::from(SOME_INVALID))
            }
            false => Err(error),
        }
    }
}

/// The compression that a file's extension stands for.
fn coding_of(path: &Path) -> Option<Coding> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "gz" => Some(Coding::Gzip),
        "zst" => Some(Coding::Zstd),
        _ => None,
    }
}

/// Where guards come from.
struct Source<'a> {
    /// The columns of records that come without types.
    types: Option<SchemaRef>,
    rules: &'a Rules,
    now: DateTime<Utc>,
}

impl Source<'_> {
    /// The guard for columns; `None` while they are not known.
    fn guard(&self, columns: &Columns) -> anyhow::Result<Option<Guard>> {
        let schema = match (columns, &self.types) {
            (Columns::Unknown, _) | (Columns::Untyped, None) => return Ok(None),
            (Columns::Untyped, Some(schema)) | (Columns::Typed(schema), _) => schema,
        };
        self.rules.compile(schema, self.now).map(Some)
    }
}

/// Whether two paths lead to one file, which need not exist yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}
