//! `syncguard detectors`: what content policies can look for, and how well it is found.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::guard::detect::{Found, Scanner, Texts, Topics};
use crate::policy::content::{Detector, Detectors};

/// Most bytes of one line of a corpus.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// Names of columns whose topics are remembered; a corpus has far fewer.
const MOST_NAMES: usize = 10_000;

const CORPUS_HELP: &str = "\
Each line of a corpus is a JSON object:
  text       a text, as a record may have it
  column     the name of the column that it stands in; may be left out
  detectors  names of those that are to find something in it; may be empty
  maybe      names of those that may find something in it and are not wrong; may be left out

The table has, for each detector, the texts in which it was to find something (positives), those of
them in which it did (found) and did not (missed), and the other texts in which it did (false
alarms). Precision is the part of found in found and false alarms, recall that in positives.";

/// Lists the detectors, or measures them.
#[derive(clap::Args)]
#[command(after_long_help = CORPUS_HELP)]
pub struct DetectorsCommand {
    /// Measure them by labelled texts in this NDJSON file; - is standard input
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,

    /// Write each text that was judged wrongly, as it is, to this file as NDJSON
    #[arg(long, value_name = "FILE", requires = "corpus")]
    misses: Option<PathBuf>,

    /// Print JSON (default: the list as text to a terminal, else as JSON; measures as Markdown)
    #[arg(long)]
    json: bool,
}

impl DetectorsCommand {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout();
        let out = match &self.corpus {
            None if self.json || !stdout.is_terminal() => {
                let list = Detector::ALL
                    .map(|detector| json!({"name": detector.name(), "about": detector.about()}));
                serde_json::to_string_pretty(&list)? + "\n"
            }
            None => list()?,
            Some(corpus) => {
                let tally = self.measure(corpus)?;
                match self.json {
                    true => serde_json::to_string_pretty(&tally.as_json())? + "\n",
                    false => tally.as_markdown()?,
                }
            }
        };
        Ok(stdout.write_all(out.as_bytes())?)
    }

    fn measure(&self, corpus: &Path) -> anyhow::Result<Tally> {
        let name = corpus.display().to_string();
        let mut input: Box<dyn BufRead> = match corpus == Path::new("-") {
            true => Box::new(std::io::stdin().lock()),
            false => {
                let opened = File::open(corpus).with_context(|| format!("cannot open {name}"))?;
                Box::new(BufReader::new(opened))
            }
        };
        let mut misses = match &self.misses {
            None => None,
            Some(path) => {
                let made = File::create(path)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Some(BufWriter::new(made))
            }
        };
        let mut measure = Measure::default();
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
                bail!("line {number} of {name} is too long");
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            // What serde says of an error may quote the text.
            let Some(labelled) = Labelled::parse(&line) else {
                bail!(
                    "line {number} of {name} is no labelled text: an object with a `text`, maybe \
                     its `column`, and `detectors` and maybe `maybe` with names that `syncguard \
                     detectors` lists"
                );
            };
            let wrong = measure.judge(&labelled)?;
            if let Some(misses) = &mut misses {
                for miss in wrong {
                    serde_json::to_writer(&mut *misses, &miss.as_json(number, &labelled))?;
                    misses.write_all(b"\n")?;
                }
            }
        }
        if let Some(misses) = &mut misses {
            misses.flush()?;
        }
        Ok(measure.tally)
    }
}

fn list() -> Result<String, fmt::Error> {
    let mut out = String::new();
    for detector in Detector::ALL {
        writeln!(out, "{:<23}{}", detector.name(), detector.about())?;
    }
    Ok(out)
}

/// A text, and what stands in it.
struct Labelled {
    text: String,
    column: String,
    /// What is to be found.
    detectors: Detectors,
    /// What may be found.
    maybe: Detectors,
}

impl Labelled {
    fn parse(line: &[u8]) -> Option<Labelled> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Line {
            text: String,
            #[serde(default)]
            column: Option<String>,
            detectors: Vec<Detector>,
            #[serde(default)]
            maybe: Vec<Detector>,
        }
        let line: Line = serde_json::from_slice(line).ok()?;
        Some(Labelled {
            text: line.text,
            column: line.column.unwrap_or_default(),
            detectors: line.detectors.into_iter().collect(),
            maybe: line.maybe.into_iter().collect(),
        })
    }
}

/// A text that was judged wrongly.
enum Miss {
    Missed(Detector),
    FalseAlarm(Found),
}

impl Miss {
    fn as_json(&self, line: u64, labelled: &Labelled) -> Value {
        let (detector, what, found) = match self {
            Miss::Missed(detector) => (*detector, "missed", None),
            Miss::FalseAlarm(found) => (
                found.detector,
                "false alarm",
                labelled.text.get(found.range.clone()),
            ),
        };
        json!({
            "line": line,
            "detector": detector.name(),
            "what": what,
            "found": found,
            "column": labelled.column,
            "text": labelled.text,
        })
    }
}

/// Goes through a corpus, text by text.
struct Measure {
    scanner: Scanner,
    topics: HashMap<String, Topics>,
    found: Vec<Found>,
    tally: Tally,
}

impl Default for Measure {
    fn default() -> Measure {
        Measure {
            scanner: Scanner::new(Detectors::all()),
            topics: HashMap::new(),
            found: Vec::new(),
            tally: Tally::default(),
        }
    }
}

