//! Windows hold the last five minutes, whatever came before; meters, timers and summaries show theirs.

use std::{thread, time::Duration};

use barograph::{
    Counter, FloatCounter, Histogram, Registry, Timer, Timestamp, Unit,
    exposition::Format,
    window::{SLICES, Ticker, WINDOW_MIN},
};
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000)
}

#[test]
fn a_sample_leaves_after_the_window() {
    let registry = Registry::new();
    let waits = registry.histogram("wait").unit(Unit::Seconds).register().unwrap();
    waits.record(9.0);
    let window = registry.watch::<Histogram>("wait").unwrap();
    assert_eq!(window.figures().count, 0, "what came before it was watched is over");
    registry.tick(at(1_000));
    waits.record(2.0);
    assert_eq!(window.figures().count, 1, "a reading is fresh between ticks");
    registry.tick(at(1_010));
    waits.record(4.0);
    for second in (1_020..=1_290).step_by(10) {
        registry.tick(at(second));
        let figures = window.figures();
        assert_eq!((figures.count, figures.min), (2, Some(2.0)), "{second}");
        assert!((figures.max.unwrap() - 4.0).abs() < 0.044, "9 was before");
    }
    registry.tick(at(1_300));
    let figures = window.figures();
    assert_eq!((figures.count, figures.seconds), (1, 290.0));
    assert!((figures.p50.unwrap() - 4.0).abs() < 0.044);
    registry.tick(at(1_310));
    assert_eq!((window.figures().count, window.figures().p99), (0, None));
    assert_eq!(waits.read().sketch.count(), 3);
}

#[test]
fn counters_have_rates() {
    let registry = Registry::new();
    let jobs = registry.counter("jobs_total").family(["queue"]).unwrap();
    let paid = registry.float_counter("paid_total").register().unwrap();
    let (counted, amounts) =
        (registry.watch::<Counter>("jobs_total"), registry.watch::<FloatCounter>("paid"));
    let (counted, amounts) = (counted.unwrap(), amounts.unwrap());
    registry.tick(at(0));
    jobs.with(["mail"]).add(30);
    jobs.with(["print"]).add(10);
    paid.add(12.5);
    registry.tick(at(20));
    assert_eq!((counted.figures().count, counted.figures().per_second), (40, 2.0));
    assert_eq!(counted.figures_of(|labels| labels.value("queue") == Some("mail")).count, 30);
    assert_eq!(counted.by("queue")["print"].per_second, 0.5);
    assert_eq!(amounts.figures().sum, 12.5);
    assert!(registry.watch::<Histogram>("jobs_total").is_none(), "it is no histogram");
    assert!(registry.watch::<Counter>("none").is_none());
}

#[test]
fn a_window_can_be_shorter() {
    let registry = Registry::new();
    let waits = registry.histogram("wait").register().unwrap();
    registry.set_window(Duration::from_secs(1));
    let window = registry.watch::<Histogram>("wait").unwrap();
    registry.tick(at(0));
    waits.record(1.0);
    registry.tick(at(29));
    assert_eq!(window.figures().count, 1);
    registry.tick(at(i64::try_from(WINDOW_MIN.as_secs()).unwrap()));
    assert_eq!(window.figures().count, 0);
    assert_eq!(WINDOW_MIN.as_secs(), u64::from(SLICES));
}

