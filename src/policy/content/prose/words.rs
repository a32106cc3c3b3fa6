//! The words that say what is meant with the terms, and how they are looked up.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::terms::{MEANINGS, OTHERS};
use crate::policy::content::Detectors;

/// What a word, a mark or a phrase does in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A known term. The lower the rank, the more specific; `word`: it is a single word.
    Term {
        detectors: Detectors,
        rank: u32,
        word: bool,
    },
    /// A word of no known meaning.
    Unknown,
    /// A word that says nothing here.
    Filler,
    /// A preposition: says nothing by itself, but what begins with it limits what is before.
    Preposition,
    /// What leads a verb: we, you, please.
    Pronoun,
    /// A word for data of any kind: says nothing by itself.
    Noun,
    /// The first half of a term whose second half may come later: "credit and debit cards".
    Prefix,
    /// A comma, or a word like it.
    Comma,
    And,
    Or,
    /// "such as": what is before it is explained by what follows.
    Example,
    But,
    Except,
    If,
    Unless,
    Relative,
    Only,
    /// "by", "via": what follows may be a way to send.
    Channel,
    Colon,
    Open,
    Close,
    /// "no"
    No,
    /// "not", "never"
    Not,
    /// "not only": says nothing by itself, and forbids with a verb.
    NotOnly,
    /// "this does not apply to": the opposite of what is before holds.
    Inapplicable,
    /// "cannot", "don't"
    Cannot,
    /// "do", "must", "have"
    Auxiliary,
    /// "may", "can"
    Modal,
    /// "is", "be"
    Be,
    /// What may stand between the words of a verb: "to", "always".
    Link,
    /// A verb: 1 permits, -1 forbids, 0 is an action with data.
    Verb(i8),
    /// A verb as a noun: "sharing".
    Gerund(i8),
    /// A verb as a property: "shared".
    Done(i8),
}

/// Verbs as infinitive, gerund and participle.
const VERBS: &[(i8, &str)] = &[
    (
        1,
        "allow allowing allowed permit permitting permitted accept accepting accepted \
         tolerate tolerating tolerated ignore ignoring ignored exempt exempting exempted \
         approve approving approved authorise authorising authorised \
         authorize authorizing authorized",
    ),
    (
        -1,
        "block blocking blocked forbid forbidding forbidden prohibit prohibiting prohibited \
         ban banning banned deny denying denied reject rejecting rejected \
         withhold withholding withheld redact redacting redacted mask masking masked \
         refuse refusing refused disallow disallowing disallowed \
         prevent preventing prevented stop stopping stopped remove removing removed \
         hide hiding hidden avoid avoiding avoided suppress suppressing suppressed \
         delete deleting deleted drop dropping dropped detect detecting detected \
         flag flagging flagged quarantine quarantining quarantined strip stripping stripped \
         refrain refraining refrained fail failing failed forget forgetting forgotten \
         neglect neglecting neglected hesitate hesitating hesitated \
         apply applying applied cover covering covered affect affecting affected \
         outlaw outlawing outlawed censor censoring censored intercept intercepting intercepted",
    ),
    (
        0,
        "share sharing shared contain containing contained include containing included \
         send sending sent transfer transferring transferred transmit transmitting transmitted \
         store storing stored save saving saved keep keeping kept pass passing passed \
         use using used disclose disclosing disclosed expose exposing exposed \
         export exporting exported publish publishing published reveal revealing revealed \
         leak leaking leaked show showing shown display displaying displayed \
         log logging logged upload uploading uploaded copy copying copied \
         forward forwarding forwarded distribute distributing distributed \
         process processing processed collect collecting collected sell selling sold \
         leave leaving left appear appearing appeared mention mentioning mentioned \
         carry carrying carried hold holding held enter entering entered \
         write writing written print printing printed post posting posted \
         sync syncing synced synchronise synchronising synchronised \
         synchronize synchronizing synchronized replicate replicating replicated \
         release releasing released give giving given go going gone",
    ),
];

const DONE: &[(i8, &str)] = &[
    (
        1,
        "fine ok okay acceptable harmless permissible admissible unrestricted",
    ),
    (
        -1,
        "unacceptable inadmissible impermissible unwanted taboo illegal unlawful",
    ),
];

