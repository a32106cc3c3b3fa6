//! Conformance: whether policy packs decide about the records of their cases as the cases say.
//! It needs no store, no source and no network: packs and cases are files.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::compliance::template_pack;
use crate::guard::{Guard, Leaving};
use crate::policy::cases::{self, Case, Cases, Expectation};
use crate::policy::pack::{self, Pack};
use crate::policy::{Fault, Requirement};
use crate::wire;

/// Why the packs to be checked could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum NoPacks {
    /// A path that is not there, or a folder that cannot be listed.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A folder without packs: whoever names it expects some.
    #[error("{}: no policy pack (a file that ends with .yaml or .yml) is in this folder", .0.display())]
    Empty(PathBuf),
}

/// What a check of one pack found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackReport {
    /// The pack's file.
    pub file: String,
    /// What keeps the pack or some of its cases from being judged.
    pub faults: Vec<FileFault>,
    /// The cases that were judged, in the order of their file.
    pub cases: Vec<CaseReport>,
}

impl PackReport {
    /// Whether the pack and its cases could be judged and every case holds.
    pub fn holds(&self) -> bool {
        self.faults.is_empty() && self.cases.iter().all(CaseReport::holds)
    }
}

/// Something wrong with a file, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFault {
    /// The file.
    pub file: String,
    /// What is wrong, with its JSON path in the file.
    #[serde(flatten)]
    pub fault: Fault,
}

impl std::fmt::Display for FileFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file, self.fault)
    }
}

/// What a check of one case found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// What the case shows.
    pub name: String,
    /// Where its records would go.
    pub destination_type: String,
    /// How many records it has.
    pub records: usize,
    /// The records about which the pack decides otherwise.
    pub failures: Vec<Deviation>,
}

impl CaseReport {
    /// Whether the pack decides about each of its records as the case says.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A record about which a pack decides otherwise than its case says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// Number of the record in its case, counted from 1.
    pub record: usize,
    /// What the case says.
    pub expected: Expectation,
    /// Whether it passes.
    pub passes: bool,
    /// Names of the policies that withhold it, in the order of the pack.
    pub withheld_by: Vec<String>,
}

impl std::fmt::Display for Deviation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record {}: expected to ", self.record)?;
        match &self.expected {
            Expectation::Passes => write!(f, "pass")?,
            Expectation::Withheld => write!(f, "be withheld")?,
            Expectation::WithheldBy(names) => write!(f, "be withheld by {}", quoted(names))?,
        }
        match (self.passes, self.withheld_by.is_empty()) {
            (true, true) => write!(f, "; it passes"),
            (false, false) => write!(f, "; it is withheld by {}", quoted(&self.withheld_by)),
            // The policies together and each alone must agree: this is a fault of the guard.
            (true, false) => write!(
                f,
                "; it passes, although {} withhold it: please report this",
                quoted(&self.withheld_by)
            ),
            (false, true) => write!(
                f,
                "; it is withheld, although no policy does so: please report this"
            ),
        }
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

/// The packs that paths name: a file is one, and of a folder every `.yaml` and `.yml` file in it
/// and below it, cases and policy templates aside. Cases without a pack stand for the pack that
/// is missing.
///
/// # Errors
///
/// A path that cannot be read, and a folder without a pack.
pub fn packs(paths: &[PathBuf]) -> Result<Vec<PathBuf>, NoPacks> {
    let mut found = BTreeSet::new();
    for path in paths {
        let unreadable = |error| NoPacks::Unreadable {
            path: path.clone(),
            error,
        };
        if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            let mut below = BTreeSet::new();
            packs_below(path, &mut below)?;
            if below.is_empty() {
                return Err(NoPacks::Empty(path.clone()));
            }
            found.append(&mut below);
        } else {
            found.insert(pack_of(path).unwrap_or_else(|| path.clone()));
        }
    }
    Ok(found.into_iter().collect())
}

fn packs_below(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), NoPacks> {
    let unreadable = |error| NoPacks::Unreadable {
        path: folder.to_owned(),
        error,
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        // A link to a folder is not followed: it could lead back.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            packs_below(&path, found)?;
        } else if path.is_file()
            && path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            let pack = pack_of(&path).unwrap_or(path);
            if !has_templates(&pack) {
                found.insert(pack);
            }
        }
    }
    Ok(())
}

/// Whether a file holds policy templates, which say nothing about records.
fn has_templates(file: &Path) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| template_pack::is_one(&text))
}

/// The pack that a cases file belongs to; `None` if the file is no cases file.
fn pack_of(path: &Path) -> Option<PathBuf> {
    let extension = path.extension()?;
    let stem = Path::new(path.file_stem()?);
    let pack = path.with_file_name(stem.file_stem()?).into_os_string();
    (stem.extension()? == "cases").then(|| {
        let mut pack = pack;
        pack.push(".");
        pack.push(extension);
        pack.into()
    })
}

/// The cases that belong to a pack: `gdpr.cases.yaml` beside `gdpr.yaml`.
pub fn cases_of(pack: &Path) -> PathBuf {
    match pack.extension() {
        Some(extension) if extension == "yml" => pack.with_extension("cases.yml"),
        _ => pack.with_extension("cases.yaml"),
    }
}

