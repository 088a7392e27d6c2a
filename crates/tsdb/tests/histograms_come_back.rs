//! What is appended as a native histogram is read as it was: from the head, from blocks, after a restart, after merging;
//! and the tiers say of each window what its histograms say.

use std::sync::Arc;

use barograph_disk::MemoryDisk;
use barograph_model::{
    Budget, Histogram, HistogramParts, HistogramRollup, Labels, MatchOp, Matcher, ResetHint, Selection,
    Source, Tier, TimeRange, Timestamp, stale_marker,
};
use barograph_tsdb::{HistogramRow, Options, Reason, Row, Store};

const HOUR: i64 = 3_600_000;
const START: i64 = 1_700_006_400_000 / (24 * HOUR) * 24 * HOUR;

fn open(disk: &MemoryDisk, now: i64) -> Store {
    Store::open(Arc::new(disk.clone()), Options::default(), Timestamp(now)).expect("the call is sound").0
}

fn labels(number: usize) -> Labels {
    Labels::from_pairs([("__name__", "latency_seconds"), ("pod", &number.to_string())])
        .expect("the call is sound")
}

/// Counts that grow with the round, and begin anew each 1,000 rounds.
fn histogram(number: usize, round: i64, hint: ResetHint) -> Histogram {
    let round = (round % 1000 + 1) as f64;
    let positive: Vec<_> = (0..8).map(|index| (index * 2, round * f64::from(index + 1))).collect();
    let count = positive.iter().map(|bucket| bucket.1).sum();
    let sum = round * 0.37 + number as f64;
    Histogram::new(HistogramParts { schema: 3, hint, count, sum, positive, ..HistogramParts::default() })
        .expect("the call is sound")
}

fn append(store: &Store, at: i64, histogram: &Histogram, number: usize) -> Option<Reason> {
    let labels = labels(number);
    let row = HistogramRow { labels: labels.as_bytes(), at, histogram };
    let appended = store.append_histograms(&[row], Timestamp(at)).expect("the call is sound");
    appended.rejected.first().map(|rejected| rejected.reason)
}

fn read(store: &Store, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, Vec<(i64, Histogram)>)> {
    store.histograms(&Selection { matchers, range }, &Budget::unlimited()).expect("the call is sound")
}

/// A sample beside, so that the head has a floor of its own to raise.
fn tick(store: &Store, at: i64) {
    let labels = Labels::from_pairs([("__name__", "up")]).expect("the call is sound");
    store
        .append(&[Row { labels: labels.as_bytes(), at, value: 1.0 }], Timestamp(at))
        .expect("the call is sound");
}

#[test]
fn order_is_judged() {
    let store = open(&MemoryDisk::new(), START);
    let check = |at, number, reason| {
        assert_eq!(append(&store, at, &histogram(0, number, ResetHint::Unknown), 0), reason, "{at} {number}");
    };
    check(START + 10, 1, None);
    check(START + 10, 1, None);
    check(START + 10, 2, Some(Reason::Duplicate));
    check(START + 5, 1, Some(Reason::OutOfOrder));
    check(START + 20, 2, None);
    let early = HistogramRow { labels: b"", at: START, histogram: &histogram(0, 1, ResetHint::Unknown) };
    let appended = store.append_histograms(&[early], Timestamp(START)).unwrap();
    assert_eq!(appended.rejected[0].reason, Reason::NoMetricName);
}

