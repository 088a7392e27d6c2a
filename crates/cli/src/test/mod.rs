//! `barograph test`: runs tests that users write.

mod junit;
mod rules;

use crate::{error::Error, terminal::Terminal};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Whether rules do what tests of them say, in the form of `promtool test rules`: exits 0 if so, 1 if not.
    Rules(rules::Args),
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Rules(args) => rules::run(&args, terminal),
    }
}
