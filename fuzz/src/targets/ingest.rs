//! Spans and lines that others send, and spans as they lie on disk.

use barograph_trace::{Batch, TraceId, record};
use barograph_wire::{
    influx,
    otlp::trace,
    statsd::{self, Message},
    zipkin,
};

use crate::{Shape, Target};

pub(super) const OTLP_SPANS: Target = Target {
    name: "otlp_spans",
    run: |input, shape| {
        spans(input, shape);
        match trace::without(input, |place| place % 2 == 0) {
            Ok(half) => spans(&half, shape),
            Err(error) => shape.message(error.what),
        }
    },
    seeds: || vec![zipkin::convert(ZIPKIN).expect("it is a list of spans").request],
};

pub(super) const ZIPKIN_SPANS: Target = Target {
    name: "zipkin_spans",
    run: |input, shape| match zipkin::convert(input) {
        Ok(converted) => {
            shape.size(converted.spans);
            converted.faults.iter().take(3).for_each(|(_, why)| shape.message(why));
            spans(&converted.request, shape);
        }
        Err(error) => shape.message(error),
    },
    seeds: || vec![ZIPKIN.to_vec()],
};

pub(super) const SPAN_RECORD: Target = Target {
    name: "span_record",
    run: |input, shape| {
        for kind in [record::BATCH, record::OWNED] {
            match record::read(kind, input) {
                Some(payload) => {
                    shape.size(payload.keys().count());
                    shape.kind(payload.body().map(|body| body.len() > 64));
                }
                None => shape.kind(0),
            }
        }
    },
    seeds: || {
        let traces = vec![TraceId([1; 16]), TraceId([2; 16])];
        let batch = Batch { owner: "", body: ZIPKIN, traces, spans: 2, earliest: 1, latest: 2 };
        let owned = Batch { owner: "shop", ..batch.clone() };
        [batch, owned].iter().map(|batch| record::write(batch, 3).expect("it is small").0).collect()
    },
};

pub(super) const INFLUX: Target = Target {
    name: "influx",
    run: |input, shape| {
        for point in influx::read(input) {
            match point {
                Ok(point) => {
                    shape.size(point.tags.len());
                    shape.size(point.fields.len());
                    shape.kind(point.at.is_some());
                }
                Err(error) => shape.message(error.what),
            }
        }
    },
    seeds: || {
        vec![
            b"cpu,host=a\\ b,x=y load=1.5,up=t,n=3i,os=\"a, \\\"b\" 1700000000000000000\n# c\nm v=1\n"
                .to_vec(),
        ]
    },
};

pub(super) const STATSD: Target = Target {
    name: "statsd",
    run: |input, shape| {
        for line in input.split(|&byte| byte == b'\n') {
            match statsd::read(line) {
                Ok(Message::Metric(metric)) => {
                    shape.kind(metric.kind);
                    shape.size(metric.tags.len());
                    shape.size(metric.values().filter(Result::is_ok).count());
                }
                Ok(_) => shape.kind(0),
                Err(why) => shape.message(why),
            }
        }
    },
    seeds: || {
        vec![b"a.b:1:2|c|@0.5|#k:v,bare|c:in-1\ng:-3|g\nt:250|ms\ns:x|s\n_e{1,1}:a|b\n_sc|a|0".to_vec()]
    },
};

const ZIPKIN: &[u8] = br#"[{"traceId":"00000000000000010000000000000002","id":"0a","parentId":"0b","name":"get",
"kind":"CLIENT","timestamp":1000,"duration":5,"localEndpoint":{"serviceName":"shop","ipv4":"10.0.0.1","port":80},
"remoteEndpoint":{"serviceName":"bank"},"tags":{"error":"no"},"annotations":[{"timestamp":1,"value":"ws"}],"shared":true},
{"traceId":"1","id":"c","localEndpoint":{"serviceName":"bank"}}]"#;

fn spans(request: &[u8], shape: &mut Shape) {
    let mut count = 0;
    let walked = trace::walk(request, |resource, span| {
        count += 1;
        shape.kind((span.kind, span.status, span.fault()));
        shape.size(
            resource.iter().count() + span.attributes.iter().filter_map(|(_, value)| value.text()).count(),
        );
    });
    shape.size(count);
    if let Err(error) = walked {
        shape.message(error.what);
    }
}
