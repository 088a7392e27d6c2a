//! Requests of OpenTelemetry, as protobuf and as JSON.

use barograph_wire::otlp::{
    json,
    metrics::{DeltaLimits, Deltas, Limits, Settings, translate},
    trace,
};

use crate::{Shape, Target};

pub(super) const OTLP_METRICS: Target =
    Target { name: "otlp_metrics", run: run_metrics, seeds: || seeds(METRICS, json::metrics_to_protobuf) };

pub(super) const OTLP_TRACES: Target =
    Target { name: "otlp_traces", run: run_traces, seeds: || seeds(TRACES, json::traces_to_protobuf) };

const LIMITS: Limits = Limits { samples: 100_000, label_bytes: 16 << 20 };

const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}},
{"key":"x.y","value":{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}}}]},
"scopeMetrics":[{"scope":{"name":"s"},"metrics":[
{"name":"g","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asDouble":1.5}]}},
{"name":"s","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1000000","asInt":"2"}]}},
{"name":"h","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":"3","sum":1,"bucketCounts":["1","2"],
"explicitBounds":[0.5],"exemplars":[{"asDouble":0.1,"traceId":"01"}]}]}},
{"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","scale":1,
"positive":{"offset":-1,"bucketCounts":["1","2"]}}]}},
{"name":"q","summary":{"dataPoints":[{"count":"1","quantileValues":[{"quantile":0.5,"value":1}]}]}}]}]}]}"#;

const TRACES: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10",
"spanId":"0102030405060708","name":"a","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2","status":{"code":2},
"attributes":[{"key":"k","value":{"boolValue":true}}],"events":[{"name":"e"}],"links":[{"traceId":"01"}]}]}]}]}"#;

/// A request as JSON, and the same as protobuf.
fn seeds(text: &str, to_protobuf: fn(&[u8]) -> Result<Vec<u8>, json::NotJson>) -> Vec<Vec<u8>> {
    vec![text.as_bytes().to_vec(), to_protobuf(text.as_bytes()).expect("it is a request")]
}

fn run_metrics(input: &[u8], shape: &mut Shape) {
    match json::metrics_to_protobuf(input) {
        Ok(bytes) => read_metrics(&bytes, shape),
        Err(error) => shape.message(error),
    }
    read_metrics(input, shape);
}

fn read_metrics(bytes: &[u8], shape: &mut Shape) {
    for custom_bounds in [false, true] {
        let settings = Settings { custom_bounds, scope_labels: true, ..Settings::default() };
        let mut translated = match translate(bytes, &settings, LIMITS) {
            Ok(translated) => translated,
            Err(error) => return shape.message(error),
        };
        let mut deltas = Deltas::new(DeltaLimits { bytes: 10_000, expiry_ms: 1000 });
        translated.accumulate(&mut deltas, 0);
        shape.size(translated.samples.len());
        shape.size(translated.histograms.len());
        shape.size(translated.exemplars.len());
        shape.size(translated.refused());
        shape.message(translated.reasons());
        shape.size(translated.samples.iter().map(|sample| translated.labels_of(sample).len()).sum());
    }
}

fn run_traces(input: &[u8], shape: &mut Shape) {
    match json::traces_to_protobuf(input) {
        Ok(bytes) => read_traces(&bytes, shape),
        Err(error) => shape.message(error),
    }
    read_traces(input, shape);
}

fn read_traces(bytes: &[u8], shape: &mut Shape) {
    let mut spans = 0;
    match trace::walk(bytes, |_, _| spans += 1) {
        Ok(()) => shape.size(spans),
        Err(error) => shape.message(error),
    }
    match trace::without(bytes, |place| place % 2 == 0) {
        Ok(rest) => shape.size(rest.len()),
        Err(error) => shape.message(error),
    }
}
