//! `cargo xtask alert-diff`: random trees of routes under random alerts, on a real Alertmanager and on our server at the same
//! time. Both must tell the same: for each integration and group the same notices, in the same order, at the same looks.
//!
//! Each tree follows from the seed and its number, and trees do not touch each other, so any of them can be played again with
//! others or alone. A machine that is busy makes a server late now and then: a tree that differs is played again twice, and
//! counts as different if it differs each time. Others that differed once are counted, too. What was played is kept, and the
//! next call goes on from it.

mod notices;
mod play;
mod pulse;
mod stream;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{
    barograph,
    peers::{self, Alertmanager},
    place, progress,
    random::Random,
};
pub(crate) use play::start_theirs;
use play::{Programs, play};
use stream::Event;
use tree::Tree;

/// Trees that are played together.
const BATCH: u64 = 50;
/// Trees of the one batch of [`some`].
const SOME: u64 = 25;
/// How often a tree that differed is played again.
const AGAIN: usize = 2;
/// Something told so many milliseconds behind its time spoils what is played.
const LATE_MAX: i64 = 200;
/// So does a machine, or its disk, that stands still for so many milliseconds: half of what may be between two notices of one
/// look.
const STILL_MAX: i64 = 500;
/// How often what is spoiled is played anew before it is taken as it is.
const SPOILED_MAX: usize = 4;

/// What is compared.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Trees in all, those of earlier calls included.
    #[arg(long, default_value_t = 1_000)]
    trees: u64,
    /// Seed of the trees; another begins anew.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play only this tree, and show what differs.
    #[arg(long)]
    tree: Option<u64>,
    /// With --tree: begin at this second of a minute, which trees with intervals mind.
    #[arg(long, requires = "tree")]
    second: Option<u64>,
    /// Begin anew rather than go on.
    #[arg(long)]
    restart: bool,
    /// Only tell what was compared so far.
    #[arg(long)]
    report: bool,
    /// Compare this binary rather than build one.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// What was compared so far.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Totals {
    seed: u64,
    trees: u64,
    /// Groups of an integration that somebody was told of.
    groups: u64,
    notices: u64,
    /// Trees that differed once and not again.
    once: Vec<u64>,
    /// Trees that differ.
    different: Vec<u64>,
}

/// Runs what is asked for. Whether nothing differs.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let file = folder().join("progress.json");
    let known = progress::read::<Totals>(&file).ok().flatten();
    let known = known.filter(|known| known.seed == arguments.seed && !arguments.restart);
    let mut totals = known.unwrap_or(Totals { seed: arguments.seed, ..Totals::default() });
    if arguments.report {
        println!("{totals}");
        return Ok(totals.different.is_empty());
    }
    let binary = arguments.binary.clone().map_or_else(barograph::build_for_tests, Ok)?;
    let peers = peers::alertmanager()?;
    let programs = Programs { ours: &binary, theirs: &peers };
    if let Some(number) = arguments.tree {
        let (_, different) = once(&programs, arguments.seed, &[number], arguments.second)?;
        different.iter().for_each(|one| println!("{}", one.told));
        println!("tree {number} {}", if different.is_empty() { "is the same" } else { "differs" });
        return Ok(different.is_empty());
    }
    println!("{totals}");
    while totals.trees < arguments.trees {
        let count = BATCH.min(arguments.trees - totals.trees);
        totals.batch(&programs, count)?;
        progress::write(&file, &totals)?;
        println!("{totals}");
    }
    Ok(totals.different.is_empty())
}

/// One batch of the first trees of a seed.
pub(crate) fn some(ours: &Path, theirs: &Alertmanager, seed: u64) -> Result<Totals> {
    let mut totals = Totals { seed, ..Totals::default() };
    totals.batch(&Programs { ours, theirs }, SOME)?;
    println!("{totals}");
    Ok(totals)
}

/// A tree that differs.
struct Different {
    number: u64,
    /// At which second of a minute it began, if that matters.
    second: Option<u64>,
    told: String,
}

