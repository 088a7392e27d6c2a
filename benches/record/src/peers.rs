//! The other crates, each used in the fastest way its documentation shows: handles are kept where it has handles.

use std::sync::{Arc, LazyLock};

use metrics::{Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter, family::Family, gauge, histogram},
};

use crate::{
    Case, case,
    values::{LITERALS, strings},
};

pub const METRICS: &str = "metrics";
pub const PROMETHEUS: &str = "prometheus";
pub const CLIENT: &str = "prometheus-client";
pub const OTEL: &str = "opentelemetry_sdk";

pub const BOUNDS: [f64; 14] = barograph::SECONDS_BOUNDS;

/// The recorder of `metrics` keeps what its histograms record until it is drained.
static EXPORTER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS).expect("there are bounds");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("there is one recorder");
    handle
});

/// What has to be done between rounds.
pub fn upkeep() {
    EXPORTER.run_upkeep();
}

pub fn cases(values: &'static [f64; 1024]) -> Vec<Case> {
    let mut cases = of_metrics(values);
    cases.extend(of_prometheus(values));
    cases.extend(of_prometheus_client(values));
    cases.extend(of_opentelemetry(values));
    cases
}

fn of_metrics(values: &'static [f64; 1024]) -> Vec<Case> {
    LazyLock::force(&EXPORTER);
    let metadata = Metadata::new(module_path!(), Level::INFO, None);
    let (counter, histogram, gauge) = metrics::with_recorder(|recorder: &dyn Recorder| {
        (
            recorder.register_counter(&Key::from_static_name("calls_total"), &metadata),
            recorder.register_histogram(&Key::from_static_name("wide_seconds"), &metadata),
            recorder.register_gauge(&Key::from_static_name("depth"), &metadata),
        )
    });
    let timed = histogram.clone();
    let texts = strings();
    let labelled = |i: u32| {
        let [method, status] = LITERALS[i as usize % 4];
        metrics::counter!("literal_calls_total", "method" => method, "status" => status).increment(1);
    };
    vec![
        case("counter", METRICS, move |_| counter.increment(1)),
        case("histogram", METRICS, move |i| histogram.record(values[i as usize % 1024])),
        case("two static str labels", METRICS, labelled),
        case("two str labels", METRICS, |i| {
            let [method, route] = &texts[i as usize % 4];
            metrics::counter!("dynamic_calls_total", "method" => method.clone(), "route" => route.clone())
                .increment(1);
        }),
        case("enum family", METRICS, labelled),
        case("timer", METRICS, move |_| {
            let start = std::time::Instant::now();
            timed.record(start.elapsed());
        }),
        case("gauge set", METRICS, move |i| gauge.set(f64::from(i))),
    ]
}