#[test]
fn a_hundred_marks_in_ten_seconds_are_ten_a_second() {
    let registry = Registry::new();
    let meter = registry.meter("events").register().unwrap();
    registry.tick(at(100));
    (0..100).for_each(|_| meter.mark());
    registry.tick(at(110));
    let rates = meter.rates();
    assert_eq!((meter.count(), rates.mean, rates.m1), (100, 10.0, 10.0));
    let text = registry.expose(Format::Text004);
    for line in [
        "# TYPE events_total counter\n",
        "events_total 100\n",
        "# TYPE events_per_second gauge\n",
        "events_per_second{window=\"mean\"} 10\n",
        "events_per_second{window=\"15m\"} 10\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(registry.gauge("events_per_second").register().is_err(), "the name is taken");
}

#[test]
fn a_timer_records_once() {
    let registry = Registry::new();
    let timer = registry.timer("parse").register().unwrap();
    timer.start().stop();
    drop(timer.start());
    timer.start().discard();
    assert_eq!(timer.time(|| 7), 7);
    let panicked = thread::spawn(move || timer.time(|| panic!("while parsing"))).join();
    assert!(panicked.is_err());
    timer.record(Duration::from_secs(64));
    let read = timer.read().sketch;
    assert_eq!((read.count(), read.max()), (5, Some(64.0)));
    let text = registry.expose(Format::Text004);
    for line in [
        "# TYPE parse_seconds histogram\n",
        "parse_seconds_bucket{le=\"10\"} 4\n",
        "# TYPE parse_window_seconds summary\n",
        "parse_window_seconds_count 5\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains("parse_window_seconds{quantile=\"0.99\"} 63"), "{text}");
}

#[test]
fn a_summary_shows_its_window() {
    let registry = Registry::new();
    let sizes = registry.summary("size").unit(Unit::Bytes).label("kind", "a").register().unwrap();
    registry.tick(at(0));
    (1..=100).for_each(|i| sizes.record(f64::from(i)));
    registry.tick(at(290));
    let text = registry.expose(Format::OpenMetrics100);
    assert!(text.contains("# TYPE size_bytes summary\n"), "{text}");
    assert!(text.contains("size_bytes_sum{kind=\"a\"} 5050"), "{text}");
    let p90 = text.split("size_bytes{kind=\"a\",quantile=\"0.9\"} ").nth(1).unwrap();
    let p90: f64 = p90.split('\n').next().unwrap().parse().unwrap();
    assert!((p90 - 90.0).abs() <= 90.0 * 0.011, "{p90}");
    registry.tick(at(310));
    let text = registry.expose(Format::Text004);
    assert!(text.contains("size_bytes{kind=\"a\",quantile=\"0.9\"} NaN\n"), "{text}");
    assert!(text.contains("size_bytes_count{kind=\"a\"} 100\n"), "{text}");
    assert!(registry.summary("x").label("quantile", "1").register().is_err(), "the label is taken");
}

#[test]
fn totals_are_exact_while_the_window_is_read() {
    let registry = Registry::new();
    let waits = registry.histogram("wait").family(["thread"]).unwrap();
    let window = registry.watch::<Histogram>("wait").unwrap();
    let ticker = Ticker::start(&registry).unwrap();
    thread::scope(|scope| {
        for number in 0..8 {
            let waits = waits.with([&number.to_string()]);
            scope.spawn(move || (0..20_000).for_each(|i| waits.record(0.001 * f64::from(i % 1_000 + 1))));
        }
        let mut last = 0;
        for _ in 0..50 {
            let figures = window.figures();
            let quantiles = [figures.p50, figures.p90, figures.p95, figures.p99].map(|q| q.unwrap_or(0.0));
            assert!(quantiles.is_sorted(), "{quantiles:?}");
            assert!(figures.count >= last);
            last = figures.count;
        }
    });
    assert_eq!(window.figures().count, 160_000);
    ticker.stop();
}

#[test]
fn a_million_values_take_no_more_room_than_their_buckets() {
    let registry = Registry::new();
    let waits = registry.histogram("wait").unit(Unit::Seconds).register().unwrap();
    let window = registry.watch::<Histogram>("wait").unwrap();
    for slice in 0..100 {
        registry.tick(at(slice * 10));
        (0..10_000).for_each(|i| waits.record(0.001 * f64::from(i % 5_000 + 1)));
    }
    // Three decades and a half of values have 32 buckets an octave in each of 30 slices.
    let buckets = window.buckets();
    assert!(buckets <= 31 * 32 * 13, "{buckets}");
    assert_eq!(window.figures().count, 300_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quantiles_are_within_the_stated_error(
        batches in prop::collection::vec(prop::collection::vec(1e-6f64..1e4, 0..60), 1..45),
    ) {
        let registry = Registry::new();
        let timer = registry.timer("wait").register().unwrap();
        let window = registry.watch::<Timer>("wait").unwrap();
        let record = |seconds: f64| timer.record(Duration::from_secs_f64(seconds));
        for (slice, batch) in (0..).zip(&batches) {
            registry.tick(at(slice * 10));
            batch.iter().copied().for_each(record);
        }
        let inside = &batches[batches.len().saturating_sub(30)..];
        let mut exact: Vec<f64> = inside.concat().iter().map(|v| Duration::from_secs_f64(*v).as_secs_f64()).collect();
        exact.sort_by(f64::total_cmp);
        let figures = window.figures();
        prop_assert_eq!(figures.count, exact.len() as u64);
        let quantiles = [(50, figures.p50), (90, figures.p90), (95, figures.p95), (99, figures.p99)];
        for (percent, quantile) in quantiles {
            let rank = (exact.len() * percent).div_ceil(100).max(1);
            let Some(exact) = exact.get(rank - 1) else { continue };
            prop_assert!((quantile.unwrap() - exact).abs() <= exact * 0.011, "p{}: {:?} {}", percent, quantile, exact);
        }
        prop_assert!(figures.p50 <= figures.p90 && figures.p90 <= figures.p95 && figures.p95 <= figures.p99);
        for (is, exact) in [(figures.min, exact.first()), (figures.max, exact.last())] {
            let Some(exact) = exact else { continue };
            prop_assert!((is.unwrap() - exact).abs() <= exact * 0.011);
        }
    }
}
