//! Names of persons.
//!
//! A name looks like any other words with capitals: it counts only behind a title or a label, and
//! in a column about names.

use std::ops::Range;

use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::PersonName,
        trigger: Trigger::Mark(&[
            "mr ",
            "mr.",
            "mrs",
            "ms ",
            "ms.",
            "miss ",
            "mx.",
            "dr ",
            "dr.",
            "prof",
            "herr ",
            "herrn ",
            "frau ",
            "hr.",
            "monsieur ",
            "madame ",
            "mme ",
            "mme.",
            "mlle",
            "señor ",
            "señora ",
            "señorita ",
            "sr.",
            "sra.",
            "srta",
            "dña.",
            "senhor ",
            "senhora ",
            "signor ",
            "signora ",
            "signore ",
            "sig.",
            "sig.ra",
            "dott.",
            "dott.ssa",
        ]),
        find: behind_title,
    },
    Probe {
        detector: Detector::PersonName,
        trigger: Trigger::Mark(&[
            "name:",
            "name is ",
            "name ist ",
            "name\": \"",
            "name\":\"",
            "name=",
            "patient ",
            "patient:",
            "patientin ",
            "customer ",
            "customer:",
            "client ",
            "client:",
            "employee ",
            "employee:",
            "cardholder ",
            "cardholder:",
            "contact:",
            "attn:",
            "attn ",
            "attention:",
            "c/o ",
            "dear ",
            "signed by ",
            "signed:",
            "regards,",
            "sincerely,",
            "llamo ",
            "m'appelle ",
            "m’appelle ",
            "ich heiße ",
            "ich heisse ",
            "mi chiamo ",
            "nom:",
            "nom :",
            "prénom:",
            "prénom :",
            "nombre:",
            "apellidos:",
            "nome:",
            "cognome:",
            "kunde ",
            "kundin ",
            "passenger ",
            "passenger:",
            "recipient:",
            "beneficiary:",
            "grüßen",
        ]),
        find: behind_label,
    },
    Probe {
        detector: Detector::PersonName,
        trigger: Trigger::Column(Topic::Person),
        find: whole,
    },
];

/// Titles as they are written; there are things beyond persons with such in capitals.
const TITLES: &[&str] = &[
    "Mr",
    "Mrs",
    "Ms",
    "Miss",
    "Mx",
    "Dr",
    "Prof",
    "Professor",
    "Herr",
    "Herrn",
    "Frau",
    "Hr",
    "Monsieur",
    "Madame",
    "Mme",
    "Mlle",
    "Señor",
    "Señora",
    "Señorita",
    "Sr",
    "Sra",
    "Srta",
    "Dña",
    "Senhor",
    "Senhora",
    "Signor",
    "Signora",
    "Signore",
    "Sig",
    "Sig.ra",
    "Dott",
    "Dott.ssa",
    "señor",
    "señora",
    "monsieur",
    "madame",
    "signor",
    "signora",
    "herr",
];

/// Words with a capital, behind a title or a label, that are no names.
const OTHERS: &str = "\
    account accounts admin administrator all analyst anonymous applicant area article audit \
    bank billing board box business buyer card care center centre chatbot class client clients \
    co code colleague colleagues community company contact corp corporation customer customers \
    data date delivery demand department dept desk deleted designer developer director discharge \
    education email employee engagement engineer engineering everybody everyone experience fall \
    feedback file first friend friends full gateway gbr gmbh group guest health help hiring hr \
    human id identifier inc info information insights integration intake invoice journey kg \
    kunde last limited list llc llp loyalty ltd madam management manager medical member \
    members middle name names newsletter no none null number office online onboarding operations \
    order orders outreach partner partners password payment phone plan platform plc policy \
    portal principal process product program project property purchase quality record records \
    recruiter recruitment redacted reference registration relations report request resources \
    response retention room safety sales sarl satisfaction scientist score security segment \
    service services sir software solutions srl staff status store success summary supplier \
    support survey table tbd team technical test training transport type unknown undefined unit \
    user users value valued vendor vice visit website";

/// Whose name is that of a person.
const OWNERS: &[&str] = &["my", "his", "her", "their", "whose", "mein", "sein", "ihr"];

/// Small words within names.
const PARTICLES: &[&str] = &[
    "de", "da", "do", "dos", "das", "di", "del", "della", "la", "le", "van", "von", "der", "den",
    "ten", "ter", "zu", "zum", "af", "al", "bin", "ibn", "y", "e", "el", "du",
];

/// How far behind a title or a label a name is looked for.
const AHEAD: usize = 80;

/// Most words of a name.
const MOST: usize = 6;

