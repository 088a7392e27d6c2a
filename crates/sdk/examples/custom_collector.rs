//! A collector of one's own: how many files wait in a directory, how large they are, and how old the oldest is.
//!
//! `cargo run -p barograph --example custom_collector -- DIR` reads the directory three times, a second apart, and prints
//! what a scrape would show and how the collector fared. Without a word it reads the one it is run in.

use std::{
    error::Error,
    fs,
    path::PathBuf,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use barograph::{
    MetricType, Timestamp, Unit,
    collector::{CollectError, Collectors, Definition, MetricCollector, MetricCollectorConfig, Writer},
    exposition::{self, Format},
};

static FILES: Definition = Definition::gauge("spool.files", Unit::None, "Files that wait.");
static SIZE: Definition = Definition::gauge("spool.size", Unit::Bytes, "What they take together.");
static OLDEST: Definition =
    Definition::gauge("spool.oldest.age", Unit::Seconds, "How long the oldest waits.");

/// Reads a directory into which others put files.
struct Spool(PathBuf);

impl MetricCollector for Spool {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("spool").every(Duration::from_secs(1))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        let unreadable = |source| CollectError::Read { path: self.0.display().to_string(), source };
        let (mut files, mut size, mut oldest) = (0u32, 0, Duration::ZERO);
        for entry in fs::read_dir(&self.0).map_err(unreadable)? {
            let facts = entry.and_then(|entry| entry.metadata()).map_err(unreadable)?;
            if facts.is_file() {
                files += 1;
                size += facts.len();
                let changed = facts.modified().map_err(unreadable)?;
                oldest = oldest.max(
                    since_epoch(now)
                        .saturating_sub(changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
                );
            }
        }
        out.write(&FILES, f64::from(files));
        out.write(&SIZE, size as f64);
        out.write(&OLDEST, oldest.as_secs_f64());
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let collectors = Collectors::new();
    collectors.add(Spool(std::env::args_os().nth(1).unwrap_or_else(|| ".".into()).into()))?;
    // A program has its own loop; nobody ever sends here, so that each turn takes a second.
    let (_quiet, turn) = mpsc::channel::<()>();
    for _ in 0..3 {
        collectors.tick(now());
        let _ = turn.recv_timeout(Duration::from_secs(1));
    }
    let mut page = String::new();
    exposition::write(&mut page, &collectors.families(), Format::Text004);
    print!("{page}");
    eprintln!("{:?}", collectors.totals());
    Ok(())
}

/// Collectors have no clock: whoever ticks them tells the time.
#[expect(clippy::disallowed_methods, reason = "a program reads its clock in one place")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0))
}
