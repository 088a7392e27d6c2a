//! What a dashboard costs that shows a day and is drawn again every 15 seconds, with results kept and without.
//!
//! `cargo run --release -p barograph-server --example sliding_dashboard [-- SERIES [ROUNDS]]` fills a store in memory with a
//! day of samples every 15 seconds, then asks each query again and again while time passes and samples come in. Printed
//! are the median milliseconds of a query without the cache and with it, and their ratio. Answers are compared.

use std::{sync::Arc, time::Duration};

use barograph_disk::MemoryDisk;
use barograph_model::{Budget, Labels, Timestamp};
use barograph_query::{Cache, Options, Reuse, Steps, Value, evaluate_range, parse};
use barograph_server::clock::{Clock, SystemClock};
use barograph_tsdb::{Row, Store};

const START: i64 = 1_699_999_200_000;
const EVERY: i64 = 15_000;
const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

/// A query, and the distance of its steps.
const QUERIES: [(&str, i64); 6] = [
    ("sum(rate(requests_total[5m]))", 60_000),
    ("sum by (job) (rate(requests_total[5m]))", 15_000),
    ("histogram_quantile(0.99, sum by (le) (rate(requests_total[5m])))", 300_000),
    ("max_over_time(requests_total[1h])", 300_000),
    ("requests_total", 60_000),
    ("rate(requests_total{i=\"7\"}[5m])", 60_000),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    let rounds: usize = std::env::args().nth(2).map_or(Ok(20), |text| text.parse())?;
    let options = barograph_tsdb::Options::default();
    let (store, _) = Store::open(Arc::new(MemoryDisk::default()), options, Timestamp(START))?;
    let series = (0..count).map(|i| {
        let (le, job) = (["0.1", "1", "10", "+Inf"][i % 4], format!("job{}", i % 5));
        Labels::from_pairs([("__name__", "requests_total"), ("i", &i.to_string()), ("job", &job), ("le", le)])
    });
    let series = series.collect::<Result<Vec<_>, _>>()?;
    let mut now = START;
    while now < START + DAY {
        tick(&store, &series, &mut now)?;
        if now % HOUR == 0 {
            store.maintain(Timestamp(now))?;
        }
    }
    let (clock, cache) = (SystemClock::new(), Cache::new(64 << 20));
    println!("{count} series, a day, asked again every 15 s; median of {rounds}");
    println!(" without        with");
    for (query, step_ms) in QUERIES {
        let (expr, options) = (parse(query)?, Options::default());
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..=rounds {
            tick(&store, &series, &mut now)?;
            let end = now / step_ms * step_ms;
            let steps = Steps { start: Timestamp(end - DAY + HOUR), end: Timestamp(end), step_ms };
            let budget = Budget::unlimited();
            let began = clock.monotonic();
            let plain = evaluate_range(&store, &expr, steps, &options, &budget)?;
            without.push(clock.monotonic() - began);
            let began = clock.monotonic();
            let reuse = Reuse::new(&cache, Timestamp(now - 120_000));
            let kept = reuse.evaluate_range(&store, &expr, steps, &options, &budget)?;
            with.push(clock.monotonic() - began);
            assert_eq!(points(&plain.value), points(&kept.value), "{query}");
        }
        let first = ms(with.remove(0));
        let (without, with) = (median(without), median(with));
        let (ratio, step) = (without / with, step_ms / 1000);
        println!(
            "{without:8.2} ms  {with:7.2} ms  {ratio:5.1} x  {query} (step {step} s, first {first:.2} ms)"
        );
    }
    let counts = cache.counts();
    let mib = counts.bytes as f64 / f64::from(1 << 20);
    println!("{} pieces, {mib:.1} MiB, {} hits, {} misses", counts.pieces, counts.hits, counts.misses);
    Ok(())
}

/// One sample a series.
fn tick(store: &Store, series: &[Labels], now: &mut i64) -> Result<(), barograph_tsdb::Error> {
    *now += EVERY;
    let at = *now;
    let value = |i: usize| ((at - START) / 1000) as f64 * (1 + i % 17) as f64;
    let rows =
        series.iter().enumerate().map(|(i, labels)| Row { labels: labels.as_bytes(), at, value: value(i) });
    store.append(&rows.collect::<Vec<_>>(), Timestamp(at))?;
    store.commit().map(drop)
}

fn points(value: &Value) -> Vec<(i64, u64)> {
    let Value::Matrix(matrix) = value else { return Vec::new() };
    let samples = matrix.iter().flat_map(|series| &series.1.floats);
    samples.map(|sample| (sample.at.0, sample.value.to_bits())).collect()
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn median(mut took: Vec<Duration>) -> f64 {
    took.sort();
    ms(took[took.len() / 2])
}
