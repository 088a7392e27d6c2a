//! npm in the folder of the web pages.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use crate::{place, shell};

/// The folder with `package.json`.
pub(crate) fn folder() -> PathBuf {
    place::root().join("crates/ui")
}

/// `npm` there.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = shell::command("npm", arguments);
    command.current_dir(folder());
    command
}

/// Installs the locked packages, unless that was done since the lock last changed.
pub(crate) fn install() -> Result<()> {
    ensure!(shell::on_path("npm"), "npm is needed for the pages and is not on the search path");
    let changed = |name: &str| fs::metadata(folder().join(name)).and_then(|data| data.modified());
    let installed = changed("node_modules/.package-lock.json");
    if installed.is_ok_and(|at| changed("package-lock.json").is_ok_and(|lock| at >= lock)) {
        return Ok(());
    }
    shell::run(&mut command(&["ci", "--no-audit", "--no-fund"]))
}
