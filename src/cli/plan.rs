//! `syncguard plan` and `syncguard apply`: policy packs against the policies of a workspace.

use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::packs::PackArguments;
use super::remote::{Remote, UNKNOWN_FORM};
use crate::policy::difference::alike;

/// The exit code of a plan that would change something.
const CHANGES: u8 = 2;

/// Shows what applying policy packs would change.
#[derive(clap::Args)]
pub struct Plan {
    #[command(flatten)]
    packs: PackArguments,

    #[command(flatten)]
    remote: Remote,

    /// How the result is printed (default: text to a terminal, else json)
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// Makes a workspace have the policies of packs, all in one revision.
#[derive(clap::Args)]
pub struct Apply {
    #[command(flatten)]
    packs: PackArguments,

    #[command(flatten)]
    remote: Remote,

    /// Change nothing unless this is the revision of the workspace (default: the one that the
    /// shown plan was made for)
    #[arg(long, value_name = "N")]
    expected_revision: Option<u64>,

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
}

impl Plan {
    /// Prints the plan. The code is 0 if nothing would change and 2 if something would.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let packs = self.packs.read()?;
        let workspace = self.remote.connect().await?;
        let answer = packs.send(&workspace, "plan", None).await?;
        let planned = Planned::read(&answer)?;
        match chosen(self.format) {
            Format::Text => print(&planned.text()?)?,
            Format::Json => print(&(serde_json::to_string_pretty(&answer)? + "\n"))?,
        }
        Ok(match planned.changes.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(CHANGES),
        })
    }
}

impl Apply {
    /// Shows the plan, applies it and prints the revision. It asks nothing.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let packs = self.packs.read()?;
        let workspace = self.remote.connect().await?;
        let plan = packs.send(&workspace, "plan", None).await?;
        let planned = Planned::read(&plan)?;
        let format = chosen(self.format);
        if let Format::Text = format {
            print(&planned.text()?)?;
        }
        let expected = self.expected_revision.unwrap_or(planned.policy_revision);
        let mut answer = packs.send(&workspace, "apply", Some(expected)).await?;
        let revision = answer
            .get("policy_revision")
            .and_then(Value::as_u64)
            .context(UNKNOWN_FORM)?;
        match format {
            Format::Text if planned.changes.is_empty() => {}
            Format::Text => print(&format!("\nApplied as revision {revision}.\n"))?,
            Format::Json => {
                if let (Some(answer), Some(impact)) = (answer.as_object_mut(), plan.get("impact")) {
                    answer.insert("impact".to_owned(), impact.clone());
                }
                print(&(serde_json::to_string_pretty(&answer)? + "\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn chosen(format: Option<Format>) -> Format {
    format.unwrap_or(match std::io::stdout().is_terminal() {
        true => Format::Text,
        false => Format::Json,
    })
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

/// What the server answers to a plan.
#[derive(Deserialize)]
struct Planned {
    policy_revision: u64,
    changes: Vec<Change>,
    impact: Vec<Impact>,
}

#[derive(Deserialize)]
struct Change {
    action: String,
    name: String,
    destination_type: String,
    before: Option<Map<String, Value>>,
    after: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Impact {
    destination: String,
    model: String,
    /// The three counts, or the error.
    read: Option<u64>,
    newly_withheld: Option<u64>,
    newly_released: Option<u64>,
    error: Option<String>,
}

impl Planned {
    fn read(answer: &Value) -> anyhow::Result<Planned> {
        Planned::deserialize(answer).context(UNKNOWN_FORM)
    }

    fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        let revision = self.policy_revision;
        if self.changes.is_empty() {
            writeln!(
                out,
                "Nothing to change: revision {revision} is as the packs say."
            )?;
            return Ok(out);
        }
        writeln!(out, "Changes to revision {revision}")?;
        for change in &self.changes {
            change.write(&mut out)?;
        }
        if self.impact.is_empty() {
            writeln!(out, "\nNo sync sends anything that these changes govern.")?;
            return Ok(out);
        }
        writeln!(
            out,
            "\n{:>12} {:>15} {:>15}   destination, model",
            "read", "newly withheld", "newly released"
        )?;
        for impact in &self.impact {
            let (destination, model) = (&impact.destination, &impact.model);
            let counts = (impact.read, impact.newly_withheld, impact.newly_released);
            match counts {
                (Some(read), Some(withheld), Some(released)) => writeln!(
                    out,
                    "{read:>12} {withheld:>15} {released:>15}   {destination}, {model}"
                )?,
                _ => {
                    let error = impact.error.as_deref().unwrap_or("not counted");
                    writeln!(out, "{:>44}   {destination}, {model}: {error}", "unknown")?;
                }
            }
        }
        Ok(out)
    }
}

impl Change {
    fn write(&self, out: &mut String) -> fmt::Result {
        let (action, name, kind) = (&self.action, &self.name, &self.destination_type);
        writeln!(out, "  {action}  {name}, for {kind}")?;
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return Ok(());
        };
        for (key, new) in after {
            let old = before.get(key).unwrap_or(&Value::Null);
            if !alike(old, new) {
                writeln!(out, "          - {key}: {old}")?;
                writeln!(out, "          + {key}: {new}")?;
            }
        }
        Ok(())
    }
}
