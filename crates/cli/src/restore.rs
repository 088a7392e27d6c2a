//! `barograph restore`: a backup back into a data directory, without a server.

use std::{path::PathBuf, process::ExitCode};

use barograph_server::storage::backup;

use crate::{
    error::Error,
    exit, output,
    terminal::{Role, Terminal},
};

/// What `restore` is told on the command line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of the backup, or `latest`.
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: Id,
    /// The directory with the backups: the server's --backup-dir, or a target in it.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to make: empty, or not there yet.
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
}

/// Which backup.
#[derive(Clone, Copy)]
enum Id {
    Latest,
    Number(u64),
}

fn parse_id(text: &str) -> Result<Id, String> {
    match text {
        "latest" => Ok(Id::Latest),
        text => text.parse().map(Id::Number).map_err(|_| "expected a number or `latest`".to_owned()),
    }
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let id = match args.id {
        Id::Latest => None,
        Id::Number(id) => Some(id),
    };
    let (id, restored) = backup::restore(&args.from, id, &args.target)
        .map_err(|source| Error::Failed { what: "cannot restore", source: Box::new(source) })?;
    let text =
        format!("{} files, {} in {}", restored.files, output::size(restored.bytes), args.target.display());
    Ok(terminal.verdict(Role::Good, &format!("restored backup {id}"), &text, exit::FINE)?)
}
