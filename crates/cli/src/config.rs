//! `barograph config`: the settings that would hold and where each comes from, and the schema of the file.

use crate::{error::Error, exit, terminal::Terminal};
use barograph_server::config::{Sources, schema};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the settings that hold with a file and this environment, where each comes from, secrets masked.
    Show {
        /// The file, as `serve --config` takes it; without it, what holds without one.
        file: Option<PathBuf>,
        /// Only what is not the default.
        #[arg(long)]
        given: bool,
    },
    /// Print the JSON schema of the file, for editors that check it while it is written.
    Schema,
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Schema => terminal.out().write_all(schema::schema().as_bytes())?,
        Command::Show { file, given } => show(file, given, terminal)?,
    }
    Ok(exit::FINE)
}

fn show(file: Option<PathBuf>, only_given: bool, terminal: &mut Terminal) -> Result<(), Error> {
    let config = Sources::new(file.as_deref(), std::env::vars()).load()?;
    let mut settings: BTreeMap<String, (String, &str)> = BTreeMap::new();
    if !only_given {
        settings.extend(schema::defaults().into_iter().map(|(path, value)| (path, (value, "default"))));
    }
    for (path, value) in config.document.given() {
        let origin = config.origins.get(&path).map_or("file", |origin| origin.as_str());
        settings.insert(path, (value, origin));
    }
    let width = settings.keys().map(String::len).max().unwrap_or(0).min(60);
    for (path, (value, origin)) in settings {
        writeln!(terminal.out(), "{path:width$}  {origin:11}  {value}")?;
    }
    Ok(())
}
