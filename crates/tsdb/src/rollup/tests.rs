//! Tiers say what the samples say: after late samples, after merging, after restarts, and where raw is gone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barograph_codec::Code;
use barograph_disk::{Disk, Fault, MemoryDisk};
use barograph_model::{
    Budget, Labels, Matcher, Moment, Parts, Rollup, Rollups, Selection, Sketch, Source, Tier, TimeRange,
    Timestamp, is_stale, stale_marker,
};

use crate::{
    Maintenance, Options, Retention, RetentionRule, Row, Store,
    block::{Cover, Writer},
};

const START: i64 = 1_700_006_400_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

type Samples = BTreeMap<i64, f64>;

fn open(disk: &MemoryDisk) -> Store {
    let options = Options { retention: Retention::FOREVER, ..Options::default() };
    Store::open(Arc::new(disk.clone()), options, Timestamp(START)).unwrap().0
}

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", &n.to_string())]).unwrap()
}

/// What two series have at each 20 seconds: a counter with resets and a gauge; and each second: another gauge.
fn value(series: usize, second: i64) -> Option<f64> {
    let noise = (second.wrapping_mul(7919) % 1009) as f64;
    match series {
        _ if second % 20 != 7 && series < 2 => None,
        _ if second % 5000 == 4987 => Some(stale_marker()),
        0 => Some((second % 3000) as f64 * 1.5),
        1 => Some(noise / 100.0 - 3.0),
        _ => Some(noise),
    }
}

fn fill(store: &Store, expected: &mut [Samples; 3], from: i64, to: i64) {
    for second in from / 1000..to / 1000 {
        for (n, samples) in expected.iter_mut().enumerate() {
            let Some(value) = value(n, second) else { continue };
            let (labels, at) = (labels(n), second * 1000 + 13);
            let row = Row { labels: labels.as_bytes(), at, value };
            assert_eq!(store.append(&[row], Timestamp(at)).unwrap().stored, 1);
            samples.insert(at, value);
        }
    }
    store.commit().unwrap();
}

/// A block of samples that came late.
fn late(store: &Store, n: usize, samples: &[(i64, f64)], expected: &mut [Samples; 3]) {
    let mut next_seq = store.upkeep();
    let mut writer = Writer::create(&*store.disk, *next_seq, Code::Light).unwrap();
    let (timestamps, values): (Vec<_>, Vec<_>) = samples.iter().copied().unzip();
    writer.push(&labels(n), &timestamps, &values).unwrap();
    writer.publish(Cover { floor: store.head.floor(), ..Cover::default() }).unwrap();
    store.install(*next_seq, &[]).unwrap();
    *next_seq += 1;
    for (at, value) in samples {
        expected[n].entry(*at).or_insert(*value);
    }
}

fn naive(tier: Tier, samples: &Samples, floor: i64) -> Vec<Rollup> {
    let mut windows: Vec<Rollup> = Vec::new();
    for (&at, &value) in samples.range(..floor) {
        let start = tier.window_of(at);
        match windows.last_mut().filter(|window| window.start == start) {
            Some(window) => window.push(at, value),
            None if is_stale(value) => continue,
            None => {
                windows
                    .push(Rollup { sketch: Some(Box::new(Sketch::new())), ..Rollup::of(start, at, value) });
            }
        }
        if !is_stale(value) {
            windows.last_mut().unwrap().sketch.as_mut().unwrap().add(value);
        }
    }
    windows
}

fn read(store: &Store, tier: Tier, range: TimeRange) -> Vec<Vec<Rollup>> {
    let budget = Budget::unlimited();
    let mut found = vec![Vec::new(); 3];
    // First parts of them, which the cache then has, and then all.
    for parts in [Parts::SUM, Parts::MIN | Parts::INCREASE, Parts::ALL] {
        let mut cursor = store.rollups(tier, parts, &Selection { matchers: &[], range }, &budget).unwrap();
        while let Some(series) = cursor.next_series().unwrap() {
            let n: usize = series.value("n").unwrap().parse().unwrap();
            let mut windows = Rollups::default();
            while cursor.next_batch(&mut windows).unwrap() {}
            assert!(Moment::ALL.into_iter().all(|moment| {
                windows.column(moment).len() == if parts.has(Parts::of(moment)) { windows.len() } else { 0 }
            }));
            found[n] = windows.list(0..windows.len()).collect();
        }
    }
    found
}

