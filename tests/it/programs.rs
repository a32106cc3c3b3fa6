//! Programs that tests run: those that people have.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Runs a program to its end, fed with bytes, beside the server in this process.
pub(crate) async fn run(mut command: Command, input: Vec<u8>) -> Output {
    tokio::task::spawn_blocking(move || {
        let program = format!("{:?}", command.get_program());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let feeding = std::thread::spawn(move || {
            // A program that ends early says itself why.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        output
    })
    .await
    .unwrap()
}

/// The interpreter with the packages that `scripts/test` installs.
pub(crate) fn python() -> PathBuf {
    let Some(python) = std::env::var_os("SYNCGUARD_TEST_PYTHON") else {
        panic!(
            "this test needs a Python with the clients: run it with scripts/test, or set SYNCGUARD_TEST_PYTHON to its interpreter"
        )
    };
    python.into()
}
