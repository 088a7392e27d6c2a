//! Where nothing can be taken now, whoever sends OTLP is told so in its own form, and when to come again: by HTTP with a status
//! that says so, `Retry-After` and a `google.rpc.Status` in the encoding of the request, by gRPC with `RetryInfo`.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use barograph_disk::{Disk, Fault, MemoryDisk};
use barograph_server::{OtlpPort, OtlpPorts, Server, Settings};
use barograph_wire::otlp::json::metrics_to_protobuf;
use hyper::Method;
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, transport::Endpoint};
use tonic_types::StatusExt;

use crate::{
    a_stalled_disk_holds_up_only_what_waits_for_it::{Gate, Stalling},
    support::{Running, configured, now_ms, running, settings},
};

const PATIENCE: Duration = Duration::from_secs(60);
const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const QUIET: &str = "collectors: {built_in: false}\n";

/// A server that takes OTLP on ports of its own.
async fn start(dir: &Path, disk: Option<Arc<dyn Disk>>, config: &str, memory: Option<u64>) -> Running {
    let any = OtlpPort::At(SocketAddr::from(([127, 0, 0, 1], 0)));
    let settings = settings(dir, "127.0.0.1:0", configured(&format!("{QUIET}{config}")));
    let settings = Settings { otlp: OtlpPorts { grpc: any, http: any }, memory, ..settings };
    let server = match disk {
        Some(disk) => Server::start_on(settings, disk).await,
        None => Server::start(settings).await,
    };
    running(server.unwrap())
}

/// A gauge, as JSON.
fn gauge(name: &str) -> String {
    let at = now_ms();
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"{name}","gauge":{{"dataPoints":[{{"timeUnixNano":"{at}000000","asDouble":1}}]}}}}]}}]}}]}}"#
    )
}

/// Sends a gauge by gRPC.
async fn export(running: &Running, name: &str) -> Result<(), Status> {
    let [address, _] = running.server.otlp_addresses().map(Option::unwrap);
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut raw = tonic::client::Grpc::new(channel);
    raw.ready().await.unwrap();
    // One field of bytes with the number 1, as that of resources is.
    let resource = Vec::<u8>::decode(&*metrics_to_protobuf(gauge(name).as_bytes()).unwrap()).unwrap();
    let codec = tonic_prost::ProstCodec::<Vec<u8>, Vec<u8>>::default();
    let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export".parse().unwrap();
    raw.unary(tonic::Request::new(resource), path, codec).await.map(drop)
}

/// Every way is refused with `http` and `code`, and told when to come again.
async fn all_are_told(running: &Running, http: u16, code: Code) {
    let [_, port] = running.server.otlp_addresses().map(Option::unwrap);
    let json = gauge("refused");
    for (kind, body) in
        [(JSON, json.clone().into_bytes()), (PROTOBUF, metrics_to_protobuf(json.as_bytes()).unwrap())]
    {
        let reply = running.call_at(port, Method::POST, "/v1/metrics", &[kind], &body).await;
        assert_eq!((reply.status.as_u16(), reply.headers["content-type"].to_str().unwrap()), (http, kind.1));
        let after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(after >= 1, "{after}");
        match kind == JSON {
            true => assert_eq!(reply.json()["code"], code as i32, "{}", reply.text),
            false => assert_eq!(reply.text.as_bytes()[..2], [8, u8::try_from(code as i32).unwrap()]),
        }
    }
    let status = export(running, "refused").await.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(after.is_some_and(|after| after > Duration::ZERO), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_too_often() {
    let dir = tempfile::tempdir().unwrap();
    let limit = "rate_limit: {write: {per_address: {requests_per_second: 0.001, burst: 2}}}\n";
    let running = start(dir.path(), None, limit, None).await;
    export(&running, "first").await.unwrap();
    let reply = running.call(Method::POST, "/v1/metrics", &[JSON], gauge("second").as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    all_are_told(&running, 429, Code::ResourceExhausted).await;
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_while_memory_is_short() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), None, "", Some(256 << 20)).await;
    // What is resident counts, whoever holds it.
    let ballast = std::hint::black_box(vec![1u8; 300 << 20]);
    let short = async {
        while !running.get("/metrics").await.text.contains("barograph_memory_shedding{step=\"ingest\"} 1") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, short).await.unwrap();
    all_are_told(&running, 429, Code::ResourceExhausted).await;
    drop(ballast);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_while_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let disk = MemoryDisk::new();
    let running = start(dir.path(), Some(Arc::new(disk.clone())), "", None).await;
    export(&running, "first").await.unwrap();
    disk.fail(0, u64::MAX, Fault::Full);
    all_are_told(&running, 503, Code::Unavailable).await;
    disk.heal();
    let again = async {
        while export(&running, "again").await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_while_all_places_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let disk = Stalling { disk: MemoryDisk::new(), gate: gate.clone() };
    let config = "admission: {ingest: {min: 1, max: 1, queue: 0}}\n";
    let running = Arc::new(start(dir.path(), Some(Arc::new(disk)), config, None).await);
    export(&running, "first").await.unwrap();
    let closed = gate.close();
    let waiting = tokio::spawn({
        let running = running.clone();
        async move { export(&running, "waits").await }
    });
    let taken = async {
        while !running
            .get("/metrics")
            .await
            .text
            .contains("barograph_admission_in_flight{class=\"ingest\"} 1")
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, taken).await.unwrap();
    all_are_told(&running, 429, Code::ResourceExhausted).await;
    drop(closed);
    timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    Arc::into_inner(running).unwrap().server.stop().await;
}