fn assert_near(found: &Rollup, expected: &Rollup) {
    let key =
        |r: &Rollup| (r.start, r.first_at, r.last_at, r.count, r.ended, [r.first, r.last, r.min, r.max]);
    assert_eq!(key(found), key(expected));
    let near = |a: f64, b: f64, relative: f64| assert!((a - b).abs() <= relative * b.abs() + 1e-6, "{a} {b}");
    near(found.sum, expected.sum, 1e-9);
    near(found.increase, expected.increase, 1e-9);
    near(found.variance().sqrt(), expected.variance().sqrt(), 1e-4);
    let buckets = |r: &Rollup| {
        let sketch = r.sketch.as_ref().unwrap();
        (sketch.zeros(), sketch.positive().to_vec(), sketch.negative().to_vec())
    };
    assert_eq!(buckets(found), buckets(expected));
}

fn check(store: &Store, expected: &[Samples; 3], floor: i64) {
    for tier in Tier::ROLLED {
        assert_eq!(store.coverage(tier).end, Timestamp(floor), "{tier}");
        for (found, samples) in read(store, tier, TimeRange::ALL).iter().zip(expected) {
            let expected = naive(tier, samples, floor);
            assert_eq!(found.len(), expected.len(), "{tier}");
            found.iter().zip(&expected).for_each(|(found, expected)| assert_near(found, expected));
        }
    }
}

fn maintain(store: &Store, now: i64) -> Maintenance {
    store.maintain(Timestamp(now)).unwrap()
}

#[test]
fn windows_are_made_as_blocks_are_cut() {
    let mut disk = MemoryDisk::new();
    let (mut store, mut expected) = (open(&disk), <[Samples; 3]>::default());
    for hour in (0..30).step_by(3) {
        let (from, to) = (START + hour * HOUR, START + (hour + 3) * HOUR);
        fill(&store, &mut expected, from, to);
        if hour % 2 == 0 {
            store.flush(Timestamp(to)).unwrap();
        }
        maintain(&store, to);
        let floor = to - (hour + 3) % 2 * HOUR - 2 * HOUR * i64::from((hour + 3) % 2 == 0);
        check(&store, &expected, floor);
        if hour % 4 == 1 {
            drop(store);
            disk = disk.crash(hour.unsigned_abs());
            store = open(&disk);
            maintain(&store, to);
            assert_eq!(store.stats().windows_rolled, 0, "nothing is left to do");
            check(&store, &expected, floor);
        }
    }
    let minutes = store.levels()[Tier::Minute as usize];
    assert!(minutes.files <= 5, "days were merged: {minutes:?}");
    let range = TimeRange::new(Timestamp(START + HOUR + 1), Timestamp(START + 3 * HOUR));
    let starts: Vec<_> = read(&store, Tier::Hour, range)[0].iter().map(|window| window.start).collect();
    assert_eq!(starts, [START + 2 * HOUR]);
}

#[test]
fn late_samples_make_their_windows_again() {
    let disk = MemoryDisk::new();
    let (store, mut expected) = (open(&disk), <[Samples; 3]>::default());
    fill(&store, &mut expected, START, START + 4 * HOUR);
    maintain(&store, START + 5 * HOUR);
    let before = store.stats().windows_rolled;
    late(&store, 0, &[(START + 5_000, 9.0), (START + 7_013, 1e9), (START + 3 * HOUR, 2.0)], &mut expected);
    late(&store, 1, &[(START - 30 * HOUR, 2.5)], &mut expected);
    maintain(&store, START + 5 * HOUR);
    check(&store, &expected, START + 4 * HOUR);
    assert_eq!(store.stats().windows_rolled - before, 9, "only what was touched");
    let levels = store.levels();
    maintain(&store, START + 5 * HOUR);
    assert_eq!(store.levels(), levels);
    check(&open(&disk.kill()), &expected, START + 4 * HOUR);
}

