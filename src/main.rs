//! The program: parses its arguments, starts telemetry and hands over.

use std::process::ExitCode;

use clap::Parser;
use syncguard::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    syncguard::telemetry::start();
    syncguard::cli::run(cli)
}
