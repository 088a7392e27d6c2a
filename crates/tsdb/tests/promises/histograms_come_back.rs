//! What is appended as a native histogram is read as it was: from the head, from blocks, after a restart, after merging;
//! and the tiers say of each window what its histograms say.

use std::{sync::Arc, time::Duration};

use barograph_disk::MemoryDisk;
use barograph_model::{
    Budget, Histogram, HistogramParts, HistogramRollup, Labels, MatchOp, Matcher, ResetHint, Selection,
    Source, Tier, TimeRange, Timestamp, stale_marker,
};
use barograph_tsdb::{HistogramRow, Options, Policy, Reason, Row, Store};

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
    check(START + 20, 2, None);
    // Late, and again, and another in its place.
    check(START + 5, 1, None);
    check(START + 5, 1, None);
    check(START + 5, 3, Some(Reason::Duplicate));
    check(START - HOUR + 20, 1, None);
    check(START - HOUR + 19, 1, Some(Reason::TooOld));
    assert_eq!(store.stats().samples_late, 2);
    let early = HistogramRow { labels: b"", at: START, histogram: &histogram(0, 1, ResetHint::Unknown) };
    let appended = store.append_histograms(&[early], Timestamp(START)).unwrap();
    assert_eq!(appended.rejected[0].reason, Reason::NoMetricName);
}

#[test]
fn a_time_has_one_kind_of_sample() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk, START);
    let float = |store: &Store, at, value| {
        let labels = labels(0);
        let row = Row { labels: labels.as_bytes(), at, value };
        let appended = store.append(&[row], Timestamp(at)).expect("the call is sound");
        appended.rejected.first().map(|rejected| rejected.reason)
    };
    let native = |store: &Store, at| append(store, at, &histogram(0, 1, ResetHint::Unknown), 0);
    // Whichever comes first stays.
    for at in [START, START + 10] {
        assert_eq!((native(&store, at), float(&store, at, 1.0)), (None, Some(Reason::Duplicate)), "{at}");
    }
    assert_eq!((float(&store, START + 20, 1.0), native(&store, START + 20)), (None, Some(Reason::Duplicate)));
    assert_eq!((native(&store, START + 30), float(&store, START + 40, 1.0)), (None, None));
    // A marker ends one kind alone.
    assert_eq!((native(&store, START + 50), float(&store, START + 50, stale_marker())), (None, None));
    assert_eq!((float(&store, START + 51, stale_marker()), native(&store, START + 51)), (None, None));
    assert!(store.knows(&labels(0)) && !store.knows(&labels(1)));
    store.commit().expect("the disk works");
    drop(store);
    store = open(&disk, START + 51);
    assert!(store.knows(&labels(0)));
    assert_eq!((native(&store, START + 60), float(&store, START + 60, 1.0)), (None, Some(Reason::Duplicate)));
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