#[test]
fn where_raw_is_gone_late_samples_join_what_is_there() {
    let disk = MemoryDisk::new();
    let (store, mut expected) = (open(&disk), <[Samples; 3]>::default());
    fill(&store, &mut expected, START, START + 4 * HOUR);
    maintain(&store, START + 5 * HOUR);
    drop(store);
    let retention = Retention::default().with(Tier::Minute, None);
    let options = Options { retention, ..Options::default() };
    let now = START + 48 * HOUR;
    let (store, _) = Store::open(Arc::new(disk), options, Timestamp(now)).unwrap();
    assert_eq!(store.levels()[0].files, 0);
    assert_eq!(store.coverage(Tier::Raw).start, Timestamp(START + 4 * HOUR - 1000 + 14));
    check(&store, &expected, START + 4 * HOUR);
    let all = Selection { matchers: &[], range: TimeRange::ALL };
    assert_eq!(store.series(&all, 10, &Budget::unlimited()).unwrap().0.len(), 3);
    // Later than all that is in its window, so that even what depends on the order is known.
    late(&store, 1, &[(START + HOUR - 1000, 900.0)], &mut expected);
    for _ in 0..2 {
        maintain(&store, now);
        check(&store, &expected, START + 4 * HOUR);
    }
}

#[test]
fn a_failing_disk_leaves_nothing_out_and_nothing_twice() {
    let undisturbed = MemoryDisk::new();
    let mut expected = <[Samples; 3]>::default();
    let store = open(&undisturbed);
    fill(&store, &mut expected, START, START + 2 * HOUR + MINUTE);
    let before = undisturbed.calls();
    maintain(&store, START + 3 * HOUR);
    let calls = undisturbed.calls() - before;
    drop(store);
    let mut again = <[Samples; 3]>::default();
    let filled = MemoryDisk::new();
    fill(&open(&filled), &mut again, START, START + 2 * HOUR + MINUTE);
    for call in 0..calls {
        for fault in [Fault::Io, Fault::ShortWrite] {
            let disk = filled.kill();
            let store = open(&disk);
            disk.fail(call, 2, fault);
            let _ = store.maintain(Timestamp(START + 3 * HOUR));
            disk.heal();
            maintain(&store, START + 3 * HOUR);
            check(&store, &expected, START + 2 * HOUR);
            drop(store);
            let store = open(&disk.crash(call));
            maintain(&store, START + 3 * HOUR);
            check(&store, &expected, START + 2 * HOUR);
        }
    }
}

