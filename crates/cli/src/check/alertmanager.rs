//! `barograph check alertmanager`: files of Alertmanager as `serve` would read them, with the templates that they name.

use crate::{
    error::Error,
    exit,
    terminal::{Role, Terminal},
};
use barograph_server::alerting;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The files, as `alertmanager_config` names one.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Reads each file, and tells what is wrong with it or what it has.
pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let mut code = exit::FINE;
    for path in &args.files {
        match read(path) {
            Ok(told) => {
                let told = format!("{}, {told}", path.display());
                terminal.verdict(Role::Good, "ok", &told, exit::FINE)?;
            }
            Err(error) => {
                error.report(terminal);
                code = ExitCode::from(exit::FAILED);
            }
        }
    }
    Ok(code)
}

/// What a file has.
///
/// # Errors
///
/// It cannot be used.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let config = alerting::check(path).map_err(|told| Error::Alertmanager { told })?;
    let (routes, receivers) = (config.route.all().len(), config.receivers.len());
    let (rules, templates) = (config.inhibit_rules.len(), config.templates.len());
    Ok(format!("routes: {routes}, receivers: {receivers}, inhibit rules: {rules}, templates: {templates}"))
}
