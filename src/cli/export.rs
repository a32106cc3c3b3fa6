//! `syncguard export`: the destination policies of a workspace as a policy pack.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::remote::Remote;
use crate::policy::difference::alike;
use crate::policy::pack::{Pack, PackPolicy};
use crate::policy::{FilterDocument, pack_text};

/// Writes the destination policies of a workspace as a policy pack.
#[derive(clap::Args)]
pub struct Export {
    #[command(flatten)]
    remote: Remote,

    /// File to write (default: standard output)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Rule {
    parent_model_id: Option<Uuid>,
    destination_type: String,
    name: String,
    description: String,
    filter_tree: Value,
    enabled: bool,
}

#[derive(Deserialize)]
struct Model {
    id: Uuid,
    name: String,
}

impl Export {
    /// Writes the pack; it is read back as the same policies, or nothing is written.
    pub async fn run(self) -> anyhow::Result<()> {
        let workspace = self.remote.connect().await?;
        let rules: Vec<Rule> = workspace.get("destination-rules").await?;
        let models: Vec<Model> = workspace.get("models").await?;
        ensure!(!rules.is_empty(), "the workspace has no destination policy");
        let pack = pack(rules, &models)?;
        let text = pack_text::write(&pack).map_err(|faults| {
            let faults: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            anyhow::anyhow!("the policies cannot be written as a pack:{faults}")
        })?;
        match &self.output {
            Some(file) => std::fs::write(file, text)
                .with_context(|| format!("cannot write {}", file.display()))?,
            None => std::io::stdout().write_all(text.as_bytes())?,
        }
        Ok(())
    }
}

/// The policies as a pack: those that differ in nothing but their destination type are one.
fn pack(rules: Vec<Rule>, models: &[Model]) -> anyhow::Result<Pack> {
    let mut policies: Vec<PackPolicy> = Vec::new();
    for rule in rules {
        let twice = policies.iter().any(|policy| {
            policy.name == rule.name && policy.destination_types.contains(&rule.destination_type)
        });
        if twice {
            bail!(
                "two policies for {} are named {:?}: rename one, because packs know policies by name",
                rule.destination_type,
                rule.name
            );
        }
        let model = match rule.parent_model_id {
            None => None,
            Some(id) => {
                let model = models.iter().find(|model| model.id == id);
                let model = model.with_context(|| format!("the model {id} was not listed"))?;
                Some(model.name.clone())
            }
        };
        let same = policies.iter_mut().find(|policy| {
            policy.name == rule.name
                && policy.description == rule.description
                && policy.model == model
                && policy.enabled == rule.enabled
                && alike(policy.filter_tree.json(), &rule.filter_tree)
        });
        if let Some(same) = same {
            same.destination_types.push(rule.destination_type);
            continue;
        }
        let filter_tree = FilterDocument::parse(rule.filter_tree).map_err(|faults| {
            let faults: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            anyhow::anyhow!(
                "this version does not understand the policy {:?}:{faults}",
                rule.name
            )
        })?;
        policies.push(PackPolicy {
            name: rule.name,
            description: rule.description,
            model,
            destination_types: vec![rule.destination_type],
            filter_tree,
            enabled: rule.enabled,
        });
    }
    Ok(Pack { policies })
}
