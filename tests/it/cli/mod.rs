//! The built program as a command line: what it prints, and how it exits.

mod conformance;
mod detectors;
mod filter;
mod packs;

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a command did.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    /// The one JSON document on standard output.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.out, self.err))
    }

    /// Asserts the exit code.
    #[track_caller]
    fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

/// Runs the program to its end.
fn syncguard<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    environment: &[(&str, &str)],
) -> Done {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_syncguard"))
        .args(arguments)
        .env_remove("SYNCGUARD_API_KEY")
        .env_remove("SYNCGUARD_SERVER")
        .env_remove("SYNCGUARD_WORKSPACE")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Done {
        code: status.code().expect("the program was killed"),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

#[test]
fn what_cannot_be_used_exits_with_1_and_help_with_0() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["test", "--help"], 0),
        (&["filter", "--help"], 0),
        (&["filter"], 1),
        (&[], 1),
        (&["nonsense"], 1),
        (&["detectors", "--help"], 0),
        (&["detectors", "--misses", "x"], 1),
        (&["test", "--nonsense"], 1),
        (&["test", "--format", "nonsense"], 1),
        (&["serve", "--listen", "nonsense"], 1),
        (&["serve", "--config", "/nonexistent/syncguard.toml"], 1),
    ] {
        let done = syncguard(arguments, &[]).exits(code);
        let (told, silent) = match code {
            0 => (&done.out, &done.err),
            _ => (&done.err, &done.out),
        };
        assert!(!told.is_empty() && silent.is_empty(), "{arguments:?}");
    }
}