/// Single words and phrases, separated by `|`.
const WORDS: &[(Kind, &str)] = &[
    (
        Kind::No,
        "no|none|nobody|nothing|neither|nor|without|\
         exception does not apply to|exceptions do not apply to|exception doesn't apply to|\
         exceptions don't apply to|exemption does not apply to|exemptions do not apply to|\
         permission does not apply to|permissions do not apply to|\
         exception does not cover|exceptions do not cover|permission does not cover",
    ),
    (
        Kind::Inapplicable,
        "this does not apply to|that does not apply to|it does not apply to|\
         same does not apply to|this doesn't apply to|that doesn't apply to|\
         it doesn't apply to|this does not hold for|this does not cover",
    ),
    (
        Kind::NotOnly,
        "not only|not just|not simply|not merely|never only|never just|never simply|\
         never merely|don't only|don't just|don't simply|don't merely|dont just|dont simply|\
         can't just|can't simply|cannot just|cannot simply|cannot merely",
    ),
    (
        Kind::Not,
        "not|never|hardly|rarely|seldom|in no way|by no means|under no circumstances|\
         under no circumstance|at no time|in no case|on no account|no longer",
    ),
    (
        Kind::Cannot,
        "cannot|can't|don't|doesn't|didn't|won't|mustn't|shouldn't|isn't|aren't|shan't|needn't|\
         couldn't|mayn't|wouldn't|dont|doesnt|cant|mustnt|isnt|arent",
    ),
    (
        Kind::Auxiliary,
        "do|does|did|must|should|shall|will|would|have|has|had|having|need|needs|ought|let",
    ),
    (Kind::Modal, "may|can|could|might"),
    (
        Kind::Be,
        "is|are|be|been|being|was|were|am|remain|remains|stay|stays",
    ),
    (
        Kind::Link,
        "to|always|ever|also|explicitly|expressly|strictly|generally|absolutely|simply|longer|\
         still|therefore|hereby|fully|completely|entirely|perfectly|considered|deemed",
    ),
    (
        Kind::Pronoun,
        "we|you|they|it|i|he|she|one|everyone|everybody|anyone|anybody|people|please|then|\
         there|kindly|just|otherwise|however",
    ),
    (
        Kind::Filler,
        "the|a|an|any|all|every|each|some|such|this|these|those|their|its|our|your|his|her|my|\
         them|us|other|others|more|further|similar|etc|etcetera|so|both|either|own|\
         certain|various|particular|anywhere|everywhere|at all|of any kind|of any sort|\
         any kind of|any type of|any form of|in any form|in any way|kind|type|form|sort|\
         following|follow|below|above|too|likewise|as|if any|whatsoever|whatever|\
         even|important|note|attention|rule|policy|\
         without exception|without exceptions|no exception|no exceptions|\
         no matter|in general|of course|at any time|in any case|in all cases|under any circumstances|\
         for any reason|under all circumstances|by any means|unmasked|unencrypted|unredacted|\
         plain|plaintext|clear|possible|potential|valid|actual|real|raw|free|out|away|back",
    ),
    (
        Kind::Preposition,
        "of|for|with|in|on|from|about|within|into|onto|inside|outside|between|among|during|\
         under|per|at|regarding|concerning|against|after|before|since|because of|due to|near",
    ),
    (
        Kind::Noun,
        "data|datum|information|info|detail|details|record|records|row|rows|text|texts|content|\
         contents|document|documents|file|files|column|columns|field|fields|value|values|\
         item|items|message|messages|number|numbers|entry|entries|thing|things|anything|\
         dataset|datasets|table|tables|string|strings|piece|pieces|something|identifier|\
         identifiers|id|ids|material|object|objects|instance|instances|occurrence|occurrences|\
         category|categories|payload|payloads|attribute|attributes|property|properties",
    ),
    (
        Kind::Prefix,
        "credit|debit|first|last|middle|full|home|work|mobile|street|postal|mailing|\
         shipping|billing|residential|financial|medical|health|banking|payment|contact|\
         personal|private|national|bank|family|given|fax|api|access|mail",
    ),
    (Kind::Comma, "/|and/or|plus|nor even|let alone"),
    (
        Kind::And,
        "and|&|as well as|along with|together with|in addition to|including|incl|includes|\
         including but not limited to|but not limited to|not limited to|and also|like",
    ),
    (Kind::Or, "or"),
    (
        Kind::Example,
        "such as|for example|for instance|e.g|eg|i.e|ie|namely|that is|in particular|\
         especially|particularly",
    ),
    (Kind::Comma, "even if|even when|even where|whether"),
    (Kind::But, "but|yet|whereas|though|although|even though"),
    (
        Kind::Except,
        "except|except for|excepting|excluding|other than|apart from|aside from|but not|\
         with the exception of|with the exceptions of|save for|anything but|everything but|all but|exception|exceptions|\
         the exception is|the exceptions are|the only exception is|but for|\
         the only exceptions are|besides",
    ),
    (
        Kind::If,
        "if|when|whenever|where|wherever|provided|providing|as long as|so long as|in case|\
         in case of|until|while|once|only if|only when|only where|because|\
         assuming|given that|subject to|depending on|on condition|upon|as soon as",
    ),
    (Kind::Unless, "unless"),
    (Kind::Relative, "that|which|who|whose|whom"),
    (Kind::Only, "only|solely|exclusively|nothing but"),
    (Kind::Channel, "by|via|through|over"),
    (
        Kind::Done(1),
        "no problem|not a problem|no issue|in order|all right|alright|out of scope|\
         exempt from",
    ),
    (
        Kind::Done(-1),
        "off limits|off limit|not ok|not okay|not fine|a no go",
    ),
];

