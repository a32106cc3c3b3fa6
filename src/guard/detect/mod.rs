//! Detecting: personal data and secrets in the texts of records.
//!
//! `scan` goes through texts once and finds the spots where something may stand (`passing` is what
//! it leaves out); a file for each family of detectors says whether it does. `context` is what the
//! words near a spot are about, `column` what the name of a column is, both by the words of the
//! `lexicon`, and `texts` makes texts of arrays, `plain` makes them what they look like;
//! `personal` goes by names alone. `shape` tells what a finding looks like without telling what it
//! is.

mod address;
mod birth;
mod card;
mod check;
mod column;
mod context;
mod edge;
mod email;
mod entropy;
mod health;
mod iban;
mod lexicon;
mod marks;
mod national;
mod network;
mod numbering;
mod passing;
mod passport;
mod person;
mod personal;
mod phone;
pub mod plain;
mod scan;
mod secret;
pub mod shape;
#[cfg(test)]
mod tests;
pub mod texts;

use std::ops::Range;

use crate::policy::content::Detector;
pub use context::{Topic, Topics};
pub use personal::personal_columns;
pub use scan::{Found, Scanner, Texts};

/// A spot in a text where something may stand.
#[derive(Clone, Debug)]
pub struct Spot<'a> {
    /// The whole text.
    pub text: &'a str,
    /// What made it a spot: see [`Trigger`]. On character boundaries.
    pub at: Range<usize>,
    /// The groups of digits, where digits made it one; else nothing.
    pub groups: &'a [Range<usize>],
    /// What the name of the column is about.
    pub topics: Topics,
}

impl<'a> Spot<'a> {
    /// The text as bytes.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The byte before a position, if any.
    #[inline]
    pub fn before(&self, at: usize) -> Option<u8> {
        self.bytes().get(at.checked_sub(1)?).copied()
    }

    /// The byte at a position, if any.
    #[inline]
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// How many digits the groups have.
    #[inline]
    pub fn digits(&self) -> usize {
        self.groups.iter().map(Range::len).sum()
    }

    /// Whether the name of the column, or a word near the spot, is about something. Words count up
    /// to 40 bytes before it and 20 behind.
    pub fn is_about(&self, topic: Topic) -> bool {
        self.topics.contains(topic) || context::near(self.text, &self.at).contains(topic)
    }
}

/// What makes a spot of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An `@`.
    At,
    /// Digits, so many at least and at most, in groups that blanks, dots, hyphens, slashes and
    /// parentheses (at most two of them in a row) separate. The spot is from the first digit to
    /// the last.
    Digits(usize, usize),
    /// A colon that has a hexadecimal digit or a colon before it, and another colon at most five
    /// bytes behind it. Only the first one of a row of those.
    Colons,
    /// A `:` or a `-` with the same byte three and six places behind it. Only the first one of a
    /// row of those.
    Pairs,
    /// One of some texts of at least three bytes, whatever the case of ASCII letters. The spot is
    /// that text.
    Mark(&'static [&'static str]),
    /// A run of at least so many ASCII letters, digits and `+/=_-.`. The spot is the run.
    Token(usize),
    /// The name of the column is about something. The spot is the whole text without white space
    /// around it.
    Column(Topic),
}

/// One way to find what a detector looks for.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The detector.
    pub detector: Detector,
    /// Where it looks.
    pub trigger: Trigger,
    /// Whether it stands there, and from where to where. It may look at all of the text, but for
    /// no longer than the finding and a bounded distance around it.
    pub find: fn(&Spot<'_>) -> Option<Range<usize>>,
}

/// Every probe there is.
fn probes() -> impl Iterator<Item = &'static Probe> {
    [
        email::PROBES,
        phone::PROBES,
        card::PROBES,
        iban::PROBES,
        national::PROBES,
        passport::PROBES,
        network::PROBES,
        birth::PROBES,
        address::PROBES,
        person::PROBES,
        secret::api_key::PROBES,
        secret::jwt::PROBES,
        secret::pem::PROBES,
        secret::connection::PROBES,
        secret::password::PROBES,
        entropy::PROBES,
        health::PROBES,
    ]
    .into_iter()
    .flatten()
}
