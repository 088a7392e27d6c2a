//! What is stored and what is not, and why: order, duplicates, bounds, labels and limits.

use std::time::Duration;

use crate::support::*;
use barograph_model::{Budget, Labels, Selection, Source, TimeRange, Timestamp, stale_marker};
use barograph_tsdb::{Error, Options, Reason, Row, Store};

fn check(store: &Store, labels: &Labels, at: i64, value: f64, expected: Result<(), Reason>) {
    let appended = store
        .append(&[Row { labels: labels.as_bytes(), at, value }], Timestamp(START))
        .expect("the log is open");
    let found = appended.rejected.first().map_or(Ok(()), |rejected| Err(rejected.reason));
    assert_eq!(found, expected, "{labels} at {at}");
    assert_eq!(appended.stored, usize::from(expected.is_ok()));
}

#[test]
fn order_of_a_series() {
    let (store, _) = open(&Default::default());
    let a = series("a", 1);
    check(&store, &a, START, 1.0, Ok(()));
    check(&store, &a, START, 1.0, Ok(()));
    check(&store, &a, START, 2.0, Err(Reason::Duplicate));
    check(&store, &a, START + 600_000, 1.0, Ok(()));
    check(&store, &a, START + 600_001, 1.0, Err(Reason::TooFarAhead));
    let b = series("b", 1);
    check(&store, &b, START, f64::NAN, Ok(()));
    check(&store, &b, START, f64::NAN, Ok(()));
    check(&store, &b, START, stale_marker(), Err(Reason::Duplicate));
    check(&store, &b, START + 1, stale_marker(), Ok(()));
    let stats = store.stats();
    assert_eq!((stats.series, stats.samples_appended), (2, 6));
    assert!(stats.rejected.contains(&(Reason::Duplicate, 2)));
}

/// A store that takes late samples up to this old.
fn store_with(out_of_order: Duration) -> Store {
    let mut options = Options::default();
    options.out_of_order = out_of_order;
    open_with(&Default::default(), options).0
}

#[test]
fn late_samples_within_the_window() {
    let store = store_with(Duration::from_secs(600));
    let (a, b) = (series("a", 1), series("b", 1));
    check(&store, &a, START, 1.0, Ok(()));
    check(&store, &a, START - 600_000, 2.0, Ok(()));
    check(&store, &a, START - 600_001, 2.0, Err(Reason::TooOld));
    check(&store, &a, START - 1, f64::NAN, Ok(()));
    // Repeated samples of whatever place in the head are known bit for bit.
    check(&store, &a, START + 5, 5.0, Ok(()));
    for (at, value) in [(START, 1.0), (START - 599_995, 7.0), (START - 1, f64::NAN), (START + 5, 5.0)] {
        check(&store, &a, at, value, Ok(()));
        check(&store, &a, at, stale_marker(), Err(Reason::Duplicate));
    }
    // The window counts from the last sample of the series.
    check(&store, &b, START - 7_000_000, 1.0, Ok(()));
    check(&store, &b, START - 7_000_001, 1.0, Ok(()));
    check(&store, &b, START - 7_600_001, 1.0, Err(Reason::TooOld));
    let stats = store.stats();
    assert_eq!((stats.samples_late, stats.samples_appended), (4, 10));
    assert!(stats.late_bytes > 0);
    let times: Vec<_> = content(&store)[&a.to_string()].iter().map(|sample| sample.0 - START).collect();
    assert_eq!(times, [-600_000, -599_995, -1, 0, 5]);
}

#[test]
fn what_no_tier_would_keep_is_too_old() {
    let store = store_with(Duration::from_secs(600));
    let (a, year) = (series("a", 1), 365 * 86_400_000);
    check(&store, &a, START - year - 1, 1.0, Err(Reason::TooOld));
    check(&store, &a, START - year, 1.0, Ok(()));
    check(&store, &a, START - year - 1, 1.0, Err(Reason::TooOld));
    check(&store, &a, START, 1.0, Ok(()));
}

#[test]
fn no_window_means_strict_order() {
    let store = store_with(Duration::ZERO);
    let a = series("a", 1);
    check(&store, &a, START, 1.0, Ok(()));
    check(&store, &a, START - 1, 1.0, Err(Reason::OutOfOrder));
    let imported = store.append_any_age(&[row(&a, START - 1)], Timestamp(START)).unwrap();
    assert_eq!(imported.stored, 1, "an import is not bound by it");
}

#[test]
fn a_series_of_late_samples_alone_is_seen() {
    let store = store_with(Duration::from_secs(3600));
    let (a, b) = (series("a", 1), series("b", 1));
    check(&store, &a, START - 7_200_000, 1.0, Ok(()));
    assert_eq!(store.maintain(Timestamp(START + HOUR)).unwrap().blocks_cut, 1);
    check(&store, &a, START, 1.0, Ok(()));
    check(&store, &b, START - 60_000, 2.0, Ok(()));
    check(&store, &a, START - 30_000, 3.0, Ok(()));
    assert_eq!(store.stats().samples_late, 1, "the first of a series is in order");
    let budget = Budget::unlimited();
    let last = |from, to| {
        let range = TimeRange::new(Timestamp(START - from), Timestamp(START - to));
        let found = store.last_samples(&Selection { matchers: &[], range }, &budget).unwrap();
        found.into_iter().map(|(_, sample)| sample.value).collect::<Vec<_>>()
    };
    assert_eq!(last(300_000, -1), [1.0, 2.0]);
    assert_eq!(last(300_000, 0), [3.0, 2.0]);
}

