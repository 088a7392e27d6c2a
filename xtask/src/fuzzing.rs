//! `cargo xtask fuzz`: mutated bytes for everything that reads bytes it did not write.
//!
//! What a run keeps lies under the target folder, and the next run goes on from it; so does what each target had of a
//! processor, which `--report` tells. `--minutes` feeds whichever had least. `--keep` moves a few of the shortest into
//! `fuzz/corpus`, which the ordinary tests read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::{place, progress, simulation::build_checked};

/// Inputs in the kept corpus of a target at most, and the longest of them.
const CORPUS_MAX: (usize, u64) = (48, 2048);

/// The target that needs the server.
pub(crate) const OF_SERVER: &str = "config";

/// What is fed.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these.
    targets: Vec<String>,
    /// For so long each, or at a time.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Go on for so long, always with the target that had least of a processor so far.
    #[arg(long)]
    minutes: Option<u64>,
    /// Only tell what each target had so far.
    #[arg(long)]
    report: bool,
    /// Put a few of the shortest inputs that took different ways into the kept corpus.
    #[arg(long)]
    keep: bool,
    /// Feed this file to the one target that is named.
    #[arg(long)]
    input: Option<PathBuf>,
}

/// What was done so far for one target.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Progress {
    /// Calls of the driver, each with another seed.
    calls: u64,
    seconds: u64,
    /// Of a processor.
    #[serde(default)]
    cpu_ms: u64,
    runs: u64,
    kept: u64,
    /// Calls that an input ended.
    #[serde(default)]
    faults: u64,
}

/// Runs what is asked for. Whether no input broke a limit.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let all = names()?;
    if let Some(unknown) = arguments.targets.iter().find(|name| !all.contains(name)) {
        bail!("no target is called {unknown:?}; there are {}", all.join(", "));
    }
    let wanted = if arguments.targets.is_empty() { &all } else { &arguments.targets };
    if arguments.report {
        return report(wanted).map(|()| true);
    }
    let program = build(wanted.iter().any(|target| target == OF_SERVER))?;
    if let Some(input) = &arguments.input {
        let [target] = &wanted[..] else { bail!("an input goes to one target") };
        return Ok(Command::new(program).arg(target).arg(input).status()?.success());
    }
    let fed = |target: &str| match feed(&program, target, arguments.seconds) {
        Ok(()) => true,
        Err(error) => {
            println!("{target}: FAILED: {error:#}");
            false
        }
    };
    let mut fine = true;
    if let Some(minutes) = arguments.minutes {
        fine = least_first(wanted, Duration::from_secs(minutes.saturating_mul(60)), fed)?;
    } else {
        wanted.iter().for_each(|target| fine &= fed(target));
    }
    if arguments.keep {
        wanted.iter().try_for_each(|target| keep(target))?;
    }
    Ok(fine)
}

/// Feeds the target that had least, again and again. One that failed is left alone: it would fail again. Whether none did.
fn least_first(targets: &[String], time: Duration, fed: impl Fn(&str) -> bool) -> Result<bool> {
    let started = Instant::now();
    let mut left = targets.to_vec();
    while started.elapsed() < time {
        let had = left.iter().map(|target| Ok(Progress::read(target)?.cpu_ms)).collect::<Result<Vec<_>>>()?;
        let Some(least) = (0..left.len()).min_by_key(|&place| had[place]) else { break };
        if !fed(&left[least]) {
            left.remove(least);
        }
    }
    Ok(left.len() == targets.len())
}

/// A table of what each target had.
fn report(targets: &[String]) -> Result<()> {
    println!("{:<22} {:>11} {:>14} {:>8} {:>7}", "target", "CPU minutes", "runs", "kept", "faults");
    let mut all = Progress::default();
    for target in targets {
        let progress = Progress::read(target)?;
        progress.print(target);
        all.cpu_ms += progress.cpu_ms;
        all.runs += progress.runs;
        all.kept += progress.kept;
        all.faults += progress.faults;
    }
    all.print("all");
    Ok(())
}

