//! What is set of a metric holds from then on, through restarts: how long each tier is kept, and what windows are made.

use std::time::Duration;

use crate::support::*;
use barograph_disk::MemoryDisk;
use barograph_model::{
    Budget, Labels, Matcher, Metadata, MetricType, Parts, Rollup, Rollups, Selection, Source, Tier,
    TimeRange, Timestamp,
};
use barograph_tsdb::{Importance, POLICIES_MAX, Policy, Store};

const DAY: i64 = 24 * HOUR;

fn labels(metric: &str) -> Labels {
    Labels::from_pairs([("__name__", metric)]).expect("the call is sound")
}

/// A sample each 20 seconds for so many hours, in blocks of two hours and their tiers.
fn fill(store: &Store, metrics: &[&str], from: i64, hours: i64) {
    for round in 0..hours * 180 {
        let at = from + round * 20_000;
        let all: Vec<_> = metrics.iter().map(|metric| labels(metric)).collect();
        let value = (round * 7919 % 1009) as f64;
        put(store, &all.iter().map(|labels| (labels, at, value)).collect::<Vec<_>>());
    }
    store.commit().expect("the call is sound");
    store.maintain(Timestamp(from + hours * HOUR + HOUR)).expect("the call is sound");
}

fn set(store: &Store, metric: &str, policy: Policy) {
    let set = store.change_policy(metric, |_| policy.clone()).expect("the call is sound");
    assert_eq!(set, Some(policy));
}

/// Samples that are left of a metric.
fn raw(store: &Store, metric: &str) -> usize {
    let matchers = [Matcher::equal("__name__", metric)];
    content_meanwhile(store, &matchers, TimeRange::ALL).values().map(Vec::len).sum()
}

/// Windows of a metric in a tier, and whether the first has what its quantiles are taken from.
fn windows(store: &Store, metric: &str, tier: Tier) -> (usize, bool) {
    let matchers = [Matcher::equal("__name__", metric)];
    let selection = Selection { matchers: &matchers, range: TimeRange::ALL };
    let budget = Budget::unlimited();
    let mut cursor = store.rollups(tier, Parts::ALL, &selection, &budget).expect("the call is sound");
    let (mut count, mut whole) = (0, false);
    while cursor.next_series().expect("the call is sound").is_some() {
        let mut windows = Rollups::default();
        while cursor.next_batch(&mut windows).expect("the call is sound") {}
        let has_sketch = |w: Rollup| w.sketch.as_ref().expect("the call is sound").count() == w.count;
        whole |= count == 0 && windows.list(0..1).all(has_sketch);
        count += windows.len();
    }
    (count, whole)
}

fn start_of(store: &Store, tier: Tier, metric: &str) -> i64 {
    store.coverage_of(tier, &[Matcher::equal("__name__", metric)]).start.millis()
}

