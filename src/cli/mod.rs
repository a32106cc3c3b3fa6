//! The command line: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod audit;
pub mod demo;
pub mod detectors;
pub mod export;
pub mod filter;
mod packs;
pub mod plan;
mod remote;
pub mod serve;
pub mod test;

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
    /// Verify the audit log
    Audit(audit::Audit),
    /// Show the main job: sync 150,000 customers to an ad platform, through the GDPR policies
    Demo(demo::Demo),
    /// List what content policies can look for, or measure how well it is found
    Detectors(detectors::DetectorsCommand),
    /// Serve the control plane and work on runs until SIGTERM or Ctrl-C
    Serve(Box<serve::Serve>),
    /// Show what applying policy packs would change, and how many records it bears on
    Plan(plan::Plan),
    /// Make a workspace have the policies of packs, all in one revision
    Apply(plan::Apply),
    /// Write the destination policies of a workspace as a policy pack
    Export(export::Export),
    /// Filter records through policy packs: a file or a pipe in, what may be sent out; no server
    #[command(after_help = filter::EXAMPLES)]
    Filter(Box<filter::Filter>),
    /// Check that policy packs decide about records as the cases beside them say
    Test(test::Test),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for serve: drained after SIGTERM or Ctrl-C; for test: every case holds; for plan:
     nothing would change
  1  it failed, a case does not hold, audit verify found something, or the arguments or the
     configuration cannot be used; standard error, or the report, says why
  2  for plan: applying would change something
  10, 20  for filter --detailed-exit-code: records were withheld; records are not well-formed

Environment:
  SYNCGUARD_LOG            log filter, such as info,syncguard=debug
  SYNCGUARD_BOOTSTRAP_KEY  API key of the first account, for an empty store
  SYNCGUARD_JUDGE_KEY      key for the model of --judge-url
  SYNCGUARD_API_KEY        API key for plan, apply and export
  Every other flag of serve has its own variable, named in its help.";

impl Cli {
    /// Parses the arguments of the process. Where they ask for help or cannot be used, that is
    /// printed here, and what is left to do is to exit with the code.
    pub fn from_arguments() -> Result<Cli, ExitCode> {
        Cli::try_parse().map_err(|error| {
            // There is nobody left to tell if this cannot be printed.
            let _ = error.print();
            match error.use_stderr() {
                true => ExitCode::FAILURE,
                false => ExitCode::SUCCESS,
            }
        })
    }
}

/// Bytes of the stack of a thread that serves: it parses what clients send.
const STACK: usize = 8 << 20;

/// Runs a command to its end and answers the exit code.
pub fn run(cli: Cli) -> ExitCode {
    // Two TLS providers may be compiled in; one has to be chosen before anything connects. An
    // error says that one was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build();
    let done = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli.command.run()));
    done.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

impl Command {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let done = ExitCode::SUCCESS;
        match self {
            Command::Audit(audit) => audit.run().await.map(|()| done),
            Command::Demo(demo) => demo.run().await.map(|()| done),
            Command::Detectors(detectors) => detectors.run().map(|()| done),
            Command::Serve(serve) => serve.run().await.map(|()| done),
            Command::Plan(plan) => plan.run().await,
            Command::Apply(apply) => apply.run().await,
            Command::Export(export) => export.run().await.map(|()| done),
            Command::Filter(filter) => filter.run(),
            Command::Test(test) => test.run(),
        }
    }
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
