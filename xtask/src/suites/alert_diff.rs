//! Half a minute of random trees of routes under random alerts, beside a real Alertmanager. `cargo xtask alert-diff` plays more.

use anyhow::Result;

use super::Ground;
use crate::{alert_diff, peers, tally::Tally};

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    match peers::alertmanager() {
        Ok(theirs) => {
            let totals = alert_diff::some(&ground.binary, &theirs, 1)?;
            tally.check("both tell the same of each group", totals.check());
        }
        Err(why) => tally.skip("agreement with Alertmanager", &format!("{why:#}")),
    }
    Ok(())
}
