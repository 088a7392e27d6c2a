//! What a registry gives out, refuses and exposes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use barograph::{Counter, Error, OVERFLOW, Registry, Static, StaticFamily, Unit, exposition::Format};

#[test]
fn exposes_each_kind() {
    let registry = Registry::new();
    let jobs = registry.counter("jobs").help("Jobs done.").family(["queue", "result"]).unwrap();
    jobs.with(["mail", "ok"]).add(2);
    jobs.with(["mail", ""]).inc();
    let depth =
        registry.gauge("queue.depth").help("Jobs waiting.").label("queue", "mail").register().unwrap();
    depth.set(1.5);
    let flights = registry.up_down_counter("in_flight").help("Jobs being done.").register().unwrap();
    let _held = flights.hold();
    let wait = registry.histogram("job.wait").unit(Unit::Seconds).help("Time in the queue.");
    let wait = wait.bounds(&[0.1, 1.0]).register().unwrap();
    [0.0625, 0.5, 8.0].into_iter().for_each(|seconds| wait.record(seconds));
    registry.gauge("room").help("Room left.").unit(Unit::Bytes).observe(|| 1e9).unwrap();
    let spent = registry.float_counter("spent").unit(Unit::Seconds).help("Time spent.").register().unwrap();
    spent.add(0.5);
    spent.add(-1.0);
    spent.add(f64::NAN);
    let text = "\
# HELP in_flight Jobs being done.
# TYPE in_flight gauge
in_flight 1
# HELP job_wait_seconds Time in the queue.
# TYPE job_wait_seconds histogram
job_wait_seconds_bucket{le=\"0.1\"} 1
job_wait_seconds_bucket{le=\"1\"} 2
job_wait_seconds_bucket{le=\"+Inf\"} 3
job_wait_seconds_sum 8.5625
job_wait_seconds_count 3
# HELP jobs_total Jobs done.
# TYPE jobs_total counter
jobs_total{queue=\"mail\"} 1
jobs_total{queue=\"mail\",result=\"ok\"} 2
# HELP queue_depth Jobs waiting.
# TYPE queue_depth gauge
queue_depth{queue=\"mail\"} 1.5
# HELP room_bytes Room left.
# TYPE room_bytes gauge
room_bytes 1e+09
# HELP spent_seconds_total Time spent.
# TYPE spent_seconds_total counter
spent_seconds_total 0.5
";
    assert_eq!(registry.expose(Format::Text004), text);
    assert_eq!(registry.expose(Format::Text100), text);
    let open = registry.expose(Format::OpenMetrics100);
    assert!(open.contains("# TYPE jobs counter\njobs_total{queue=\"mail\"} 1.0\n"));
    assert!(open.contains("# TYPE job_wait_seconds histogram\n# UNIT job_wait_seconds seconds\n"));
    assert!(open.contains("job_wait_seconds_bucket{le=\"1.0\"} 2\n"));
    assert!(open.ends_with("# EOF\n"));
}

#[test]
fn gives_the_same_series_again() {
    let registry = Registry::new();
    let define = || registry.counter("hits_total").label("cache", "a").register().unwrap();
    define().inc();
    define().add(2);
    assert_eq!(define().value(), 3);
    let family = registry.counter("hits").family(["cache"]).unwrap();
    family.with(["a"]).inc();
    assert_eq!(define().value(), 4);
}

#[test]
fn keeps_registries_apart() {
    let (one, two) = (Registry::new(), Registry::new());
    let define = |registry: &Registry| registry.counter("same_total").family(["k"]).unwrap();
    define(&one).with(["v"]).inc();
    assert_eq!(define(&two).with(["v"]).value(), 0);
}

#[test]
fn refuses_what_contradicts_itself() {
    let registry = Registry::new();
    registry.counter("jobs").register().unwrap();
    registry.counter("sent").unit(Unit::Bytes).register().unwrap();
    registry.histogram("wait").bounds(&[1.0]).register().unwrap();
    let check = |error: Option<Error>, message: &str| {
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(message));
    };
    check(
        registry.gauge("jobs").register().err(),
        "metric \"jobs\" is already registered with another type: counter",
    );
    check(
        registry.float_counter("jobs").register().err(),
        "metric \"jobs\" is already registered with another type: counter",
    );
    check(
        registry.counter("sent_bytes").register().err(),
        "metric \"sent_bytes\" is already registered with another unit: bytes",
    );
    check(
        registry.histogram("wait").register().err(),
        "metric \"wait\" is already registered with another bounds: [1.0]",
    );
    check(
        registry.counter("wait").register().err(),
        "metric \"wait\" is already registered with another type: histogram",
    );
    check(
        registry.histogram("late").bounds(&[2.0, 1.0]).register().err(),
        "bucket bounds of \"late\" must be finite and strictly ascending",
    );
    check(
        registry.counter("x").label("a", "1").family(["a"]).err(),
        "invalid label name \"a\": it stands twice",
    );
    check(
        registry.histogram("x").family(["le"]).err(),
        "invalid label name \"le\": this kind of metric tells its points apart by it",
    );
    check(
        registry.gauge("x_total").register().err(),
        "invalid metric name \"x_total\": _total ends the names of counters only",
    );
}

#[test]
fn refuses_an_observer_where_there_is_an_instrument() {
    let registry = Registry::new();
    registry.gauge("a").register().unwrap();
    assert!(matches!(registry.gauge("a").observe(|| 1.0), Err(Error::Taken { .. })));
    registry.gauge("b").observe(|| 1.0).unwrap();
    assert!(matches!(registry.gauge("b").register(), Err(Error::Taken { .. })));
    registry.gauge("b").observe(|| 2.0).unwrap();
    assert!(registry.expose(Format::Text004).ends_with("b 2\n"));
}

#[test]
fn caps_the_series_of_a_metric_and_counts_what_is_over() {
    let registry = Registry::new();
    let define = registry.counter("visits").label("site", "a").series_max(3);
    let visits = define.family(["user", "page"]).unwrap();
    for user in 0..10 {
        visits.with([&user.to_string(), "start"]).inc();
    }
    visits.with(["0", "start"]).inc();
    let text = registry.expose(Format::Text004);
    for line in [
        "visits_total{page=\"start\",site=\"a\",user=\"0\"} 2\n",
        &format!("visits_total{{page=\"{OVERFLOW}\",site=\"a\",user=\"{OVERFLOW}\"}} 7\n"),
        "barograph_sdk_overflow_total{metric=\"visits\"} 7\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("visits_total")).count(), 4);
}

#[test]
fn remembers_more_label_sets_than_a_thread_does() {
    let registry = Registry::new();
    let family = registry.counter("many").series_max(10_000).family(["a", "b"]).unwrap();
    let long = "x".repeat(5_000);
    for _ in 0..2 {
        for i in 0..9_000 {
            family.with([&i.to_string(), ["", "b", "a value of some length", &long][i % 4]]).inc();
        }
    }
    let families = registry.collect();
    assert_eq!(families[0].points.len(), 9_000);
    assert!(families[0].points.iter().all(|point| point.value == 2.0));
    let longest = families[0].points.iter().filter_map(|point| point.labels.value("b")).map(str::len).max();
    assert_eq!(longest, Some(4_096));
}

#[test]
fn label_values_are_not_run_together() {
    let registry = Registry::new();
    let family = registry.counter("pairs").family(["a", "b"]).unwrap();
    for values in [["x", "yz"], ["xy", "z"], ["xyz", ""], ["", "xyz"]] {
        family.with(values).inc();
        family.with(values).inc();
    }
    assert!(registry.collect()[0].points.iter().all(|point| point.value == 2.0));
}

#[test]
fn families_of_one_metric_are_told_apart() {
    let registry = Registry::new();
    let of_site = |site: &str| registry.counter("visits").label("site", site).family(["page"]).unwrap();
    let by = |names| registry.counter("moves").family(names).unwrap();
    let (a, b, from, to) = (of_site("a"), of_site("b"), by(["from", "to"]), by(["to", "from"]));
    for _ in 0..2 {
        a.with(["start"]).inc();
        b.with_literals(["start"]).add(10);
        from.with_literals(["x", "y"]).inc();
        to.with(["x", "y"]).add(10);
    }
    let text = registry.expose(Format::Text004);
    for line in [
        "visits_total{page=\"start\",site=\"a\"} 2\n",
        "visits_total{page=\"start\",site=\"b\"} 20\n",
        "moves_total{from=\"x\",to=\"y\"} 2\n",
        "moves_total{from=\"y\",to=\"x\"} 20\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn literals_find_the_series_that_their_letters_find() {
    let registry = Registry::new();
    let family = registry.counter("letters").series_max(3).family(["a", "b"]).unwrap();
    for _ in 0..3 {
        for values in [["x", "y"], ["y", "x"], ["x", ""], ["over", "the cap"]] {
            family.with_literals(values).inc();
            family.with(values).inc();
        }
    }
    let text = registry.expose(Format::Text004);
    assert_eq!(text.matches("} 6\n").count(), 5, "{text}");
    assert!(text.contains("barograph_sdk_overflow_total{metric=\"letters\"} 6\n"), "{text}");
}

#[test]
fn leaves_out_observers_that_panic() {
    let registry = Registry::new();
    registry.gauge("bad").observe(|| panic!("not today")).unwrap();
    static CALLS: AtomicU64 = AtomicU64::new(0);
    registry.counter("calls").observe(|| CALLS.fetch_add(1, Relaxed) as f64).unwrap();
    let text = registry.expose(Format::Text004);
    assert_eq!(
        text,
        "# HELP barograph_sdk_observer_panics_total Observers that panicked when they were asked for their value.\n\
         # TYPE barograph_sdk_observer_panics_total counter\n\
         barograph_sdk_observer_panics_total{metric=\"bad\"} 1\n\
         # TYPE calls_total counter\ncalls_total 0\n"
    );
}

#[test]
fn knows_the_given_names() {
    let registry = Registry::new();
    registry.histogram("http.server.request.duration").unit(Unit::Seconds).register().unwrap();
    let catalog = registry.catalog();
    assert_eq!(catalog[0].given, "http.server.request.duration");
    assert_eq!(catalog[0].name, "http_server_request_duration_seconds");
    assert_eq!(catalog[0].metadata.unit, "seconds");
}

static GOOD: Static<Counter> = Static::counter("static_good", "Good.").labels(&[("k", "v")]);
static BAD: Static<Counter> = Static::counter("static bad", "Bad.");
static BAD_FAMILY: StaticFamily<Counter, 1> = StaticFamily::counter("static_family", "Bad.", ["a b"]);

#[test]
fn statics_register_themselves_and_never_fail_the_program() {
    GOOD.inc();
    BAD.inc();
    BAD_FAMILY.with(["x"]).inc();
    let text = Registry::global().expose(Format::Text004);
    assert!(text.contains("static_good_total{k=\"v\"} 1\n"));
    assert!(text.contains("barograph_sdk_registration_errors_total 2\n"));
    assert!(!text.contains("bad"));
    let problems = Registry::global().problems();
    assert!(matches!(&problems[0], Error::InvalidName { name, .. } if name == "static bad"));
}
