//! The command line: one file for each command.
//!
//! *Its one idea: decide in the library, explain here.* A command turns its arguments into a request,
//! and a report into words and an exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;
use crate::reconcile::RunError;
use crate::telemetry::{self, LogFormat};
use crate::terminal;

mod answer;
mod apply;
mod approve;
mod check;
mod demo;
mod engine;
mod export;
mod held;
mod history;
mod places;
mod reject;
mod retry;
mod run;
mod sandbox;
mod settle;
mod show;
mod state;
mod status;
mod sync;
mod undo;

/// Keeps the members of Kaltura MediaSpace channels in step with the groups of a directory.
///
/// Begin with `rollbook demo`, which needs nothing; then write a configuration (see
/// config.example.toml), ask `rollbook check` whether all is in place, and look at the first plan with
/// `rollbook sync --dry-run`.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "ROLLBOOK_CONFIG",
        default_value = "/etc/rollbook/rollbook.toml"
    )]
    config: PathBuf,

    /// What is logged, to standard error: error, warn, info, debug, or a filter such as rollbook=debug.
    #[arg(
        long,
        global = true,
        env = "ROLLBOOK_LOG",
        default_value = "warn",
        value_name = "LEVEL"
    )]
    log_level: String,

    /// How a log line is written.
    #[arg(
        long,
        global = true,
        env = "ROLLBOOK_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do
  1  failed
  2  wrong usage or configuration
  3  done, but some actions failed, or the directory's answer was not complete
  4  this run holds a plan: look at it with `rollbook show`, release it with `rollbook approve`
     (`rollbook held` ends with 4 for as long as any plan waits)
  5  changes are pending (with --dry-run --exit-code)
  6  another run is going on";

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the channels in step with the groups, once.
    Sync(sync::Arguments),
    /// Do what a saved plan says, where it still is what would be done.
    Apply(apply::Arguments),
    /// List the plans that wait for a person.
    Held(held::Arguments),
    /// Print a held plan, whole.
    Show(show::Arguments),
    /// Release a held plan; the next run applies it.
    Approve(approve::Arguments),
    /// Leave what a held plan is about as it is.
    Reject(reject::Arguments),
    /// Take back what a run did.
    Undo(undo::Arguments),
    /// Show what happened, to whom, where and why.
    History(history::Arguments),
    /// Copy the state file, look through it, or begin anew.
    State(state::Arguments),
    /// Write, or hand in, what the groups want as CSV files: channels, people, memberships.
    #[command(after_help = export::EXAMPLES)]
    Export(export::Arguments),
    /// Find out what became of files that somebody has uploaded.
    Settle(settle::Arguments),
    /// Try again now what was set aside.
    Retry(retry::Arguments),
    /// Look whether configuration, directory and Kaltura are in place.
    Check(check::Arguments),
    /// Show the last runs, what is held, and what is set aside.
    Status(status::Arguments),
    /// Run as a service, by the schedule of the configuration.
    Run(run::Arguments),
    /// Show it all on this machine: a made-up university and a sandbox account.
    Demo(demo::Arguments),
    /// Serve a sandbox account, to try a configuration against.
    #[command(after_help = sandbox::EXAMPLES)]
    Sandbox(sandbox::Arguments),
}

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Partly = 3,
    Held = 4,
    Pending = 5,
    Leased = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the command that the arguments name.
pub async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap knows which is which, and where each goes.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return exit.into();
        }
    };
    telemetry::start(&arguments.log_level, arguments.log_format);
    match dispatch(arguments).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            explain(&error);
            exit_of(&error).into()
        }
    }
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<Exit> {
    let config = arguments.config;
    match arguments.command {
        Command::Sync(arguments) => sync::run(&config, arguments).await,
        Command::Apply(arguments) => apply::run(&config, &arguments).await,
        Command::Held(arguments) => held::run(&config, &arguments),
        Command::Show(arguments) => show::run(&config, &arguments),
        Command::Approve(arguments) => approve::run(&config, &arguments),
        Command::Reject(arguments) => reject::run(&config, &arguments),
        Command::Undo(arguments) => undo::run(&config, &arguments).await,
        Command::History(arguments) => history::run(&config, &arguments),
        Command::State(arguments) => state::run(&config, &arguments).await,
        Command::Export(arguments) => export::run(&config, arguments).await,
        Command::Settle(arguments) => settle::run(&config, &arguments).await,
        Command::Retry(arguments) => retry::run(&config, &arguments),
        Command::Check(arguments) => check::run(&config, &arguments).await,
        Command::Status(arguments) => status::run(&config, &arguments),
        Command::Run(arguments) => run::run(&config, &arguments).await,
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Sandbox(arguments) => sandbox::run(&arguments).await,
    }
}

/// Says what went wrong, and what led to it.
fn explain(error: &anyhow::Error) {
    let mut out = terminal::stderr();
    let mut said = error.to_string();
    if is_list(error) {
        for (number, line) in said.lines().enumerate() {
            let start = if number == 0 { "rollbook: " } else { "" };
            let _ = writeln!(out, "{start}{line}");
        }
    } else {
        let _ = writeln!(out, "rollbook: {said}");
    }
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            let _ = writeln!(out, "  because: {cause}");
            said = cause;
        }
    }
}

/// Whether an error is a list of problems, one a line, in which values from outside are escaped already.
fn is_list(error: &anyhow::Error) -> bool {
    let is_stale = matches!(error.downcast_ref(), Some(RunError::Stale(_)));
    is_stale || error.downcast_ref::<ConfigError>().is_some()
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<ConfigError>().is_some() {
        return Exit::Usage;
    }
    match error.downcast_ref::<RunError>() {
        Some(RunError::Leased { .. }) => Exit::Leased,
        Some(RunError::NotFound(_) | RunError::Usage(_)) => Exit::Usage,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
