//! A series that is sent in order is taken whatever else the store holds, however old it is, and kept like any other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::support::*;
use barograph_disk::MemoryDisk;
use barograph_model::{
    Budget, Labels, Parts, Rollup, Rollups, Selection, Source, Tier, TimeRange, Timestamp,
};
use barograph_tsdb::{Options, Retention, Store};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * HOUR;

fn maintain(store: &Store, now: i64) {
    store.maintain(Timestamp(now)).expect("blocks can be written");
}

/// All windows that a tier has.
fn windows(store: &Store, tier: Tier) -> BTreeMap<String, Vec<Rollup>> {
    let (selection, budget) = (Selection { matchers: &[], range: TimeRange::ALL }, Budget::unlimited());
    let mut cursor = store.rollups(tier, Parts::MOMENTS, &selection, &budget).expect("tiers can be read");
    let mut found = BTreeMap::new();
    while let Some(labels) = cursor.next_series().expect("tiers can be read") {
        let mut all = Rollups::default();
        while cursor.next_batch(&mut all).expect("tiers can be read") {}
        found.insert(labels.to_string(), all.list(0..all.len()).collect());
    }
    found
}

#[test]
fn whatever_was_cut_before() {
    let mut disk = MemoryDisk::new();
    let (mut store, _) = open(&disk);
    let (live, old) = (series("live", 1), series("old", 1));
    for hour in 0..12 {
        put(&store, &[(&live, START + hour * HOUR, 1.0)]);
    }
    maintain(&store, START + 12 * HOUR);
    // Before the floor, in order for its series, in several windows, between cuts and starts.
    let mut expected = Vec::new();
    for step in 0..10 {
        let at = START + step * HOUR + 5;
        put(&store, &[(&old, at, step as f64)]);
        expected.push((at, (step as f64).to_bits()));
        store.commit().expect("the log can be written");
        match step {
            2 => maintain(&store, START + 15 * HOUR),
            4 => {
                disk = disk.kill();
                store = open(&disk).0;
            }
            6 => maintain(&store, START + 17 * HOUR),
            8 => drop(store.flush(Timestamp(START + 17 * HOUR)).expect("blocks can be written")),
            _ => {}
        }
        assert_eq!(content(&store)[&old.to_string()], expected, "after step {step}");
        for disk in [disk.kill(), disk.crash(7)] {
            assert_eq!(content(&open(&disk).0)[&old.to_string()], expected, "after step {step}");
        }
    }
}

/// What a window of samples must say: count, sum, min, max, first, last and increase.
fn summed(samples: &[(i64, f64)]) -> (u64, [f64; 6]) {
    let values = || samples.iter().map(|sample| sample.1);
    let steps = samples.windows(2).map(|pair| (pair[0].1, pair[1].1));
    let increase = steps.map(|(a, b)| if b < a { b } else { b - a }).sum();
    let (min, max) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    (samples.len() as u64, [values().sum(), min, max, samples[0].1, samples[samples.len() - 1].1, increase])
}

/// Ten days of two series, a sample a minute: whole numbers, so that sums are exact in any order.
fn ten_days(now: i64) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let minutes = || (now - 10 * DAY) / MINUTE..now / MINUTE;
    let value = |n: i64, minute: i64| (if n == 0 { minute % 1000 * 3 } else { minute * 7919 % 1009 }) as f64;
    (0..2)
        .map(|n| {
            (
                series("old", usize::from(n > 0)),
                minutes().map(|m| (m * MINUTE + n * 17, value(n, m))).collect(),
            )
        })
        .collect()
}

