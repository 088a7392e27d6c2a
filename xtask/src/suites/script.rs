//! Tests that a script runs: it says `ok NAME` or `FAILED NAME: WHY` of each, and `end COUNT` at last.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::tally::Tally;

/// Runs a script and counts what it says; `name` tells its tests from those of others.
pub(super) fn run(mut script: Command, name: &str, tally: &mut Tally) -> Result<()> {
    // Whatever the machine sends other traffic through is not for loopback.
    for variable in ["no_proxy", "NO_PROXY", "no_grpc_proxy"] {
        script.env(variable, "127.0.0.1,localhost");
    }
    let mut tests = script.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {name}"))?;
    let (mut passed, mut failed, mut whole) = (0, Vec::new(), false);
    for line in BufReader::new(tests.stdout.take().context("standard output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        match line.split_once(' ') {
            Some(("ok", _)) => passed += 1,
            Some(("FAILED", what)) => failed.push(format!("{name}: {}", what.trim())),
            Some(("end", count)) => whole = count.trim().parse() == Ok(passed + failed.len()),
            _ => {}
        }
    }
    let ended = tests.wait()?;
    tally.add(passed, failed, Vec::new());
    tally.check(&format!("{name}: tests run to their end"), {
        let to_the_end = || {
            ensure!(whole, "they do not: {ended}");
            Ok(())
        };
        to_the_end()
    });
    Ok(())
}
