//! What applications send by OTLP can be asked: over HTTP and gRPC, as protobuf and JSON, on the main ports and those that
//! OTLP has; what is refused is told in the encoding of the request, and loses nothing good.

use std::{io::Write, net::SocketAddr};

use barograph_server::{OtlpPort, OtlpPorts};
use barograph_wire::otlp::json::{metrics_to_protobuf, traces_to_protobuf};
use hyper::Method;
use serde_json::json;

use crate::support::{Running, configured, now_ms, sent_to, start_otlp, start_quiet, start_with_grpc};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

fn metrics(metrics: &str) -> String {
    let attribute =
        |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let resource = [attribute("service.name", "shop"), attribute("cloud.region", "eu")].join(",");
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#
    )
}

fn gauge(name: &str, at_ms: i64, value: f64) -> String {
    format!(
        r#"{{"name":"{name}","gauge":{{"dataPoints":[{{"timeUnixNano":"{at_ms}000000","asDouble":{value}}}]}}}}"#
    )
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), body].concat()
}

async fn value(running: &Running, query: &str, at_ms: i64) -> Option<f64> {
    let escaped: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let path = format!("/api/v1/query?time={}&query={escaped}", at_ms as f64 / 1e3);
    let found = running.data(&path).await;
    let result = found["result"].as_array().unwrap();
    assert!(result.len() < 2, "{query}: {found}");
    result.first().map(|series| series["value"][1].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn metrics_come_by_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let ports = OtlpPorts { grpc: any(), http: any() };
    let running = start_otlp(dir.path(), ports, configured("collectors: {built_in: false}\n")).await;
    let t = now_ms();
    let post = async |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let reply = running.call(Method::POST, path, headers, body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.headers["content-type"], headers[0].1);
        reply.text
    };
    let body = |name: &str, value| metrics(&gauge(name, t, value));
    let protobuf = |name: &str, value| metrics_to_protobuf(body(name, value).as_bytes()).unwrap();
    assert_eq!(post("/v1/metrics", &[JSON], body("by.json", 1.0).as_bytes()).await, "{}");
    assert_eq!(post("/v1/metrics", &[PROTOBUF], &protobuf("by.protobuf", 2.0)).await, "");
    let packed = gzip(&protobuf("by.gzip", 3.0));
    post("/api/v1/otlp/v1/metrics", &[PROTOBUF, ("content-encoding", "gzip")], &packed).await;
    let packed = zstd::stream::encode_all(&protobuf("by.zstd", 4.0)[..], 1).unwrap();
    post("/v1/metrics", &[PROTOBUF, ("content-encoding", "zstd")], &packed).await;

    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let [grpc, http] = running.server.otlp_addresses().map(Option::unwrap);
    let main = running.server.grpc_address().unwrap();
    assert_eq!(sent_to(main, METRICS, &headers, framed(&protobuf("by.grpc", 5.0))).await, (200, Some(0)));
    assert_eq!(sent_to(grpc, METRICS, &headers, framed(&protobuf("by.port", 6.0))).await, (200, Some(0)));
    let packed = gzip(&protobuf("by.packed", 7.0));
    let mut frame = framed(&packed);
    frame[0] = 1;
    let with = [headers[0], headers[1], ("grpc-encoding", "gzip")];
    assert_eq!(sent_to(grpc, METRICS, &with, frame).await, (200, Some(0)));
    assert_eq!(sent_to(grpc, "/barograph.v1.Query/Query", &headers, framed(b"")).await, (200, Some(12)));
    let body = body("by.4318", 8.0);
    let reply = running.call_at(http, Method::POST, "/v1/metrics", &[JSON], body.as_bytes()).await;
    assert_eq!(reply.status, 200);
    let other = running.call_at(http, Method::GET, "/api/v1/query?query=1", &[], b"").await;
    assert_eq!(other.status, 404, "this port takes OTLP alone");

    let names = ["json", "protobuf", "gzip", "zstd", "grpc", "port", "packed", "4318"];
    for (place, name) in names.into_iter().enumerate() {
        let found = value(&running, &format!("by_{name}{{job=\"shop\"}}"), t).await;
        assert_eq!(found, Some(place as f64 + 1.0), "{name}");
    }
    assert_eq!(value(&running, "target_info{job=\"shop\",cloud_region=\"eu\"}", t).await, Some(1.0));
    running.server.stop().await;
}

fn any() -> OtlpPort {
    OtlpPort::At(SocketAddr::from(([127, 0, 0, 1], 0)))
}

#[tokio::test]
async fn refusals_are_told_and_lose_nothing_good() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    let post = async |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        running.call(Method::POST, path, headers, body).await
    };
    // One point is an hour ahead, one metric has no name: the rest is stored.
    let mixed = [gauge("good", t, 1.0), gauge("ahead", t + 3_600_000, 1.0), gauge("...", t, 1.0)].join(",");
    let reply = post("/v1/metrics", &[JSON], metrics(&mixed).as_bytes()).await;
    assert_eq!(reply.status, 200);
    let partial = &reply.json()["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "2", "{partial}");
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.contains("no name that can be stored"), "{message}");
    assert_eq!(value(&running, "good", t).await, Some(1.0));

    let wrong = post("/v1/metrics", &[JSON], br#"{"resourceMetrics":[{"scopeMetrics":7}]}"#).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["code"]), (400, &json!(3)));
    let message = wrong.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`scopeMetrics` cannot be a number at line 1 column"), "{message}");
    let wrong = post("/v1/traces", &[PROTOBUF], b"\x0a\x05").await;
    assert_eq!((wrong.status.as_u16(), &wrong.text[..2]), (400, "\x08\x03"));
    assert!(wrong.text.contains("malformed protobuf at byte 1"), "{}", wrong.text);
    assert_eq!(wrong.headers["content-type"], "application/x-protobuf");
    let packed = post("/v1/metrics", &[PROTOBUF, ("content-encoding", "gzip")], b"no gzip").await;
    assert_eq!(packed.status, 400);
    assert_eq!(post("/v1/metrics", &[("content-type", "text/plain")], b"").await.status, 415);
    assert_eq!(post("/v1/metrics", &[PROTOBUF, ("content-encoding", "br")], b"").await.status, 415);
    assert_eq!(running.get("/v1/metrics").await.status, 405);
    let logs = post("/v1/logs", &[JSON], b"{}").await;
    assert_eq!((logs.status.as_u16(), &logs.json()["code"]), (501, &json!(12)));
    assert_eq!(post("/v1/metrics", &[PROTOBUF], b"").await.status, 200, "nothing is a request, too");
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("barograph_otlp_points_refused_total 2\n"), "{metrics}");
    running.server.stop().await;
}

