//! How fast all detectors read texts, on one core.
//!
//! `cargo bench --profile dev --bench detect [-- MB]`
//!
//! MB is how much of each kind of texts there is (32). It measures
//! - `scanner`: `syncguard::guard::detect` with every detector on, column by column,
//! - `regex loop`: a pattern for each detector (without check digits or columns), one by one over
//!   each text, on an eighth of the texts,
//! - `memchr`: a search for a byte that is not there, the ceiling,
//!
//! over customer records in which nothing is to be found, the same with personal columns, and free
//! text. Each is the median of several rounds in turns.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement, not the product"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use regex::bytes::{Regex, RegexBuilder};
use syncguard::guard::detect::{Found, Scanner, Texts, Topics};
use syncguard::policy::content::Detectors;

const ROWS: usize = 8192;
const ROUNDS: usize = 7;

/// What a developer might write for each detector. Where a detector wants words near, so does its
/// pattern.
const PATTERNS: &[(&str, &str)] = &[
    (
        "email",
        r"\b[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b",
    ),
    (
        "phone",
        r"(?:\+|\b00)[1-9][0-9]{0,2}[ .-]?(?:\(0?[0-9]{1,4}\)[ .-]?)?[0-9]{1,4}(?:[ ./-]?[0-9]{2,4}){1,4}\b|\(?\b[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b|\b0[1-9](?:[ .-]?[0-9]{2}){4}\b",
    ),
    (
        "payment_card",
        r"\b(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|3[0-9]{3}|6[0-9]{3})[ -]?[0-9]{4,6}[ -]?[0-9]{4,5}(?:[ -]?[0-9]{4})?\b",
    ),
    (
        "iban",
        r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    ),
    ("us_ssn", r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b"),
    (
        "uk_nino",
        r"(?i)\b[A-CEGHJ-PR-TW-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
    ),
    (
        "de_id",
        r"\b[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b|\b[LMNPRTVWXY][0-9CFGHJKLMNPRTVWXYZ]{8}[0-9]\b",
    ),
    (
        "fr_nir",
        r"\b[12] ?[0-9]{2} ?[01][0-9] ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
    ),
    (
        "es_dni",
        r"(?i)\b(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}|[XYZ]-?[0-9]{7})[- ]?[A-HJ-NP-TV-Z]\b",
    ),
    (
        "it_codice_fiscale",
        r"(?i)\b[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]\b",
    ),
    (
        "passport",
        r"(?i)\b(?:passport|reisepass|passeport|pasaporte|passaporto)\b.{0,30}\b[A-Z0-9]{8,9}\b",
    ),
    (
        "ip_address",
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})\b|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b|\b(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}\b",
    ),
    (
        "mac_address",
        r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b",
    ),
    (
        "date_of_birth",
        r"(?i)\b(?:dob|born|birth|birthday|geboren|geb|nacido|nato|naissance)\b.{0,20}\b[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}\b",
    ),
    (
        "postal_address",
        r"(?i)\b[0-9]{1,5} (?:[A-Z]+ ){1,3}(?:street|st|avenue|ave|road|rd|lane|drive|dr|boulevard|blvd)\b|\b[A-Z]+(?:stra(?:ss|\xC3\x9F)e|weg|platz|allee) [0-9]{1,4}\b|\b(?:rue|avenue|boulevard|calle|avenida|via|piazza|corso) .{3,30}\b[0-9]{1,4}\b",
    ),
    (
        "person_name",
        r"\b(?:Mr|Mrs|Ms|Dr|Prof|Herr|Frau|Monsieur|Madame|Mme|Sr|Sra|Sig)\.? [A-Z][a-z]+\b",
    ),
    (
        "api_key",
        r"\b(?:A[KS]IA[A-Z2-7]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{80,}|glpat-[A-Za-z0-9_-]{20}|[sr]k_(?:live|test)_[A-Za-z0-9]{24,}|xox[bp]-[A-Za-z0-9-]{20,}|AIza[A-Za-z0-9_-]{35}|sk-(?:ant|proj)-[A-Za-z0-9_-]{40,}|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|npm_[A-Za-z0-9]{36}|hf_[A-Za-z]{34}|dop_v1_[0-9a-f]{64}|shpat_[0-9a-f]{32}|pypi-[A-Za-z0-9_-]{80,})",
    ),
    (
        "jwt",
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    ),
    (
        "private_key",
        r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----",
    ),
    (
        "connection_string",
        r"(?i)\b[a-z][a-z0-9+]{2,20}://[A-Za-z0-9_.-]*:[A-Za-z0-9_!~%.-]{3,}@[A-Za-z0-9.-]+|\b(?:password|pwd|accountkey)=[A-Za-z0-9_!~%+/=-]{3,};",
    ),
    (
        "password",
        r#"(?i)\b(?:password|passwd|pwd|passwort|kennwort|contrase\xC3\xB1a|mot de passe)\b"? ?[:=] ?"?[!-~]{6,}"#,
    ),
    (
        "high_entropy",
        r#"(?i)\b(?:secret|token|api_?key|access_?key)\b"? ?[:=] ?"?[A-Za-z0-9+/=_-]{20,}|\b[A-Za-z0-9+/_-]{48,}"#,
    ),
    (
        "medical_record_number",
        r"(?i)\b(?:mrn|medical record|patient (?:id|number))\b.{0,20}\b[A-Z]{0,3}[0-9-]{6,10}\b",
    ),
    (
        "icd10",
        r"(?i)\b(?:diagnosis|diagnose|icd-?10|dx)\b.{0,20}\b[A-TV-Z][0-9][0-9A-B](?:\.[0-9A-Z]{1,4})?\b",
    ),
];

