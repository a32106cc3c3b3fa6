//! `syncguard audit verify`: whether the audit log is as it was written.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::audit::{Report, Verifier};
use crate::config::Settings;
use crate::store::Store;

/// Most bytes of one line of an export.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// What can be done with the audit log.
#[derive(clap::Args)]
pub struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Verify that no line of the audit log was changed, removed or moved
    #[command(after_long_help = VERIFY_HELP)]
    Verify(Verify),
}

const VERIFY_HELP: &str = "\
The audit log has a chain for each workspace and one for the organisation (accounts and keys).
Each line has a hash of its text and of the hash before it, so a line that was changed, removed,
put in or moved is found, with its number. The store also keeps the last number and hash of each
chain, by which lines that are missing at its end are found. The store is only read, and a server
may go on using it.

FILE is an export of a whole chain, without filters:
  GET /api/v1/workspaces/ID/audit?format=ndjson

What the log alone cannot tell:
  - whether somebody rewrote a whole chain with all its hashes, or cut its end off and set the
    last number and hash back, or removed the chain altogether;
  - whether lines are missing at the end of FILE.
Against that, note the hash that is printed as head somewhere else from time to time, and give it
back with --head: a log that was rewritten or cut before that line no longer has it.

Output is text on a terminal, else JSON.

Exit codes:
  0  everything that was read is whole
  1  something is broken or could not be read, or the arguments or the configuration cannot be
     used";

/// Verifies the audit log of a store, or an export.
#[derive(clap::Args)]
struct Verify {
    /// NDJSON export to verify instead of the store; - is standard input
    file: Option<PathBuf>,

    /// Control store: sqlite:PATH or postgres://... (default: SQLite in the data directory)
    #[arg(
        long,
        env = "SYNCGUARD_STORE",
        value_name = "URL",
        hide_env_values = true
    )]
    store: Option<String>,

    /// Folder of the store (default: as for serve)
    #[arg(long, env = "SYNCGUARD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// TOML file with the settings of serve; the flags above go before it
    #[arg(long, env = "SYNCGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Hash of a line, noted earlier, that some chain must have; may be repeated
    #[arg(long = "head", value_name = "HASH", value_parser = noted_hash)]
    heads: Vec<String>,
}

fn noted_hash(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected 64 hexadecimal digits".to_owned())
    }
}

impl Audit {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            AuditCommand::Verify(verify) => verify.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<()> {
        let noted: BTreeSet<String> = self.heads.iter().cloned().collect();
        let reports = match &self.file {
            Some(file) => vec![verify_file(file, noted.clone())?],
            None => verify_store(&self.store_url()?, &noted).await?,
        };
        let missing = noted
            .into_iter()
            .filter(|hash| !reports.iter().any(|report| report.met.contains(hash)))
            .collect();
        let outcome = Outcome { reports, missing };
        let out = if std::io::stdout().is_terminal() {
            outcome.as_text()?
        } else {
            serde_json::to_string_pretty(&outcome.as_json())? + "\n"
        };
        std::io::stdout().write_all(out.as_bytes())?;
        if outcome.is_whole() {
            Ok(())
        } else {
            bail!("the audit log is broken")
        }
    }

    fn store_url(&self) -> anyhow::Result<String> {
        let mut settings = Settings {
            store: self.store.clone(),
            data_dir: self.data_dir.clone(),
            ..Settings::default()
        };
        if let Some(file) = &self.config {
            settings = settings.over_file(file)?;
        }
        let config = settings.into_config()?;
        Ok(config.store_url.expose_secret().to_owned())
    }
}

async fn verify_store(url: &str, noted: &BTreeSet<String>) -> anyhow::Result<Vec<Report>> {
    let store = Store::open_to_read(url)
        .await
        .context("cannot open the store that --store or --data-dir names")?;
    let chains = store.list_audit_chains().await;
    let chains = chains.context(
        "cannot read the audit log; if an older syncguard made the store, start `serve` once",
    )?;
    let mut reports = Vec::new();
    for chain in chains {
        reports.push(store.verify_audit(&chain, noted.clone()).await?);
    }
    store.close().await;
    Ok(reports)
}

fn verify_file(file: &Path, noted: BTreeSet<String>) -> anyhow::Result<Report> {
    let name = file.display().to_string();
    let mut input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot open {name}"))?;
        Box::new(BufReader::new(opened))
    };
    let mut verifier = Verifier::of_any(name.clone(), noted);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = (&mut input)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read line {number} of {name}"))?;
        if read == 0 {
            break;
        }
        if read as u64 == LONGEST_LINE {
            bail!("line {number} of {name} is too long for a line of an audit log");
        }
        verifier.feed_exported(&line);
    }
    let report = verifier.finish();
    if report.lines == 0 {
        bail!("{name} has no line: an export of a chain has one at least");
    }
    Ok(report)
}

/// What was found in all.
struct Outcome {
    reports: Vec<Report>,
    /// Noted hashes that no line bears.
    missing: Vec<String>,
}

impl Outcome {
    fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.reports.iter().all(Report::is_whole)
    }

    fn as_json(&self) -> Value {
        let chain = |report: &Report| {
            json!({
                "chain": report.chain,
                "ok": report.is_whole(),
                "lines": report.lines,
                "head": report.head,
                "broken": report.broken,
                "more_broken": report.more_broken,
            })
        };
        json!({
            "ok": self.is_whole(),
            "chains": self.reports.iter().map(chain).collect::<Vec<_>>(),
            "heads_not_found": self.missing,
        })
    }

    fn as_text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        if self.reports.is_empty() {
            writeln!(out, "The audit log has no line yet.")?;
        }
        for report in &self.reports {
            let verdict = if report.is_whole() { "ok" } else { "BROKEN" };
            let head = report.head.as_deref().unwrap_or("none");
            writeln!(out, "{}: {verdict}", report.chain)?;
            writeln!(out, "  lines  {}", report.lines)?;
            writeln!(out, "  head   {head}")?;
            for broken in &report.broken {
                let (seq, read, what) = (broken.seq, broken.read, &broken.what);
                writeln!(out, "  line {seq}, after reading {read}: {what}")?;
            }
            if report.more_broken > 0 {
                writeln!(out, "  and {} more places", report.more_broken)?;
            }
        }
        for hash in &self.missing {
            writeln!(out, "no line has the noted hash {hash}: BROKEN")?;
        }
        Ok(out)
    }
}
