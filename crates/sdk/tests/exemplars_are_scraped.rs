//! A sampled recording is exposed with its trace, one a bucket for ten seconds.

use barograph::{
    Registry, Timestamp, Trace,
    exposition::{Dialect, Format, Item, parse},
};

fn trace(trace_id: u128, at: i64) -> Trace {
    Trace { trace_id, span_id: 0xabc, at: Timestamp(at) }
}

#[test]
fn by_counters_and_buckets() {
    let registry = Registry::new();
    let jobs = registry.counter("jobs").family(["queue"]).unwrap();
    let waits = registry.histogram("waits").bounds(&[0.1, 1.0]).register().unwrap();
    jobs.with(["mail"]).add_with_exemplar(2, trace(1, 1_000));
    jobs.with(["mail"]).add_with_exemplar(3, trace(2, 10_999));
    waits.record_with_exemplar(0.05, trace(3, 1_000));
    waits.record_with_exemplar(5.0, trace(4, 1_500));
    waits.record_with_exemplar(0.07, trace(5, 11_000));
    waits.record_with_exemplar(f64::NAN, trace(6, 50_000));
    waits.record(0.5);
    let text = registry.expose(Format::OpenMetrics100);
    let span = "span_id=\"0000000000000abc\"";
    for line in [
        format!("jobs_total{{queue=\"mail\"}} 5.0 # {{{span},trace_id=\"{:032x}\"}} 2.0 1.000\n", 1),
        format!("waits_bucket{{le=\"0.1\"}} 2 # {{{span},trace_id=\"{:032x}\"}} 0.07 11.000\n", 5),
        "waits_bucket{le=\"1.0\"} 3\n".to_owned(),
        format!("waits_bucket{{le=\"+Inf\"}} 4 # {{{span},trace_id=\"{:032x}\"}} 5.0 1.500\n", 4),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let read = parse(text.as_bytes(), Dialect::OpenMetrics).filter_map(|item| match item.unwrap() {
        Item::Sample(sample) => sample.exemplar.map(|exemplar| exemplar.value),
        _ => None,
    });
    assert_eq!(read.collect::<Vec<_>>(), [2.0, 0.07, 5.0]);
    assert!(!registry.expose(Format::Text004).contains("trace_id"));
}
