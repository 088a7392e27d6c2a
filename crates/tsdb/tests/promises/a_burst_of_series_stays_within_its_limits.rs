//! A burst of new series far above the limits, from several threads: the limits hold at every moment, the series that
//! were there are not harmed, and the report names who came.

use std::{collections::BTreeMap, thread};

use crate::support::*;
use barograph_model::{Budget, Labels, Matcher, Selection, Source, TimeRange, Timestamp, stale_marker};
use barograph_tsdb::{Limit, OVERFLOW, Options, Row, Store};

const THREADS: usize = 4;

fn options(series: usize, per_metric: usize, values: usize) -> Options {
    let mut options = Options::default();
    (options.series_max, options.metric_series_max, options.label_values_max) = (series, per_metric, values);
    options
}

fn burst_series(number: usize) -> Labels {
    let (user, path) = (format!("user-{number}"), format!("/{}", number % 10));
    let metric = format!("requests_{}", number % 3);
    Labels::from_pairs([("__name__", metric.as_str()), ("path", &path), ("user", &user)])
        .expect("labels are good")
}

/// Series in the head, counted one by one.
fn counted(store: &Store) -> Vec<Labels> {
    let selection = Selection { matchers: &[], range: TimeRange::ALL };
    store.series(&selection, usize::MAX, &Budget::unlimited()).expect("the store can be read").0
}

/// Sends `new` series against a limit of `limit` in total.
fn burst(new: usize, limit: usize, per_metric: usize, values: usize) {
    let (store, _) = open_with(&Default::default(), options(limit, per_metric, values));
    let old: Vec<_> = (0..100).map(|n| series("old", n)).collect();
    let all_old = |at, value| -> Vec<_> { old.iter().map(|labels| (labels, at, value)).collect() };
    put(&store, &all_old(START, 1.0));
    thread::scope(|scope| {
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    let share: Vec<usize> = (thread..new).step_by(THREADS).collect();
                    for part in share.chunks(1000) {
                        let labels: Vec<_> = part.iter().map(|&number| burst_series(number)).collect();
                        let rows: Vec<_> = labels
                            .iter()
                            .map(|l| Row { labels: l.as_bytes(), at: START + 1, value: 2.0 })
                            .collect();
                        let appended = store.append(&rows, Timestamp(START)).expect("the log is open");
                        assert_eq!(appended.rejected, []);
                        assert_eq!(appended.stored + appended.merged, rows.len());
                        store.commit().expect("the log can be written");
                    }
                })
            })
            .collect();
        let mut at = START;
        while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            at += 1;
            put(&store, &all_old(at, 3.0));
            assert!(store.stats().series <= limit, "the limit holds at every moment");
        }
    });

    let there = counted(&store);
    assert_eq!(there.len(), store.stats().series, "the count is that of the series");
    assert!(there.len() <= limit);
    for labels in &old {
        let matchers =
            [Matcher::equal("__name__", "old"), Matcher::equal("n", labels.value("n").unwrap_or(""))];
        assert!(content_of(&store, &matchers, TimeRange::ALL)[&labels.to_string()].len() > 1, "{labels}");
    }
    let mut per_metric_found: BTreeMap<&str, usize> = BTreeMap::new();
    for labels in &there {
        *per_metric_found.entry(labels.metric_name().expect("a metric has a name")).or_default() += 1;
    }
    assert!(per_metric_found.values().all(|&count| count <= per_metric), "{per_metric_found:?}");
    let reserve = limit / 100;
    let least = (limit - reserve).min(100 + 3 * (per_metric - per_metric / 100)).min(100 + 3 * (values - 1));
    assert!(there.len() >= least, "{} series, room for {least}", there.len());

    let report = store.cardinality(&[], None, 5, Timestamp(START));
    assert_eq!((report.series, report.matched, report.series_max), (there.len(), there.len(), limit));
    assert_eq!(report.overflows[0].label, "user");
    assert!(report.overflows[0].metric.starts_with("requests_"));
    assert!(report.overflow_samples > 0 && report.overflow_refused == 0);
    assert_eq!(report.metrics.len(), 4);
    assert!(report.metrics[0].metric.starts_with("requests_"));
    assert_eq!(report.metrics[0].labels[0].0, "user");
    assert_eq!(report.labels[0].label, "user");
    assert_eq!(report.metric_labels[0].label, "user");
    assert_eq!(report.pairs[0].label, "__name__");
    assert_eq!(report.pairs[0].series, report.metrics[0].series);
    assert_eq!(report.created_last_hour, there.len() as u64);
}