#[test]
fn retention_and_aggregation_of_one_metric() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let hours = |n: u64| Some(Duration::from_secs(n * 3600));
    let important = Policy { importance: Importance::High, ..Policy::default() };
    let few = Policy {
        retention: [hours(6), None, None, None],
        windows: Some(vec![Tier::Minute, Tier::Hour]),
        functions: vec!["max".into(), "avg".into()],
        ..Policy::default()
    };
    set(&store, "important", important.clone());
    set(&store, "few", few.clone());
    drop(store);
    let (store, _) = open(&disk);
    assert_eq!(store.policies(), [("few".into(), few), ("important".into(), important)].into());

    fill(&store, &["few", "important", "usual"], START, 4);
    assert_eq!(windows(&store, "usual", Tier::FiveMinutes), (48, true));
    assert_eq!(windows(&store, "few", Tier::FiveMinutes), (0, false));
    assert_eq!(windows(&store, "usual", Tier::Hour), (4, true));
    assert_eq!(windows(&store, "few", Tier::Hour), (4, false));
    // Nothing of it is made, so a question about it is for raw samples.
    assert!(store.coverage_of(Tier::FiveMinutes, &[Matcher::equal("__name__", "few")]).is_empty());

    // Half a day later the raw samples of one are gone, and a selection that may name it is told.
    let later = START + 12 * HOUR;
    store.maintain(Timestamp(later)).unwrap();
    assert_eq!((raw(&store, "few"), raw(&store, "usual")), (0, 720));
    assert_eq!(start_of(&store, Tier::Raw, "few"), later - 6 * HOUR);
    assert_eq!(store.coverage_of(Tier::Raw, &[]).start, Timestamp(later - 6 * HOUR));
    assert_eq!(start_of(&store, Tier::Raw, "usual"), later - 24 * HOUR);

    // Three days later those of the important one are the only ones.
    let later = START + 3 * DAY;
    store.maintain(Timestamp(later)).unwrap();
    assert_eq!((raw(&store, "usual"), raw(&store, "important")), (0, 720));
    assert_eq!(start_of(&store, Tier::Raw, "usual"), later - DAY);
    assert!(start_of(&store, Tier::Raw, "important") <= START);
    drop(store);
    let (store, _) = Store::open(std::sync::Arc::new(disk.clone()), options(), Timestamp(later)).unwrap();
    assert_eq!(start_of(&store, Tier::Raw, "usual"), later - DAY);
    assert!(start_of(&store, Tier::Raw, "important") <= START);
    store.maintain(Timestamp(START + 5 * DAY)).unwrap();
    assert_eq!(raw(&store, "important"), 0);
    assert_eq!(windows(&store, "usual", Tier::Minute), (240, true));

    // Taken back, it is as all others are.
    set(&store, "few", Policy::default());
    fill(&store, &["few"], START + 5 * DAY, 4);
    assert_eq!(windows(&store, "few", Tier::FiveMinutes), (48, true));
}

#[test]
fn types_are_kept_for_their_own_time() {
    let mut options = options();
    let days = |n: u64| Some(Duration::from_secs(n * 86_400));
    options.retention_by_type = vec![(MetricType::Histogram, [days(3), None, None, days(1)])];
    let (store, _) = open_with(&MemoryDisk::new(), options);
    let of = |kind| Metadata { kind, ..Metadata::default() };
    store.set_metadata("latency_seconds", &of(MetricType::Histogram));
    store.set_metadata("sent_total", &of(MetricType::Counter));
    fill(&store, &["latency_seconds_count", "sent_total"], START, 4);
    store.maintain(Timestamp(START + 2 * DAY)).unwrap();
    assert_eq!((raw(&store, "latency_seconds_count"), raw(&store, "sent_total")), (720, 0));
    assert_eq!(windows(&store, "latency_seconds_count", Tier::Hour).0, 0);
    assert_eq!(windows(&store, "sent_total", Tier::Hour).0, 4);
    assert_eq!(start_of(&store, Tier::Raw, "sent_total"), START + DAY);
    assert_eq!(start_of(&store, Tier::Raw, "latency_seconds_count"), START - DAY);
}

#[test]
fn cleanup_waits_for_its_time_unless_a_policy_is_new() {
    let mut options = options();
    options.cleanup_interval = Duration::from_secs(3600);
    let (store, _) = open_with(&MemoryDisk::new(), options);
    fill(&store, &["m"], START, 4);
    let at = START + DAY + 3 * HOUR + HOUR * 3 / 4;
    store.maintain(Timestamp(at)).unwrap();
    assert_eq!(raw(&store, "m"), 360, "what ended 24 hours ago is gone");
    store.maintain(Timestamp(at + HOUR - 1)).unwrap();
    assert_eq!(raw(&store, "m"), 360);
    store.maintain(Timestamp(at + HOUR)).unwrap();
    assert_eq!(raw(&store, "m"), 0);
    assert_eq!(windows(&store, "m", Tier::Minute).0, 240);
    set(&store, "m", Policy { windows: Some(vec![Tier::Hour]), ..Policy::default() });
    store.maintain(Timestamp(at + HOUR + 1)).unwrap();
    assert_eq!(windows(&store, "m", Tier::Minute).0, 0);
    assert_eq!(windows(&store, "m", Tier::Hour).0, 4);
}

#[test]
fn there_are_only_so_many() {
    let (store, _) = open(&MemoryDisk::new());
    let policy = Policy { importance: Importance::Low, ..Policy::default() };
    set(&store, "a", policy.clone());
    assert_eq!((store.stats().policies, POLICIES_MAX), (1, 10_000));
}
