//! The `barograph` binary: the server, and the commands that ask one.
//!
//! This file is the tree of commands and nothing else; each command lives in a module of its name.
//! What all of them promise: data goes to standard output and messages to standard error, a reader
//! that goes away early is no failure, and the exit code says what happened ([`exit`]).

mod access;
mod alert;
mod allocator;
mod answer;
mod auth;
mod backup;
mod check;
mod client;
mod config;
mod demo;
mod error;
mod exit;
mod export;
mod import;
mod notify;
mod output;
mod pointer;
mod query;
mod restore;
mod rules;
mod serve;
mod shell;
mod terminal;
mod test;
mod time;
mod verify;

use crate::{
    error::Error,
    terminal::{ColorChoice, Terminal},
};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Barograph keeps metrics, answers questions about them in PromQL, and draws them.
///
/// Start a server with `barograph serve`, then open http://127.0.0.1:10701/ or ask it with `barograph query`.
#[derive(Parser)]
#[command(name = "barograph", version, max_term_width = 100)]
struct Cli {
    /// When to use colour; `auto` asks the terminal, NO_COLOR, CLICOLOR_FORCE and TERM.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: take samples, keep them, answer questions, serve the pages.
    Serve(serve::Args),
    /// See it alive: a server with a small shop of services to watch, under load, with faults that come and go.
    Demo(demo::Args),
    /// Ask a running server.
    #[command(subcommand)]
    Query(query::Command),
    /// Take samples out of a server, into files.
    #[command(subcommand)]
    Export(export::Command),
    /// Bring samples of any age into a server, from files.
    #[command(subcommand)]
    Import(import::Command),
    /// Look for faults: in a configuration file, in rule files, in a running server.
    #[command(subcommand)]
    Check(check::Command),
    /// Look at the configuration: what holds and where from, what may be said.
    #[command(subcommand)]
    Config(config::Command),
    /// Run tests: of rules.
    #[command(subcommand)]
    Test(test::Command),
    /// Print the rules that come with the server.
    #[command(subcommand)]
    Rules(rules::Command),
    /// Say who may call: users and tokens.
    #[command(subcommand)]
    Auth(auth::Command),
    /// Look at alerts and take them: list, show, acknowledge, silence, resolve, and who is on call.
    #[command(subcommand)]
    Alert(alert::Command),
    /// Back up the store of a running server, or a data directory that no server uses.
    Backup(backup::Args),
    /// Make a data directory of a backup.
    Restore(restore::Args),
    /// Look for damage: in a data directory that no server uses, in a directory of backups.
    Verify(verify::Args),
    /// Print what makes a shell complete the commands of this program.
    Completions {
        /// The shell to complete in.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command, in roff: `barograph man query range | man -l -`.
    Man {
        /// The command, as it is typed; without it, the program's own page.
        command: Vec<String>,
    },
    /// Print the version.
    Version,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new(cli.color);
    let outcome = run(cli.command, &mut terminal);
    let outcome = outcome.and_then(|code| terminal.finish().map(|()| code).map_err(Error::Output));
    outcome.unwrap_or_else(|error| error.report(&terminal))
}

fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Serve(args) => serve::run(args, terminal),
        Command::Demo(args) => demo::run(args, terminal),
        Command::Query(command) => query::run(command, terminal),
        Command::Export(command) => export::run(command, terminal),
        Command::Import(command) => import::run(command, terminal),
        Command::Check(command) => check::run(command, terminal),
        Command::Config(command) => config::run(command, terminal),
        Command::Test(command) => test::run(command, terminal),
        Command::Rules(command) => rules::run(command, terminal),
        Command::Auth(command) => auth::run(command, terminal),
        Command::Alert(command) => alert::run(command, terminal),
        Command::Backup(args) => backup::run(&args, terminal),
        Command::Restore(args) => restore::run(&args, terminal),
        Command::Verify(args) => verify::run(&args, terminal),
        Command::Completions { shell } => shell::completions(shell, Cli::command(), terminal),
        Command::Man { command } => shell::manual(&command, Cli::command(), terminal),
        Command::Version => shell::version(terminal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }
}
