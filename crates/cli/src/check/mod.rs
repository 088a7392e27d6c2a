//! `barograph check`: looks for faults and says so in its exit code.

mod alertmanager;
mod config;
mod health;
pub(crate) mod rules;
mod web;

use crate::{client::Client, error::Error, terminal::Terminal, time::Span};
use std::{path::PathBuf, process::ExitCode};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Whether a configuration file can be used: exits 0 if so, 1 if not, 3 if something in it deserves a look.
    Config {
        /// The file, as `serve --config` takes it.
        file: PathBuf,
    },
    /// Whether a web configuration can be used, with the certificates it names: exits 0 if so, 1 if not.
    WebConfig {
        /// The file, as `serve --web-config` takes it.
        file: PathBuf,
    },
    /// Whether rule files can be used: exits 0 if so, 1 if not, 3 if rules in them are likely not meant.
    Rules(rules::Args),
    /// Whether files of Alertmanager can be used: exits 0 if so, 1 if not.
    Alertmanager(alertmanager::Args),
    /// Whether a running server is well: exits 0 if so, 1 with a warning, 2 if not, 3 if that cannot be told.
    Health {
        /// The server to ask.
        #[arg(value_name = "URL", default_value = "http://127.0.0.1:10701")]
        url: String,
        /// How long to wait for it.
        #[arg(long, value_name = "SPAN", default_value = "5s")]
        timeout: Span,
        #[command(flatten)]
        access: crate::access::Access,
    },
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Config { file } => config::run(&file, terminal),
        Command::WebConfig { file } => web::run(&file, terminal),
        Command::Alertmanager(args) => alertmanager::run(&args, terminal),
        Command::Rules(args) => rules::run(&args, terminal),
        Command::Health { url, timeout, access } => {
            health::run(&Client::new(&url, timeout, &access)?, terminal)
        }
    }
}
