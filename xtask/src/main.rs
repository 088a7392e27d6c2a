//! Development tasks; `cargo xtask` without a name lists them.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks measure time, read the environment and wait for other processes: they are the edge themselves"
)]

mod barograph;
mod bench;
mod http;
mod load;
mod peers;
mod place;
mod random;
mod server;
mod shell;

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
    /// Download the servers we are tested with and measured against, without installing them.
    Peers {
        /// Replace those that are there by the newest.
        #[arg(long)]
        refresh: bool,
    },
    /// Measure the server beside its peers.
    Bench(bench::Arguments),
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
        Task::Bench(arguments) => bench::run(&arguments),
    }
}