#[test]
fn what_is_appended_is_read_wherever_it_lies() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk, START);
    let mut expected: Vec<Vec<(i64, Histogram)>> = vec![Vec::new(); 3];
    let rounds = 26 * 60;
    for round in 0..rounds {
        let at = START + round * 60_000 + 17;
        tick(&store, at);
        for (number, expected) in expected.iter_mut().enumerate() {
            let histogram = histogram(number, round, ResetHint::Unknown);
            assert_eq!(append(&store, at, &histogram, number), None);
            expected.push((at, histogram));
        }
        store.commit().unwrap();
        if round % 45 == 0 {
            store.maintain(Timestamp(at)).unwrap();
        }
        if round == 400 {
            store.flush(Timestamp(at)).unwrap();
        }
        if round % 500 == 499 {
            drop(store);
            store = open(&disk, at);
        }
    }
    let check = |store: &Store| {
        let found = read(store, &[], TimeRange::ALL);
        assert_eq!(found.len(), 3);
        for ((number, expected), (found, samples)) in expected.iter().enumerate().zip(found) {
            assert_eq!((found, samples.len()), (labels(number), expected.len()));
            assert_eq!(&samples, expected);
        }
    };
    check(&store);
    store.flush(Timestamp(START + rounds * 60_000)).unwrap();
    check(&store);
    drop(store);
    let store = open(&disk, START + rounds * 60_000);
    check(&store);
    let matcher = Matcher::new("pod", MatchOp::Equal, "1").unwrap();
    let range = TimeRange::new(Timestamp(START + 5 * HOUR), Timestamp(START + 6 * HOUR));
    let found = read(&store, std::slice::from_ref(&matcher), range);
    assert_eq!((found.len(), found[0].1.len()), (1, 60));
    let series = store.series(&Selection { matchers: &[matcher], range }, 10, &Budget::unlimited()).unwrap();
    assert_eq!(series.0, [labels(1)]);
    let none = store.select(&Selection { matchers: &[], range }, &Budget::unlimited()).unwrap().next_series();
    assert_eq!(none.unwrap().map(|labels| labels.to_string()), Some("up".to_owned()), "they are no samples");
}

#[test]
fn tiers_say_what_the_windows_say() {
    let disk = MemoryDisk::new();
    let store = open(&disk, START);
    let mut samples: [Vec<(i64, Histogram)>; 2] = [Vec::new(), Vec::new()];
    for round in 0..3 * 240 {
        let at = START + round * 15_000 + 3;
        tick(&store, at);
        for (number, hint) in [ResetHint::Unknown, ResetHint::Gauge].into_iter().enumerate() {
            let histogram = histogram(number, round, hint);
            assert_eq!(append(&store, at, &histogram, number), None);
            samples[number].push((at, histogram));
        }
    }
    let marker = HistogramParts { sum: stale_marker(), ..HistogramParts::default() };
    let end = START + 2 * HOUR - 1;
    store.maintain(Timestamp(START + 3 * HOUR)).unwrap();
    for tier in Tier::ROLLED {
        let selection = Selection { matchers: &[], range: TimeRange::ALL };
        let found = store.histogram_rollups(tier, &selection, &Budget::unlimited()).unwrap();
        for ((_, windows), samples) in found.iter().zip(&samples) {
            let mut expected: Vec<HistogramRollup> = Vec::new();
            for (at, histogram) in samples.iter().filter(|(at, _)| *at <= end) {
                let start = tier.window_of(*at);
                match expected.last_mut().filter(|window| window.start == start) {
                    Some(window) => window.push(*at, histogram),
                    None => expected.push(HistogramRollup::of(start, *at, histogram)),
                }
            }
            assert_eq!(windows.len(), expected.len(), "{tier}");
            for (window, expected) in windows.iter().zip(&expected) {
                let exact = |w: &HistogramRollup| (w.start, w.first_at, w.last_at, w.count, w.ended);
                assert_eq!(exact(window), exact(expected), "{tier}");
                assert_eq!((&window.first, &window.last), (&expected.first, &expected.last));
                assert_eq!(window.total.positive(), expected.total.positive());
                assert!((window.total.sum() - expected.total.sum()).abs() < 1e-6);
            }
        }
        assert_eq!(found.len(), 2);
    }
    assert_eq!(append(&store, START + 3 * HOUR, &Histogram::new(marker).unwrap(), 0), None);
}

#[test]
fn a_day_of_blocks_becomes_one() {
    let disk = MemoryDisk::new();
    let store = open(&disk, START);
    for round in 0..30 * 12 {
        let at = START + round * 300_000;
        tick(&store, at);
        assert_eq!(append(&store, at, &histogram(0, round, ResetHint::Unknown), 0), None);
        store.maintain(Timestamp(at)).unwrap();
    }
    let blocks = store.stats().blocks;
    assert!(blocks < 50, "{blocks} blocks of thirty hours");
    let kept: usize = read(&store, &[], TimeRange::ALL).iter().map(|series| series.1.len()).sum();
    assert_eq!(kept, 30 * 12);
}
