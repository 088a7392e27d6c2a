//! The guard by itself: limits, which label gives way, and counts that go down as they went up.

use super::*;

fn options(series: usize, per_metric: usize, values: usize) -> Options {
    Options {
        series_max: series,
        metric_series_max: per_metric,
        label_values_max: values,
        ..Options::default()
    }
}

fn labels(metric: &str, a: &str, b: &str) -> Labels {
    Labels::from_pairs([("__name__", metric), ("a", a), ("b", b)]).unwrap()
}

/// Which label gives way, for a series after others, at what limit.
fn check(guard: &Guard, series: (&str, &str, &str), expected: Result<(), (&str, Limit)>) {
    let labels = labels(series.0, series.1, series.2);
    let got = guard.admit(&labels).map_err(|excess| match excess {
        Excess::Label { index, limit } => (labels.iter().nth(index).unwrap().0.to_owned(), limit),
        Excess::Hopeless(reason) => (reason.to_string(), Limit::Series),
    });
    assert_eq!(
        got.as_ref().map_err(|(name, limit)| (name.as_str(), *limit)),
        expected.as_ref().map(|_| &()).map_err(|e| *e)
    );
}

#[test]
fn a_label_gives_way_where_its_values_are_too_many() {
    let guard = Guard::new(&options(100, 100, 3));
    check(&guard, ("m", "1", "x"), Ok(()));
    check(&guard, ("m", "2", "x"), Ok(()));
    check(&guard, ("m", "3", "x"), Err(("a", Limit::ValuesPerLabel)));
    check(&guard, ("m", OVERFLOW, "x"), Ok(()));
    check(&guard, ("m", "2", "y"), Ok(()));
    check(&guard, ("m", "4", "z"), Err(("a", Limit::ValuesPerLabel)));
    check(&guard, ("m", OVERFLOW, "z"), Err(("b", Limit::ValuesPerLabel)));
    check(&guard, ("other", "3", "x"), Ok(()));
}

#[test]
fn the_widest_label_gives_way_where_series_are_too_many() {
    let guard = Guard::new(&options(100, 4, 50));
    check(&guard, ("m", "1", "1"), Ok(()));
    check(&guard, ("m", "1", "2"), Ok(()));
    check(&guard, ("m", "1", "3"), Ok(()));
    check(&guard, ("m", "1", "4"), Err(("b", Limit::SeriesPerMetric)));
    check(&guard, ("m", "1", OVERFLOW), Ok(()));
    check(&guard, ("m", "2", OVERFLOW), Err(("a", Limit::SeriesPerMetric)));
    check(&guard, ("m", OVERFLOW, OVERFLOW), Err(("limit of active series reached", Limit::Series)));
    assert_eq!(guard.series(), 4);
}

#[test]
fn room_comes_back_exactly() {
    let guard = Guard::new(&options(10, 8, 5));
    let all: Vec<_> = (0..4).map(|n| labels("m", &n.to_string(), "x")).collect();
    for _ in 0..3 {
        all.iter().for_each(|labels| guard.admit(labels).unwrap());
        check(&guard, ("m", "9", "x"), Err(("a", Limit::ValuesPerLabel)));
        guard.release(&all[..1]);
        check(&guard, ("m", "9", "x"), Ok(()));
        guard.release(&[labels("m", "9", "x")]);
        guard.release(&all[1..]);
        assert_eq!(guard.series(), 0);
        assert!((0..SHARDS).all(|number| guard.book(number).metrics().next().is_none()));
    }
}

#[test]
fn what_was_acknowledged_is_counted_over_any_limit() {
    let guard = Guard::new(&options(2, 2, 2));
    for n in 0..5 {
        guard.count(&labels("m", &n.to_string(), "x"));
    }
    assert_eq!(guard.series(), 5);
    check(&guard, ("m", "9", "x"), Err(("a", Limit::ValuesPerLabel)));
    check(&guard, ("m", OVERFLOW, "x"), Err(("b", Limit::SeriesPerMetric)));
}