fn patterns() -> Vec<Regex> {
    PATTERNS
        .iter()
        .map(|(_, pattern)| RegexBuilder::new(pattern).unicode(false).build().unwrap())
        .collect()
}

/// A cheap, fixed sequence of numbers that look random.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % bound as u64) as usize
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// The texts of a column of one batch.
struct Column {
    name: &'static str,
    topics: Topics,
    values: String,
    bounds: Vec<usize>,
}

type Make = fn(&mut Noise, usize) -> String;

fn column(name: &'static str, start: usize, noise: &mut Noise, make: Make) -> Column {
    let (mut values, mut bounds) = (String::new(), vec![0]);
    for row in start..start + ROWS {
        values.push_str(&make(noise, row));
        bounds.push(values.len());
    }
    let topics = Topics::of_name(name);
    Column {
        name,
        topics,
        values,
        bounds,
    }
}

const STATUS: [&str; 5] = ["active", "churned", "trial", "paused", "invited"];
const COUNTRIES: [&str; 6] = [
    "Germany",
    "France",
    "Spain",
    "Italy",
    "United Kingdom",
    "AT",
];
const CITIES: [&str; 7] = [
    "Berlin", "Lyon", "Sevilla", "München", "Leeds", "Graz", "Torino",
];
const HEADS: [&str; 6] = [
    "Northwind",
    "Kestrel",
    "Granite",
    "Alpine",
    "Solaris",
    "Meridian",
];
const KINDS: [&str; 6] = [
    "Logistics",
    "Foods",
    "Textiles",
    "Software",
    "Paper",
    "Optics",
];
const FORMS: [&str; 4] = ["GmbH", "Ltd", "S.A.", "Inc."];
const NOTES: [&str; 8] = [
    "asked for a second offer in spring, wants the blue one",
    "delivered to the warehouse, gate three, nobody complained",
    "hat die Lieferung verschoben und ist sehr zufrieden",
    "la commande est arrivée avec deux jours de retard",
    "paid late twice; reminded by letter, settled since",
    "prefers pallets of 48 boxes, see contract of 2023",
    "el pedido llegó completo y a tiempo",
    "upgraded from version 2.4.1 to 3.0.0 without trouble",
];

const PLAIN: &[(&str, Make)] = &[
    ("id", |noise, row| {
        format!(
            "{row:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            noise.below(65_536),
            noise.below(4096),
            noise.below(4096),
            noise.below(1 << 48)
        )
    }),
    ("sku", |noise, _| {
        format!("SKU-{:06}", noise.below(1_000_000))
    }),
    ("status", |noise, _| noise.of(&STATUS).to_owned()),
    ("country", |noise, _| noise.of(&COUNTRIES).to_owned()),
    ("city", |noise, _| noise.of(&CITIES).to_owned()),
    ("company", |noise, _| {
        let (head, kind) = (noise.of(&HEADS), noise.of(&KINDS));
        format!("{head} {kind} {}", noise.of(&FORMS))
    }),
    ("created_at", |noise, _| {
        let at = |noise: &mut Noise, bound| noise.below(bound);
        format!(
            "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            10 + at(noise, 16),
            1 + at(noise, 12),
            1 + at(noise, 28),
            at(noise, 24),
            at(noise, 60),
            at(noise, 60)
        )
    }),
    ("price", |noise, _| {
        format!("{}.{:02}", noise.below(5_000), noise.below(100))
    }),
    ("note", |noise, _| noise.of(&NOTES).to_owned()),
];

