//! `cargo xtask promqltest`: upstream PromQL scripts against our evaluator.

use std::{fs, path::PathBuf, thread};

use anyhow::{Context, Result, ensure};
use barograph_query::script;

/// Stack for one script: its expressions may be nested deeply.
const STACK_BYTES: usize = 64 << 20;

/// Runs the scripts, and those in folders; a line for each eval that fails, then the closing line. Whether all
/// passed.
pub(crate) fn run(paths: &[PathBuf]) -> Result<bool> {
    let (passed, failures) = run_all(paths)?;
    failures.iter().for_each(|failure| println!("{failure}"));
    println!("{passed} passed, {} failed", failures.len());
    Ok(failures.is_empty())
}

/// How many evals pass and fail.
pub(crate) fn count(paths: &[PathBuf]) -> Result<(usize, usize)> {
    let (passed, failures) = run_all(paths)?;
    Ok((passed, failures.len()))
}

fn run_all(paths: &[PathBuf]) -> Result<(usize, Vec<String>)> {
    let (mut passed, mut failures) = (0, Vec::new());
    for path in scripts(paths)? {
        let label = path.display().to_string();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {label}"))?;
        let name = label.clone();
        let script = thread::Builder::new().stack_size(STACK_BYTES);
        let running =
            script.spawn(move || script::run_file(&name, &text)).context("cannot start a thread")?;
        let Ok(report) = running.join() else {
            failures.push(format!("{label}: the evaluator panicked, and the rest of the script is lost"));
            continue;
        };
        passed += report.passed;
        failures.extend(report.failures.iter().map(|failure| one_line(&failure.to_string())));
    }
    Ok((passed, failures))
}

/// The files named, and those in the folders named, by name.
fn scripts(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for path in paths {
        if !path.is_dir() {
            scripts.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let is_script = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "test");
        let mut found: Vec<_> =
            entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_script).collect();
        found.sort();
        scripts.extend(found);
    }
    ensure!(!scripts.is_empty(), "no scripts in {paths:?}");
    Ok(scripts)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
