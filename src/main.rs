//! The program: parses its arguments, starts telemetry and hands over.

use std::process::ExitCode;

use syncguard::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = match Cli::from_arguments() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    syncguard::telemetry::start();
    cli::run(cli)
}