#[test]
fn in_total() {
    burst(500_000, 100_000, 100_000, 100_000);
}

#[test]
fn of_a_metric() {
    burst(60_000, 1_000_000, 5_000, 50_000);
}

#[test]
fn of_a_label() {
    burst(60_000, 1_000_000, 50_000, 3_000);
}

#[test]
fn room_that_is_free_again_is_used() {
    let disk = Default::default();
    let (store, _) = open_with(&disk, options(1000, 1000, 3));
    let send = |number: usize, at: i64| {
        let labels = series("m", number);
        let appended = append(&store, &[(&labels, at, 1.0)]).unwrap();
        assert_eq!(appended.rejected, []);
        appended.overflowed
    };
    assert_eq!((send(1, START), send(2, START)), (0, 0));
    assert_eq!((send(3, START), send(3, START + 1)), (1, 1), "judged, then remembered");
    // Two windows on, the first two are idle; overflow goes on.
    let later = START + 4 * HOUR;
    assert_eq!(send(3, later), 1);
    store.commit().unwrap();
    store.maintain(Timestamp(later)).unwrap();
    assert_eq!(store.stats().series, 1);
    assert_eq!((send(3, later + 1), send(4, later + 1)), (0, 1));
    drop(store);

    let (again, _) = open_with(&disk, options(1000, 1000, 3));
    let labels = series("m", 9);
    assert_eq!(append(&again, &[(&labels, later + 2, 1.0)]).unwrap().overflowed, 1, "counts are rebuilt");
}

#[test]
fn what_meets_in_one_series_is_no_error() {
    let (store, _) = open_with(&Default::default(), options(1000, 1000, 2));
    let all: Vec<_> = (0..4).map(|n| series("m", n)).collect();
    put(&store, &[(&all[0], START, 0.0)]);
    let rows: Vec<_> =
        all.iter().map(|labels| (labels, START + 5, labels.value("n").unwrap().parse().unwrap())).collect();
    let appended = append(&store, &rows).unwrap();
    assert_eq!((appended.stored, appended.overflowed, appended.merged), (2, 3, 2));
    assert_eq!(appended.rejected, []);
    let late = append(&store, &[(&all[1], START + 4, 7.0), (&all[2], START + 6, stale_marker())]).unwrap();
    assert_eq!((late.stored, late.overflowed, late.merged), (0, 2, 2));
    let found = content(&store);
    let overflow = all[0].with("n", OVERFLOW).to_string();
    assert_eq!(found[&overflow], [(START + 5, 1f64.to_bits())]);
    let report = store.cardinality(&[], Some("m"), 9, Timestamp(START));
    assert_eq!((report.matched, report.examined, report.metrics.len()), (2, 2, 1));
    let offender = &report.overflows[0];
    assert_eq!(
        (offender.metric.as_str(), offender.label.as_str(), offender.limit),
        ("m", "n", Limit::ValuesPerLabel)
    );
    assert_eq!((offender.samples, offender.merged, offender.example.as_str()), (5, 4, "1"));
    let none = store.cardinality(&[vec![Matcher::equal("job", "other")]], None, 9, Timestamp(START));
    assert_eq!((none.series, none.matched, none.metrics.len()), (2, 0, 0));
}
