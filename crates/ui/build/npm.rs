//! The pages made by npm, on a copy of their sources.
//!
//! Packages stay installed below `OUT_DIR` for as long as the lock file is the same, so a change of a page costs seconds.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the build reads, relative to the crate. Tests and the mock are not part of it.
const SOURCES: &[&str] = &[
    ".npmrc",
    "package.json",
    "package-lock.json",
    "index.html",
    "vite.config.js",
    "svelte.config.js",
    "tsconfig.json",
    "public",
    "src",
];

/// Marks the lock file whose packages are installed.
const INSTALLED: &str = "node_modules/.barograph-lock";

/// The built folder, or why there is none, in words for a warning.
pub(crate) fn build(crate_dir: &Path, out: &Path) -> Result<PathBuf, String> {
    let work = out.join("pages");
    copy_sources(crate_dir, &work).map_err(|error| format!("cannot copy the sources: {error}"))?;
    install(&work)?;
    npm(&work, &["run", "build", "--", "--logLevel", "warn"])?;
    Ok(work.join("dist"))
}

fn install(work: &Path) -> Result<(), String> {
    let lock = fs::read(work.join("package-lock.json"))
        .map_err(|error| format!("cannot read package-lock.json: {error}"))?;
    if fs::read(work.join(INSTALLED)).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    npm(work, &["ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"])?;
    fs::write(work.join(INSTALLED), lock)
        .map_err(|error| format!("cannot mark the packages as installed: {error}"))
}

/// Runs npm, quietly: its output is shown only when it fails.
fn npm(work: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output =
        Command::new(program).args(arguments).current_dir(work).stdin(Stdio::null()).output().map_err(
            |error| match error.kind() {
                io::ErrorKind::NotFound => "npm is not installed".to_owned(),
                _ => format!("cannot run npm: {error}"),
            },
        )?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    // A build script's standard error is shown when the script fails, and kept beside its output otherwise.
    eprintln!("{}", String::from_utf8_lossy(&said));
    let last = String::from_utf8_lossy(&said)
        .lines()
        .rev()
        .find(|line| line.to_lowercase().contains("error"))
        .unwrap_or("no message")
        .trim()
        .to_owned();
    Err(format!("npm {} ended with {}: {last}", arguments[0], output.status))
}

/// Makes `work` hold exactly today's sources, and leaves the installed packages there alone.
fn copy_sources(crate_dir: &Path, work: &Path) -> io::Result<()> {
    fs::create_dir_all(work)?;
    for name in SOURCES {
        let to = work.join(name);
        println!("cargo::rerun-if-changed={name}");
        if to.is_dir() {
            fs::remove_dir_all(&to)?;
        }
        copy(&crate_dir.join(name), &to)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
