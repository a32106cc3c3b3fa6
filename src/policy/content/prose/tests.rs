//! Content policies and what they mean, in `fixtures/content/prose.yaml`.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    content: String,
    /// Names of detectors; `PII`, `SECRETS` and `ALL` stand for theirs, and `-name` takes one out.
    #[serde(default)]
    detectors: Vec<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    unknown: Vec<String>,
    /// What each fault says, in part.
    #[serde(default)]
    faults: Vec<String>,
}

fn detectors(names: &[String]) -> Detectors {
    use Detector::*;
    names.iter().fold(Detectors::NONE, |all, name| {
        let personal = Detector::ALL.into_iter().filter(|one| one.is_personal());
        match name.as_str() {
            "PII" => all.and(
                personal
                    .filter(|one| !matches!(one, MedicalRecordNumber | Icd10))
                    .collect(),
            ),
            "SECRETS" => all.and(Detectors::all().minus(personal.collect())),
            "ALL" => Detectors::all(),
            name => match name.strip_prefix('-') {
                Some(name) => all.without(Detector::of(name).unwrap()),
                None => all.with(Detector::of(name).unwrap_or_else(|| panic!("{name}"))),
            },
        }
    })
}

/// What is wrong with a case.
fn check(case: &Case) -> Option<String> {
    let understood = match understand(&case.content) {
        Ok(understood) => understood,
        Err(faults) => {
            let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let as_expected = said.len() == case.faults.len()
                && said
                    .iter()
                    .zip(&case.faults)
                    .all(|(said, part)| said.starts_with("$.content: ") && said.contains(part));
            return (!as_expected).then(|| format!("{:?}: faults {said:#?}", case.content));
        }
    };
    let expected = Understanding {
        detectors: detectors(&case.detectors),
        columns: case.columns.clone(),
        patterns: case.patterns.clone(),
        unknown: case.unknown.clone(),
    };
    (understood != expected || !case.faults.is_empty()).then(|| {
        let (more, less) = (
            understood.detectors.minus(expected.detectors),
            expected.detectors.minus(understood.detectors),
        );
        format!(
            "{:?}:\n  too much {more:?}, missing {less:?}, unknown {:?}, columns {:?}, patterns {:?}",
            case.content, understood.unknown, understood.columns, understood.patterns
        )
    })
}

#[test]
fn policies_mean_what_they_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/content/prose.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Case> = serde_saphyr::from_str(&text).unwrap();
    let wrong: Vec<String> = cases.iter().filter_map(check).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_term_is_found_in_the_plural_too() {
    for (term, detectors) in terms() {
        for content in [
            term.to_owned(),
            format!("Block {}s.", term.to_uppercase()),
            format!("Never share any {term}, please"),
            format!("{} must not be shared", term.replace(' ', "-")),
        ] {
            // No plural of what ends with one.
            if content.ends_with("Ss.") {
                continue;
            }
            assert_eq!(
                understand(&content).unwrap().detectors,
                detectors,
                "{content:?}"
            );
        }
    }
}

#[test]
fn no_text_is_too_strange_or_too_long() {
    let pieces = [
        "",
        "\0",
        "\u{feff}",
        "e\u{301}mail",
        "İI\u{307}ẞ",
        "👩‍👩‍👧",
        "\u{202e}liame",
        "電子メール、電話",
        "«»",
        "((((",
        "))))",
        "- ",
        "# ",
        "1. ",
        ":",
        "...",
        "…",
        "not ",
        "may ",
        "except ",
        "unless ",
        "if ",
        "is ",
        "e-",
        "e-mail",
        "'s",
        "s'",
        "\r\n",
        "\n",
        "columns:",
        "match: /",
        "columns: \"a",
        "\\",
        ",",
        "and or ",
        "Do not allow ",
        "are allowed ",
        "which ",
    ];
    for one in pieces {
        for two in pieces {
            for three in pieces {
                let _ = understand(&format!("{one}{two}{three}"));
                let _ = understand(&format!("{one} {two} {three}\n"));
            }
        }
    }
    let started = std::time::Instant::now();
    for piece in pieces {
        let _ = understand(&piece.repeat(60_000 / piece.len().max(1)));
    }
    let _ = understand(&"x".repeat(100_000));
    let many: String = (0..5_000)
        .map(|i| format!("customer complaint {i}, "))
        .collect();
    let understood = understand(&many).unwrap();
    assert_eq!(understood.unknown.len(), MOST_UNKNOWN);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
