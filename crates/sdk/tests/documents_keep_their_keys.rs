//! The documents of health and diagnostics have the keys that readers rely on, all from one snapshot.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{thread, time::Duration};

use barograph::{
    Registry, Requests, Telemetry, Timestamp, Unit,
    exposition::Format,
    telemetry::{Setting, SettingError, Settings, Snapshot},
};

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000)
}

/// What a small program looks like after ten seconds.
fn program() -> Telemetry {
    let telemetry = Telemetry::new(Settings::default()).unwrap();
    let registry = telemetry.registry();
    let count = |name: &str, label: (&str, &str), value: u64| {
        registry.counter(name).label(label.0, label.1).register().unwrap().add(value);
    };
    count("cache_hits_total", ("cache", "a"), 8_000);
    count("cache_hits_total", ("cache", "b"), 742);
    count("cache_misses_total", ("cache", "a"), 1_205);
    count("cache_evictions_total", ("cause", "size"), 40);
    count("cache_evictions_total", ("cause", "explicit"), 2);
    for (name, value) in [
        ("event_loop_lag_avg_ms", 1.5),
        ("event_loop_lag_p95_ms", 4.0),
        ("event_loop_monitoring_active", 1.0),
    ] {
        registry.gauge(name).observe(move || value).unwrap();
    }
    let socket = telemetry.sockets().opened();
    socket.message_sent(10);
    std::mem::forget(socket);
    telemetry.tick(at(0));
    let record =
        |status, millis| telemetry.requests().record("GET", "/a", status, Duration::from_millis(millis));
    (0..39).for_each(|_| record(200, 250));
    record(500, 250);
    telemetry.requests().begin_unrouted("GET", "/b?x=1").finish(barograph::Outcome::Status(404));
    telemetry
}

/// The paths of all keys, in order.
fn keys(json: &str) -> Vec<String> {
    let (mut path, mut keys, mut rest) = (Vec::<String>::new(), Vec::new(), json);
    let mut last = String::new();
    while let Some(at) = rest.find(['"', '{', '}']) {
        match rest.as_bytes()[at] {
            b'{' => path.push(std::mem::take(&mut last)),
            b'}' => drop(path.pop()),
            _ => {
                let text = rest[at + 1..].split('"').next().unwrap();
                let after = &rest[at + 2 + text.len()..];
                if after.starts_with(':') {
                    text.clone_into(&mut last);
                    let full: Vec<&str> = path.iter().skip(1).map(String::as_str).chain([text]).collect();
                    keys.push(full.join("/"));
                }
                rest = after;
                continue;
            }
        }
        rest = &rest[at + 1..];
    }
    keys
}

const BASICS: &str = "total_requests error_rate avg_latency_ms p50_latency_ms p90_latency_ms p95_latency_ms \
    p99_latency_ms cache cache/hits cache/misses cache/evictions cache/hit_rate";
const DETAILS: &str = "event_loop event_loop/avg_lag_ms event_loop/p95_lag_ms event_loop/monitoring_active \
    websocket websocket/open_connections_estimate websocket/messages_sent websocket/messages_received \
    latency_histogram latency_histogram/25 latency_histogram/50 latency_histogram/100 latency_histogram/200 \
    latency_histogram/350 latency_histogram/500 latency_histogram/750 latency_histogram/1000 \
    latency_histogram/1500 latency_histogram/2500 latency_histogram/5000 latency_histogram/+Inf";

#[track_caller]
fn check(document: &str, expected: &str) {
    assert_eq!(keys(document).join(" "), expected, "{document}");
}

#[test]
fn health() {
    let document = program().snapshot(at(10)).health("healthy");
    check(&document, &format!("status {BASICS}"));
    let start =
        r#"{"status":"healthy","total_requests":41,"error_rate":0.04878048780487805,"avg_latency_ms":"#;
    assert!(document.starts_with(start), "{document}");
    let cache = r#""cache":{"hits":8742,"misses":1205,"evictions":42,"hit_rate":0.878857"#;
    assert!(document.contains(cache), "{document}");
}