const PERSONAL: &[(&str, Make)] = &[
    ("email", |noise, row| {
        format!("buyer{row}@{}.example", noise.of(&HEADS))
    }),
    ("phone", |noise, _| {
        format!("+49 30 {:08}", 20_000_000 + noise.below(70_000_000))
    }),
    ("comment", |noise, _| match noise.below(50) {
        0 => "paid with 4111 1111 1111 1111, please refund".to_owned(),
        1 => "rang from 192.168.10.7 twice".to_owned(),
        _ => noise.of(&NOTES).to_owned(),
    }),
];

const FREE: &[(&str, Make)] = &[("body", |noise, _| {
    let mut text = String::new();
    for _ in 0..4 + noise.below(8) {
        text.push_str(noise.of(&NOTES));
        match noise.below(6) {
            0 => text.push_str(&format!(", order {}", noise.below(1_000_000))),
            1 => text.push_str(" (17:30)"),
            _ => {}
        }
        text.push_str(". ");
    }
    text
})];

fn texts(makes: &[(&'static str, Make)], bytes: usize) -> Vec<Column> {
    let mut noise = Noise(7);
    let (mut columns, mut start, mut total) = (Vec::new(), 0, 0);
    while total < bytes {
        for (name, make) in makes {
            let column = column(name, start, &mut noise, *make);
            total += column.values.len();
            columns.push(column);
        }
        start += ROWS;
    }
    columns
}

fn size(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.values.len()).sum()
}

fn scan(scanner: &Scanner, columns: &[Column], found: &mut Vec<Found>) -> usize {
    let mut count = 0;
    for column in columns {
        found.clear();
        let texts = Texts::new(&column.values, &column.bounds).unwrap();
        scanner.scan(texts, column.topics, found);
        count += black_box(&*found).len();
    }
    count
}

fn loop_of(patterns: &[Regex], columns: &[Column]) -> usize {
    let mut count = 0;
    for column in columns {
        for bounds in column.bounds.windows(2) {
            let text = &column.values.as_bytes()[bounds[0]..bounds[1]];
            for pattern in patterns {
                count += usize::from(black_box(pattern.find(text)).is_some());
            }
        }
    }
    count
}

fn ceiling(columns: &[Column]) -> usize {
    let searched = columns.iter();
    searched
        .filter(|column| black_box(memchr::memchr(0x7f, column.values.as_bytes())).is_some())
        .count()
}

/// MB/s.
fn speed(bytes: usize, mut work: impl FnMut() -> usize) -> f64 {
    let start = Instant::now();
    black_box(work());
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}

fn measure(name: &str, scanner: &Scanner, patterns: &[Regex], columns: &[Column]) {
    // Whole batches, so that the kinds of texts are the same.
    let width = columns
        .iter()
        .rposition(|column| column.name == columns[0].name);
    let width = columns.len() - width.unwrap_or_default();
    let few = &columns[..(columns.len() / width).div_ceil(8) * width];
    let mut found = Vec::new();
    let (mut ours, mut theirs, mut most) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(speed(size(columns), || scan(scanner, columns, &mut found)));
        theirs.push(speed(size(few), || loop_of(patterns, few)));
        most.push(speed(size(columns), || ceiling(columns)));
    }
    let (ours, theirs, most) = (median(ours), median(theirs), median(most));
    println!(
        "| {name} | {ours:.0} | {theirs:.1} | {:.1} | {most:.0} | {:.3} |",
        ours / theirs,
        ours / most
    );
}

/// What is found, by column and detector: a look at whether the texts are what they should be.
fn findings(scanner: &Scanner, columns: &[Column]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut found = Vec::new();
    for column in columns {
        found.clear();
        let texts = Texts::new(&column.values, &column.bounds).unwrap();
        scanner.scan(texts, column.topics, &mut found);
        for one in &found {
            let key = format!("{} in {}", one.detector.name(), column.name);
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes this, and wants to know only that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let mut sizes = arguments
        .iter()
        .filter_map(|argument| argument.parse().ok());
    let bytes = sizes.next().unwrap_or(32_usize) * 1_000_000;
    let scanner = Scanner::new(Detectors::all());
    let patterns = patterns();
    let with_hits: Vec<_> = PLAIN.iter().chain(PERSONAL).copied().collect();
    let kinds = [
        ("records without hits", texts(PLAIN, bytes)),
        ("records with hits", texts(&with_hits, bytes)),
        ("free text", texts(FREE, bytes)),
    ];
    for (name, columns) in &kinds {
        let rows = columns.len() * ROWS;
        let bytes = size(columns);
        println!(
            "{name}: {rows} texts, {bytes} bytes, found {:?}",
            findings(&scanner, columns)
        );
    }
    println!("\n| texts | scanner, MB/s | regex loop | to it | memchr | to it |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, columns) in &kinds {
        measure(name, &scanner, &patterns, columns);
    }
}
