//! Valid records, mutated at random: nothing forbidden comes out, and the records that were left
//! alone keep their verdicts.
//!
//! `PROPTEST_CASES` sets how many are tried (2,000 if it is not set).

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use syncguard::wire::Format;
use syncguard::wire::stream::{Limits, OnInvalid};

use super::hostile::{Corpus, assert_clean, corpus};
use super::{Way, stream};

/// Records in whole, each with whether it passes.
const RECORDS: [(&str, bool); 12] = [
    (r#"{"id":1,"country":"US","name":"Ada"}"#, true),
    (r#"{"id":2,"country":"DE","name":"Bo"}"#, false),
    (r#"{"country":"FR","id":3}"#, false),
    (r#"{"id":4,"country":null}"#, false),
    (r#"{"id":5,"name":"no country"}"#, false),
    (
        r#"{ "id" : 6 , "country" : "GB" , "tags" : ["DE", {"x": "country"}] }"#,
        true,
    ),
    (
        r#"{"id":7,"country":"U\u0053","note":"a \"quoted\" {brace} \\"}"#,
        true,
    ),
    (r#"{"id":8,"country":"\u0044\u0045"}"#, false),
    (
        r#"{"id":9,"country":"DE","note":"\"country\":\"US\"}\n{\"country\":\"US\"}"}"#,
        false,
    ),
    (
        r#"{"id":10,"country":"US","note":"\"country\":\"DE\""}"#,
        true,
    ),
    (
        r#"{"id":11,"country":"ÉU","address":{"city":"x","country":"DE"},"amount":-1.5e3}"#,
        true,
    ),
    (r#"{"id":12,"country":"🇩🇪","consent":true}"#, true),
];

/// The same for CSV, without the line end.
const ROWS: [(&str, bool); 8] = [
    ("1,US,Ada", true),
    ("2,DE,Bo", false),
    ("3,\"FR\",\"C, y\"", false),
    ("4,,\"no country\"", false),
    ("5,\"GB\",\"two\nlines\"", true),
    ("6,US,\"a \"\"quoted\"\" one\"", true),
    ("7,DE,\"7,US,x\n8,US,y\"", false),
    ("8,ÉU,\"\"", true),
];

/// What is pasted into the text, besides whole inputs of the corpus.
const FRAGMENTS: [&[u8]; 36] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xc0\xa2",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\\u0022",
    b"\\ud800",
    b"//",
    b"/*",
    b"NaN",
    b"1e999",
    b"\"country\":\"DE\"",
    b",\"country\":\"DE\"",
    b",\"Country\":\"DE\"",
    b",\"\\u0063ountry\":\"DE\"",
    b",\"\xef\xbd\x83ountry\":\"DE\"",
    b"{\"country\":\"DE\"}",
    b"\n{\"country\":\"DE\"}\n",
    b"\r{\"country\":\"DE\"}",
    b"}{\"country\":\"DE\"",
    b"\"}\n{\"country\":\"DE\",\"x\":\"",
    b"\"\"",
    b"\n9,DE,x\n",
    b"\"\n9,DE,\"",
];

#[derive(Clone, Debug)]
enum Mutation {
    Flip(usize, u8),
    Put(usize, u8),
    Cut(usize, usize),
    Paste(usize, usize),
    Copy(usize, usize, usize),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let one = prop_oneof![
        3 => (any::<usize>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        2 => (any::<usize>(), 0..12usize).prop_map(|(at, size)| Mutation::Cut(at, size)),
        4 => (any::<usize>(), any::<usize>()).prop_map(|(at, what)| Mutation::Paste(at, what)),
        2 => (any::<usize>(), 0..40usize, any::<usize>())
            .prop_map(|(from, size, to)| Mutation::Copy(from, size, to)),
    ];
    prop::collection::vec(one, 0..6)
}

fn mutate(bytes: &mut Vec<u8>, mutations: &[Mutation], fragments: &[Vec<u8>]) {
    for mutation in mutations {
        let size = bytes.len().max(1);
        let to_end = |from: usize, count: usize| from..(from + count).min(bytes.len());
        match mutation {
            Mutation::Flip(at, bit) => {
                if let Some(byte) = bytes.get_mut(at % size) {
                    *byte ^= 1 << bit;
                }
            }
            Mutation::Put(at, put) => {
                if let Some(byte) = bytes.get_mut(at % size) {
                    *byte = *put;
                }
            }
            Mutation::Cut(at, count) => {
                let range = to_end((at % size).min(bytes.len()), *count);
                bytes.drain(range);
            }
            Mutation::Paste(at, what) => {
                let at = (at % size).min(bytes.len());
                bytes.splice(at..at, fragments[what % fragments.len()].iter().copied());
            }
            Mutation::Copy(from, count, to) => {
                let range = to_end((from % size).min(bytes.len()), *count);
                let part = bytes[range].to_vec();
                let to = (to % size).min(bytes.len());
                bytes.splice(to..to, part);
            }
        }
    }
}

fn fragments(corpus: &Corpus) -> Vec<Vec<u8>> {
    let inputs = corpus.cases.iter().map(|case| case.bytes());
    let short = inputs.filter(|bytes| bytes.len() < 400);
    FRAGMENTS
        .iter()
        .map(|fragment| fragment.to_vec())
        .chain(short)
        .collect()
}

fn ways() -> impl Strategy<Value = (Way, Way)> {
    (
        prop::collection::vec(1..64usize, 1..4),
        1..8usize,
        1..300usize,
        any::<bool>(),
    )
        .prop_map(|(pieces, batch_rows, window_bytes, flush)| {
            let limits = Limits {
                batch_rows,
                window_bytes,
                ..Limits::default()
            };
            [OnInvalid::Reject, OnInvalid::Abort]
                .map(|on_invalid| Way {
                    limits,
                    on_invalid,
                    pieces: pieces.clone(),
                    flush,
                })
                .into()
        })
}

/// Runs a property over mutated texts, which are made of the picks.
fn run(
    format: Format,
    share: u32,
    text: fn(&[usize]) -> Vec<u8>,
    untouched: fn(&[u8]) -> Vec<(u64, bool)>,
) {
    let cases = match std::env::var("PROPTEST_CASES") {
        Ok(cases) => cases.parse().expect("PROPTEST_CASES is a whole number"),
        Err(_) => 2_000u32,
    };
    let corpus = corpus(format);
    let fragments = fragments(&corpus);
    let mut runner = TestRunner::new(Config {
        cases: cases.div_ceil(share),
        failure_persistence: None,
        ..Config::default()
    });
    let picks = prop::collection::vec(any::<usize>(), 1..8);
    let result = runner.run(&(picks, mutations(), ways()), |(picks, mutations, ways)| {
        let mut bytes = text(&picks);
        mutate(&mut bytes, &mutations, &fragments);
        let what = String::from_utf8_lossy(&bytes).into_owned();
        for way in [ways.0, ways.1] {
            let streamed = stream(format, &way, &bytes, |columns| {
                corpus.guard("country", columns)
            });
            assert_clean(format, &streamed, &what);
            if mutations.is_empty() {
                prop_assert!(streamed.end.is_ok(), "{:?}: {}", streamed.end, what);
            }
            if way.on_invalid == OnInvalid::Abort {
                continue;
            }
            for (line, passes) in untouched(&bytes) {
                let found = streamed.lines.iter().position(|at| *at == line);
                let verdict = found.map(|row| streamed.verdicts[row]);
                prop_assert_eq!(verdict, Some(passes), "line {} of {}", line, &what);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn records(picks: &[usize]) -> Vec<&'static str> {
    picks
        .iter()
        .map(|pick| RECORDS[pick % RECORDS.len()].0)
        .collect()
}

#[test]
fn mutated_ndjson_shows_nothing_forbidden() {
    let text = |picks: &[usize]| {
        let mut text = records(picks).join("\n");
        text.push('\n');
        text.into_bytes()
    };
    // Lines are framed before anything else, so that nothing before a line changes its verdict.
    let untouched = |bytes: &[u8]| {
        let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
        lines
            .filter_map(|(line, number)| {
                let known = RECORDS.iter().find(|(text, _)| text.as_bytes() == line)?;
                Some((number, known.1))
            })
            .collect()
    };
    run(Format::Ndjson, 1, text, untouched);
}

#[test]
fn mutated_json_arrays_show_nothing_forbidden() {
    let text = |picks: &[usize]| format!("[{}]", records(picks).join(",\n ")).into_bytes();
    run(Format::Json, 2, text, |_| vec![]);
}

#[test]
fn mutated_csv_shows_nothing_forbidden() {
    let text = |picks: &[usize]| {
        let rows: Vec<_> = picks.iter().map(|pick| ROWS[pick % ROWS.len()].0).collect();
        format!("id,country,name\n{}\n", rows.join("\n")).into_bytes()
    };
    run(Format::Csv, 2, text, |_| vec![]);
}
