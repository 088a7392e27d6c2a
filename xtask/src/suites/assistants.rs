//! `/mcp`, asked by the client of the Model Context Protocol that PyPI has, in an environment of its own under the target folder.
//! `assistants.py` says what is expected.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, anyhow, ensure};

use super::Ground;
use crate::{barograph::Barograph, place, python, tally::Tally};

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let python = match bring() {
        Ok(python) => python,
        Err(error) => {
            tally.skip("the client of PyPI", &format!("{error:#}"));
            return Ok(());
        }
    };
    let server = Barograph::new(&ground.binary, &place::fresh("mcp")?).start()?;
    let mut tests = Command::new(python);
    tests.arg(place::root().join("xtask/src/suites/assistants.py")).arg(format!("{}/mcp", server.url()));
    // Whatever the machine sends other traffic through is not for loopback.
    let output = tests.env("no_proxy", "127.0.0.1").env("NO_PROXY", "127.0.0.1").output()?;
    let (mut passed, mut failed, mut whole) = (0, Vec::new(), false);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        println!("{line}");
        match line.split_once(' ') {
            Some(("ok", _)) => passed += 1,
            Some(("FAILED", what)) => failed.push(what.trim().to_owned()),
            Some(("end", count)) => whole = count.trim().parse() == Ok(passed + failed.len()),
            _ => {}
        }
    }
    tally.add(passed, failed, Vec::new());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    tally.check("tests run to their end", if whole { Ok(()) } else { Err(anyhow!("they do not: {said}")) });
    Ok(())
}

/// An interpreter that has the client.
fn bring() -> Result<PathBuf> {
    let python = python::bring("mcp", &["mcp"])?;
    let there = Command::new(&python).args(["-c", "import mcp"]).status()?;
    ensure!(there.success(), "the package has no module `mcp`");
    Ok(python)
}
