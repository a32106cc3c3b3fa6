//! Which telephone numbers there are: the metadata of `phonenumber`.
//!
//! Its own parser is not used. Each of its patterns is matched under one lock, and compiled anew
//! once a hundred others were used since, which those of `+1` alone are: milliseconds a number.
//! Here, the patterns of a country are compiled to one, once.

use std::sync::OnceLock;

use phonenumber::metadata::DATABASE;
use regex::bytes::{Regex, RegexBuilder};

/// Country calling codes of the plans that national forms are looked up in: North America,
/// the United Kingdom, Germany, France, Spain, Italy, the Netherlands, Belgium, Switzerland,
/// Austria, Sweden, Norway, Denmark, Poland, Portugal, Ireland, Australia, Brazil, Japan and
/// India.
pub(super) const NATIONAL: [u16; 20] = [
    1, 44, 49, 33, 34, 39, 31, 32, 41, 43, 46, 47, 45, 48, 351, 353, 61, 55, 81, 91,
];

/// Numbers that are kept for stories and examples; the metadata knows only some of them.
const RESERVED: [(u16, &str); 3] = [
    (1, r"555\d{7}"),
    (
        44,
        r"1632960\d{3}|7700900\d{3}|3069990\d{3}|8081570\d{3}|9098790\d{3}|191498\d{4}|1[13-6]\d496\d{4}|2079460\d{3}|28964960\d{2}|29201801\d{2}",
    ),
    (33, r"[1-5]\d{8}|63998\d{4}"),
];

/// Plans by country calling code.
static PLANS: [OnceLock<Option<Regex>>; 1000] = [const { OnceLock::new() }; 1000];

/// The plan of a country calling code.
fn plan(code: u16) -> Option<&'static Regex> {
    let plan = PLANS.get(usize::from(code))?;
    plan.get_or_init(|| compile(code)).as_ref()
}

fn compile(code: u16) -> Option<Regex> {
    let mut patterns: Vec<&str> = Vec::new();
    for region in DATABASE.by_code(&code)? {
        let kinds = [
            region.descriptors().fixed_line(),
            region.descriptors().mobile(),
            region.descriptors().toll_free(),
            region.descriptors().premium_rate(),
            region.descriptors().shared_cost(),
            region.descriptors().personal_number(),
            region.descriptors().voip(),
            region.descriptors().pager(),
            region.descriptors().uan(),
            region.descriptors().voicemail(),
        ];
        for kind in kinds.into_iter().flatten() {
            let pattern = kind.national_number().as_str();
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    let reserved = RESERVED.iter().filter(|(of, _)| *of == code);
    patterns.extend(reserved.map(|(_, pattern)| *pattern));
    RegexBuilder::new(&format!("^(?:{})$", patterns.join("|")))
        .ignore_whitespace(true)
        .unicode(false)
        .build()
        .ok()
}

/// Whether digits, without the prefix for long distances, are a number of a country.
pub(super) fn is_number(code: u16, digits: &[u8]) -> bool {
    plan(code).is_some_and(|plan| plan.is_match(digits))
}

/// Tells the country calling code from the digits behind it; `None` if there is no such country.
pub(super) fn split(digits: &[u8]) -> Option<(u16, &[u8])> {
    let mut code = 0;
    for (place, digit) in digits.iter().take(3).enumerate() {
        code = code * 10 + u16::from(digit.checked_sub(b'0')?);
        // A code begins with no zero, and none begins with another one.
        if code == 0 {
            return None;
        }
        if plan(code).is_some() {
            return Some((code, digits.get(place + 1..)?));
        }
    }
    None
}

/// Whether digits are a number as it is dialled in one of some countries: with the zero, or in
/// North America the one, for long distances, or without.
pub(super) fn is_dialled(codes: &[u16], digits: &[u8]) -> bool {
    codes.iter().any(|code| {
        let trunk: &[u8] = match code {
            1 => b"1",
            // Here, the zero is part of the number, or there is none.
            34 | 39 | 45 | 47 | 48 | 351 => b"",
            _ => b"0",
        };
        match digits.strip_prefix(trunk) {
            Some(rest) if !trunk.is_empty() => is_number(*code, rest),
            _ => is_number(*code, digits),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_a_plan() {
        let codes = (1..1000).filter(|code| DATABASE.region(code).is_some());
        for code in codes {
            assert!(plan(code).is_some(), "{code}");
        }
        assert!(plan(0).is_none() && plan(999).is_none());
    }

    #[test]
    fn examples_of_the_metadata_are_numbers() {
        for region in DATABASE.iter() {
            let example = region
                .descriptors()
                .mobile()
                .and_then(|kind| kind.example());
            if let Some(example) = example {
                let code = region.country_code();
                assert!(is_number(code, example.as_bytes()), "{code} {example}");
                let dialled = format!("{code}{example}");
                let found = split(dialled.as_bytes());
                assert_eq!(found, Some((code, example.as_bytes())));
            }
        }
    }

    #[test]
    fn national_forms_are_dialled() {
        for (code, digits) in [
            (1, "2125550142"),
            (1, "12125550142"),
            (1, "5551234567"),
            (44, "02079460958"),
            (44, "01632960123"),
            (49, "0301234567"),
            (33, "0612345678"),
            (39, "0639733434"),
            (34, "914454454"),
        ] {
            assert!(is_dialled(&[code], digits.as_bytes()), "{code} {digits}");
        }
        assert!(!is_dialled(&[1], b"1112223333"));
        assert!(!is_dialled(&NATIONAL, b"0000000000"));
    }
}