fn row(labels: &Labels, at: i64) -> Row<'_> {
    Row { labels: labels.as_bytes(), at, value: 1.0 }
}

#[test]
fn late_samples_are_limited_until_they_are_cut() {
    let mut options = Options::default();
    options.late_bytes_max = 40_000;
    options.lanes = 1;
    let (store, _) = open_with(&Default::default(), options);
    let (a, now) = (series("a", 1), Timestamp(START));
    check(&store, &a, START, 1.0, Ok(()));
    let mut stored = 1;
    // Odd values do not compress.
    let mut import = |at: i64| {
        let value = (at as f64).sqrt();
        store.append_any_age(&[Row { labels: a.as_bytes(), at, value }], now).inspect(|_| stored += 1)
    };
    let full = (1..).find(|n| import(START - n * 1000).is_err()).unwrap();
    assert!(matches!(import(START - 1), Err(Error::Overloaded { limit: 40_000 })), "{full}");
    check(&store, &a, START - 1, 1.0, Err(Reason::TooManyLate));
    let done = store.maintain(now).unwrap();
    assert!(done.blocks_cut > 0);
    assert_eq!(store.stats().late_bytes, 0);
    check(&store, &a, START - 1, 1.0, Ok(()));
    assert_eq!(content(&store)[&a.to_string()].len(), usize::try_from(full).unwrap() + 1);
}

#[test]
fn a_bad_row_does_not_harm_its_neighbours() {
    let (store, _) = open(&Default::default());
    let (good, nameless) = (series("a", 1), Labels::from_pairs([("job", "x")]).unwrap());
    let rows = [
        Row { labels: nameless.as_bytes(), at: START, value: 1.0 },
        Row { labels: good.as_bytes(), at: START, value: 1.0 },
        Row { labels: b"\x0a\xff", at: START, value: 1.0 },
        Row { labels: good.as_bytes(), at: START, value: 2.0 },
        Row { labels: good.as_bytes(), at: START + 1, value: 1.0 },
    ];
    let appended = store.append(&rows, Timestamp(START)).unwrap();
    let rejected: Vec<_> = appended.rejected.iter().map(|r| (r.row, r.reason)).collect();
    assert_eq!(rejected, [(0, Reason::NoMetricName), (2, Reason::Malformed), (3, Reason::Duplicate)]);
    assert_eq!((appended.stored, appended.new_series), (2, 1));
    assert_eq!(content(&store)[&good.to_string()].len(), 2);
}

#[test]
fn unusual_spellings_are_the_same_series() {
    let (store, _) = open(&Default::default());
    let usual = Labels::from_pairs([("__name__", "up"), ("job", "x")]).unwrap();
    let job: &[u8] = b"\x0a\x08\x12\x01x\x0a\x03job";
    let name: &[u8] = b"\x0a\x8e\x00\x0a\x08__name__\x12\x02up";
    let empty: &[u8] = b"\x0a\x05\x0a\x03aaa";
    let odd = [job, empty, name].concat();
    for (i, labels) in [usual.as_bytes(), &odd, &odd, usual.as_bytes()].into_iter().enumerate() {
        let at = START + i64::try_from(i).unwrap();
        let appended = store.append(&[Row { labels, at, value: 1.0 }], Timestamp(START)).unwrap();
        assert_eq!((appended.stored, appended.rejected), (1, vec![]));
    }
    assert_eq!(store.stats().series, 1);
    assert_eq!(content(&store)[&usual.to_string()].len(), 4);
}

#[test]
fn the_limit_of_series_is_exact_and_spares_the_old() {
    let limit = 10;
    let mut options = Options::default();
    options.series_max = limit;
    let (store, _) = open_with(&Default::default(), options);
    let all: Vec<_> = (0..15).map(|n| series("a", n)).collect();
    let samples: Vec<_> = all.iter().map(|labels| (labels, START, 1.0)).collect();
    let appended = append(&store, &samples).unwrap();
    // The six for whose ninth there is no room share one series.
    assert_eq!((appended.new_series, appended.overflowed, appended.rejected.len()), (limit, 6, 0));
    for labels in &all {
        check(&store, labels, START + 1, 1.0, Ok(()));
    }
    // Without labels that could give way there is nothing left but to refuse.
    let bare = Labels::from_pairs([("__name__", "bare")]).unwrap();
    check(&store, &bare, START + 2, 1.0, Err(Reason::TooManySeries));
    assert_eq!(store.stats().series, limit);
}
