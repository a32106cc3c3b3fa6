//! The house has floors, and imports only ever point down. Within one crate the compiler does
//! not hold that, so this does: it reads the sources and names the file, the line and the edge.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

/// From the ground up. A module may import what stands on a row before its own, and itself.
const FLOORS: &[(&str, &[&str])] = &[
    ("ground", &["config", "telemetry", "reach"]),
    ("words", &["catalog", "principal", "audit"]),
    ("policy", &["policy"]),
    ("compliance", &["compliance"]),
    ("judgement", &["guard"]),
    ("formats", &["wire"]),
    ("outside world", &["store", "source", "sink", "judge"]),
    (
        "use cases",
        &[
            "publish",
            "sync",
            "proxy",
            "query",
            "inspect",
            "oversee",
            "alert",
            "conformance",
        ],
    ),
    ("doors", &["http", "pgwire", "flight"]),
    ("roof", &["app"]),
    ("entrance", &["cli", "main", "lib"]),
];

/// What a module must not know of, beside our own modules. Unit tests are exempt.
const BANNED: &[(&str, &[&str])] = &[
    ("catalog", WORDS_BAN),
    ("principal", WORDS_BAN),
    ("audit", WORDS_BAN),
    ("policy", WORDS_BAN),
    ("compliance", WORDS_BAN),
    (
        "guard",
        &["tokio", "sqlx", "reqwest", "axum", "std::fs", "std::net"],
    ),
];
const WORDS_BAN: &[&str] = &["tokio", "sqlx", "reqwest", "axum", "datafusion"];

/// Where the clock may be read; elsewhere the time enters as a value. Unit tests are exempt.
const CLOCK_READERS: &[&str] = &["app", "cli", "http", "main", "sink", "telemetry"];
const CLOCKS: &[&str] = &["Instant", "Local", "SystemTime", "Utc"];

/// The most lines of one file.
const MOST_LINES: usize = 700;

