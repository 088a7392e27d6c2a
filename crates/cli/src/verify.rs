//! `barograph verify`: is everything in a directory what was written there?

use std::{path::PathBuf, process::ExitCode};

use barograph_server::storage::backup;

use crate::{
    error::Error,
    exit, output,
    terminal::{Role, Terminal},
};

/// What `verify` is told on the command line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A data directory that no server uses, or a directory of backups.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Names what is damaged. Exits with 1 if anything is, with 3 if files were set aside earlier.
pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let found = backup::verify(&args.dir)
        .map_err(|source| Error::Failed { what: "cannot verify", source: Box::new(source) })?;
    for damage in &found.damaged {
        let line = terminal.data_paint().of(Role::Error, "damaged");
        writeln!(terminal.out(), "{line}: {}: {}", damage.path, damage.reason)?;
    }
    for path in &found.set_aside {
        terminal.message(Role::Warning, &format!("{path} was set aside as damaged"));
    }
    if found.torn_bytes > 0 {
        let text = "at the end of the log were never acknowledged; the next start cuts them off";
        terminal.message(Role::Info, &format!("{} bytes {text}", found.torn_bytes));
    }
    let mut text = format!("{} files, {} blocks, {}", found.files, found.blocks, output::size(found.bytes));
    if found.backups > 0 {
        text.push_str(&format!(" in {} backups", found.backups));
    }
    let (role, word, code) = match (found.damaged.len(), found.set_aside.len()) {
        (0, 0) => (Role::Good, "ok".to_owned(), exit::FINE),
        (0, _) => (Role::Warning, "ok".to_owned(), ExitCode::from(exit::FINDINGS)),
        (damaged, _) => (Role::Error, format!("{damaged} damaged"), ExitCode::from(exit::FAILED)),
    };
    Ok(terminal.verdict(role, &word, &text, code)?)
}