impl Totals {
    /// Whether nothing differs.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.different.is_empty(), "{self}");
        ensure!(self.notices > 0, "nobody was told anything");
        Ok(())
    }

    fn batch(&mut self, programs: &Programs<'_>, count: u64) -> Result<()> {
        let numbers: Vec<u64> = (self.trees..self.trees + count).collect();
        let (compared, mut different) = once(programs, self.seed, &numbers, None)?;
        let first: Vec<u64> = different.iter().map(|one| one.number).collect();
        for _ in 0..AGAIN {
            let (mut still, second) = (Vec::new(), different.iter().find_map(|one| one.second));
            let numbers: Vec<u64> = different.iter().map(|one| one.number).collect();
            if !numbers.is_empty() {
                still = once(programs, self.seed, &numbers, second)?.1;
            }
            different = still;
        }
        for one in &different {
            println!("{}", one.told);
            fs::create_dir_all(folder())?;
            fs::write(folder().join(format!("tree-{}-{}.txt", self.seed, one.number)), &one.told)?;
            let second = one.second.map(|second| format!(" --second {second}")).unwrap_or_default();
            println!("DIFFERS: cargo xtask alert-diff --seed {} --tree {}{second}", self.seed, one.number);
        }
        self.trees += count;
        self.groups += compared.groups;
        self.notices += compared.notices;
        let still: Vec<u64> = different.iter().map(|one| one.number).collect();
        self.once.extend(first.into_iter().filter(|number| !still.contains(number)));
        self.different.extend(still);
        Ok(())
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, trees, groups, notices, once, different } = self;
        write!(
            f,
            "seed {seed}: {trees} trees, {groups} groups, {notices} notices; {} trees differ {different:?}, {} differed \
             once and not again {once:?}",
            different.len(),
            once.len()
        )
    }
}

/// How much was compared.
#[derive(Default)]
struct Compared {
    groups: u64,
    notices: u64,
}

/// Plays trees and compares what was told of each.
fn once(
    programs: &Programs<'_>,
    seed: u64,
    numbers: &[u64],
    second: Option<u64>,
) -> Result<(Compared, Vec<Different>)> {
    let trees: Vec<(Tree, Vec<Event>)> = numbers.iter().map(|&number| generate(seed, number)).collect();
    let mut played = play(programs, &trees, second)?;
    for _ in 0..SPOILED_MAX {
        if played.late <= LATE_MAX && played.still <= STILL_MAX {
            break;
        }
        println!(
            "something was told {} ms behind its time, and the machine stood still for {} ms; it is played anew",
            played.late, played.still
        );
        played = play(programs, &trees, second)?;
    }
    let mut compared = Compared::default();
    let mut different = Vec::new();
    for (tree, events) in &trees {
        let ours = played.ours.remove(&tree.number).unwrap_or_default();
        let theirs = played.theirs.remove(&tree.number).unwrap_or_default();
        compared.groups += theirs.len() as u64;
        compared.notices += theirs.values().map(|notices| notices.len() as u64).sum::<u64>();
        if let Some(told) = notices::difference(&ours, &theirs) {
            let second = tree.minds_the_minute().then_some(played.second);
            let told = format!("{}\n{told}", shown(tree, events)?);
            different.push(Different { number: tree.number, second, told });
        }
    }
    Ok((compared, different))
}

fn generate(seed: u64, number: u64) -> (Tree, Vec<Event>) {
    let mut seeds = Random::new(seed);
    let mut random = Random::new(seeds.next() ^ number.wrapping_mul(0x9e37_79b9));
    let tree = Tree::new(number, &mut random);
    let events = stream::of(&tree, &mut random);
    (tree, events)
}

fn shown(tree: &Tree, events: &[Event]) -> Result<String> {
    let mut text = format!("tree {}: {}\n", tree.number, serde_json::to_string_pretty(&tree.route)?);
    for rule in &tree.inhibit_rules {
        text.push_str(&format!("inhibit rule: {rule}\n"));
    }
    for event in events {
        text.push_str(&format!("{:>6} ms {:?}\n", event.at, event.act));
    }
    Ok(text)
}

fn folder() -> PathBuf {
    place::target().join("xtask/alert-diff")
}
