//! Some seconds of simulation: the store on a disk that fails, against a model. `cargo xtask sim` runs more.

use std::time::Duration;

use anyhow::Result;

use super::Ground;
use crate::{simulation, tally::Tally};

/// How long seeds are played.
const TIME: Duration = Duration::from_secs(20);

pub(super) fn run(_: &Ground, tally: &mut Tally) -> Result<()> {
    let totals = simulation::for_a_while(TIME)?;
    tally.check("nothing acknowledged is lost and nothing appears from nowhere", totals.check());
    Ok(())
}