/// Checks the pack in a file against the cases beside it. A pack without cases does not hold.
pub fn check(file: &Path) -> PackReport {
    let beside = cases_of(file);
    let mut report = PackReport {
        file: file.display().to_string(),
        faults: Vec::new(),
        cases: Vec::new(),
    };
    let pack = match std::fs::read_to_string(file) {
        Ok(text) => pack::parse(&text),
        Err(error) => Err(vec![Fault::new("$", format!("cannot be read: {error}"))]),
    };
    let cases = match std::fs::read_to_string(&beside) {
        Ok(text) => cases::parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(vec![Fault::new(
            "$",
            "this file is missing: write there what the pack must decide",
        )]),
        Err(error) => Err(vec![Fault::new("$", format!("cannot be read: {error}"))]),
    };
    let mut at = |file: &Path, faults: Vec<Fault>| {
        let file = file.display().to_string();
        report
            .faults
            .extend(faults.into_iter().map(|fault| FileFault {
                file: file.clone(),
                fault,
            }));
    };
    match (pack, cases) {
        (Ok(pack), Ok(cases)) => {
            let judged = judge(&pack, &cases);
            at(file, judged.of_pack);
            at(&beside, judged.of_cases);
            report.cases = judged.cases;
        }
        (pack, cases) => {
            at(file, pack.err().unwrap_or_default());
            at(&beside, cases.err().unwrap_or_default());
        }
    }
    report
}

/// What became of the cases of a pack.
#[derive(Default)]
struct Judged {
    /// What keeps the pack from being compiled against the columns of the cases.
    of_pack: Vec<Fault>,
    /// What keeps records from being read.
    of_cases: Vec<Fault>,
    cases: Vec<CaseReport>,
}

fn judge(pack: &Pack, cases: &Cases) -> Judged {
    let mut judged = Judged::default();
    let mut known = HashSet::new();
    for (i, case) in cases.cases.iter().enumerate() {
        match check_case(pack, cases, i, case) {
            Ok(report) => judged.cases.push(report),
            Err(CaseFaults::Pack(faults)) => {
                // The same policy may be at fault in many cases.
                let new = faults
                    .into_iter()
                    .filter(|fault| known.insert(fault.to_string()));
                judged.of_pack.extend(new);
            }
            Err(CaseFaults::Case(faults)) => judged.of_cases.extend(faults),
        }
    }
    judged
}

/// Why a case could not be judged.
enum CaseFaults {
    Pack(Vec<Fault>),
    Case(Vec<Fault>),
}

fn check_case(
    pack: &Pack,
    cases: &Cases,
    number: usize,
    case: &Case,
) -> Result<CaseReport, CaseFaults> {
    let requirements: Vec<_> = pack
        .policies
        .iter()
        .filter(|policy| {
            policy.governs(
                cases.model.as_deref(),
                &cases.schema,
                &case.destination_type,
            )
        })
        .map(|policy| policy.requirement())
        .collect();
    let passing = |requirements: &[Requirement]| passing(pack, cases, number, case, requirements);
    let together = passing(&requirements)?;
    let alone = requirements
        .iter()
        .map(|requirement| passing(std::slice::from_ref(requirement)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut failures = Vec::new();
    for (row, passes) in together.into_iter().enumerate() {
        let withheld_by: Vec<_> = requirements
            .iter()
            .zip(&alone)
            .filter(|(_, passing)| passing.get(row) != Some(&true))
            .map(|(requirement, _)| requirement.name.clone())
            .collect();
        let met = match &case.expect {
            Expectation::Passes => passes,
            Expectation::Withheld => !passes,
            Expectation::WithheldBy(names) => {
                let expected: BTreeSet<_> = names.iter().collect();
                !passes && withheld_by.iter().collect::<BTreeSet<_>>() == expected
            }
        };
        if !met || passes != withheld_by.is_empty() {
            failures.push(Deviation {
                record: row + 1,
                expected: case.expect.clone(),
                passes,
                withheld_by,
            });
        }
    }
    Ok(CaseReport {
        name: case.name.clone(),
        destination_type: case.destination_type.clone(),
        records: case.records.len(),
        failures,
    })
}

/// Which records of a case pass a guard of the requirements.
fn passing(
    pack: &Pack,
    cases: &Cases,
    number: usize,
    case: &Case,
    requirements: &[Requirement],
) -> Result<Vec<bool>, CaseFaults> {
    let guard = Guard::compile(&cases.schema, requirements, cases.now, 1).map_err(|refused| {
        let within_pack = refused.into_iter().map(|refused| {
            let policy = pack.policies.iter().position(|policy| {
                policy.name == refused.policy
                    && policy.destination_types.contains(&case.destination_type)
            });
            let path = match policy {
                Some(i) => format!("$.policies[{i}].filter_tree"),
                None => "$".to_owned(),
            };
            let message = format!("on the columns of the cases: {}", refused.fault.message);
            Fault::new(refused.fault.path.replacen('$', &path, 1), message)
        });
        CaseFaults::Pack(within_pack.collect())
    })?;
    let batch = wire::json::records_to_batch(&cases.schema, &case.records).map_err(|faults| {
        let records = format!("$.cases[{number}].records");
        let within_cases = faults
            .into_iter()
            .map(|fault| Fault::new(fault.path.replacen('$', &records, 1), fault.message));
        CaseFaults::Case(within_cases.collect())
    })?;
    let verdict = guard.apply(&batch, Leaving::All).map_err(|error| {
        let path = format!("$.cases[{number}]");
        CaseFaults::Case(vec![Fault::new(path, error.to_string())])
    })?;
    Ok(verdict.passes().iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_cases_find_each_other() {
        for (pack, cases) in [
            ("a/gdpr.yaml", "a/gdpr.cases.yaml"),
            ("gdpr.yml", "gdpr.cases.yml"),
            ("gdpr.v2.yaml", "gdpr.v2.cases.yaml"),
        ] {
            assert_eq!(cases_of(Path::new(pack)), Path::new(cases));
            assert_eq!(pack_of(Path::new(cases)).as_deref(), Some(Path::new(pack)));
            assert_eq!(pack_of(Path::new(pack)), None);
        }
    }
}