#[test]
fn late_ones_take_their_place_wherever_it_is() {
    let disk = MemoryDisk::new();
    let mut options = Options::default();
    options.out_of_order = Duration::from_secs(4 * 3600);
    let reopen = |disk: &MemoryDisk| {
        Store::open(Arc::new(disk.clone()), options.clone(), Timestamp(START)).expect("the call is sound").0
    };
    let store = reopen(&disk);
    let mut expected = Vec::new();
    let late = |round: i64| round % 7 == 3;
    for round in (0..5 * 60).filter(|round| !late(*round)) {
        let at = START + round * 60_000 + 17;
        tick(&store, at);
        assert_eq!(append(&store, at, &histogram(0, round, ResetHint::Gauge), 0), None);
        expected.push((at, histogram(0, round, ResetHint::Gauge)));
        if round % 50 == 0 {
            store.maintain(Timestamp(at)).unwrap();
        }
    }
    store.maintain(Timestamp(START + 5 * HOUR)).unwrap();
    for round in (70..5 * 60).filter(|round| late(*round)) {
        let at = START + round * 60_000 + 17;
        assert_eq!(append(&store, at, &histogram(0, round, ResetHint::Gauge), 0), None);
        expected.push((at, histogram(0, round, ResetHint::Gauge)));
    }
    store.commit().unwrap();
    expected.sort_by_key(|sample| sample.0);
    let check = |store: &Store| assert_eq!(read(store, &[], TimeRange::ALL), [(labels(0), expected.clone())]);
    check(&store);
    // What was acknowledged is in the log, whatever came before it.
    check(&reopen(&disk.crash(1)));
    drop(store);
    let store = reopen(&disk);
    check(&store);
    tick(&store, START + 8 * HOUR);
    store.maintain(Timestamp(START + 10 * HOUR)).unwrap();
    check(&store);
    drop(store);
    let store = reopen(&disk);
    check(&store);
    for tier in Tier::ROLLED {
        let selection = Selection { matchers: &[], range: TimeRange::ALL };
        let found = store.histogram_rollups(tier, &selection, &Budget::unlimited()).unwrap();
        let count: u64 = found[0].1.iter().map(|window| window.count).sum();
        assert_eq!(count, expected.len() as u64, "{tier}");
        let total: f64 = found[0].1.iter().map(|window| window.total.count()).sum();
        assert_eq!(total, expected.iter().map(|sample| sample.1.count()).sum::<f64>(), "{tier}");
    }
}

#[test]
fn history_may_be_of_any_age() {
    let store = open(&MemoryDisk::new(), START);
    tick(&store, START);
    let old = START - 40 * 24 * HOUR;
    let labels = labels(0);
    for round in 0..300 {
        let histogram = histogram(0, round, ResetHint::Unknown);
        let row = HistogramRow { labels: labels.as_bytes(), at: old + round * 60_000, histogram: &histogram };
        let appended = store.append_histograms_any_age(&[row], Timestamp(START)).unwrap();
        assert_eq!((appended.stored, appended.rejected.len()), (1, 0));
    }
    assert_eq!(read(&store, &[], TimeRange::ALL)[0].1.len(), 300);
    store.maintain(Timestamp(START)).unwrap();
    assert!(read(&store, &[], TimeRange::ALL).is_empty(), "what is past its retention is in the tiers alone");
    let selection = Selection { matchers: &[], range: TimeRange::ALL };
    let found = store.histogram_rollups(Tier::Hour, &selection, &Budget::unlimited()).unwrap();
    assert_eq!(found[0].1.iter().map(|window| window.count).sum::<u64>(), 300);
}

#[test]
fn one_metric_may_be_kept_for_a_shorter_time() {
    let disk = MemoryDisk::new();
    let store = open(&disk, START);
    let other = Labels::from_pairs([("__name__", "size_bytes")]).unwrap();
    for round in 0..4 * 60 {
        let at = START + round * 60_000;
        tick(&store, at);
        let histogram = histogram(0, round, ResetHint::Unknown);
        assert_eq!(append(&store, at, &histogram, 0), None);
        let row = HistogramRow { labels: other.as_bytes(), at, histogram: &histogram };
        assert_eq!(store.append_histograms(&[row], Timestamp(at)).unwrap().stored, 1);
    }
    store.maintain(Timestamp(START + 6 * HOUR)).unwrap();
    let short =
        Policy { retention: [Some(Duration::from_secs(3600)), None, None, None], ..Policy::default() };
    store.change_policy("latency_seconds", |_| short).unwrap();
    store.maintain(Timestamp(START + 7 * HOUR)).unwrap();
    let left = read(&store, &[], TimeRange::ALL);
    assert_eq!((left.len(), &left[0].0, left[0].1.len()), (1, &other, 240));
    // It is off the disk, not only out of sight.
    assert_eq!(store.clean_deletes().unwrap(), 0);
    drop(store);
    assert_eq!(read(&open(&disk, START + 7 * HOUR), &[], TimeRange::ALL), left);
}
