//! The audit log in words: what is written of a change, how the lines of a chain hold together,
//! and how a chain that was tampered with is found.
//!
//! The organisation has one chain, for accounts and keys, and each workspace has one. A line's
//! hash is the SHA-256 of the hash before it, a line feed, and the line's text, so that it stands
//! for everything up to it. The first line follows a hash of the chain's name: no chain passes
//! for another.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

/// Most broken places that a report names; further ones are counted.
const MOST_BROKEN: usize = 100;

/// What happened, beside who did it.
///
/// No secret and no row value belongs here: objects are given as the API shows them, and
/// decisions about data as counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Kind of object and verb, such as `role.create` or `run.finish`.
    pub action: String,
    /// Kind of the object, such as `role`.
    pub object_kind: &'static str,
    /// The object, if one thing was acted on.
    pub object_id: Option<Uuid>,
    /// The policy revision that the change made, or that governed the decision.
    pub revision: Option<u64>,
    /// The object as it was; `None` for a new one.
    pub before: Option<Value>,
    /// The object as it is now, `None` for a deletion; for a decision about data, its counts.
    pub after: Option<Value>,
}

impl Event {
    /// What happened to an object that was created, updated or deleted, by which of its sides
    /// are there.
    pub fn of<T: Serialize>(
        kind: &'static str,
        id: Option<Uuid>,
        before: Option<&T>,
        after: Option<&T>,
    ) -> Event {
        let verb = match (before, after) {
            (None, _) => "create",
            (Some(_), None) => "delete",
            (Some(_), Some(_)) => "update",
        };
        // What cannot be written as JSON, which no object of ours is, reads back as null.
        let shown =
            |side: Option<&T>| side.map(|side| serde_json::to_value(side).unwrap_or_default());
        Event {
            action: format!("{kind}.{verb}"),
            object_kind: kind,
            object_id: id,
            revision: None,
            before: shown(before),
            after: shown(after),
        }
    }
}

/// One line of the log. Its text is its JSON, with the fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Place in its chain, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The workspace; `None` for the organisation.
    #[schema(required)]
    pub workspace_id: Option<Uuid>,
    /// Who.
    pub account_id: Uuid,
    /// By which key; `None` where a process of ours acted for the account.
    #[schema(required)]
    pub key_id: Option<Uuid>,
    /// By which request.
    #[schema(required)]
    pub request_id: Option<String>,
    /// Kind of object and verb, such as `role.create` or `run.finish`.
    pub action: String,
    /// Kind of the object, such as `role`.
    pub object_kind: String,
    /// The object, if one thing was acted on.
    #[schema(required)]
    pub object_id: Option<Uuid>,
    /// The policy revision that the change made, or that governed the decision.
    #[schema(required)]
    pub revision: Option<u64>,
    /// The object as it was; `None` for a new one.
    #[schema(required)]
    pub before: Option<Value>,
    /// The object as it is now, `None` for a deletion; for a decision about data, its counts.
    #[schema(required)]
    pub after: Option<Value>,
}

/// A line as it is shown and exported: its text byte for byte as it was hashed, between the hash
/// that it follows and its own.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Hash of the line before.
    pub previous: String,
    /// Hash of this line.
    pub hash: String,
    /// The line.
    #[schema(value_type = Line)]
    pub line: Box<RawValue>,
}

/// Which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// That of accounts and keys.
    Organisation,
    /// That of a workspace.
    Workspace(Uuid),
}

impl Chain {
    /// The chain of a workspace, or of the organisation.
    pub fn of(workspace_id: Option<Uuid>) -> Chain {
        workspace_id.map_or(Chain::Organisation, Chain::Workspace)
    }

    /// The chain with a name, as it is displayed.
    pub fn named(name: &str) -> Option<Chain> {
        let chain = match name.strip_prefix("workspace:") {
            Some(id) => Chain::Workspace(id.parse().ok()?),
            None => Chain::Organisation,
        };
        // An identifier can be written in several ways; a chain has one name.
        (chain.to_string() == name).then_some(chain)
    }

    /// What the first line follows.
    pub fn origin(self) -> String {
        hash("syncguard audit", &self.to_string())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chain::Organisation => f.write_str("organisation"),
            Chain::Workspace(id) => write!(f, "workspace:{id}"),
        }
    }
}

