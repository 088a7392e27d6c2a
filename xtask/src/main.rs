//! Development tasks; `cargo xtask` without a name lists them.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks measure time, read the environment and wait for other processes: they are the edge themselves"
)]

mod barograph;
mod bench;
mod check;
mod http;
mod load;
mod npm;
mod peers;
mod place;
mod random;
mod server;
mod shell;
mod suites;
mod tally;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Barograph")]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// All tests: those of the workspace, then those with real clients and a real browser.
    Test {
        /// Only these: `workspace`, or suites by name.
        names: Vec<String>,
    },
    /// Download the servers we are tested with and measured against, without installing them.
    Peers {
        /// Replace those that are there by the newest.
        #[arg(long)]
        refresh: bool,
    },
    /// Format, lints, documentation, dependency policy, pages, tidiness.
    Check {
        /// Only these.
        names: Vec<String>,
    },
    /// Measure the server beside its peers.
    Bench(bench::Arguments),
    /// Kill the server under load, many times, and see that nothing acknowledged is lost.
    Kill {
        /// Kills in all, those of earlier calls included.
        #[arg(long, default_value_t = 500)]
        count: u64,
        /// Seed of a new campaign.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Begin anew rather than go on.
        #[arg(long)]
        restart: bool,
    },
    /// Restart the server of a running browser suite (for its tests).
    #[command(hide = true)]
    RestartServer {
        /// Where the suite listens.
        control: String,
    },
}

fn main() -> ExitCode {
    let Some(task) = Arguments::parse().task else {
        let _ = Arguments::command().print_help();
        return ExitCode::SUCCESS;
    };
    match perform(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Peers { refresh } => peers::print(&peers::bring(refresh)?),
        Task::Check { names } => check::run(&names),
        Task::Test { names } => test::run(&names),
        Task::Kill { count, seed, restart } => suites::kill::campaign(count, seed, restart),
        Task::RestartServer { control } => suites::ask_for_restart(&control),
        Task::Bench(arguments) => bench::run(&arguments),
    }
}
