//! `barograph check rules`: rule files as `serve` would read them, in the form of `promtool check rules`.
//!
//! What cannot be used is an error. Rules that give the same series are a finding.

use crate::{
    error::Error,
    exit,
    terminal::{Role, Terminal},
};
use barograph_alert::{GroupSpec, RuleFile, file::duplicates};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The rule files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to look for besides mistakes: `duplicate-rules`, that is rules which give the same series, or `none`.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Lint::All)]
    lint: Lint,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lint {
    All,
    DuplicateRules,
    None,
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let mut worst = 0;
    for path in &args.files {
        writeln!(terminal.out(), "Checking {}", path.display())?;
        let paint = terminal.data_paint();
        match read(path) {
            Ok(file) => {
                let word = paint.of(Role::Good, "SUCCESS");
                writeln!(terminal.out(), "  {word}: {} rules found", file.rules())?;
                if args.lint != Lint::None && !lint(&file.groups, terminal)? {
                    worst = if worst == exit::FAILED { worst } else { exit::FINDINGS };
                }
            }
            Err(told) => {
                writeln!(terminal.out(), "  {}:", paint.of(Role::Error, "FAILED"))?;
                for line in told.lines() {
                    writeln!(terminal.out(), "{line}")?;
                }
                worst = exit::FAILED;
            }
        }
        writeln!(terminal.out())?;
    }
    Ok(ExitCode::from(worst))
}

/// A rule file, or everything that is wrong with it, a line each.
pub(crate) fn read(path: &Path) -> Result<RuleFile, String> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    barograph_alert::file::parse(&text, &name).map_err(|faults| faults.to_string())
}

/// Tells which rules give the same series; whether there are none.
fn lint(groups: &[GroupSpec], terminal: &mut Terminal) -> Result<bool, Error> {
    let found = duplicates(groups);
    if found.is_empty() {
        return Ok(true);
    }
    let word = terminal.data_paint().of(Role::Warning, &found.len().to_string());
    writeln!(terminal.out(), "  {word} duplicate rule(s) found.")?;
    for duplicate in found {
        writeln!(terminal.out(), "  Metric: {}\n  Label(s):", duplicate.name)?;
        for (name, value) in duplicate.labels {
            writeln!(terminal.out(), "    {name}: {value}")?;
        }
    }
    writeln!(terminal.out(), "  What such rules record overwrites each other.")?;
    Ok(false)
}
