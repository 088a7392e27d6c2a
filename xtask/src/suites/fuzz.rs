//! A second of mutated bytes for each decoder below the edge. `cargo xtask fuzz` feeds all, and for longer.

use anyhow::Result;

use super::Ground;
use crate::{fuzzing, tally::Tally};

/// How long each target is fed.
const SECONDS: u64 = 1;

pub(super) fn run(_: &Ground, tally: &mut Tally) -> Result<()> {
    let program = fuzzing::build(false)?;
    for target in fuzzing::names()?.into_iter().filter(|name| name != fuzzing::OF_SERVER) {
        tally.check(&format!("{target} takes any bytes"), fuzzing::feed(&program, &target, SECONDS));
    }
    Ok(())
}