#[test]
fn buckets_give_way_last() {
    let guard = Guard::new(&options(100, 3, 50));
    let series =
        |le: &str, job: &str| Labels::from_pairs([("__name__", "h"), ("job", job), ("le", le)]).unwrap();
    guard.admit(&series("1", "a")).unwrap();
    guard.admit(&series("2", "a")).unwrap();
    assert_eq!(
        guard.admit(&series("3", "a")),
        Err(Excess::Label { index: 1, limit: Limit::SeriesPerMetric })
    );
}

#[test]
fn each_owner_has_so_many_series_and_no_label_of_theirs_gives_way() {
    let limited = Options { owner_label: Some("owner".to_owned()), ..options(1000, 500, 50) };
    let guard = Guard::new(&limited);
    guard.limit_owners(OwnerLimits { named: [("a".to_owned(), 10)].into(), others: usize::MAX });
    let of = |owner: &str, n: usize| {
        Labels::from_pairs([("__name__", "m"), ("n", &n.to_string()), ("owner", owner)]).unwrap()
    };
    let admitted = (0..30).filter(|&n| guard.admit(&of("a", n)).is_ok()).count();
    assert_eq!(admitted, 9, "one is kept for overflow");
    let excess = guard.admit(&of("a", 30)).unwrap_err();
    assert_eq!(excess, Excess::Label { index: 1, limit: Limit::SeriesPerOwner }, "`n` gives way");
    let overflow = Labels::from_pairs([("__name__", "m"), ("n", OVERFLOW), ("owner", "a")]).unwrap();
    assert_eq!(guard.admit(&overflow), Ok(()));
    assert!((0..30).all(|n| guard.admit(&of("b", n)).is_ok()), "the limit of one is no limit of another");
    let mut series = guard.series_of_owners();
    series.sort();
    assert_eq!(series, [("a".to_owned(), 10), ("b".to_owned(), 30)]);
    guard.release(&[of("a", 0), of("a", 1)]);
    assert_eq!(guard.admit(&of("a", 31)), Ok(()));
    assert_eq!((guard.series(), guard.series_of_owners().len()), (39, 2));
    guard.limit_owners(OwnerLimits::default());
    assert!((40..45).all(|n| guard.admit(&of("a", n)).is_ok()));
}

#[test]
fn owners_have_more_values_than_other_labels_may() {
    let limited = Options { owner_label: Some("owner".to_owned()), ..options(1000, 500, 3) };
    let guard = Guard::new(&limited);
    for n in 0..20 {
        let owner = n.to_string();
        let labels = Labels::from_pairs([("__name__", "m"), ("owner", &owner)]).unwrap();
        assert_eq!(guard.admit(&labels), Ok(()), "{n}");
    }
}

#[test]
fn limits_may_change_under_what_is_there() {
    let guard = Guard::new(&options(100, 100, 3));
    let to = |values_per_label, series| {
        guard.limit(SeriesLimits { values_per_label, series, ..guard.limits() });
    };
    check(&guard, ("m", "1", "x"), Ok(()));
    check(&guard, ("m", "2", "x"), Ok(()));
    check(&guard, ("m", "3", "x"), Err(("a", Limit::ValuesPerLabel)));
    to(4, 100);
    check(&guard, ("m", "3", "x"), Ok(()));
    // What is there stays, and is one too many for anything new.
    to(2, 2);
    check(&guard, ("m", "4", "x"), Err(("a", Limit::ValuesPerLabel)));
    check(&guard, ("other", "1", "x"), Err(("a", Limit::Series)));
    assert_eq!(guard.series(), 3);
    guard.release(&[labels("m", "1", "x"), labels("m", "2", "x"), labels("m", "3", "x")]);
    check(&guard, ("other", "1", "x"), Ok(()));
}
