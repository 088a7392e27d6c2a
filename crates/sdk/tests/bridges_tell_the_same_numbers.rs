//! What is instrumented with other crates is in our exposition with the same numbers.

use std::{borrow::Cow, thread};

use barograph::{
    Registry,
    bridge::{Reader, Recorder, SpanLayer},
    exposition::Format,
    flow::Flows,
    sampling::ConsistentSampler,
    span::{Spans, Status, Value},
};
use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

#[track_caller]
fn check(registry: &Registry, lines: &[&str]) {
    let text = registry.expose(Format::Text004);
    for line in lines {
        assert!(text.lines().any(|told| told == *line), "{line}\nin\n{text}");
    }
}

#[test]
fn metrics_arrive() {
    let registry = Registry::new();
    let recorder = Recorder::new(&registry);
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_counter!("jobs.done", "Jobs that were done.");
        (0..10).for_each(|i| {
            metrics::counter!("jobs.done", "queue" => if i < 3 { "mail" } else { "print" }).increment(2)
        });
        metrics::counter!("bytes_read_total").absolute(70);
        metrics::counter!("bytes_read_total").absolute(50);
        metrics::counter!("bytes_read_total").increment(1);
        let depth = metrics::gauge!("queue-depth", "queue name" => "a b");
        depth.set(5.0);
        depth.increment(2.5);
        depth.decrement(1.0);
        [0.003, 0.02, 0.7].iter().for_each(|seconds| metrics::histogram!("took").record(*seconds));
        metrics::histogram!("took").record_many(2.0, 3);
        // Refused, and told.
        metrics::gauge!("took").set(1.0);
        metrics::counter!("a", "__x" => "1").increment(1);
    });
    check(
        &registry,
        &[
            "# HELP jobs_done_total Jobs that were done.",
            "jobs_done_total{queue=\"mail\"} 6",
            "jobs_done_total{queue=\"print\"} 14",
            "bytes_read_total 71",
            "queue_depth{queue_name=\"a b\"} 6.5",
            "took_bucket{le=\"0.005\"} 1",
            "took_bucket{le=\"1\"} 3",
            "took_count 6",
            "took_sum 6.723",
            "barograph_sdk_registration_errors_total 2",
        ],
    );
}

#[test]
fn metrics_of_threads_add_up() {
    let registry = Registry::new();
    let recorder = Recorder::new(&registry);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                metrics::with_local_recorder(&recorder, || {
                    (0..1_000).for_each(|i| metrics::counter!("n", "k" => (i % 5).to_string()).increment(1));
                });
            });
        }
    });
    check(&registry, &["n_total{k=\"0\"} 800", "n_total{k=\"4\"} 800"]);
}

#[test]
fn opentelemetry_arrives() {
    let (reader, registry) = (Reader::default(), Registry::new());
    let exponential = |instrument: &Instrument| {
        let aggregation =
            Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 0, record_min_max: true };
        let is = instrument.name() == "sizes";
        is.then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
    };
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).with_view(exponential).build();
    registry.include(move || reader.families());
    let meter = provider.meter("shop");
    let orders = meter.u64_counter("orders").with_description("Orders taken.").build();
    (0..7).for_each(|i| orders.add(i, &[KeyValue::new("payment.kind", if i < 4 { "card" } else { "cash" })]));
    let paid = meter.f64_counter("paid").build();
    paid.add(0.5, &[]);
    let open = meter.i64_up_down_counter("carts.open").build();
    open.add(3, &[KeyValue::new("vip", true)]);
    open.add(-5, &[KeyValue::new("vip", true)]);
    meter.f64_gauge("fill").with_unit("1").build().record(0.25, &[]);
    let took = meter.f64_histogram("http.server.request.duration").with_unit("s").build();
    [0.0001, 3.0, 7.0, 800.0, 20_000.0].iter().for_each(|seconds| took.record(*seconds, &[]));
    let sizes = meter.f64_histogram("sizes").with_unit("By").build();
    [0.0, 1.5, 3.0, 3.5, 100.0].iter().for_each(|size| sizes.record(*size, &[]));
    let _seen = meter.u64_observable_counter("seen").with_callback(|o| o.observe(41, &[])).build();
    provider.meter("other").u64_counter("orders").build().add(1, &[]);
    // Ours goes first where names are the same.
    registry.gauge("fill_ratio").register().unwrap().set(9.0);
    check(
        &registry,
        &[
            "# HELP orders_total Orders taken.",
            "orders_total{otel_scope_name=\"shop\",payment_kind=\"card\"} 6",
            "orders_total{otel_scope_name=\"shop\",payment_kind=\"cash\"} 15",
            "orders_total{otel_scope_name=\"other\"} 1",
            "paid_total{otel_scope_name=\"shop\"} 0.5",
            "carts_open{otel_scope_name=\"shop\",vip=\"true\"} -2",
            "fill_ratio 9",
            "http_server_request_duration_seconds_bucket{le=\"5\",otel_scope_name=\"shop\"} 2",
            "http_server_request_duration_seconds_bucket{le=\"+Inf\",otel_scope_name=\"shop\"} 5",
            "http_server_request_duration_seconds_sum{otel_scope_name=\"shop\"} 20810.0001",
            "http_server_request_duration_seconds_count{otel_scope_name=\"shop\"} 5",
            "sizes_bytes_bucket{le=\"0\",otel_scope_name=\"shop\"} 1",
            "sizes_bytes_bucket{le=\"2\",otel_scope_name=\"shop\"} 2",
            "sizes_bytes_bucket{le=\"4\",otel_scope_name=\"shop\"} 4",
            "sizes_bytes_bucket{le=\"128\",otel_scope_name=\"shop\"} 5",
            "sizes_bytes_sum{otel_scope_name=\"shop\"} 108",
            "seen_total{otel_scope_name=\"shop\"} 41",
        ],
    );
    orders.add(1, &[KeyValue::new("payment.kind", "card")]);
    check(&registry, &["orders_total{otel_scope_name=\"shop\",payment_kind=\"card\"} 7"]);
    provider.shutdown().unwrap();
    assert!(!registry.expose(Format::Text004).contains("otel_scope_name"));
}