/// `Dr. Ada Lovelace`.
fn behind_title(spot: &Spot<'_>) -> Option<Range<usize>> {
    let start = spot.at.start;
    if is_inside_word(spot) {
        return None;
    }
    let ahead = ahead_of(spot, start)?;
    let title = ahead.split(' ').next()?;
    if !TITLES.contains(&title.trim_end_matches('.')) {
        return None;
    }
    let mut from = start.saturating_sub(AHEAD);
    while !spot.text.is_char_boundary(from) {
        from += 1;
    }
    let before = spot.text.get(from..start)?;
    // A drive and not a doctor, where a house number is before it; and a street may bear a name.
    let mut words = before.trim_end().rsplit(' ');
    let streets = [
        "Rua", "Via", "Viale", "Calle", "Rue", "Av.", "Avenida", "Piazza", "Plaza",
    ];
    let street = words
        .clone()
        .next()
        .is_some_and(|word| streets.contains(&word));
    let numbered = words
        .by_ref()
        .take(3)
        .any(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    if street || (numbered && title.starts_with("Dr")) {
        return None;
    }
    let mut at = start + title.len();
    loop {
        let rest = spot.text.get(at..)?;
        let blanks = rest.len() - rest.trim_start_matches([' ', '\u{a0}']).len();
        if blanks == 0 || blanks > 2 {
            return None;
        }
        at += blanks;
        let word = spot.text.get(at..)?.split(' ').next()?;
        if !TITLES.contains(&word.trim_end_matches('.')) {
            break;
        }
        at += word.len();
    }
    let name = Name::of(ahead_of(spot, at)?)?;
    // `Herr der Ringe` has an article and no name.
    if spot.text.get(at..)?.starts_with("der ") {
        return None;
    }
    // Songs and wares are called `Mr. Moon`; a sentence speaks of a person.
    let bare = name.words == 1
        && ["Mr", "Ms", "Dr", "Miss"]
            .iter()
            .any(|english| title.starts_with(english))
        && !spot.topics.contains(Topic::Person)
        && !has_plain_word(ahead.get(title.len()..)?)
        && !has_plain_word(before)
        && !ahead.trim_end().ends_with([',', '.', ':'])
        && !before.trim_end().ends_with([',', ':'])
        && !before.starts_with("Dear");
    let slashed = spot.byte(at + name.length) == Some(b'/');
    let named = !name.other && !name.loud && !bare && !slashed;
    named.then_some(at..at + name.length)
}

/// `Name: Jane Doe`.
fn behind_label(spot: &Spot<'_>) -> Option<Range<usize>> {
    let label = spot.text.get(spot.at.clone())?;
    let begins = |words: &[&str]| {
        words.iter().any(|word| {
            label
                .as_bytes()
                .get(..word.len())
                .is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    let rest = spot.text.get(spot.at.end..)?;
    let farewell = label.ends_with(',') || begins(&["grü"]);
    let marks: &[char] = if farewell {
        &[' ', ',', '\n', '\r']
    } else {
        &[' ', '"', '\'']
    };
    let at = spot.at.end + (rest.len() - rest.trim_start_matches(marks).len());
    if at > spot.at.end + 4 {
        return None;
    }
    // Nearly all that is no name ends here.
    let first = spot.text.get(at..)?.chars().next()?;
    if !(first.is_uppercase() || is_caseless(first)) {
        return None;
    }
    let certain = match begins(&["name"]) {
        true => label_of_person(spot)?,
        false if is_inside_word(spot) => return None,
        false => false,
    };
    let ahead = ahead_of(spot, at)?;
    let titled = ahead.split(' ').next()?.trim_end_matches('.');
    let name = Name::of(ahead)?;
    if name.other || TITLES.contains(&titled) {
        return None;
    }
    let least = match certain
        || begins(&[
            "dear ", "name is", "name ist", "llamo", "m'app", "m’app", "ich h", "mi ch", "pré",
            "apell", "cogn", "reg", "sinc", "grü",
        ]) {
        true => 1,
        false => 2,
    };
    let colon = label.ends_with([':', '=', ',', '"']) || begins(&["dear ", "grü"]);
    // In a sentence capitals tell a name from words; a heading has them everywhere.
    let heading = !colon
        && !begins(&["name"])
        && label.starts_with(char::is_uppercase)
        && !has_plain_word(ahead.get(name.length..)?);
    let closed = name.closed || !colon;
    let named = (least..=4).contains(&name.words) && closed && !heading && (certain || !name.loud);
    named.then_some(at..at + name.length)
}

/// Whether the words before the `name` of a label say that it is that of a person. `None` where
/// they say that it is another's; where there are none it may be one.
fn label_of_person(spot: &Spot<'_>) -> Option<bool> {
    let mut from = spot.at.start.saturating_sub(AHEAD);
    while !spot.text.is_char_boundary(from) {
        from += 1;
    }
    let before = spot.text.get(from..spot.at.start)?;
    let line = before.rsplit(['\n', ';', ',', '|', '(', '{', '.']).next()?;
    let last = line.trim_end().rsplit(' ').next().unwrap_or_default();
    let owned = OWNERS.iter().any(|owner| last.eq_ignore_ascii_case(owner));
    let bare = line.trim_matches([' ', '"', '\'', '-', '*']).is_empty();
    if Name::says_person(line) {
        return Some(true);
    }
    (bare || owned).then_some(false)
}

/// Whether the mark of a spot begins inside a word.
fn is_inside_word(spot: &Spot<'_>) -> bool {
    spot.before(spot.at.start)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii() || byte == b'_')
}

/// The text from a place on, no further than a name may reach, and no further than the line.
fn ahead_of<'a>(spot: &Spot<'a>, at: usize) -> Option<&'a str> {
    let mut to = (at + AHEAD).min(spot.text.len());
    while !spot.text.is_char_boundary(to) {
        to -= 1;
    }
    spot.text.get(at..to)?.lines().next()
}

/// Whether a word without a capital is in a text.
fn has_plain_word(text: &str) -> bool {
    text.split([' ', ',', '.'])
        .any(|word| word.len() > 1 && word.starts_with(char::is_lowercase))
}

/// What looks like a name at the beginning of a text.
struct Name {
    length: usize,
    /// How many words it has.
    words: usize,
    /// Whether one of them is no name.
    other: bool,
    /// Whether a word of more than three letters is in capitals.
    loud: bool,
    /// Whether a mark or the end of the text is behind it.
    closed: bool,
}

impl Name {
    fn of(text: &str) -> Option<Name> {
        let mut name = Name {
            length: 0,
            words: 0,
            other: false,
            loud: false,
            closed: true,
        };
        let mut at = 0;
        while let Some(written) = text
            .get(at..)
            .and_then(|rest| rest.split([' ', '\u{a0}']).next())
        {
            let mut word = written.trim_end_matches(|c: char| !c.is_alphabetic());
            word = word
                .strip_suffix("'s")
                .or_else(|| word.strip_suffix("'S"))
                .or_else(|| word.strip_suffix("’s"))
                .unwrap_or(word);
            if let Some(end) = word.find([',', ';', ':', '/', '"', '<', '(', '@', '&', '=']) {
                word = word.get(..end)?;
            }
            let marks = written.get(word.len()..)?;
            let named = is_name_word(word);
            if !(named || PARTICLES.contains(&word) && marks.is_empty()) {
                // A number or a name of another kind goes on.
                name.closed = written.is_empty()
                    || !written.starts_with(|c: char| c.is_alphanumeric() || c == '&');
                break;
            }
            if named {
                name.words += 1;
                name.length = at + word.len();
                name.loud |= word.chars().count() > 3
                    && !word.chars().any(|c| c.is_lowercase() || is_caseless(c));
                name.other |= is_other(word) || TITLES.contains(&word);
            }
            name.closed = true;
            at += written.len() + 1;
            let short = word.chars().count() == 1 || word.chars().any(char::is_lowercase);
            let initial = marks == "." && short && word.chars().count() <= 3;
            if !(marks.is_empty() || initial) {
                name.closed = !marks.starts_with([
                    '@', '/', '&', '=', '_', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
                ]);
                break;
            }
            if name.words >= MOST {
                break;
            }
        }
        (name.words > 0).then_some(name)
    }

    /// Whether a label before `name` is about persons.
    fn says_person(line: &str) -> bool {
        super::Topics::of_name(&format!(
            "{} name",
            line.rsplit(['"', '\'', '.']).next().unwrap_or(line)
        ))
        .contains(Topic::Person)
    }
}

/// Whether a word is one as names are made of: letters, the first of them upper-case.
fn is_name_word(word: &str) -> bool {
    let first = word.chars().next();
    word.len() <= 40
        && first.is_some_and(|c| c.is_uppercase() || is_caseless(c))
        && word.chars().all(is_of_name)
}

/// Letters, and the marks within names.
fn is_of_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '\'' | '’' | '-' | '.' | '\u{300}'..='\u{36f}')
}

/// Whether it is a letter of a script without upper case.
fn is_caseless(c: char) -> bool {
    c.is_alphabetic() && !c.is_ascii() && !c.is_lowercase() && !c.is_uppercase()
}

fn is_other(word: &str) -> bool {
    let word = word.trim_end_matches('.');
    word.is_ascii()
        && OTHERS
            .split(' ')
            .any(|other| other.eq_ignore_ascii_case(word))
}

/// The value of a column about the names of persons.
fn whole(spot: &Spot<'_>) -> Option<Range<usize>> {
    let text = spot.text.get(spot.at.clone())?;
    if text.len() > 100
        || !text
            .chars()
            .all(|c| is_of_name(c) || matches!(c, ' ' | ',' | '\u{a0}'))
    {
        return None;
    }
    let capital = text.chars().any(|c| c.is_uppercase() || is_caseless(c));
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let single = text.chars().any(is_caseless);
    let words = text
        .split([' ', ',', '\u{a0}'])
        .filter(|word| !word.is_empty());
    let fits = capital
        && (letters > 1 || single)
        && text.matches(',').count() < 2
        && words.clone().count() <= MOST
        && !words.clone().any(is_other);
    fits.then(|| spot.at.clone())
}