#[test]
fn imports_point_down() {
    // Asked when the test runs: checkouts that share a target directory share its binaries, too.
    let checkout = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let src = Path::new(&checkout).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(!files.is_empty(), "no sources under {}", src.display());
    files.sort();
    let mut faults = Vec::new();
    for file in &files {
        let source = std::fs::read_to_string(file).unwrap();
        let inside = file.strip_prefix(&src).unwrap().to_str().unwrap();
        faults.extend(check(inside, &source));
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every fault of one file, given its path below `src/`.
fn check(file: &str, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.lines().count();
    if lines > MOST_LINES {
        faults.push(format!(
            "src/{file}:{lines}: longer than {MOST_LINES} lines: split it"
        ));
    }
    let module = module_path(file);
    let home = module.first().map_or("lib", String::as_str);
    let Some((floor, floor_name)) = floor_of(home) else {
        faults.push(format!(
            "src/{file}:1: module `{home}` stands on no floor of the table"
        ));
        return faults;
    };
    let banned = BANNED
        .iter()
        .find(|(name, _)| *name == home)
        .map_or(&[][..], |(_, list)| *list);
    let scan = Scan::of(source, module.clone());
    for (line, what) in &scan.forbidden {
        faults.push(format!("src/{file}:{line}: {what}"));
    }
    for path in &scan.paths {
        let mut fault = |message: String| {
            faults.push(format!("src/{file}:{}: {message}", path.line));
        };
        match path.below_root().as_deref() {
            None => {}
            Some(["*", ..]) => fault("a glob of the crate root hides what is imported".into()),
            Some([]) if path.in_use => fault("the crate root must not be renamed".into()),
            Some([]) => {}
            Some([head, ..]) if *head == home => {}
            Some([head, ..]) => match floor_of(head) {
                None => fault(format!("`crate::{head}` stands on no floor of the table")),
                Some((other, other_name)) if other >= floor => fault(format!(
                    "`{home}` ({floor_name}) must not import `{head}` ({other_name}): \
                     imports point down"
                )),
                Some(_) => {}
            },
        }
        if path.in_tests {
            continue;
        }
        let text = path.segments.join("::");
        for ban in banned {
            if text == *ban
                || text
                    .strip_prefix(ban)
                    .is_some_and(|rest| rest.starts_with("::"))
            {
                fault(format!("`{home}` ({floor_name}) must not use `{ban}`"));
            }
        }
        let reads_clock = path
            .segments
            .windows(2)
            .any(|pair| CLOCKS.contains(&pair[0].as_str()) && pair[1] == "now");
        if reads_clock && !CLOCK_READERS.contains(&home) {
            fault(format!(
                "`{home}` ({floor_name}) must not read the clock: take `now` as a value"
            ));
        }
    }
    faults.dedup();
    faults
}

fn floor_of(module: &str) -> Option<(usize, &'static str)> {
    let floor = FLOORS
        .iter()
        .position(|(_, modules)| modules.contains(&module))?;
    Some((floor, FLOORS[floor].0))
}

/// `guard/apply.rs` is `[guard, apply]`, `guard/mod.rs` is `[guard]`, `lib.rs` is `[]`.
fn module_path(file: &str) -> Vec<String> {
    let mut path: Vec<_> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(|part| part.to_owned())
        .collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
        path.pop();
    }
    path
}

/// A path that occurs in a source, resolved as far as `crate`, `self` and `super` allow.
struct Found {
    line: usize,
    /// From the crate root on, if `from_root`; else as written.
    segments: Vec<String>,
    from_root: bool,
    in_use: bool,
    in_tests: bool,
}

impl Found {
    /// The segments below the crate root, if the path starts there.
    fn below_root(&self) -> Option<Vec<&str>> {
        self.from_root
            .then(|| self.segments.iter().map(String::as_str).collect())
    }
}

#[derive(Clone, Debug)]
struct Token {
    text: String,
    line: usize,
}

struct Scan {
    tokens: Vec<Token>,
    at: usize,
    /// The module that is being read, inline modules included.
    module: Vec<String>,
    /// Depth of braces at which each inline module ends, and whether it holds unit tests.
    inline: Vec<(usize, bool)>,
    in_tests: bool,
    paths: Vec<Found>,
    forbidden: Vec<(usize, &'static str)>,
}

impl Scan {
    fn of(source: &str, module: Vec<String>) -> Scan {
        let in_tests = module
            .iter()
            .any(|part| part == "tests" || part.ends_with("_tests"));
        let mut scan = Scan {
            tokens: tokens(&without_text(source)),
            at: 0,
            module,
            inline: Vec::new(),
            in_tests,
            paths: Vec::new(),
            forbidden: Vec::new(),
        };
        scan.run();
        scan
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn sees(&self, expected: &[&str]) -> bool {
        expected
            .iter()
            .enumerate()
            .all(|(i, text)| self.text(self.at + i) == *text)
    }

    fn run(&mut self) {
        let mut depth = 0;
        let mut test_comes = false;
        while self.at < self.tokens.len() {
            let line = self.tokens[self.at].line;
            if self.sees(&["#", "[", "path", "="]) {
                self.forbidden
                    .push((line, "`#[path]` hides where a module lives"));
            }
            if self.sees(&["extern", "crate"]) {
                self.forbidden
                    .push((line, "`extern crate` gives a crate a second name"));
            }
            if self.sees(&["#", "[", "cfg", "(", "test", ")", "]"]) {
                test_comes = true;
                self.at += 7;
                continue;
            }
            match self.text(self.at).to_owned().as_str() {
                "mod" if self.text(self.at + 2) == "{" => {
                    self.module.push(self.text(self.at + 1).to_owned());
                    self.inline.push((depth, self.in_tests));
                    self.in_tests |= test_comes;
                    test_comes = false;
                    depth += 1;
                    self.at += 3;
                }
                "{" => {
                    depth += 1;
                    test_comes = false;
                    self.at += 1;
                }
                "}" => {
                    depth -= 1;
                    if let Some((_, before)) = self.inline.pop_if(|(outer, _)| *outer == depth) {
                        self.in_tests = before;
                        self.module.pop();
                    }
                    self.at += 1;
                }
                "use" if self.text(self.at + 1) != "<" => {
                    self.at += 1;
                    self.use_tree(Vec::new());
                    test_comes = false;
                }
                ";" => {
                    test_comes = false;
                    self.at += 1;
                }
                _ => self.inline_path(),
            }
        }
    }

    /// Reads one tree of a `use`, such as `crate::{a, b::{self, c as d}, e::*}`.
    fn use_tree(&mut self, mut segments: Vec<String>) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        if self.text(self.at) == "$" {
            self.at += 1;
        }
        while self.at < self.tokens.len() {
            match self.text(self.at).to_owned().as_str() {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.text(self.at) != "}" {
                        if self.text(self.at) == "," {
                            self.at += 1;
                        } else {
                            self.use_tree(segments.clone());
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => {
                    self.at += 2;
                    break;
                }
                "," | ";" | "}" => break,
                segment => {
                    segments.push(segment.to_owned());
                    self.at += 1;
                }
            }
        }
        self.found(line, segments, true);
    }

    /// Reads a path outside of `use`, such as `crate::a::b` or `Utc::now`.
    fn inline_path(&mut self) {
        let start = self.at;
        self.at += 1;
        let goes_on = start >= 2
            && self.text(start - 1) == "::"
            && (is_word(self.text(start - 2)) || self.text(start - 2) == ">");
        if goes_on || !is_word(self.text(start)) || self.text(start + 1) != "::" {
            return;
        }
        let mut segments = vec![self.text(start).to_owned()];
        while self.text(self.at) == "::" && is_word(self.text(self.at + 1)) {
            segments.push(self.text(self.at + 1).to_owned());
            self.at += 2;
        }
        self.found(self.tokens[start].line, segments, false);
    }

    fn found(&mut self, line: usize, segments: Vec<String>, in_use: bool) {
        let mut base = match segments.first().map(String::as_str) {
            Some("crate") => Some(Vec::new()),
            Some("self" | "super") => Some(self.module.clone()),
            _ => None,
        };
        let from_root = base.is_some();
        if let Some(base) = &mut base {
            for segment in &segments {
                match segment.as_str() {
                    "crate" | "self" => {}
                    "super" => drop(base.pop()),
                    name => base.push(name.to_owned()),
                }
            }
        }
        let segments = base.unwrap_or(segments);
        self.paths.push(Found {
            line,
            segments,
            from_root,
            in_use,
            in_tests: self.in_tests,
        });
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words, `::`, and every other character on its own.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                _ => word,
            };
            tokens.push(Token {
                text: rest[..length].to_owned(),
                line: number + 1,
            });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The source without comments, strings, characters and lifetimes; lines stay where they are.
fn without_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::new();
    let mut i = 0;
    while i < chars.len() {
        let from = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                while i < chars.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            '"' => i = after_quoted(&chars, i, '"'),
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => i = after_quoted(&chars, i, '\''),
            // A lifetime.
            '\'' => {
                i += 1;
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
            }
            c if c.is_alphabetic() || c == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[from..i].iter().collect();
                let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
                match word.as_str() {
                    "r" | "br" | "cr" if at(i + hashes) == '"' => {
                        i += hashes + 1;
                        let end: Vec<char> = format!("\"{}", "#".repeat(hashes)).chars().collect();
                        while i < chars.len() && !chars[i..].starts_with(&end) {
                            i += 1;
                        }
                        i += end.len();
                    }
                    // A raw identifier.
                    "r" if hashes == 1 => i += 1,
                    "b" | "c" if matches!(at(i), '"' | '\'') => {
                        i = after_quoted(&chars, i, at(i));
                    }
                    _ => {
                        out.push_str(&word);
                        continue;
                    }
                }
            }
            c => {
                out.push(c);
                i += 1;
                continue;
            }
        }
        out.push(' ');
        out.extend(
            chars[from..i.min(chars.len())]
                .iter()
                .filter(|c| **c == '\n'),
        );
    }
    out
}

/// The place after the quoted text that starts at `i`.
fn after_quoted(chars: &[char], mut i: usize, quote: char) -> usize {
    i += 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

#[test]
fn each_forbidden_edge_is_found() {
    let fixture = include_str!("../fixtures/architecture.txt");
    let mut cases = 0;
    for case in fixture.split("\n=== ").skip(1) {
        let (file, rest) = case.split_once('\n').unwrap();
        let (expected, snippet): (Vec<_>, Vec<_>) =
            rest.lines().partition(|line| line.starts_with("~~~ "));
        let faults = check(file, snippet.join("\n").trim_end());
        let met = faults.len() == expected.len()
            && faults.iter().zip(&expected).all(|(fault, expected)| {
                let (line, part) = expected[4..].split_once(' ').unwrap();
                fault.starts_with(&format!("src/{file}:{line}: ")) && fault.contains(part)
            });
        assert!(met, "{case}\nfound {faults:#?}");
        cases += 1;
    }
    assert!(cases > 40, "only {cases} cases were read");
}

#[test]
fn long_files_are_found() {
    let longest = "\n".repeat(MOST_LINES);
    assert_eq!(check("guard/mod.rs", &longest), Vec::<String>::new());
    let faults = check("guard/mod.rs", &format!("{longest}\n"));
    assert_eq!(
        faults,
        ["src/guard/mod.rs:701: longer than 700 lines: split it"]
    );
}