#[test]
fn extended() {
    let telemetry = program();
    let document = telemetry.snapshot(at(10)).extended("degraded");
    let groups = "metrics_extended \
        metrics_extended/requests metrics_extended/requests/total_requests metrics_extended/requests/failed_requests \
        metrics_extended/requests/error_rate metrics_extended/requests/requests_per_second \
        metrics_extended/event_loop metrics_extended/event_loop/avg_lag_ms metrics_extended/event_loop/p95_lag_ms \
        metrics_extended/event_loop/monitoring_active metrics_extended/websocket \
        metrics_extended/websocket/open_connections_estimate metrics_extended/websocket/messages_sent \
        metrics_extended/websocket/messages_received metrics_extended/percentiles \
        metrics_extended/percentiles/avg_latency_ms metrics_extended/percentiles/p50_latency_ms \
        metrics_extended/percentiles/p90_latency_ms metrics_extended/percentiles/p95_latency_ms \
        metrics_extended/percentiles/p99_latency_ms";
    let trend = "error_rate_trend error_rate_trend/timestamp error_rate_trend/error_rate";
    check(&document, &format!("status {BASICS} {DETAILS} {groups} {trend}"));
    let histogram = r#""200":1,"350":41,"#;
    assert!(document.contains(histogram) && document.contains(r#""+Inf":41}"#), "{document}");
    let loops = r#""event_loop":{"avg_lag_ms":1.5,"p95_lag_ms":4,"monitoring_active":true}"#;
    assert_eq!(document.matches(loops).count(), 2);
    let sockets = r#""websocket":{"open_connections_estimate":1,"messages_sent":1,"messages_received":0}"#;
    assert_eq!(document.matches(sockets).count(), 2);
}

#[test]
fn diagnostics() {
    let telemetry = program();
    let later = telemetry.snapshot(at(400));
    let document = later.metrics();
    let window = r#""window":{"seconds":290,"requests":0,"errors":0,"error_rate":0,"requests_per_second":0,"#;
    let nothing =
        r#""min_latency_ms":null,"max_latency_ms":null,"avg_latency_ms":null,"p50_latency_ms":null,"#;
    assert!(document.contains(&format!("{window}{nothing}")), "{document}");
    let lifetime =
        r#""lifetime":{"requests":41,"errors":2,"error_rate":0.04878048780487805,"avg_latency_ms":"#;
    assert!(document.contains(lifetime), "{document}");
    let errors = r#""errors":{"cancelled":0,"client":1,"connection":0,"panic":0,"server":1,"timeout":0}"#;
    assert!(document.contains(errors), "{document}");
    assert!(document.contains(r#""uninstrumented_routes":[{"path":"/b","requests":1}]"#), "{document}");
    let setting = r#""METRICS_WINDOW_SIZE_SECONDS":{"value":"300","origin":"default","changeable":true}"#;
    assert!(document.contains(setting), "{document}");

    let document = program().snapshot(at(10)).performance();
    let start = r#"{"timestamp":10000,"window_seconds":10,"total_requests":41,"requests_per_second":4.1,"#;
    assert!(document.starts_with(start), "{document}");
    let route = r#""routes":[{"method":"GET","route":"/a","requests":40,"requests_per_second":4,"#;
    assert!(document.contains(route), "{document}");
}

#[test]
fn a_snapshot_is_one_picture() {
    let telemetry = Telemetry::new(Settings::default()).unwrap();
    let consistent = |snapshot: &Snapshot| {
        let requests = &snapshot.requests;
        assert_eq!(requests.total, requests.failed + requests.succeeded);
        assert!(requests.buckets.is_sorted_by_key(|(_, count)| *count));
        assert!(requests.buckets.last().is_none_or(|(_, count)| *count <= requests.total));
        let window = &requests.window;
        let quantiles = [window.p50, window.p90, window.p95, window.p99].map(Option::unwrap_or_default);
        assert!(quantiles.is_sorted(), "{quantiles:?}");
        assert!((0.0..=1.0).contains(&requests.error_rate) && requests.window_errors <= window.count);
    };
    thread::scope(|scope| {
        for thread in 0..4u64 {
            let requests = telemetry.requests().clone();
            scope.spawn(move || {
                for i in 0..25_000 {
                    let status = if i % 10 == 0 { 500 } else { 200 };
                    requests.record("GET", "/a", status, Duration::from_micros(100 + i * 7 + thread));
                }
            });
        }
        (0..30).for_each(|second| consistent(&telemetry.snapshot(at(second))));
    });
    let snapshot = telemetry.snapshot(at(40));
    consistent(&snapshot);
    assert_eq!((snapshot.requests.total, snapshot.requests.failed), (100_000, 10_000));
}

#[test]
fn settings_change_while_running() {
    let telemetry = program();
    telemetry.update("METRICS_WINDOW_SIZE_SECONDS", "60").unwrap();
    telemetry.tick(at(10));
    telemetry.requests().record("GET", "/a", 200, Duration::from_millis(1));
    assert_eq!(
        telemetry.snapshot(at(20)).requests.window.count,
        1,
        "a window of another length starts empty"
    );
    assert_eq!(telemetry.snapshot(at(70)).requests.window.count, 0);
    let refused = telemetry.update("METRICS_HISTOGRAM_BUCKETS", "10,20");
    assert!(
        matches!(refused, Err(SettingError::Fixed { name: "METRICS_HISTOGRAM_BUCKETS", .. })),
        "{refused:?}"
    );
    assert!(matches!(telemetry.update("METRICS_COLOUR", "red"), Err(SettingError::Unknown { .. })));
    assert!(telemetry.expose(Format::Text004).is_some());
    telemetry.update("metrics_prometheus_enabled", "false").unwrap();
    assert_eq!(telemetry.expose(Format::Text004), None);
}

#[test]
fn bounds_and_units_are_those_of_the_settings() {
    let settings = Settings::default().with(Setting::HistogramBuckets, "10,70").unwrap();
    let settings = settings.with(Setting::ExpositionUnits, "ms").unwrap();
    let telemetry = Telemetry::new(settings).unwrap();
    telemetry.requests().record("GET", "/a", 200, Duration::from_millis(70));
    let text = telemetry.expose(Format::Text004).unwrap();
    for line in [
        "http_request_duration_ms_bucket{le=\"10\",method=\"GET\",route=\"/a\"} 0\n",
        "http_request_duration_ms_bucket{le=\"70\",method=\"GET\",route=\"/a\"} 1\n",
        "http_request_duration_ms_sum{method=\"GET\",route=\"/a\"} 70\n",
        "http_request_latency_ms{quantile=\"0.99\"} ",
        "http_error_rate 0\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let document = telemetry.snapshot(at(0)).extended("healthy");
    assert!(document.contains(r#""latency_histogram":{"10":0,"70":1,"+Inf":1}"#), "{document}");
}

#[test]
fn a_library_may_share_a_registry_and_nothing_is_left_when_it_goes() {
    let registry = Registry::new();
    let telemetry = Telemetry::within(&registry, Settings::default()).unwrap();
    telemetry.start_ticker().unwrap();
    telemetry.start_ticker().unwrap();
    while registry.ticked().is_none() {
        thread::yield_now();
    }
    telemetry.requests().record("GET", "/", 200, Duration::ZERO);
    assert_eq!(Requests::register(&registry).unwrap().figures().total, 1);
    drop(telemetry);
    let last = registry.ticked();
    registry.gauge("other").unit(Unit::None).register().unwrap();
    assert_eq!(registry.ticked(), last, "the thread has ended");
}

#[test]
fn the_telemetry_of_the_process_is_one() {
    let addresses: Vec<_> = thread::scope(|scope| {
        let spawn = |_| scope.spawn(|| std::ptr::from_ref(Telemetry::global()) as usize);
        let threads: Vec<_> = (0..100).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(addresses.iter().all(|address| *address == addresses[0]));
    Requests::global().record("GET", "/once", 200, Duration::ZERO);
    assert_eq!(Telemetry::global().requests().figures().total, Requests::global().figures().total);
}
