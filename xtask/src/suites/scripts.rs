//! The upstream PromQL scripts, as far as they are part of the test data.

use anyhow::{Result, ensure};

use super::Ground;
use crate::{place, promqltest, tally::Tally};

/// So many evals of the visible scripts pass at least.
const PASSED_MIN: usize = 600;

pub(super) fn run(_: &Ground, tally: &mut Tally) -> Result<()> {
    let Some(scripts) = place::testdata().map(|data| data.join("promqltest")).filter(|path| path.is_dir())
    else {
        tally.skip("upstream scripts", "BAROGRAPH_TESTDATA names no folder with promqltest");
        return Ok(());
    };
    let (passed, failed) = promqltest::count(&[scripts])?;
    println!("{passed} evals pass, {failed} fail");
    tally.check("enough evals pass", enough(passed));
    Ok(())
}

fn enough(passed: usize) -> Result<()> {
    ensure!(passed >= PASSED_MIN, "{passed} of at least {PASSED_MIN}");
    Ok(())
}
