//! What the prose of a content policy says: the detectors that it names, with what it excepts.
//!
//! `sentence` makes words of the lines, `words` and `terms` know what they do and name, `clause`
//! tells what each clause forbids and permits by its verbs (`chain`), `precise` reads the lines in a precise form.

mod chain;
mod clause;
mod precise;
mod sentence;
mod terms;
mod words;

use std::ops::Range;

use serde::Serialize;

use super::{Detector, Detectors};
use crate::policy::Fault;
use clause::Mention;
use sentence::{Place, Sentences};

/// The most phrases that were not understood, and the most characters of each.
const MOST_UNKNOWN: usize = 50;
const LONGEST_UNKNOWN: usize = 200;

/// Most bytes that a compiled regular expression may take.
pub const PATTERN_BYTES: usize = 1 << 20;

/// What was understood of a content policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Understanding {
    /// What it looks for.
    pub detectors: Detectors,
    /// The columns that its `columns:` lines name: it looks nowhere else. Where it names nothing
    /// to look for there, any value in them is a finding.
    pub columns: Vec<String>,
    /// The regular expressions of its `match:` lines.
    pub patterns: Vec<String>,
    /// Phrases that name something no detector covers.
    pub unknown: Vec<String>,
}

impl Understanding {
    /// Whether there is anything that it would find.
    pub fn detects(&self) -> bool {
        !self.detectors.is_empty() || !self.columns.is_empty() || !self.patterns.is_empty()
    }
}

/// Understands a content policy. The same text always means the same.
///
/// - What is named is forbidden ("Block e-mail addresses", "emails, phone numbers"), unless its
///   clause permits it ("are allowed", "may be shared", "do not block", "except", "but not").
/// - The more specific wins: "Do not share personal data. E-mail addresses are allowed." finds
///   personal data other than e-mail. What is forbidden and permitted alike is forbidden.
/// - A permission with a limit or a condition ("of employees", "if", "unless") permits nothing,
///   because nothing here can check it; the phrase is in `unknown`.
/// - A line is a sentence of its own unless it goes on from the line before. What a line with a
///   colon or a heading says ("Allowed:") holds for the list below it.
/// - `columns: a, b` and `match: /expression/` (or `/expression/i`) on a line of their own mean
///   exactly what they say.
/// - What is forbidden and no detector covers is in `unknown`, for a person to read.
///
/// Errors: every line in a precise form that is not well-formed.
pub fn understand(content: &str) -> Result<Understanding, Vec<Fault>> {
    let mut understanding = Understanding::default();
    let mut faults = Vec::new();
    let mut sentences = Sentences::default();
    let mut start = 0;
    for (i, line) in content.split('\n').enumerate() {
        match precise::read(line, &mut understanding) {
            None => sentences.line(line, start),
            Some(read) => {
                sentences.end();
                if let Err(message) = read {
                    faults.push(Fault::new(
                        "$.content",
                        format!("line {}: {message}", i + 1),
                    ));
                }
            }
        }
        start += line.len() + 1;
    }
    sentences.end();
    if !faults.is_empty() {
        return Err(faults);
    }
    let (mentions, unknown) = listen(&sentences);
    understanding.detectors = decide(&mentions);
    for range in unknown {
        if understanding.unknown.len() == MOST_UNKNOWN {
            break;
        }
        let phrase = phrase(content, range);
        if !phrase.is_empty() && !understanding.unknown.contains(&phrase) {
            understanding.unknown.push(phrase);
        }
    }
    Ok(understanding)
}

/// The terms that a content policy can name, each with what looks for it.
pub fn terms() -> impl Iterator<Item = (&'static str, Detectors)> {
    terms::MEANINGS.iter().flat_map(|meaning| {
        let detectors: Detectors = meaning.detectors.iter().copied().collect();
        meaning.phrases().map(move |phrase| (phrase, detectors))
    })
}

/// Everything that the sentences mention, and where they were not understood.
fn listen(sentences: &Sentences) -> (Vec<Mention>, Vec<Range<usize>>) {
    let mut mentions = Vec::new();
    let mut unknown = Vec::new();
    // What holds for a list under a line with a colon, and under a heading.
    let mut list = None;
    let mut heading = false;
    let mut last = Place::Heading;
    // Where the mentions of the sentence before begin, and whether it permits.
    let mut before = 0;
    let mut permitted = false;
    for sentence in &sentences.done {
        let goes_on = match sentence.place {
            Place::Bullet => true,
            Place::Line => last != Place::Bullet,
            // An empty line may stand between an introduction and its list.
            Place::Paragraph => last == Place::Heading,
            Place::Heading => false,
        };
        if !goes_on {
            list = None;
        }
        if sentence.place == Place::Heading {
            heading = false;
        }
        let mut said = clause::read(&sentence.tokens, list.unwrap_or(heading));
        last = sentence.place;
        if sentence.place == Place::Heading {
            heading = said.permits;
            // A title names what the policy is about; only a verb makes a rule of it.
            if !said.explicit {
                (before, permitted) = (mentions.len(), false);
                continue;
            }
        } else if sentence.introduces && (sentence.place != Place::Bullet || said.explicit) {
            list = Some(said.permits);
            last = Place::Heading;
        }
        // "Emails may be stored. They must not be exported."
        if said.restricts && !sentence.introduces {
            let restricted = mentions.iter_mut().skip(before);
            restricted.for_each(|mention: &mut Mention| mention.permitted = false);
        }
        if permitted && sentence.opposes() {
            let opposed = said.mentions.iter_mut();
            opposed.for_each(|mention| mention.permitted = false);
        }
        (before, permitted) = (mentions.len(), said.permitting);
        mentions.extend(said.mentions);
        unknown.extend(said.unknown);
    }
    (mentions, unknown)
}

/// The detectors whose most specific mention forbids them.
fn decide(mentions: &[Mention]) -> Detectors {
    let best = |detector: Detector, permitted: bool| {
        mentions
            .iter()
            .filter(|mention| {
                mention.permitted == permitted && mention.detectors.contains(detector)
            })
            .map(|mention| mention.rank)
            .min()
    };
    Detector::ALL
        .into_iter()
        .filter(|detector| {
            best(*detector, false).is_some_and(|forbidden| {
                best(*detector, true).is_none_or(|permitted| forbidden <= permitted)
            })
        })
        .collect()
}

fn phrase(content: &str, range: Range<usize>) -> String {
    let text = content.get(range).unwrap_or_default();
    let mut phrase = String::new();
    for word in text.split_whitespace() {
        if !phrase.is_empty() {
            phrase.push(' ');
        }
        phrase.push_str(word);
        if phrase.len() > 4 * LONGEST_UNKNOWN {
            break;
        }
    }
    phrase.chars().take(LONGEST_UNKNOWN).collect()
}

#[cfg(test)]
mod tests;