/// A phrase behind its first word.
struct Phrase {
    rest: Vec<String>,
    kind: Kind,
}

static LEXICON: LazyLock<HashMap<String, Vec<Phrase>>> = LazyLock::new(|| {
    let mut lexicon: HashMap<String, Vec<Phrase>> = HashMap::new();
    let mut add = |phrase: &str, kind: Kind, normal: fn(&str) -> String| {
        let mut words = phrase.split([' ', '-']).map(normal);
        let Some(first) = words.next() else { return };
        let rest: Vec<String> = words.collect();
        let phrases = lexicon.entry(first).or_default();
        if !phrases.iter().any(|known| known.rest == rest) {
            phrases.push(Phrase { rest, kind });
        }
    };
    for (kind, words) in WORDS {
        for word in words.split('|') {
            add(word, *kind, str::to_owned);
        }
    }
    for meaning in MEANINGS {
        let size = u32::try_from(meaning.detectors.len()).unwrap_or(u32::MAX);
        let rank = if meaning.group { size.max(2) } else { 1 };
        for phrase in meaning.phrases() {
            let kind = Kind::Term {
                detectors: meaning.detectors.iter().copied().collect(),
                rank,
                word: !phrase.contains(' '),
            };
            add(phrase, kind, singular);
        }
    }
    for phrase in OTHERS.split('|') {
        add(phrase, Kind::Unknown, singular);
    }
    for (sign, words) in VERBS {
        for (i, word) in words.split_whitespace().enumerate() {
            let kind = match i % 3 {
                0 => Kind::Verb(*sign),
                1 => Kind::Gerund(*sign),
                _ => Kind::Done(*sign),
            };
            add(word, kind, str::to_owned);
        }
    }
    for (sign, words) in DONE {
        for word in words.split_whitespace() {
            add(word, Kind::Done(*sign), str::to_owned);
        }
    }
    for phrases in lexicon.values_mut() {
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.rest.len()));
    }
    lexicon
});

/// The word in the singular, as far as its ending tells.
pub(super) fn singular(word: &str) -> String {
    let word = word
        .strip_suffix("'s")
        .or_else(|| word.strip_suffix('\''))
        .unwrap_or(word);
    let stem = |end: &str| word.strip_suffix(end).filter(|stem| !stem.is_empty());
    if word.chars().count() < 3 || ["ss", "us", "sis"].iter().any(|end| word.ends_with(end)) {
        return word.to_owned();
    }
    if word.chars().count() > 4
        && let Some(stem) = stem("ies")
    {
        return format!("{stem}y");
    }
    for end in ["sses", "xes", "ches", "shes"] {
        if word.ends_with(end)
            && let Some(stem) = stem("es")
        {
            return stem.to_owned();
        }
    }
    stem("s").unwrap_or(word).to_owned()
}

/// What the longest phrase at the start of the words does, and how many words it takes.
///
/// `words` are in lower case, each with its singular.
pub(super) fn longest<'a>(words: impl Fn(usize) -> Option<&'a (String, String)>) -> (Kind, usize) {
    let Some((first, first_singular)) = words(0) else {
        return (Kind::Unknown, 1);
    };
    let fits = |phrase: &&Phrase| {
        phrase.rest.iter().enumerate().all(|(i, expected)| {
            words(i + 1).is_some_and(|(word, singular)| expected == word || expected == singular)
        })
    };
    let find = |first: &str| LEXICON.get(first)?.iter().find(fits);
    let exact = find(first);
    let other = find(first_singular);
    let length = |phrase: Option<&Phrase>| phrase.map_or(0, |phrase| phrase.rest.len() + 1);
    let best = if length(other) > length(exact) {
        other
    } else {
        exact
    };
    best.map_or((Kind::Unknown, 1), |phrase| {
        (phrase.kind, phrase.rest.len() + 1)
    })
}
