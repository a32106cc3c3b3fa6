//! The command line: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod demo;
pub mod serve;

/// The gate between a warehouse and everything downstream.
#[derive(Parser)]
#[command(name = "syncguard", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Show the main job: sync 150,000 customers to an ad platform, through the GDPR policies
    Demo(demo::Demo),
    /// Serve the control plane and work on runs until SIGTERM or Ctrl-C
    Serve(Box<serve::Serve>),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for serve: drained after SIGTERM or Ctrl-C
  1  it failed; standard error says why
  2  the arguments or the configuration cannot be used

Environment:
  SYNCGUARD_LOG            log filter, such as info,syncguard=debug
  SYNCGUARD_BOOTSTRAP_KEY  API key of the first account, for an empty store
  Every other flag has its own variable, named in the help of its command.";

/// Why a command did not do its work: the exit code follows from it.
#[derive(Debug)]
pub enum Failure {
    /// The arguments or the configuration cannot be used.
    Usage(anyhow::Error),
    /// Something went wrong.
    Fault(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Fault(error.into())
    }
}

/// Runs a command to its end and answers the exit code.
pub fn run(cli: Cli) -> ExitCode {
    // Two TLS providers may be compiled in; one has to be chosen before anything connects. An
    // error says that one was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            match cli.command {
                Command::Demo(demo) => demo.run().await,
                Command::Serve(serve) => serve.run().await,
            }
        })
    });
    let (code, error) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => (2, error),
        Err(Failure::Fault(error)) => (1, error),
    };
    complain(&error);
    ExitCode::from(code)
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of the program goes to whoever started it"
)]
fn complain(error: &anyhow::Error) {
    eprintln!("syncguard: {error:#}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn every_flag_of_serve_has_an_environment_variable() {
        Cli::command().debug_assert();
        let command = Cli::command();
        let serve = command.find_subcommand("serve").expect("the command serve");
        for flag in serve
            .get_arguments()
            .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        {
            let name = flag.get_id().as_str().to_uppercase();
            let variable = flag.get_env().and_then(|name| name.to_str());
            assert_eq!(variable, Some(format!("SYNCGUARD_{name}").as_str()));
        }
    }
}
