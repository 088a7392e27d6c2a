//! `cargo xtask sim`: many histories of the store under seeds, in parts, so that a long run goes on where it stopped.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{place, progress, shell};

/// Seeds of one part, after which progress is written.
const PART: u64 = 1_000;

/// What a simulation runs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Seeds in all, those of earlier calls included.
    #[arg(long, default_value_t = 4_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this seed; a failure is printed with its shortest history.
    #[arg(long)]
    seed: Option<u64>,
    /// Histories that are played at the same time; as many as there are processors by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Begin anew rather than go on.
    #[arg(long)]
    restart: bool,
}

/// What was done so far; the names are those of the program's last line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Totals {
    from: u64,
    seeds: u64,
    operations: u64,
    crash_points: u64,
    acknowledged: u64,
    compared: u64,
    damages: u64,
    failed: u64,
    lost: u64,
    phantoms: u64,
}

/// Runs what is asked for. Whether no seed failed.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let program = build()?;
    let threads = arguments.threads.map_or_else(processors, |count| count.max(1));
    if let Some(seed) = arguments.seed {
        let totals = part(&program, seed, 1, threads)?;
        println!("{totals}");
        return Ok(totals.failed == 0);
    }
    let file = place::target().join("xtask/sim/progress.json");
    let mut totals = Totals { from: arguments.from, ..Totals::default() };
    if !arguments.restart
        && let Some(known) = progress::read::<Totals>(&file)?
        && known.from == arguments.from
    {
        totals = known;
    }
    println!("{} of {} seeds from {} are done", totals.seeds, arguments.seeds, totals.from);
    while totals.seeds < arguments.seeds {
        let count = PART.min(arguments.seeds - totals.seeds);
        totals.add(&part(&program, totals.from + totals.seeds, count, threads)?);
        progress::write(&file, &totals)?;
        println!("{totals}");
    }
    Ok(totals.failed == 0)
}

/// As many seeds as fit into some time, from 0 on.
pub(crate) fn for_a_while(time: Duration) -> Result<Totals> {
    let program = build()?;
    let started = Instant::now();
    let mut totals = Totals::default();
    while started.elapsed() < time {
        totals.add(&part(&program, totals.seeds, PART / 4, processors())?);
    }
    println!("{totals}");
    Ok(totals)
}

/// Builds a program of the workspace fast and with every assertion, and says where it lies.
pub(crate) fn build_checked(package: &str, options: &[&str]) -> Result<PathBuf> {
    let arguments = ["build", "--quiet", "--profile", "sim", "--package", package];
    shell::run(shell::cargo(&arguments).args(options))?;
    let program = place::target().join("sim").join(package);
    ensure!(program.is_file(), "the build left no {}", program.display());
    Ok(program)
}

fn build() -> Result<PathBuf> {
    build_checked("barograph-sim", &[])
}

/// How many threads there is room for.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn part(program: &Path, from: u64, count: u64, threads: usize) -> Result<Totals> {
    let numbers = [from.to_string(), count.to_string(), threads.to_string()];
    let child = Command::new(program).args(numbers).stdout(Stdio::piped()).spawn();
    let output = child.context("cannot start the simulation")?.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((before, last)) = text.trim_end().rsplit_once('\n').or(Some(("", text.trim_end()))) else {
        bail!("the simulation printed nothing");
    };
    if !before.is_empty() {
        println!("{before}");
    }
    Totals::read(last).with_context(|| format!("the simulation ended with {} and {last:?}", output.status))
}

impl Totals {
    /// Whether no promise was broken.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.failed == 0, "{self}");
        ensure!(self.crash_points > 0 && self.acknowledged > 0, "nothing was simulated");
        Ok(())
    }

    /// `name=value` pairs.
    fn read(line: &str) -> Result<Self> {
        let mut totals = Self::default();
        for pair in line.split_whitespace() {
            let (name, value) = pair.split_once('=').with_context(|| format!("{pair:?} is no pair"))?;
            let value: u64 = value.parse()?;
            *totals.field(name).with_context(|| format!("{name:?} is not known"))? = value;
        }
        ensure!(totals.seeds > 0, "no seed was done");
        Ok(totals)
    }

    fn field(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "seeds" => &mut self.seeds,
            "operations" => &mut self.operations,
            "crash_points" => &mut self.crash_points,
            "acknowledged" => &mut self.acknowledged,
            "compared" => &mut self.compared,
            "damages" => &mut self.damages,
            "failed" => &mut self.failed,
            "lost" => &mut self.lost,
            "phantoms" => &mut self.phantoms,
            _ => return None,
        })
    }

    fn add(&mut self, other: &Self) {
        let Self { from: _, seeds, operations, crash_points, acknowledged, compared, damages, .. } = other;
        self.seeds += seeds;
        self.operations += operations;
        self.crash_points += crash_points;
        self.acknowledged += acknowledged;
        self.compared += compared;
        self.damages += damages;
        self.failed += other.failed;
        self.lost += other.lost;
        self.phantoms += other.phantoms;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} crash points, {} acknowledged samples, {} compared, {} reports of damage; \
             {} seeds failed: {} lost, {} phantoms",
            self.seeds,
            self.crash_points,
            self.acknowledged,
            self.compared,
            self.damages,
            self.failed,
            self.lost,
            self.phantoms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_added() {
        let totals = Totals::read("seeds=2 crash_points=7 failed=1 lost=1").unwrap();
        assert_eq!(totals, Totals { seeds: 2, crash_points: 7, failed: 1, lost: 1, ..Totals::default() });
        let mut sum = totals.clone();
        sum.add(&totals);
        assert_eq!((sum.seeds, sum.crash_points, sum.lost), (4, 14, 2));
        assert!(sum.check().is_err());
        assert!(Totals::read("seeds=2 other=1").is_err());
        assert!(Totals::read("").is_err());
    }
}