#[test]
fn a_rule_keeps_its_series_longer_or_shorter() {
    let disk = MemoryDisk::new();
    let (store, mut expected) = (open(&disk), <[Samples; 3]>::default());
    fill(&store, &mut expected, START, START + 4 * HOUR);
    maintain(&store, START + 5 * HOUR);
    drop(store);
    let rule = |n: &str, tier: Tier, age| {
        let mut tiers = [None; 4];
        tiers[tier as usize] = Some(age);
        RetentionRule { matchers: vec![Matcher::equal("n", n)], tiers }
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let rules = vec![
        rule("0", Tier::Raw, Duration::MAX),
        rule("1", Tier::Minute, hours(10)),
        rule("1", Tier::Minute, hours(99)),
    ];
    let options = Options { retention_rules: rules, ..Options::default() };
    let (store, _) = Store::open(Arc::new(disk.clone()), options, Timestamp(START)).unwrap();
    let names = |store: &Store, tier: Tier| -> Vec<usize> {
        let found = read(store, tier, TimeRange::ALL);
        (0..3).filter(|n| !found[*n].is_empty()).collect()
    };
    let raw = |store: &Store| {
        let budget = Budget::unlimited();
        let all = Selection { matchers: &[], range: TimeRange::ALL };
        let mut cursor = store.select(&all, &budget).unwrap();
        let mut names = Vec::new();
        while let Some(labels) = cursor.next_series().unwrap() {
            names.push(labels.value("n").unwrap().to_owned());
        }
        names
    };
    maintain(&store, START + 13 * HOUR);
    assert_eq!((raw(&store).len(), names(&store, Tier::Minute)), (3, vec![0, 1, 2]));
    maintain(&store, START + 15 * HOUR);
    assert_eq!((raw(&store).len(), names(&store, Tier::Minute)), (3, vec![0, 2]));
    maintain(&store, START + 30 * HOUR);
    assert_eq!((raw(&store), names(&store, Tier::Minute)), (vec!["0".to_owned()], vec![0, 2]));
    maintain(&store, START + 8 * 24 * HOUR);
    assert_eq!((raw(&store), names(&store, Tier::Minute)), (vec!["0".to_owned()], vec![]));
    assert_eq!(names(&store, Tier::FiveMinutes), [0, 1, 2]);
    assert!(!disk.list("blocks").unwrap().iter().any(|entry| entry.name.ends_with(".deletes")));
}

#[test]
fn windows_that_a_deletion_cuts_are_made_again() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let mut expected: [Samples; 3] = Default::default();
    fill(&store, &mut expected, START, START + 5 * HOUR);
    let now = Timestamp(START + 6 * HOUR);
    store.maintain(now).unwrap();
    let floor = store.tier_state(Tier::Hour).floor;
    // Of one series not a whole window, of the other what is left of one window is a marker at most.
    let cuts =
        [(1, START + 90 * MINUTE + 7_000, START + 90 * MINUTE + 50_000), (2, START + 1, START + 150_500)];
    for (n, from, to) in cuts {
        let range = TimeRange::new(Timestamp(from), Timestamp(to));
        let deleted = store.delete(&[Matcher::equal("n", &n.to_string())], range, now).unwrap();
        assert_eq!(deleted.cut_windows, 0);
        expected[n].retain(|at, _| !range.contains(Timestamp(*at)));
    }
    let check = |store: &Store| {
        for tier in Tier::ROLLED {
            for (n, found) in read(store, tier, TimeRange::ALL).into_iter().enumerate() {
                let mut naive = naive(tier, &expected[n], floor);
                // An end that was deleted with its window is told by no window before.
                let starts = |windows: &[Rollup]| windows.iter().map(|w| w.start).collect::<Vec<_>>();
                assert_eq!(starts(&found), starts(&naive), "{tier} {n}");
                for (found, naive) in found.iter().zip(&mut naive) {
                    assert_eq!(
                        (found.count, found.first_at, found.last_at),
                        (naive.count, naive.first_at, naive.last_at)
                    );
                    assert_eq!(
                        (found.min, found.max, found.last),
                        (naive.min, naive.max, naive.last),
                        "{tier} {n}"
                    );
                    assert_eq!(
                        found.sketch.as_ref().unwrap().count(),
                        naive.sketch.as_ref().unwrap().count()
                    );
                }
            }
        }
    };
    check(&store);
    store.clean_deletes().unwrap();
    check(&store);
    drop(store);
    check(&open(&disk));
    // A day later the raw samples are gone; a window of an hour cannot be made again then.
    let later = Timestamp(START + 40 * HOUR);
    let store = Store::open(Arc::new(disk), Options::default(), later).unwrap().0;
    store.maintain(later).unwrap();
    let range = TimeRange::new(Timestamp(START + 2 * HOUR), Timestamp(START + 2 * HOUR + MINUTE));
    let deleted = store.delete(&[Matcher::equal("n", "0")], range, later).unwrap();
    assert_eq!(deleted.cut_windows, 2, "one of five minutes, one of an hour");
}