/// Loads ten days into a store that is at work, each call `rows` samples of a series; by time, or a series after the
/// other. With `live` the series are alive already, so that all of it is late, as an import may be.
fn load(by_time: bool, rows: usize, live: bool) {
    let now = START + 7 * MINUTE;
    let options = || {
        let mut options = Options::default();
        options.retention = Retention::FOREVER.with(Tier::Raw, Some(Duration::from_secs(86_400)));
        options.late_bytes_max = 256 << 10;
        options
    };
    let disk = MemoryDisk::new();
    let start = |disk: &MemoryDisk| {
        Store::open(Arc::new(disk.clone()), options(), Timestamp(now)).expect("the store opens").0
    };
    let mut store = start(&disk);
    let (own, past) = (series("own", 1), ten_days(now));
    // Own metrics of some days, so that there are tiers, floors, and raw blocks that went.
    for hour in -60..0 {
        put(&store, &[(&own, now + hour * HOUR, 1.0)]);
        if hour % 20 == 0 {
            maintain(&store, now + hour * HOUR);
        }
    }
    maintain(&store, now);
    if live {
        let first: Vec<_> = past.iter().map(|(labels, _)| (labels, now, 5.0)).collect();
        put(&store, &first);
    }
    let mut parts: Vec<_> = past
        .iter()
        .flat_map(|(labels, samples)| samples.chunks(rows).map(move |part| (labels, part)))
        .collect();
    if by_time {
        parts.sort_by_key(|(_, part)| part[0].0);
    }
    for (number, (labels, part)) in parts.iter().enumerate() {
        let rows: Vec<_> = part
            .iter()
            .map(|&(at, value)| barograph_tsdb::Row { labels: labels.as_bytes(), at, value })
            .collect();
        let append = |store: &Store| match live {
            true => store.append_any_age(&rows, Timestamp(now)),
            false => store.append(&rows, Timestamp(now)),
        };
        let mut appended = append(&store);
        if !appended.as_ref().is_ok_and(|appended| appended.rejected.is_empty()) {
            maintain(&store, now);
            appended = append(&store);
        }
        let appended = appended.expect("the store takes rows");
        assert_eq!((appended.stored, appended.rejected.len()), (rows.len(), 0));
        if number % 29 == 0 {
            maintain(&store, now + i64::try_from(number).unwrap_or(0));
        }
        if number % 97 == 50 {
            store.commit().expect("the log can be written");
            drop(store);
            store = start(&disk.kill());
            drop(store);
            store = start(&disk);
        }
    }
    store.commit().expect("the log can be written");
    // A minute later nothing is coming any more, and what only tiers can show is there.
    maintain(&store, now + MINUTE);
    let shown = windows(&store, Tier::Hour).remove(&past[0].0.to_string()).expect("the tier has the series");
    assert!(shown.len() > 9 * 24, "{}", shown.len());
    let end = now + 3 * HOUR;
    (1..=3).for_each(|hour| assert!(put(&store, &[(&own, now + hour * HOUR, 1.0)]) > 0));
    store.commit().expect("the log can be written");
    maintain(&store, end);
    let floor = store.coverage(Tier::Hour).end.millis();
    assert!(floor > now - HOUR);
    for restart in 0..3 {
        for (labels, samples) in &past {
            for tier in Tier::ROLLED {
                let mut found =
                    windows(&store, tier).remove(&labels.to_string()).expect("the tier has the series");
                found.retain(|window| window.start < tier.window_of(now));
                let of_tier = samples
                    .iter()
                    .filter(|sample| sample.0 < tier.window_of(now).min(floor))
                    .copied()
                    .collect::<Vec<_>>();
                let expected: Vec<_> = of_tier
                    .chunk_by(|a, b| tier.window_of(a.0) == tier.window_of(b.0))
                    .map(|window| (tier.window_of(window[0].0), summed(window)))
                    .collect();
                let found: Vec<_> = found
                    .iter()
                    .map(|w| (w.start, (w.count, [w.sum, w.min, w.max, w.first, w.last, w.increase])))
                    .collect();
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found, expected, "{labels} {tier:?}, restart {restart}");
                }
                assert_eq!(found.len(), expected.len(), "{labels} {tier:?}, restart {restart}");
            }
            let raw = &content(&store)[&labels.to_string()];
            let whole: Vec<_> = samples.iter().map(|&(at, value)| (at, value.to_bits())).collect();
            let kept = whole.partition_point(|sample| sample.0 < end - DAY);
            let raw_from = raw.partition_point(|sample| sample.0 < end - DAY);
            let raw_to = raw.partition_point(|sample| sample.0 < now);
            assert_eq!(raw[raw_from..raw_to], whole[kept..], "raw of the last day");
            assert!(raw_from < 2 * 24 * 60, "little more than a day is left of raw: {raw_from}");
        }
        drop(store);
        let disk = if restart == 0 { disk.kill() } else { disk.crash(restart) };
        store = start(&disk);
        maintain(&store, end);
    }
}

#[test]
fn ten_days_by_time() {
    load(true, 50, false);
}

#[test]
fn ten_days_a_series_after_the_other() {
    load(false, 700, false);
}

#[test]
fn ten_days_of_series_that_are_alive() {
    load(true, 300, true);
    load(false, 700, true);
}
