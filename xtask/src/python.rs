//! Packages of PyPI, in environments of their own under the target folder.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{place, shell};

/// An interpreter that has the packages, in the environment of that name.
pub(crate) fn bring(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = place::target().join("python").join(name);
    let (python, whole) = (folder.join("bin/python"), folder.join("whole"));
    if whole.is_file() {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    shell::run(shell::command("python3", &["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    shell::run(&mut pip)?;
    fs::write(whole, "")?;
    Ok(python)
}
