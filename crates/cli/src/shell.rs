//! What the program says about itself: its version, its manual pages, and how a shell completes its commands.

use crate::{error::Error, exit, terminal::Terminal};
use clap::Command;
use std::process::ExitCode;

pub(crate) fn version(terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let (version, arch, os) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    writeln!(terminal.out(), "barograph {version} ({arch}-{os})")?;
    Ok(exit::FINE)
}

pub(crate) fn completions(
    shell: clap_complete::Shell,
    mut tree: Command,
    terminal: &mut Terminal,
) -> Result<ExitCode, Error> {
    // Into memory first: the generator does not expect a reader that goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree, "barograph", &mut script);
    terminal.out().write_all(&script)?;
    Ok(exit::FINE)
}

/// The page of the command that `words` name, one level of the tree a word.
pub(crate) fn manual(
    words: &[String],
    mut tree: Command,
    terminal: &mut Terminal,
) -> Result<ExitCode, Error> {
    tree.build();
    let mut command = &tree;
    for word in words {
        command = command
            .find_subcommand(word)
            .ok_or_else(|| Error::Usage(format!("there is no command `barograph {}`", words.join(" "))))?;
    }
    let title =
        std::iter::once("barograph").chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
    clap_mangen::Man::new(command.clone()).title(title.to_uppercase()).render(&mut terminal.out())?;
    Ok(exit::FINE)
}