#[tracing::instrument(fields(found))]
async fn look_up(key: u64) -> Option<&'static str> {
    tokio::task::yield_now().await;
    tracing::Span::current().record("found", false);
    tracing::error!(code = 404, "no such key");
    None
}

#[tokio::test]
async fn tracing_arrives() {
    let (registry, spans) = (Registry::new(), Spans::default());
    let layer = SpanLayer::new(&registry, &spans).unwrap().durations().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    let flows = Flows::register(&registry, &spans).unwrap();
    let step = flows.begin("F").step("s");
    let work = async {
        let answers = (look_up(1).await, look_up(2).await);
        tracing::info!("outside of any span");
        tracing::info_span!(parent: None, "alone", name = %Cow::Borrowed("x"), ratio = 0.5).in_scope(|| {
            tracing::warn!("inside");
        });
        answers
    };
    assert_eq!(step.future(work).with_subscriber(subscriber).await, (None, None));
    let step_span = step.context().span().unwrap().clone();
    step.finish();
    check(
        &registry,
        &[
            "tracing_events_total{level=\"error\"} 2",
            "tracing_events_total{level=\"info\"} 1",
            "tracing_events_total{level=\"warn\"} 1",
            "tracing_span_duration_seconds_count{span=\"look_up\"} 2",
        ],
    );
    let spans = spans.drain();
    let looked: Vec<_> = spans.iter().filter(|span| span.name == "look_up").collect();
    for (span, key) in looked.iter().zip(1_u64..) {
        assert_eq!((span.parent, span.context.trace), (Some(step_span.span), step_span.trace));
        assert_eq!(span.attributes.get("key"), Some(&Value::from(key)));
        assert_eq!(span.attributes.get("found"), Some(&Value::Bool(false)));
        assert_eq!(span.status, Status::Error("no such key".to_owned()));
        assert_eq!(span.events[0].attributes.get("code"), Some(&Value::Int(404)));
    }
    assert_eq!(looked.len(), 2);
    let alone = spans.iter().find(|span| span.name == "alone").unwrap();
    assert_eq!((alone.parent, alone.events.len()), (None, 1));
    assert_eq!(alone.attributes.get("name"), Some(&Value::from("x")));
}

#[test]
fn traces_that_are_not_kept_are_measured() {
    let (registry, spans) = (Registry::new(), Spans::default());
    let layer = SpanLayer::new(&registry, &spans).unwrap().durations().unwrap();
    let layer = layer.sampled(ConsistentSampler::new(1e-12).unwrap());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        (0..50).for_each(|i| tracing::info_span!("work", i).in_scope(|| tracing::debug!("done")));
    });
    check(
        &registry,
        &[
            "tracing_span_duration_seconds_count{span=\"work\"} 50",
            "tracing_events_total{level=\"debug\"} 50",
        ],
    );
    assert_eq!(spans.recorded(), 0);
}
