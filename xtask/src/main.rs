//! Development tasks; `cargo xtask` without a name lists them.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks measure time, read the environment and wait for other processes: they are the edge themselves"
)]

mod alert_diff;
mod barograph;
mod bench;
mod check;
mod dist;
mod fuzzing;
mod http;
mod load;
mod npm;
mod outbox;
mod peers;
mod place;
mod progress;
mod promqltest;
mod python;
mod random;
mod server;
mod shell;
mod simulation;
mod sink;
mod suites;
mod tally;
mod test;

use std::{path::PathBuf, process::ExitCode};

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
        /// Give the suites this binary rather than build one.
        #[arg(long)]
        binary: Option<PathBuf>,
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
    /// Run PromQL scripts of the upstream form against our evaluator.
    Promqltest {
        /// Scripts, or folders of them.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
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
        /// Kill this binary rather than build one.
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// Play histories of the store under seeds: work, crashes and faults, against a model.
    Sim(simulation::Arguments),
    /// Crash the outbox of notices at random points, and see that none is lost and at most one comes twice.
    Outbox(outbox::Arguments),
    /// Feed mutated bytes to everything that reads bytes it did not write.
    Fuzz(fuzzing::Arguments),
    /// Random trees of routes under random alerts, beside a real Alertmanager: both must tell the same.
    AlertDiff(alert_diff::Arguments),
    /// Make what is released: binary, completions, manual pages, unit file, licences, bill of materials, checksum.
    Dist(dist::Arguments),
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
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well; where it is not, the task has said so itself.
fn perform(task: Task) -> Result<bool> {
    match task {
        Task::Check { names } => check::run(&names),
        Task::Test { names, binary } => test::run(&names, binary),
        Task::Promqltest { paths } => promqltest::run(&paths),
        Task::Peers { refresh } => {
            peers::bring(refresh).and_then(|peers| peers::print(&peers)).map(|()| true)
        }
        Task::Bench(arguments) => bench::run(&arguments).map(|()| true),
        Task::Kill { count, seed, restart, binary } => {
            let binary = binary.map_or_else(barograph::build_for_tests, Ok)?;
            suites::kill::campaign(&binary, count, seed, restart).map(|()| true)
        }
        Task::Sim(arguments) => simulation::run(&arguments),
        Task::Outbox(arguments) => outbox::run(&arguments).map(|()| true),
        Task::AlertDiff(arguments) => alert_diff::run(&arguments),
        Task::Fuzz(arguments) => fuzzing::run(&arguments),
        Task::Dist(arguments) => dist::run_task(&arguments).map(|()| true),
        Task::RestartServer { control } => suites::ask_for_restart(&control).map(|()| true),
    }
}
