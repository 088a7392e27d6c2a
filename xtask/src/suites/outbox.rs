//! Some seconds of crashes of the outbox. `cargo xtask outbox` plays more.

use std::time::Duration;

use anyhow::Result;

use super::Ground;
use crate::{outbox, tally::Tally};

/// How long points are played.
const TIME: Duration = Duration::from_secs(20);

pub(super) fn run(_: &Ground, tally: &mut Tally) -> Result<()> {
    tally.check("a crash loses no notice and repeats at most one", outbox::for_a_while(TIME));
    Ok(())
}
