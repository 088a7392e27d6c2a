//! The upstream PromQL scripts, as far as they are part of the test data.

use anyhow::{Result, ensure};

use super::Ground;
use crate::{place, promqltest, tally::Tally};

/// The scripts have at least so many evals.
const EVALS_MIN: usize = 1_379;

pub(super) fn run(_: &Ground, tally: &mut Tally) -> Result<()> {
    let Some(scripts) = place::testdata().map(|data| data.join("promqltest")).filter(|path| path.is_dir())
    else {
        tally.skip("upstream scripts", "BAROGRAPH_TESTDATA names no folder with promqltest");
        return Ok(());
    };
    let (passed, failed) = promqltest::count(&[scripts])?;
    println!("{passed} evals pass, {failed} fail");
    tally.check("all evals pass", all(passed, failed));
    Ok(())
}

fn all(passed: usize, failed: usize) -> Result<()> {
    ensure!(failed == 0, "{failed} of {} fail", passed + failed);
    ensure!(passed >= EVALS_MIN, "{passed} of at least {EVALS_MIN}");
    Ok(())
}
