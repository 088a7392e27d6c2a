//! `/mcp`, asked by the client of the Model Context Protocol that PyPI has, in an environment of its own under the target folder.
//! `assistants.py` says what is expected.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use super::{Ground, script};
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
    script::run(tests, "the client of PyPI", tally)
}

/// An interpreter that has the client.
fn bring() -> Result<PathBuf> {
    let python = python::bring("mcp", &["mcp"])?;
    let there = Command::new(&python).args(["-c", "import mcp"]).status()?;
    ensure!(there.success(), "the package has no module `mcp`");
    Ok(python)
}