#[tokio::test]
async fn deltas_become_totals_that_a_resent_request_does_not_raise() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    let send = async |at: i64, count: u64| {
        let body = metrics(&format!(
            r#"{{"name":"requests","sum":{{"aggregationTemporality":1,"isMonotonic":true,
                "dataPoints":[{{"timeUnixNano":"{at}000000","asInt":"{count}"}}]}}}},
            {{"name":"took","unit":"s","histogram":{{"aggregationTemporality":1,"dataPoints":[
                {{"timeUnixNano":"{at}000000","count":{count},"sum":0.5,"bucketCounts":[{count},0],"explicitBounds":[1]}}]}}}}"#
        ));
        let reply = running.call(Method::POST, "/v1/metrics", &[JSON], body.as_bytes()).await;
        assert_eq!((reply.status.as_u16(), &*reply.text), (200, "{}"));
    };
    send(t - 2000, 3).await;
    send(t - 1000, 4).await;
    send(t - 1000, 4).await;
    send(t, 5).await;
    assert_eq!(value(&running, "requests_total", t).await, Some(12.0));
    assert_eq!(value(&running, "took_seconds_count", t).await, Some(12.0));
    assert_eq!(value(&running, "took_seconds_bucket{le=\"1\"}", t).await, Some(12.0));
    assert_eq!(value(&running, "took_seconds_sum", t).await, Some(1.5));
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("barograph_otlp_delta_series 5\n"), "{metrics}");
    running.server.stop().await;
}

#[tokio::test]
async fn histograms_become_native_ones_and_names_stay_if_so_configured() {
    let dir = tempfile::tempdir().unwrap();
    let text = "collectors: {built_in: false}\notlp:\n  translation_strategy: NoTranslation\n  \
                convert_histograms_to_nhcb: true\n  promote_resource_attributes: [cloud.region]\n";
    let running = start_otlp(dir.path(), OtlpPorts::default(), configured(text)).await;
    let t = now_ms();
    let body = metrics(&format!(
        r#"{{"name":"a.took","unit":"s","histogram":{{"aggregationTemporality":2,"dataPoints":[
            {{"timeUnixNano":"{t}000000","count":3,"sum":4,"bucketCounts":[1,2],"explicitBounds":[1]}}]}}}},
        {{"name":"b.took","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[
            {{"timeUnixNano":"{t}000000","count":3,"sum":4,"scale":2,"positive":{{"offset":1,"bucketCounts":["1","2"]}}}}]}}}}"#
    ));
    let reply = running.call(Method::POST, "/v1/metrics", &[JSON], body.as_bytes()).await;
    assert_eq!((reply.status.as_u16(), &*reply.text), (200, "{}"));
    for name in ["a.took", "b.took"] {
        let count = format!("histogram_count({{\"{name}\",\"cloud.region\"=\"eu\",job=\"shop\"}})");
        assert_eq!(value(&running, &count, t).await, Some(3.0), "{name}");
    }
    running.server.stop().await;
}

#[tokio::test]
async fn spans_are_kept_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (running, _) = start_with_grpc(dir.path()).await;
    let span = |trace: &str| {
        format!(
            r#"{{"traceId":"{trace}","spanId":"0102030405060708","name":"GET /","kind":2,
            "startTimeUnixNano":"{0}000000","endTimeUnixNano":"{0}500000"}}"#,
            now_ms()
        )
    };
    let body = |spans: &[String]| {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
    };
    let good = "0102030405060708090a0b0c0d0e0f10";
    let reply = running.call(Method::POST, "/v1/traces", &[JSON], body(&[span(good)]).as_bytes()).await;
    assert_eq!((reply.status.as_u16(), &*reply.text), (200, "{}"));
    let mixed = body(&[span(good), span(&"0".repeat(32))]);
    let reply = running.call(Method::POST, "/v1/traces", &[JSON], mixed.as_bytes()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["partialSuccess"]["rejectedSpans"], "1", "{}", reply.text);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let protobuf = traces_to_protobuf(body(&[span(good)]).as_bytes()).unwrap();
    let grpc = running.server.grpc_address().unwrap();
    assert_eq!(sent_to(grpc, TRACES, &headers, framed(&protobuf)).await, (200, Some(0)));
    assert_eq!(sent_to(grpc, TRACES, &headers, framed(b"\x0a\x05")).await, (200, Some(3)));
    assert_eq!(sent_to(grpc, LOGS, &headers, framed(b"")).await, (200, Some(12)));
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("barograph_spans_received_total 3\n"), "{metrics}");
    running.server.stop().await;
}
