//! `cargo xtask test`: the tests of the workspace, then those with real parts, and one closing line.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::{
    barograph, place, shell,
    suites::{self, Ground},
    tally::Tally,
};

/// The name of the part that is `cargo test`.
const WORKSPACE: &str = "workspace";

/// Runs the named parts, or all, with a binary given or built. Whether none failed.
pub(crate) fn run(names: &[String], binary: Option<PathBuf>) -> Result<bool> {
    let all = [&[WORKSPACE], &suites::names()[..]].concat();
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        bail!("nothing is called {unknown:?}; there are {}", all.join(", "));
    }
    // Asked for now, as the build may put a newer file in the place of this one.
    let this = env::current_exe()?;
    let binary = binary.map_or_else(barograph::build_for_tests, Ok)?;
    let mut tally = Tally::default();
    if names.is_empty() || names.iter().any(|name| name == WORKSPACE) {
        workspace(&mut tally)?;
    }
    if names.is_empty() || names.iter().any(|name| name != WORKSPACE) {
        suites::run(&Ground::new(binary, this), names, &mut tally);
    }
    if place::switched_on("BAROGRAPH_NO_SKIP") {
        tally.forbid_skips();
    }
    tally.print();
    Ok(!tally.has_failed())
}

/// Unit, promise, script and documentation tests, shown as they run and counted from what they print.
fn workspace(tally: &mut Tally) -> Result<()> {
    tally.enter(WORKSPACE);
    let mut child = shell::cargo(&["test", "--workspace", "--no-fail-fast"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let output = child.stdout.take().context("standard output is piped")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        counts.read(&line);
    }
    let status = child.wait()?;
    if !status.success() && counts.failed.is_empty() {
        counts.failed.push(format!("cargo test: {status}"));
    }
    tally.add(counts.passed, counts.failed, counts.ignored);
    Ok(())
}

/// What the lines of `cargo test` say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: Vec<String>,
    ignored: Vec<String>,
}

impl Counts {
    fn read(&mut self, line: &str) {
        let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return;
        };
        match outcome.split([',', ' ', '(']).next() {
            Some("ok") => self.passed += 1,
            Some("FAILED") => self.failed.push(name.to_owned()),
            Some("ignored") => self.ignored.push(format!("{name}: ignored by an attribute")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_test_are_counted() {
        let mut counts = Counts::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test c - should panic ... ok",
            "test src/lib.rs - f (line 3) ... ok (1.20s)",
            "test d ... FAILED",
            "test e ... ignored, too slow",
            "test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out",
        ] {
            counts.read(line);
        }
        let ignored = vec!["e: ignored by an attribute".to_owned()];
        assert_eq!(counts, Counts { passed: 3, failed: vec!["d".to_owned()], ignored });
    }
}