impl Progress {
    fn file(target: &str) -> PathBuf {
        folder().join(format!("{target}.json"))
    }

    fn read(target: &str) -> Result<Self> {
        Ok(progress::read(&Self::file(target))?.unwrap_or_default())
    }

    fn write(&self, target: &str) -> Result<()> {
        progress::write(&Self::file(target), self)
    }

    fn print(&self, name: &str) {
        let (minutes, tenths) = (self.cpu_ms / 60_000, self.cpu_ms % 60_000 / 6_000);
        println!("{name:<22} {minutes:>9}.{tenths} {:>14} {:>8} {:>7}", self.runs, self.kept, self.faults);
    }
}

fn folder() -> PathBuf {
    place::target().join("xtask/fuzz")
}

/// All targets: each has a corpus.
pub(crate) fn names() -> Result<Vec<String>> {
    let listed = fs::read_dir(corpora()).context("there are no corpora")?;
    let mut names = listed
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Builds the program; without the server's own target it takes a fraction of the time.
pub(crate) fn build(with_server: bool) -> Result<PathBuf> {
    build_checked("barograph-fuzz", if with_server { &[] } else { &["--no-default-features"] })
}

/// Feeds one target for a while, going on from earlier calls.
///
/// # Errors
/// An input broke a limit; the message says where it lies.
pub(crate) fn feed(program: &Path, target: &str, seconds: u64) -> Result<()> {
    let folder = folder();
    fs::create_dir_all(&folder)?;
    let mut progress = Progress::read(target)?;
    progress.calls += 1;
    let queue = folder.join(target);
    let mut command = Command::new(program);
    command.arg(target).arg(seconds.to_string()).arg(progress.calls.to_string());
    let output = command.arg(corpora().join(target)).arg(&queue).stdout(Stdio::piped()).spawn()?;
    let output = output.wait_with_output()?;
    if !output.status.success() {
        let fault = folder.join(format!("{target}-fault-{}", progress.calls));
        fs::copy(queue.with_extension("fed"), &fault)?;
        progress.faults += 1;
        progress.write(target)?;
        bail!("{}; cargo xtask fuzz {target} --input {}", output.status, fault.display());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    progress.seconds += seconds;
    progress.cpu_ms += number(&text, "cpu_ms")?;
    progress.runs += number(&text, "runs")?;
    progress.kept = number(&text, "kept")?;
    println!(
        "{target}: {} runs in {} s, {} s of them on a processor, {} inputs that took different ways",
        progress.runs,
        progress.seconds,
        progress.cpu_ms / 1_000,
        progress.kept
    );
    progress.write(target)
}

fn number(text: &str, name: &str) -> Result<u64> {
    let value = text.split_whitespace().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    Ok(value.with_context(|| format!("{text:?} has no {name}"))?.parse()?)
}

fn corpora() -> PathBuf {
    place::root().join("fuzz/corpus")
}

/// Adds the shortest inputs of the queue to the corpus, as long as there is room.
fn keep(target: &str) -> Result<()> {
    let (corpus, queue) = (corpora().join(target), place::target().join("xtask/fuzz").join(target));
    let known = fs::read_dir(&corpus)?.count();
    let mut found = Vec::new();
    for entry in fs::read_dir(queue)? {
        let entry = entry?;
        found.push((entry.metadata()?.len(), entry.path()));
    }
    found.sort();
    found.retain(|(len, _)| (1..=CORPUS_MAX.1).contains(len));
    // Spread over the lengths: the very shortest alone are all refused at the door.
    let room = CORPUS_MAX.0.saturating_sub(known);
    let every = found.len().div_ceil(room.max(1)).max(1);
    for (_, path) in found.iter().step_by(every).take(room) {
        let name = path.file_name().context("a kept input has a name")?;
        fs::copy(path, corpus.join(name))?;
    }
    ensure!(fs::read_dir(&corpus)?.next().is_some(), "{target} has no corpus");
    Ok(())
}