fn of_prometheus(values: &'static [f64; 1024]) -> Vec<Case> {
    let counter = prometheus::IntCounter::new("calls_total", "Calls.").expect("a name");
    let options = || HistogramOpts::new("wide_seconds", "Values.").buckets(BOUNDS.to_vec());
    let histogram = prometheus::Histogram::with_opts(options()).expect("a name");
    let timed = histogram.clone();
    let gauge = prometheus::Gauge::new("depth", "Depth.").expect("a name");
    let vector =
        |labels: &[&str]| IntCounterVec::new(Opts::new("by_total", "Calls."), labels).expect("names");
    let (literal, by_enum, dynamic) =
        (vector(&["method", "status"]), vector(&["method", "status"]), vector(&["method", "route"]));
    let texts = strings();
    vec![
        case("counter", PROMETHEUS, move |_| counter.inc()),
        case("histogram", PROMETHEUS, move |i| histogram.observe(values[i as usize % 1024])),
        case("two static str labels", PROMETHEUS, move |i| {
            literal.with_label_values(&LITERALS[i as usize % 4]).inc()
        }),
        case("two str labels", PROMETHEUS, move |i| dynamic.with_label_values(&texts[i as usize % 4]).inc()),
        case("enum family", PROMETHEUS, move |i| by_enum.with_label_values(&LITERALS[i as usize % 4]).inc()),
        case("timer", PROMETHEUS, move |_| drop(timed.start_timer())),
        case("gauge set", PROMETHEUS, move |i| gauge.set(f64::from(i))),
    ]
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Method {
    Get,
    Post,
    Delete,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Outcome {
    Ok,
    NotFound,
    Error,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reply {
    method: Method,
    outcome: Outcome,
}

const REPLIES: [Reply; 4] = [
    Reply { method: Method::Get, outcome: Outcome::Ok },
    Reply { method: Method::Post, outcome: Outcome::Ok },
    Reply { method: Method::Get, outcome: Outcome::NotFound },
    Reply { method: Method::Delete, outcome: Outcome::Error },
];

fn of_prometheus_client(values: &'static [f64; 1024]) -> Vec<Case> {
    let counter = counter::Counter::<u64>::default();
    let histogram = Arc::new(histogram::Histogram::new(BOUNDS));
    let timed = Arc::clone(&histogram);
    let gauge = gauge::Gauge::<f64, std::sync::atomic::AtomicU64>::default();
    let literal = Family::<[(&'static str, &'static str); 2], counter::Counter>::default();
    let dynamic = Family::<[(&'static str, String); 2], counter::Counter>::default();
    let by_enum = Family::<Reply, counter::Counter>::default();
    let texts = strings();
    vec![
        case("counter", CLIENT, move |_| {
            counter.inc();
        }),
        case("histogram", CLIENT, move |i| histogram.observe(values[i as usize % 1024])),
        case("two static str labels", CLIENT, move |i| {
            let [method, status] = LITERALS[i as usize % 4];
            literal.get_or_create(&[("method", method), ("status", status)]).inc();
        }),
        case("two str labels", CLIENT, move |i| {
            let [method, route] = &texts[i as usize % 4];
            dynamic.get_or_create(&[("method", method.clone()), ("route", route.clone())]).inc();
        }),
        case("enum family", CLIENT, move |i| {
            by_enum.get_or_create(&REPLIES[i as usize % 4]).inc();
        }),
        case("timer", CLIENT, move |_| {
            let start = std::time::Instant::now();
            timed.observe(start.elapsed().as_secs_f64());
        }),
        case("gauge set", CLIENT, move |i| {
            gauge.set(f64::from(i));
        }),
    ]
}

fn of_opentelemetry(values: &'static [f64; 1024]) -> Vec<Case> {
    let provider =
        Box::leak(Box::new(SdkMeterProvider::builder().with_reader(ManualReader::default()).build()));
    let meter = provider.meter("bench");
    let counter = meter.u64_counter("calls").build();
    let histogram = meter.f64_histogram("wide").with_boundaries(BOUNDS.to_vec()).build();
    let timed = histogram.clone();
    let gauge = meter.f64_gauge("depth").build();
    let (literal, by_enum) = (meter.u64_counter("literal").build(), meter.u64_counter("enum").build());
    let dynamic = meter.u64_counter("dynamic").build();
    let texts = strings();
    let labels = |i: u32| {
        let [method, status] = LITERALS[i as usize % 4];
        [KeyValue::new("method", method), KeyValue::new("status", status)]
    };
    vec![
        case("counter", OTEL, move |_| counter.add(1, &[])),
        case("histogram", OTEL, move |i| histogram.record(values[i as usize % 1024], &[])),
        case("two static str labels", OTEL, move |i| literal.add(1, &labels(i))),
        case("two str labels", OTEL, move |i| {
            let [method, route] = &texts[i as usize % 4];
            dynamic.add(1, &[KeyValue::new("method", method.clone()), KeyValue::new("route", route.clone())]);
        }),
        case("enum family", OTEL, move |i| by_enum.add(1, &labels(i))),
        case("timer", OTEL, move |_| {
            let start = std::time::Instant::now();
            timed.record(start.elapsed().as_secs_f64(), &[]);
        }),
        case("gauge set", OTEL, move |i| gauge.record(f64::from(i), &[])),
    ]
}

/// Makes 10,000 series of a histogram; the function records into the one of a number.
pub fn histogram_vector() -> impl Fn(usize, f64) + Sync {
    let options = HistogramOpts::new("memory_seconds", "Values.").buckets(BOUNDS.to_vec());
    let vector = HistogramVec::new(options, &["series"]).expect("names");
    move |series, value| vector.with_label_values(&[series.to_string()]).observe(value)
}
