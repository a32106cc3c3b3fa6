//! `syncguard test`: policy packs against the cases beside them, without a server.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::conformance::{self, PackReport};

/// Checks that policy packs decide as their cases say.
#[derive(clap::Args)]
pub struct Test {
    /// Packs, or folders with packs; the cases of `gdpr.yaml` are in `gdpr.cases.yaml` beside it
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,

    /// How the result is printed (default: text to a terminal, else json)
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// JUnit XML, as CI systems read it
    Junit,
}

impl Test {
    /// Checks every pack and prints what was found. The code is a failure unless all cases of
    /// all packs hold.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let packs: Vec<_> = conformance::packs(&self.paths)?
            .iter()
            .map(|pack| conformance::check(pack))
            .collect();
        let format = self
            .format
            .unwrap_or(match std::io::stdout().is_terminal() {
                true => Format::Text,
                false => Format::Json,
            });
        let out = match format {
            Format::Text => text(&packs)?,
            Format::Json => serde_json::to_string_pretty(&as_json(&packs))? + "\n",
            Format::Junit => junit(&packs)?,
        };
        std::io::stdout().write_all(out.as_bytes())?;
        Ok(match packs.iter().all(PackReport::holds) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// Cases that were judged, and how many of them do not hold.
fn count(packs: &[PackReport]) -> (usize, usize) {
    let cases = packs.iter().flat_map(|pack| &pack.cases);
    let failed = cases.clone().filter(|case| !case.holds()).count();
    (cases.count(), failed)
}

fn text(packs: &[PackReport]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    for pack in packs {
        let (cases, failed) = count(std::slice::from_ref(pack));
        writeln!(
            out,
            "{}: {} of {cases} cases hold",
            pack.file,
            cases - failed
        )?;
        for fault in &pack.faults {
            writeln!(out, "  fault  {fault}")?;
        }
        for case in pack.cases.iter().filter(|case| !case.holds()) {
            writeln!(out, "  failed  {}, to {}", case.name, case.destination_type)?;
            for failure in &case.failures {
                writeln!(out, "    {failure}")?;
            }
        }
    }
    let (cases, failed) = count(packs);
    let faults: usize = packs.iter().map(|pack| pack.faults.len()).sum();
    let verdict = match packs.iter().all(PackReport::holds) {
        true => "ok",
        false => "FAILED",
    };
    let packs = packs.len();
    writeln!(
        out,
        "{verdict}: packs {packs}, cases {cases}, failed {failed}, faults {faults}"
    )?;
    Ok(out)
}

fn as_json(packs: &[PackReport]) -> Value {
    let (cases, failed) = count(packs);
    json!({
        "holds": packs.iter().all(PackReport::holds),
        "cases": cases,
        "failed": failed,
        "faults": packs.iter().map(|pack| pack.faults.len()).sum::<usize>(),
        "packs": packs,
    })
}

/// A test suite for each pack, a test for each case, and one for what could not be judged.
fn junit(packs: &[PackReport]) -> Result<String, fmt::Error> {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let tally = |packs: &[PackReport]| {
        let (cases, failed) = count(packs);
        let faulty = packs.iter().filter(|pack| !pack.faults.is_empty()).count();
        format!(
            "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\"",
            cases + faulty,
            failed + faulty
        )
    };
    writeln!(out, "<testsuites name=\"syncguard\" {}>", tally(packs))?;
    for pack in packs {
        let file = Escaped(&pack.file);
        let of_pack = tally(std::slice::from_ref(pack));
        writeln!(out, "  <testsuite name=\"{file}\" {of_pack}>")?;
        let faults: Vec<_> = pack.faults.iter().map(ToString::to_string).collect();
        if !faults.is_empty() {
            test_case(&mut out, &pack.file, "the pack can be judged", &faults)?;
        }
        for case in &pack.cases {
            let class = format!("{} {}", pack.file, case.destination_type);
            let failures: Vec<_> = case.failures.iter().map(ToString::to_string).collect();
            test_case(&mut out, &class, &case.name, &failures)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")?;
    Ok(out)
}

fn test_case(out: &mut String, class: &str, name: &str, failures: &[String]) -> fmt::Result {
    let (class, name) = (Escaped(class), Escaped(name));
    write!(out, "    <testcase classname=\"{class}\" name=\"{name}\"")?;
    match failures {
        [] => writeln!(out, "/>"),
        [first, ..] => {
            let (first, all) = (Escaped(first), failures.join("\n"));
            writeln!(out, ">")?;
            let all = Escaped(&all);
            writeln!(out, "      <failure message=\"{first}\">{all}</failure>")?;
            writeln!(out, "    </testcase>")
        }
    }
}

/// Text as XML 1.0 has it, in an attribute or between tags. Characters that XML cannot hold
/// become U+FFFD.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c))?,
                '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_replaced() {
        assert_eq!(
            Escaped("a < b & \"c\" > 'd'\n\u{1}\u{e9}").to_string(),
            "a &lt; b &amp; &quot;c&quot; &gt; &apos;d&apos;&#10;\u{fffd}\u{e9}"
        );
    }
}
