//! Packs as plan and apply send them: the policies of all files in one document.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Value, json};

use super::remote::{Refused, Workspace};
use crate::conformance;
use crate::policy::{Fault, pack};

/// Which packs, and what of the workspace they govern.
#[derive(clap::Args)]
pub(super) struct PackArguments {
    /// Packs, or folders with packs
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,

    /// Delete the policies of the workspace that no pack names; without this they are left alone
    #[arg(long)]
    prune: bool,
}

/// The policies of some packs.
pub(super) struct Packs {
    policies: Vec<Value>,
    /// For each policy the file it comes from and its number there.
    places: Vec<(String, usize)>,
    prune: bool,
}

impl PackArguments {
    /// Reads every pack, or reports every fault in them.
    pub(super) fn read(&self) -> anyhow::Result<Packs> {
        let mut packs = Packs {
            policies: Vec::new(),
            places: Vec::new(),
            prune: self.prune,
        };
        let mut wrong = Vec::new();
        for path in conformance::packs(&self.paths)? {
            let file = path.display().to_string();
            let parsed = match std::fs::read_to_string(&path) {
                Ok(text) => pack::parse(&text),
                Err(error) => Err(vec![Fault::new("$", format!("cannot be read: {error}"))]),
            };
            match parsed {
                Ok(pack) => {
                    for (i, policy) in pack.policies.into_iter().enumerate() {
                        packs.places.push((file.clone(), i));
                        packs.policies.push(json!({
                            "name": policy.name,
                            "description": policy.description,
                            "model": policy.model,
                            "destination_types": policy.destination_types,
                            "filter_tree": policy.filter_tree,
                            "enabled": policy.enabled,
                        }));
                    }
                }
                Err(faults) => {
                    wrong.extend(faults.iter().map(|fault| format!("\n  {file}: {fault}")));
                }
            }
        }
        if !wrong.is_empty() {
            bail!("the packs cannot be used:{}", wrong.concat());
        }
        Ok(packs)
    }
}

impl Packs {
    /// Sends the policies; a refusal names the files at fault.
    pub(super) async fn send(
        &self,
        workspace: &Workspace,
        path: &str,
        expected_revision: Option<u64>,
    ) -> anyhow::Result<Value> {
        let mut body = json!({"policies": self.policies, "prune": self.prune});
        if let (Some(expected), Some(body)) = (expected_revision, body.as_object_mut()) {
            body.insert("expected_revision".into(), json!(expected));
        }
        let answer = workspace.post(path, &body).await;
        answer.map_err(|error| match error.downcast::<Refused>() {
            Ok(mut refused) => {
                for fault in &mut refused.faults {
                    fault.path = self.place(&fault.path);
                }
                refused.into()
            }
            Err(error) => error,
        })
    }

    /// A path in what was sent as a file and a path in it.
    fn place(&self, path: &str) -> String {
        let place = || {
            let (number, below) = path.strip_prefix("$.policies[")?.split_once(']')?;
            let (file, number) = self.places.get(number.parse::<usize>().ok()?)?;
            Some(format!("{file}: $.policies[{number}]{below}"))
        };
        place().unwrap_or_else(|| path.to_owned())
    }
}