/// The hash of a line with a text that follows the line with the hash `previous`: 64 lower-case
/// hexadecimal digits.
pub fn hash(previous: &str, text: &str) -> String {
    let digest = Sha256::new()
        .chain_update(previous)
        .chain_update("\n")
        .chain_update(text)
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A place where a chain does not hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Broken {
    /// How many lines had been read there.
    pub read: u64,
    /// The place in the chain.
    pub seq: u64,
    /// What is wrong; no part of the line.
    pub what: String,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Name of the chain, or of the file where no line told it.
    pub chain: String,
    /// Lines read.
    pub lines: u64,
    /// Hash of the last line; `None` if there is no line.
    pub head: Option<String>,
    /// The first hundred broken places.
    pub broken: Vec<Broken>,
    /// How many more there are.
    pub more_broken: u64,
    /// Those of the noted hashes that lines of this chain bear.
    pub met: BTreeSet<String>,
}

impl Report {
    /// Whether nothing broken was found.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Verifies a chain line by line, from its first; its memory does not grow with the chain.
///
/// It finds a line whose text or hash was changed, and lines that were removed, put in, moved or
/// taken from another chain. Whoever rewrites a whole chain with all hashes, or takes away its
/// end and sets the head back, is found only by a hash that was noted elsewhere.
#[derive(Debug)]
pub struct Verifier {
    name: String,
    chain: Option<Chain>,
    noted: BTreeSet<String>,
    met: BTreeSet<String>,
    lines: u64,
    /// The last line in order and its hash.
    seq: u64,
    head: String,
    broken: Vec<Broken>,
    more_broken: u64,
}

impl Verifier {
    /// Verifies a chain, and tells which of the `noted` hashes its lines bear.
    pub fn of(chain: Chain, noted: BTreeSet<String>) -> Verifier {
        Verifier {
            chain: Some(chain),
            head: chain.origin(),
            ..Verifier::of_any(chain.to_string(), noted)
        }
    }

    /// Verifies whatever chain the first line is of; until then the report has this name.
    pub fn of_any(name: String, noted: BTreeSet<String>) -> Verifier {
        Verifier {
            name,
            chain: None,
            noted,
            met: BTreeSet::new(),
            lines: 0,
            seq: 0,
            head: String::new(),
            broken: Vec::new(),
            more_broken: 0,
        }
    }

    /// Takes the next line of an export, which is the JSON of a [`Link`].
    pub fn feed_exported(&mut self, exported: &[u8]) -> Option<Line> {
        match serde_json::from_slice::<Link>(exported) {
            Ok(link) => self.feed(&link.previous, link.line.get(), &link.hash),
            Err(_) => {
                self.feed_unreadable();
                None
            }
        }
    }

    /// Takes the next line, which cannot be read.
    pub fn feed_unreadable(&mut self) {
        self.lines = self.lines.saturating_add(1);
        self.seq = self.seq.saturating_add(1);
        // It is unknown what the next one should follow: only its own hash is judged.
        self.head.clear();
        self.note(self.seq, "it is not a line of an audit log");
    }

    /// Takes the next line; answers it if its text can be read.
    pub fn feed(&mut self, previous: &str, text: &str, hash: &str) -> Option<Line> {
        self.lines = self.lines.saturating_add(1);
        let line: Option<Line> = serde_json::from_str(text).ok();
        let intact = self::hash(previous, text) == hash;
        let expected = self.seq.saturating_add(1);
        // A number that may have been changed tells nothing about the lines around it.
        let seq = match &line {
            Some(line) if intact => line.seq,
            _ => expected,
        };
        if !intact {
            self.note(seq, "it was changed: its text does not have its hash");
        } else if line.is_none() {
            self.note(seq, "it is not a line of an audit log");
        }
        if let Some(line) = &line {
            self.belongs(seq, Chain::of(line.workspace_id));
        }
        if seq > expected {
            let what = missing(expected, seq.saturating_sub(1));
            self.note(expected, what);
        } else if seq < expected {
            let what = format!("it comes after line {}: it was moved or put in", self.seq);
            self.note(seq, what);
        } else if previous != self.head && !self.head.is_empty() {
            let what = "it does not follow the line before: one of the two was replaced";
            self.note(seq, what);
        }
        if seq >= expected {
            self.seq = seq;
            hash.clone_into(&mut self.head);
        }
        if intact && self.noted.contains(hash) {
            self.met.insert(hash.to_owned());
        }
        line
    }

    /// Checks that a line is of the chain that is verified, or learns which one that is.
    fn belongs(&mut self, seq: u64, chain: Chain) {
        match self.chain {
            Some(expected) if expected == chain => {}
            Some(_) => self.note(seq, format!("it belongs to the chain {chain}")),
            None => {
                self.chain = Some(chain);
                self.name = chain.to_string();
                if self.seq == 0 {
                    self.head = chain.origin();
                }
            }
        }
    }

    /// Notes a broken place.
    pub fn note(&mut self, seq: u64, what: impl Into<String>) {
        if self.broken.len() < MOST_BROKEN {
            let (read, what) = (self.lines, what.into());
            self.broken.push(Broken { read, seq, what });
        } else {
            self.more_broken = self.more_broken.saturating_add(1);
        }
    }

    /// Ends where nothing tells where the chain should end.
    pub fn finish(self) -> Report {
        Report {
            chain: self.name,
            lines: self.lines,
            head: (self.lines > 0).then_some(self.head),
            broken: self.broken,
            more_broken: self.more_broken,
            met: self.met,
        }
    }

    /// Ends at the head that is kept beside the chain: number and hash of its last line.
    pub fn finish_at(mut self, head: Option<(u64, &str)>) -> Report {
        let next = self.seq.saturating_add(1);
        match head {
            None => self.note(next, "the head of the chain is missing"),
            Some((seq, _)) if seq > self.seq => self.note(next, missing(next, seq)),
            Some((seq, _)) if seq < self.seq => {
                let what = format!("the chain should end with line {seq}: its head was set back");
                self.note(seq.saturating_add(1), what);
            }
            Some((_, hash)) if hash != self.head => {
                let what = "the head has another hash: it or the last line was replaced";
                self.note(self.seq, what);
            }
            Some(_) => {}
        }
        self.finish()
    }
}

fn missing(first: u64, last: u64) -> String {
    if first == last {
        format!("line {first} is missing")
    } else {
        format!("lines {first} to {last} are missing")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WORKSPACE: Uuid = Uuid::from_u128(7);

    fn chain(workspace_id: Option<Uuid>, length: u64) -> Vec<Link> {
        let mut previous = Chain::of(workspace_id).origin();
        let mut links = Vec::new();
        for seq in 1..=length {
            let line = Line {
                seq,
                at: DateTime::from_timestamp(1_750_000_000 + seq as i64, 5000).unwrap(),
                workspace_id,
                account_id: Uuid::from_u128(8),
                key_id: (seq % 2 == 0).then_some(Uuid::from_u128(9)),
                request_id: Some(format!("r-{seq}")),
                action: "role.update".to_owned(),
                object_kind: "role".to_owned(),
                object_id: Some(Uuid::from_u128(10)),
                revision: Some(seq),
                before: None,
                after: Some(json!({"name": "\"é\" \\ \n", "limit": 9007199254740993_u64})),
            };
            let text = serde_json::to_string(&line).unwrap();
            let hash = hash(&previous, &text);
            links.push(Link {
                previous,
                hash: hash.clone(),
                line: RawValue::from_string(text).unwrap(),
            });
            previous = hash;
        }
        links
    }

    fn exported(links: &[Link]) -> Vec<Vec<u8>> {
        let export = |link| serde_json::to_vec(link).unwrap();
        links.iter().map(export).collect()
    }

    fn verified<'a>(lines: impl IntoIterator<Item = &'a Vec<u8>>) -> Report {
        let mut verifier = Verifier::of(Chain::Workspace(WORKSPACE), BTreeSet::new());
        for line in lines {
            verifier.feed_exported(line);
        }
        verifier.finish()
    }

    fn places(report: &Report) -> Vec<u64> {
        report.broken.iter().map(|broken| broken.seq).collect()
    }

    #[test]
    fn untouched_chain_is_whole() {
        let links = chain(Some(WORKSPACE), 5);
        let lines = exported(&links);
        let noted = BTreeSet::from([links[2].hash.clone(), "0".repeat(64)]);
        let mut verifier = Verifier::of_any("file".to_owned(), noted);
        for line in &lines {
            assert!(verifier.feed_exported(line).is_some());
        }
        let report = verifier.finish_at(Some((5, &links[4].hash)));
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((report.lines, report.more_broken), (5, 0));
        assert_eq!(report.chain, format!("workspace:{WORKSPACE}"));
        assert_eq!(report.head.as_ref(), Some(&links[4].hash));
        assert_eq!(report.met, BTreeSet::from([links[2].hash.clone()]));
    }

    #[test]
    fn every_changed_byte_of_an_export_is_found() {
        let lines = exported(&chain(Some(WORKSPACE), 3));
        for (at, line) in lines.iter().enumerate() {
            for place in 0..line.len() {
                for flip in [0x01, 0x02, 0x10, 0x20, 0x80] {
                    let mut changed = lines.clone();
                    changed[at][place] ^= flip;
                    let report = verified(&changed);
                    let first = report.broken.first().map(|broken| broken.seq);
                    assert_eq!(
                        first,
                        Some(at as u64 + 1),
                        "byte {place} of line {at}, {flip}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_changed_byte_of_a_text_is_named_and_nothing_else() {
        let links = chain(Some(WORKSPACE), 3);
        let text = links[1].line.get();
        for (place, _) in text.char_indices().filter(|(_, c)| c.is_ascii()) {
            let mut changed = text.to_owned();
            let other = if text.as_bytes()[place] == b'7' {
                "8"
            } else {
                "7"
            };
            changed.replace_range(place..=place, other);
            let mut verifier = Verifier::of(Chain::Workspace(WORKSPACE), BTreeSet::new());
            for (at, link) in links.iter().enumerate() {
                let text = if at == 1 { &changed } else { link.line.get() };
                verifier.feed(&link.previous, text, &link.hash);
            }
            let report = verifier.finish_at(Some((3, &links[2].hash)));
            assert!(!report.is_whole(), "byte {place}");
            assert!(places(&report).iter().all(|seq| *seq == 2), "{report:?}");
        }
    }

    #[test]
    fn every_removed_line_is_found() {
        let links = chain(Some(WORKSPACE), 6);
        let lines = exported(&links);
        for at in 0..6 {
            let mut left = lines.clone();
            left.remove(at);
            let mut verifier = Verifier::of(Chain::Workspace(WORKSPACE), BTreeSet::new());
            for line in &left {
                verifier.feed_exported(line);
            }
            let report = verifier.finish_at(Some((6, &links[5].hash)));
            assert_eq!(places(&report), [at as u64 + 1], "{report:?}");
            assert!(report.broken[0].what.ends_with("is missing"), "{report:?}");
        }
    }

    #[test]
    fn every_exchange_and_every_repetition_is_found() {
        let lines = exported(&chain(Some(WORKSPACE), 6));
        for a in 0..6 {
            for b in 0..6 {
                if a != b {
                    let mut swapped = lines.clone();
                    swapped.swap(a, b);
                    let report = verified(&swapped);
                    assert_eq!(places(&report)[0], a.min(b) as u64 + 1, "{report:?}");
                }
                let mut repeated = lines.clone();
                repeated.insert(b, lines[a].clone());
                assert!(!verified(&repeated).is_whole(), "{a} again at {b}");
            }
        }
    }

    #[test]
    fn every_missing_end_is_found_by_the_head() {
        let links = chain(Some(WORKSPACE), 6);
        let lines = exported(&links);
        for left in 0..6 {
            let mut verifier = Verifier::of(Chain::Workspace(WORKSPACE), BTreeSet::new());
            for line in &lines[..left] {
                verifier.feed_exported(line);
            }
            let report = verifier.finish_at(Some((6, &links[5].hash)));
            assert_eq!(places(&report), [left as u64 + 1], "{report:?}");
        }
    }

    #[test]
    fn head_that_does_not_fit_is_found() {
        let links = chain(Some(WORKSPACE), 3);
        let (last, before) = (links[2].hash.as_str(), links[1].hash.as_str());
        for (head, expected) in [
            (None, 4),
            (Some((2, before)), 3),
            (Some((4, last)), 4),
            (Some((3, before)), 3),
        ] {
            let mut verifier = Verifier::of(Chain::Workspace(WORKSPACE), BTreeSet::new());
            for line in exported(&links) {
                verifier.feed_exported(&line);
            }
            let report = verifier.finish_at(head);
            assert_eq!(places(&report), [expected], "{head:?}: {report:?}");
        }
    }

    #[test]
    fn line_that_was_replaced_with_its_hash_is_found_at_the_next_one() {
        let mut links = chain(Some(WORKSPACE), 3);
        let text = links[1].line.get().replace("role.update", "role.create");
        links[1].hash = hash(&links[1].previous, &text);
        links[1].line = RawValue::from_string(text).unwrap();
        assert_eq!(places(&verified(&exported(&links))), [3]);
    }

    #[test]
    fn chain_does_not_pass_for_another() {
        let other = exported(&chain(Some(Uuid::from_u128(70)), 2));
        assert!(!verified(&other).is_whole());
        let organisation = exported(&chain(None, 2));
        assert!(!verified(&organisation).is_whole());
        // Not even where the lines say that they belong here.
        let mut previous = Chain::Organisation.origin();
        let mut links = chain(Some(WORKSPACE), 2);
        for link in &mut links {
            link.previous = previous;
            link.hash = hash(&link.previous, link.line.get());
            previous = link.hash.clone();
        }
        assert_eq!(places(&verified(&exported(&links))), [1]);
    }

    #[test]
    fn report_stays_small_however_much_is_broken() {
        let noise = vec![b"{}".to_vec(); 1000];
        let report = verified(&noise);
        assert_eq!((report.broken.len(), report.more_broken), (100, 900));
    }

    #[test]
    fn chains_have_one_name_each() {
        for chain in [Chain::Organisation, Chain::Workspace(WORKSPACE)] {
            assert_eq!(Chain::named(&chain.to_string()), Some(chain));
        }
        let simple = format!("workspace:{}", WORKSPACE.simple());
        for other in [
            "",
            "workspace",
            "workspace:",
            "Organisation",
            simple.as_str(),
        ] {
            assert_eq!(Chain::named(other), None, "{other}");
        }
    }
}
