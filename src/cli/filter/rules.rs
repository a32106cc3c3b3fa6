//! The policies of packs that govern the records, and what they compile to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::conformance;
use crate::guard::{Guard, PolicyFault};
use crate::policy::cases::{self, Cases};
use crate::policy::pack;
use crate::policy::{FilterTree, Requirement, infer};

/// A policy of a pack that governs the records.
pub(super) struct Governing {
    /// The pack's file.
    pub(super) pack: PathBuf,
    /// Its number in the pack, from 0.
    number: usize,
    /// What it demands. Its id is made up, and tells it from the others.
    pub(super) requirement: Requirement,
}

impl Governing {
    /// Where its filter tree stands: file and JSON path.
    fn place(&self) -> String {
        let (pack, number) = (self.pack.display(), self.number);
        format!("{pack}: $.policies[{number}].filter_tree")
    }
}

/// All policies that govern the records, in the order of the packs.
pub(super) struct Rules {
    policies: Vec<Governing>,
}

impl Rules {
    /// Reads packs, and keeps the policies that are meant for a model and a destination type.
    pub(super) fn load(
        paths: &[PathBuf],
        model: Option<&str>,
        destination_type: &str,
    ) -> anyhow::Result<Rules> {
        let mut policies: Vec<Governing> = Vec::new();
        for path in conformance::packs(paths)? {
            let shown = path.display();
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("{shown} cannot be read"))?;
            let pack = pack::parse(&text)
                .map_err(|faults| refused(&format!("{shown} is no policy pack"), &faults))?;
            for (number, policy) in pack.policies.iter().enumerate() {
                let of = policy.model.as_deref();
                if model.is_none() && of.is_some() && policy.concerns(of, destination_type) {
                    // It cannot be told whether it applies.
                    bail!(
                        "policy \"{}\" of {shown} is for the model \"{}\": say with --model which \
                         model the records belong to",
                        policy.name,
                        of.unwrap_or_default()
                    );
                }
                if policy.concerns(model, destination_type) {
                    let id = Uuid::from_u128(policies.len() as u128 + 1);
                    policies.push(Governing {
                        pack: path.clone(),
                        number,
                        requirement: Requirement {
                            policy_id: Some(id),
                            ..policy.requirement()
                        },
                    });
                }
            }
        }
        Ok(Rules { policies })
    }

    /// Whether no policy governs the records.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The error that says so.
    pub(super) fn none_applies(&self, model: Option<&str>, destination: &str) -> anyhow::Error {
        let records = match model {
            Some(model) => format!("records of \"{model}\""),
            None => "records".to_owned(),
        };
        anyhow!(
            "no policy of these packs governs {records} on their way to {destination}: nothing \
             would be withheld; pass --allow-unguarded if that is meant"
        )
    }

    /// The policies, in the order of the packs, each with its id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Governing> {
        self.policies.iter()
    }

    /// The policy of an id.
    pub(super) fn get(&self, id: Option<Uuid>) -> Option<&Governing> {
        let mut policies = self.policies.iter();
        policies.find(|policy| policy.requirement.policy_id == id)
    }

    /// The types of the columns that the policies read: as the cases beside the packs have them,
    /// else as the policies' conditions tell. `nested` is whether records may have objects in
    /// them.
    pub(super) fn types(&self, model: Option<&str>, nested: bool) -> anyhow::Result<SchemaRef> {
        let known = self.known(model)?;
        let trees: Vec<(String, &FilterTree)> = self
            .policies
            .iter()
            .map(|policy| (policy.place(), &policy.requirement.filter_tree))
            .collect();
        infer::columns(&trees, &known, nested).map_err(|faults| {
            let what = "the types of columns cannot be told from the policies: give the types \
                        with --schema";
            refused(what, &faults)
        })
    }

    /// The columns among those that policies read whose types the cases beside the packs tell.
    fn known(&self, model: Option<&str>) -> anyhow::Result<Schema> {
        let read: BTreeSet<_> = self
            .policies
            .iter()
            .flat_map(|policy| policy.requirement.filter_tree.columns())
            .collect();
        let packs: BTreeSet<_> = self.policies.iter().map(|policy| &policy.pack).collect();
        let mut known: BTreeMap<String, (DataType, PathBuf)> = BTreeMap::new();
        for file in packs.into_iter().map(|pack| conformance::cases_of(pack)) {
            let Some(cases) = cases_in(&file)? else {
                continue;
            };
            // They may be of another model than the records.
            let other = cases.model.is_some() && model.is_some() && cases.model.as_deref() != model;
            if other {
                continue;
            }
            let fields = cases.schema.fields().iter();
            for field in fields.filter(|field| read.contains(field.name().as_str())) {
                let (name, data_type) = (field.name(), field.data_type());
                let (first, there) = known
                    .entry(name.clone())
                    .or_insert_with(|| (data_type.clone(), file.clone()));
                if first != data_type {
                    bail!(
                        "column \"{name}\" is of type {first} in {} and of type {data_type} in \
                         {}: give the types of the columns with --schema",
                        there.display(),
                        file.display()
                    );
                }
            }
        }
        let fields = known
            .into_iter()
            .map(|(name, (data_type, _))| Field::new(name, data_type, true));
        Ok(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The guard of the policies for columns.
    pub(super) fn compile(&self, schema: &SchemaRef, now: DateTime<Utc>) -> anyhow::Result<Guard> {
        let requirements: Vec<_> = self
            .policies
            .iter()
            .map(|policy| policy.requirement.clone())
            .collect();
        Guard::compile(schema, &requirements, now, 0).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(|fault| self.located(fault)).collect();
            refused(
                "the policies do not fit the columns of the records",
                &faults,
            )
        })
    }

    /// A fault of a policy with its place in the pack.
    fn located(&self, found: &PolicyFault) -> String {
        match self.get(found.policy_id) {
            Some(policy) => {
                let below = found.fault.path.strip_prefix('$').unwrap_or_default();
                let (place, message) = (policy.place(), &found.fault.message);
                format!("{place}{below}: policy \"{}\": {message}", found.policy)
            }
            None => found.to_string(),
        }
    }
}

/// The cases in a file; `None` if there is no such file.
fn cases_in(file: &Path) -> anyhow::Result<Option<Cases>> {
    let shown = file.display();
    match std::fs::read_to_string(file) {
        Ok(text) => cases::parse(&text).map(Some).map_err(|faults| {
            let what = format!("{shown}, which tells the types of columns, cannot be used");
            refused(&what, &faults)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be read")),
    }
}

/// An error with all that is wrong, one fault a line.
pub(super) fn refused(what: &str, faults: &[impl Display]) -> anyhow::Error {
    let faults: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    anyhow!("{what}:{faults}")
}