impl Measure {
    /// Counts a text, and answers what was wrong about it.
    fn judge(&mut self, labelled: &Labelled) -> anyhow::Result<Vec<Miss>> {
        let topics = match self.topics.get(&labelled.column) {
            Some(topics) => *topics,
            None => {
                let topics = Topics::of_name(&labelled.column);
                if self.topics.len() < MOST_NAMES {
                    self.topics.insert(labelled.column.clone(), topics);
                }
                topics
            }
        };
        let bounds = [0, labelled.text.len()];
        let texts = Texts::new(&labelled.text, &bounds).context("a text has no bounds")?;
        self.found.clear();
        self.scanner.scan(texts, topics, &mut self.found);
        let found: Detectors = self.found.iter().map(|found| found.detector).collect();
        let labels = labelled.detectors;
        self.tally.add(labels, labelled.maybe, found);
        let missed = labels.minus(found).iter().map(Miss::Missed);
        let allowed = labels.and(labelled.maybe);
        let alarms = self.found.drain(..);
        let alarms = alarms.filter(|found| !allowed.contains(found.detector));
        Ok(missed.chain(alarms.map(Miss::FalseAlarm)).collect())
    }
}

/// What was counted of one detector.
#[derive(Clone, Copy, Default)]
struct Counts {
    found: u64,
    missed: u64,
    false_alarms: u64,
}

impl Counts {
    /// Between 0 and 1; none where nothing was found.
    fn precision(self) -> Option<f64> {
        part(self.found, self.found + self.false_alarms)
    }

    /// Between 0 and 1; none where nothing was to be found.
    fn recall(self) -> Option<f64> {
        part(self.found, self.found + self.missed)
    }
}

fn part(some: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}

/// What was counted.
#[derive(Default)]
struct Tally {
    texts: u64,
    /// Texts in which nothing is to be found.
    negatives: u64,
    counts: [Counts; Detector::ALL.len()],
}

impl Tally {
    fn add(&mut self, labels: Detectors, maybe: Detectors, found: Detectors) {
        self.texts += 1;
        self.negatives += u64::from(labels.is_empty());
        for (detector, counts) in Detector::ALL.into_iter().zip(&mut self.counts) {
            let is = |set: Detectors| set.contains(detector);
            match (is(labels), is(found)) {
                (true, true) => counts.found += 1,
                (true, false) => counts.missed += 1,
                (false, true) if !is(maybe) => counts.false_alarms += 1,
                (false, _) => {}
            }
        }
    }

    fn each(&self) -> impl Iterator<Item = (Detector, Counts)> {
        Detector::ALL.into_iter().zip(self.counts)
    }

    fn as_json(&self) -> Value {
        let detector = |(detector, counts): (Detector, Counts)| {
            json!({
                "detector": detector.name(),
                "positives": counts.found + counts.missed,
                "found": counts.found,
                "missed": counts.missed,
                "false_alarms": counts.false_alarms,
                "precision": counts.precision(),
                "recall": counts.recall(),
            })
        };
        json!({
            "texts": self.texts,
            "negatives": self.negatives,
            "detectors": self.each().map(detector).collect::<Vec<_>>(),
        })
    }

    fn as_markdown(&self) -> Result<String, fmt::Error> {
        let mut out = String::from(
            "| detector | positives | found | missed | false alarms | precision | recall |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for (detector, counts) in self.each() {
            writeln!(
                out,
                "| `{}` | {} | {} | {} | {} | {} | {} |",
                detector.name(),
                counts.found + counts.missed,
                counts.found,
                counts.missed,
                counts.false_alarms,
                percent(counts.precision()),
                percent(counts.recall()),
            )?;
        }
        let (texts, negatives) = (self.texts, self.negatives);
        writeln!(
            out,
            "\n{texts} texts; in {negatives} nothing is to be found."
        )?;
        Ok(out)
    }
}

/// Rounded down, so that only what has no fault is 100 %.
fn percent(part: Option<f64>) -> String {
    match part {
        Some(part) => format!("{:.1} %", (part * 1000.0).floor() / 10.0),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_found_counts_neither_way() {
        let set = |detectors: &[Detector]| detectors.iter().copied().collect::<Detectors>();
        let (key, random, email) = (Detector::ApiKey, Detector::HighEntropy, Detector::Email);
        let mut tally = Tally::default();
        tally.add(set(&[key]), set(&[random]), set(&[key, random]));
        tally.add(set(&[key]), set(&[random]), set(&[email]));
        tally.add(Detectors::NONE, Detectors::NONE, Detectors::NONE);
        let counts: Vec<_> = tally
            .each()
            .filter(|(detector, _)| [key, random, email].contains(detector))
            .map(|(_, counts)| (counts.found, counts.missed, counts.false_alarms))
            .collect();
        assert_eq!(counts, [(0, 0, 1), (1, 1, 0), (0, 0, 0)]);
        assert_eq!((tally.texts, tally.negatives), (3, 1));
    }

    #[test]
    fn only_what_has_no_fault_is_whole() {
        assert_eq!(percent(part(99_999, 100_000)), "99.9 %");
        assert_eq!(percent(part(3, 3)), "100.0 %");
        assert_eq!(percent(part(0, 0)), "");
    }
}
