//! What appending costs: 10,000 series of live shape, a sample each per round, through append, log and commit.
//!
//! `cargo run --release -p barograph-tsdb --example append_floor [-- ROUNDS [SERIES]]` prints nanoseconds a sample for the
//! first round (every series is new) and for the others, resident bytes a series, and what replaying, reading and cutting
//! the result costs. Appending is timed by the round, and the median round counts: a busy machine disturbs it little.
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::{sync::Arc, time::Instant};

use barograph_disk::RealDisk;
use barograph_model::{Budget, Labels, Selection, Source, TimeRange, Timestamp};
use barograph_tsdb::{Options, Row, Store};

const REQUEST: usize = 2_000;
const START: i64 = 1_699_999_200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(400), |text| text.parse())?;
    let series: usize = std::env::args().nth(2).map_or(Ok(10_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("barograph-append-floor-{}", std::process::id()));
    let open = || Store::open(Arc::new(RealDisk::open(&folder)?), Options::default(), Timestamp(START));
    let labels: Vec<Labels> = (0..series).map(labels).collect();
    let (store, _) = open()?;

    let before = resident_bytes();
    let first = append_rounds(&store, &labels, 0, 1)?;
    println!("new series      {:8.1} ns each", first * 1e9 / series as f64);
    let forty = append_rounds(&store, &labels, 1, 40)?;
    let per_series = resident_bytes().saturating_sub(before) / series;
    println!(
        "first 40 rounds {:8.1} ns a sample, {per_series} resident bytes a series",
        forty * 1e9 / series as f64
    );
    let rest = append_rounds(&store, &labels, 40, rounds.max(41))?;
    println!("append          {:8.1} ns a sample", rest * 1e9 / series as f64);

    let stats = store.stats();
    let samples = stats.samples_appended as f64;
    println!("log             {:8.2} bytes a sample", stats.wal_bytes as f64 / samples);
    println!("head            {:8.2} bytes a sample", stats.chunk_bytes as f64 / samples);
    drop(store);

    let start = Instant::now();
    let (store, recovery) = open()?;
    let seconds = start.elapsed().as_secs_f64();
    let gib = recovery.wal_bytes as f64 / (1u64 << 30) as f64;
    println!("replay          {:8.1} ns a sample, {:.2} s a GiB", seconds * 1e9 / samples, seconds / gib);

    println!("read the head   {:8.1} ns a sample", read_all(&store)? * 1e9 / samples);
    let start = Instant::now();
    let sizes = store.flush(Timestamp(START))?;
    println!("cut             {:8.1} ns a sample", start.elapsed().as_secs_f64() * 1e9 / samples);
    let bytes = (sizes.raw_bytes + sizes.index_bytes) as f64;
    println!(
        "blocks          {:8.2} bytes a sample, {:.2} of them index",
        bytes / samples,
        sizes.index_bytes as f64 / samples
    );
    println!("read blocks     {:8.1} ns a sample", read_all(&store)? * 1e9 / samples);
    drop(store);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The seconds of appending a round, the commits left out.
fn append_rounds(
    store: &Store,
    labels: &[Labels],
    from: usize,
    to: usize,
) -> Result<f64, barograph_tsdb::Error> {
    let mut times = Vec::new();
    for round in from..to {
        let mut seconds = 0.0;
        for (request, part) in labels.chunks(REQUEST).enumerate() {
            let at = START + 15_000 * i64::try_from(round).unwrap_or(0);
            let rows: Vec<_> = (request * REQUEST..)
                .zip(part)
                .map(|(number, labels)| Row {
                    labels: labels.as_bytes(),
                    at: at + jitter(number, round),
                    value: value(number, round),
                })
                .collect();
            let start = Instant::now();
            let appended = store.append(&rows, Timestamp(at))?;
            seconds += start.elapsed().as_secs_f64();
            assert_eq!(appended.stored, rows.len());
        }
        store.commit()?;
        times.push(seconds);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Seven labels, 130 bytes of text, as a node exporter behind a service discovery has them.
fn labels(number: usize) -> Labels {
    let metric = format!("node_metric_{:03}_total", number % 100);
    let instance = format!("10.0.{}.{}:9100", number / 100 / 256, number / 100 % 256);
    Labels::from_pairs([
        ("__name__", metric.as_str()),
        ("cluster", "production-1"),
        ("instance", &instance),
        ("job", "node-exporter"),
        ("mode", ["idle", "user", "system"][number % 3]),
        ("namespace", "monitoring"),
        ("zone", "eu-central-1a"),
    ])
    .expect("the labels are good")
}

/// Series of one target share their scrape, which is up to 5 ms early or late.
fn jitter(number: usize, round: usize) -> i64 {
    i64::from(hash(number / 100, round) % 11) - 5
}

/// Counters, two-decimal gauges, mostly constant ones, and full mantissas.
fn value(number: usize, round: usize) -> f64 {
    let noise = f64::from(hash(number, round) % 1000);
    match number % 10 {
        0..4 => (round * 100) as f64 + (noise / 100.0).floor(),
        4..7 => 50.0 + (noise - 500.0) / 100.0,
        7..9 => f64::from(u8::from(noise > 990.0)),
        _ => (noise + round as f64).sin() * 100.0,
    }
}

fn hash(a: usize, b: usize) -> u32 {
    let mixed = (a as u64 * 1_000_003 + b as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(mixed >> 40).unwrap_or(0)
}

fn read_all(store: &Store) -> Result<f64, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let budget = Budget::unlimited();
    let mut cursor = store.select(&Selection { matchers: &[], range: TimeRange::ALL }, &budget)?;
    let mut count = 0;
    while cursor.next_series()?.is_some() {
        while let Some(batch) = cursor.next_batch()? {
            count += batch.values.len();
        }
    }
    assert!(count > 0);
    Ok(start.elapsed().as_secs_f64())
}

/// Resident memory of this process; zero where the system does not tell.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok()).unwrap_or(0) * 1024
}
