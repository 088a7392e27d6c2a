//! `cargo xtask outbox`: the outbox of notices on a disk that crashes at random points, in parts, so that a long run goes on
//! where it stopped. What is played is a test of the server (`crates/server/src/delivery/crashes.rs`), with more points.

use std::{
    fmt,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{place, progress, shell};

/// Points of one part, after which progress is written.
const PART: u64 = 2_000;
const TEST: &str = "delivery::crashes::a_crash_loses_no_notice_and_repeats_at_most_one";
/// How the line with the figures begins.
const LINE: &str = "outbox ";

/// What is played.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Crash points in all, those of earlier calls included.
    #[arg(long, default_value_t = 20_000)]
    points: u64,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin anew rather than go on.
    #[arg(long)]
    restart: bool,
}

/// What was done so far; the names are those of the test's line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Totals {
    seed: u64,
    points: u64,
    decided: u64,
    arrived: u64,
    repeats: u64,
    acknowledged: u64,
    taken_back: u64,
}

/// Plays what is asked for.
///
/// # Errors
/// A promise was broken; the seed is named.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let file = place::target().join("xtask/outbox/progress.json");
    let mut totals = Totals { seed: arguments.seed, ..Totals::default() };
    if !arguments.restart
        && let Some(known) = progress::read::<Totals>(&file)?
        && known.seed == arguments.seed
    {
        totals = known;
    }
    println!("{} of {} points from seed {} are done", totals.points, arguments.points, totals.seed);
    while totals.points < arguments.points {
        totals.add(&part(totals.seed + totals.points, PART.min(arguments.points - totals.points))?);
        progress::write(&file, &totals)?;
        println!("{totals}");
    }
    Ok(())
}

/// As many points as fit into some time.
///
/// # Errors
/// As with [`run`].
pub(crate) fn for_a_while(time: Duration) -> Result<()> {
    let started = Instant::now();
    let mut totals = Totals::default();
    while started.elapsed() < time {
        totals.add(&part(totals.points, PART / 4)?);
    }
    println!("{totals}");
    Ok(())
}

fn part(seed: u64, points: u64) -> Result<Totals> {
    // Of the whole workspace, so that what was built for all its tests serves; the libraries of others have no such test.
    let arguments = ["test", "--quiet", "--workspace", "--lib", "--", "--exact", "--nocapture", TEST];
    let mut command: Command = shell::cargo(&arguments);
    let output = command.env("BAROGRAPH_OUTBOX", format!("{seed} {points}")).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let whole = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "from seed {seed}:\n{}", whole());
    // The line may follow what the test runner prints of itself.
    let line = text.lines().find_map(|line| line.split_once(LINE)).with_context(whole)?.1;
    let totals = Totals::read(line)?;
    ensure!(totals.points == points, "{} points of {points}", totals.points);
    Ok(totals)
}

impl Totals {
    /// `name=value` pairs. Those that say what is broken have to be nothing.
    fn read(line: &str) -> Result<Self> {
        let mut totals = Self::default();
        for pair in line.split_whitespace() {
            let (name, value) = pair.split_once('=').with_context(|| format!("{pair:?} is no pair"))?;
            let value: u64 = value.parse()?;
            match name {
                "points" => totals.points = value,
                "decided" => totals.decided = value,
                "arrived" => totals.arrived = value,
                "repeats" => totals.repeats = value,
                "acknowledged" => totals.acknowledged = value,
                "taken_back" => totals.taken_back = value,
                broken => ensure!(value == 0, "{broken}: {value}"),
            }
        }
        Ok(totals)
    }

    fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.decided += other.decided;
        self.arrived += other.arrived;
        self.repeats += other.repeats;
        self.acknowledged += other.acknowledged;
        self.taken_back += other.taken_back;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} crash points, {} notices decided, {} arrived, 0 lost; {} repeats at receivers that know no keys, never two for \
             a crash, none at others; {} acknowledgements took {} escalations back, none was begun after",
            self.points, self.decided, self.arrived, self.repeats, self.acknowledged, self.taken_back
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_added() {
        let mut totals = Totals::read("points=2 decided=7 lost=0").unwrap();
        totals.add(&totals.clone());
        assert_eq!((totals.points, totals.decided), (4, 14));
        assert!(Totals::read("points=2 lost=1").is_err());
        assert!(Totals::read("points").is_err());
    }
}
