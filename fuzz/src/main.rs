//! Feeds one target for some time: inputs kept so far, and what is made of them.
//!
//! `barograph-fuzz TARGET SECONDS SEED CORPUS QUEUE`; `cargo xtask fuzz` calls it. CORPUS is read, QUEUE holds what
//! runs before kept and gets what this one keeps. `barograph-fuzz TARGET FILE` feeds one input.
//!
//! Every input lies in `QUEUE.fed` while it is fed, so it is there still when it breaks a limit, or ends the process.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Seek, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use barograph_disk::Chance;
use barograph_fuzz::{INPUT_BYTES_MAX, TARGETS, Target, check, mutate::mutate};
use rustix::time::{ClockId, clock_gettime};

/// Shapes that are told apart at most.
const KEPT_MAX: usize = 4_000;

/// A run that has not ended after so long never will.
const HANGS_AFTER: Duration = Duration::from_secs(20);

static RUNS: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

/// The shortest input of each shape.
type Kept = BTreeMap<u64, Vec<u8>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    let outcome = match &arguments[..] {
        [name, file] => feed_one(name, Path::new(file)),
        [name, numbers @ .., corpus, queue] => feed_for(name, numbers, Path::new(corpus), Path::new(queue)),
        _ => Err("usage: barograph-fuzz TARGET (FILE | SECONDS SEED CORPUS QUEUE)".into()),
    };
    match outcome {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Error = Box<dyn std::error::Error>;

fn target(name: &str) -> Result<&'static Target, Error> {
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .ok_or_else(|| format!("no target is called {name}").into())
}

fn feed_one(name: &str, file: &Path) -> Result<String, Error> {
    let shape = check(target(name)?, &fs::read(file)?).map_err(|fault| format!("{fault:?}"))?;
    Ok(format!("shape={shape:016x}"))
}

fn feed_for(name: &str, numbers: &[String], corpus: &Path, queue: &Path) -> Result<String, Error> {
    let target = target(name)?;
    let [seconds, seed] = numbers else { return Err("seconds and a seed are expected".into()) };
    let (time, seed) = (Duration::from_secs(seconds.parse()?), seed.parse()?);
    fs::create_dir_all(queue)?;
    let mut fed = fs::File::create(queue.with_extension("fed"))?;
    let watched = thread::spawn(watch);
    let kept = feed(target, time, seed, &mut Folders { corpus, queue, fed: &mut fed });
    DONE.store(true, Ordering::Relaxed);
    let _ = watched.join();
    Ok(format!("runs={} kept={} cpu_ms={}", RUNS.load(Ordering::Relaxed), kept?, on_processor().as_millis()))
}

/// Where inputs lie.
struct Folders<'f> {
    corpus: &'f Path,
    queue: &'f Path,
    /// The one that is fed now.
    fed: &'f mut fs::File,
}

/// How many inputs are kept now.
fn feed(target: &Target, time: Duration, seed: u64, folders: &mut Folders<'_>) -> Result<usize, Error> {
    #[expect(clippy::disallowed_methods, reason = "the driver is an edge")]
    let started = Instant::now();
    let mut kept = Kept::new();
    let first =
        [(target.seeds)(), inputs(folders.corpus)?, inputs(folders.queue)?, vec![Vec::new()]].concat();
    for input in first {
        let shape = run(target, &input, folders.fed)?;
        keep(&mut kept, shape, input, folders.queue)?;
    }
    let mut chance = Chance::new(seed);
    let mut shapes: Vec<u64> = kept.keys().copied().collect();
    while started.elapsed() < time {
        for _ in 0..100 {
            let [base, other] = [(); 2].map(|()| &kept[chance.pick(&shapes)]);
            let input = mutate(base, other, &mut chance);
            let shape = run(target, &input, folders.fed)?;
            if keep(&mut kept, shape, input, folders.queue)? {
                shapes.push(shape);
            }
        }
    }
    Ok(kept.len())
}

/// How long this process was on a processor.
fn on_processor() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn inputs(folder: &Path) -> Result<Vec<Vec<u8>>, std::io::Error> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    paths.iter().map(fs::read).collect()
}

/// Feeds it once; an error if that breaks a limit.
fn run(target: &Target, input: &[u8], fed: &mut fs::File) -> Result<u64, Error> {
    fed.set_len(0)?;
    fed.rewind()?;
    fed.write_all(input)?;
    let outcome = check(target, input);
    RUNS.fetch_add(1, Ordering::Relaxed);
    Ok(outcome.map_err(|fault| format!("{fault:?}"))?)
}

/// Whether the shape is new.
fn keep(kept: &mut Kept, shape: u64, input: Vec<u8>, queue: &Path) -> Result<bool, std::io::Error> {
    let known = kept.get(&shape);
    if input.len() > INPUT_BYTES_MAX
        || known.map_or(kept.len() >= KEPT_MAX, |known| known.len() <= input.len())
    {
        return Ok(false);
    }
    let fresh = known.is_none();
    fs::write(queue.join(format!("{shape:016x}")), &input)?;
    kept.insert(shape, input);
    Ok(fresh)
}

/// Ends the process when a run does not end. What counts is time on a processor: a busy machine makes nothing slow.
fn watch() {
    const TICK: Duration = Duration::from_millis(100);
    let (mut last, mut since) = (0, on_processor());
    while !DONE.load(Ordering::Relaxed) {
        #[expect(clippy::disallowed_methods, reason = "the driver is an edge")]
        thread::sleep(TICK);
        let runs = RUNS.load(Ordering::Relaxed);
        if runs != last {
            (last, since) = (runs, on_processor());
        }
        if on_processor().saturating_sub(since) > HANGS_AFTER {
            eprintln!("a run does not end");
            std::process::exit(1);
        }
    }
}
