//! What is written by gRPC is durable and can be asked by HTTP and gRPC, with the same answers and the same errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use crate::support::{framed, now_ms, sent, start_with_grpc, start_with_grpc_configured};
use barograph_proto::v1::{
    AskRequest, BackupRequest, Distribution, FlushRequest, InfoRequest, InstantRequest, LatestRequest,
    ListBackupsRequest, ListMetricsRequest, MetricMetadata, QueryOptions, RangeRequest, Record,
    RecordRequest, Sample, StorageStatsRequest, TimeSeries, WriteRequest, admin_client::AdminClient,
    ingest_client::IngestClient, promql_response::Value, query_client::QueryClient, record,
};
use tonic::{Code, codec::CompressionEncoding, transport::Channel};

fn series(name: &str, host: &str, samples: &[(i64, f64)]) -> TimeSeries {
    let labels = [("__name__", name), ("host", host)];
    TimeSeries {
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        samples: samples.iter().map(|&(at_ms, value)| Sample { at_ms, value }).collect(),
    }
}

fn batch(series: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest { series, metadata: vec![] }
}

fn at(query: &str, at_ms: i64) -> InstantRequest {
    InstantRequest { query: query.to_owned(), at_ms: Some(at_ms), options: None }
}

async fn values(query: &mut QueryClient<Channel>, expression: &str, at_ms: i64) -> Vec<f64> {
    match query.instant(at(expression, at_ms)).await.unwrap().into_inner().value.unwrap() {
        Value::Vector(list) => list.series.iter().map(|series| series.samples[0].value).collect(),
        Value::Scalar(sample) => vec![sample.value],
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn grpc_answers_what_http_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let now = now_ms();
    let mut ingest = IngestClient::new(channel.clone());
    let mut query = QueryClient::new(channel.clone());

    // Samples.
    let metadata = MetricMetadata {
        name: "jobs".into(),
        r#type: "gauge".into(),
        unit: "jobs".into(),
        help: "Jobs.".into(),
    };
    let good = vec![
        series("jobs", "a", &[(now - 30_000, 1.0), (now - 15_000, 2.0), (now, 3.0)]),
        series("jobs", "b", &[(now, f64::INFINITY)]),
    ];
    let stored =
        ingest.write(WriteRequest { series: good, metadata: vec![metadata] }).await.unwrap().into_inner();
    assert_eq!((stored.stored, stored.rejected, stored.relaxed), (4, 0, false));
    let mixed =
        vec![series("jobs", "a", &[(now - 3_600_000_000, 1.0)]), series("jobs", "a", &[(now + 1, 4.0)])];
    let stored = ingest.write(batch(mixed)).await.unwrap().into_inner();
    assert_eq!((stored.stored, stored.rejected), (1, 1));
    assert_eq!((stored.refusals[0].index, stored.refusals[0].sample), (0, 0));
    let nameless =
        TimeSeries { labels: Default::default(), samples: vec![Sample { at_ms: now, value: 1.0 }] };
    let refused = ingest.write(batch(vec![nameless])).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");

    let batches = (1..=3).map(|n| batch(vec![series("streamed", "a", &[(now - 10_000 + n, n as f64)])]));
    let batches: Vec<_> = batches.collect();
    let mut answers = ingest.write_stream(futures_util::stream::iter(batches)).await.unwrap().into_inner();
    for _ in 0..3 {
        assert_eq!(answers.message().await.unwrap().unwrap().stored, 1);
    }
    assert!(answers.message().await.unwrap().is_none());

    // PromQL, as HTTP.
    assert_eq!(values(&mut query, "sum(jobs{host=\"a\"})", now).await, [3.0]);
    let by_http = running.data(&format!("/api/v1/query?query=jobs&time={}", now / 1000)).await;
    assert_eq!(by_http["result"].as_array().unwrap().len(), values(&mut query, "jobs", now).await.len());
    assert_eq!(values(&mut query, "1 + 1", now).await, [2.0]);
    let range = RangeRequest {
        query: "jobs{host=\"a\"}".into(),
        start_ms: now - 30_000,
        end_ms: now,
        step_ms: 15_000,
        options: Some(QueryOptions { tier: "raw".into(), ..Default::default() }),
    };
    let answer = query.range(range.clone()).await.unwrap().into_inner();
    assert_eq!((answer.tier.as_str(), answer.cache.is_empty()), ("raw", false));
    let Some(Value::Matrix(list)) = answer.value else { panic!("{answer:?}") };
    assert_eq!(list.series[0].samples.iter().map(|s| s.value).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    for (wrong, code) in [
        (RangeRequest { step_ms: 0, ..range.clone() }, Code::InvalidArgument),
        (RangeRequest { step_ms: 1, end_ms: now + 1_000_000, ..range.clone() }, Code::InvalidArgument),
        (RangeRequest { query: "jobs{".into(), ..range.clone() }, Code::InvalidArgument),
        (RangeRequest { query: "jobs + on () jobs".into(), ..range.clone() }, Code::FailedPrecondition),
    ] {
        assert_eq!(query.range(wrong.clone()).await.unwrap_err().code(), code, "{wrong:?}");
    }

    // Documents.
    let document = r#"{"names": "jobs", "function": "max", "start": "now-1h"}"#;
    let answer = query.ask(AskRequest { document_json: document.into() }).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 2);
    let whole: serde_json::Value = serde_json::from_str(&answer.document.unwrap().json).unwrap();
    assert_eq!(whole["results"].as_array().unwrap().len(), 2);
    let refused = query.ask(AskRequest { document_json: "{}".into() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);

    // Records.
    let number = |name: &str, kind: &str, value| Record {
        name: name.into(),
        r#type: kind.into(),
        value: Some(record::Value::Number(value)),
        ..Default::default()
    };
    let spread = Distribution {
        count: 2,
        sum: 3.0,
        buckets: vec![barograph_proto::v1::Bucket { bound: 2.0, count: 2 }],
        ..Default::default()
    };
    let spread =
        Record { value: Some(record::Value::Distribution(spread)), ..number("shop.wait", "histogram", 0.0) };
    let records = vec![number("shop.orders", "counter", 2.0), spread, number("shop.orders", "sum", 1.0)];
    let request = RecordRequest { records, idempotency_key: "once".into() };
    for _ in 0..2 {
        let answer = ingest.record(request.clone()).await.unwrap().into_inner();
        assert_eq!((answer.accepted, answer.rejected, answer.refusals[0].index), (2, 1, 2));
        assert_eq!(answer.refusals[0].reason, "unreadable");
    }
    assert_eq!(values(&mut query, "shop_orders_total", now_ms() + 1_000).await, [2.0]);
    assert_eq!(ingest.record(RecordRequest::default()).await.unwrap_err().code(), Code::InvalidArgument);

    // What there is.
    let listed = query
        .list_metrics(ListMetricsRequest { prefix: "jobs".into(), limit: 0 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (listed.count, listed.metrics[0].r#type.as_str(), listed.metrics[0].help.as_str()),
        (1, "gauge", "Jobs.")
    );
    let latest = LatestRequest { name: "jobs".into(), labels: [("host".to_owned(), "a".to_owned())].into() };
    let latest = query.latest(latest).await.unwrap().into_inner();
    assert_eq!(latest.series[0].samples, [Sample { at_ms: now + 1, value: 4.0 }]);
    let missing =
        query.latest(LatestRequest { name: "none".into(), ..Default::default() }).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);

    // The server itself.
    let mut admin = AdminClient::new(channel);
    let info = admin.info(InfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.version.as_str(), info.ready), (barograph_server::VERSION, true));
    assert!(admin.flush(FlushRequest {}).await.unwrap().into_inner().samples > 0);
    let order = BackupRequest { target: "nightly".into(), keep: 1 };
    let made = admin.backup(order).await.unwrap().into_inner();
    let listed =
        admin.list_backups(ListBackupsRequest { target: "nightly".into() }).await.unwrap().into_inner();
    assert_eq!(listed.backups, [made.backup.unwrap()]);
    let order = BackupRequest { target: "../out".into(), keep: 1 };
    assert_eq!(admin.backup(order).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(admin.storage_stats(StorageStatsRequest {}).await.unwrap().into_inner().json.starts_with('{'));
    running.server.stop().await;
}

#[tokio::test]
async fn messages_are_compressed_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let config = "collectors: {built_in: false}\nlimits: {body: 64KiB, samples_per_request: 1000}\n";
    let (running, channel) = start_with_grpc_configured(dir.path(), config).await;
    let now = now_ms();
    let plain = IngestClient::new(channel.clone());
    for (coding, name) in [(CompressionEncoding::Gzip, "by_gzip"), (CompressionEncoding::Zstd, "by_zstd")] {
        let mut ingest = plain.clone().send_compressed(coding).accept_compressed(coding);
        let reply = ingest.write(batch(vec![series(name, "a", &[(now, 1.0)])])).await.unwrap();
        assert_eq!(reply.metadata().get("grpc-encoding").unwrap(), name.trim_start_matches("by_"));
        assert_eq!(reply.into_inner().stored, 1);
        // Few bytes that become many are too many.
        let large = batch(vec![series(name, &"x".repeat(1 << 20), &[(now, 1.0)])]);
        assert_eq!(ingest.write(large).await.unwrap_err().code(), Code::ResourceExhausted);
    }
    let mut plain = plain;
    let large = batch(vec![series("large", &"x".repeat(1 << 20), &[(now, 1.0)])]);
    assert_eq!(plain.write(large).await.unwrap_err().code(), Code::ResourceExhausted);
    let many = series("many", "a", &(0..1_001).map(|n| (now - n, 0.0)).collect::<Vec<_>>());
    assert_eq!(plain.write(batch(vec![many])).await.unwrap_err().code(), Code::InvalidArgument);
    running.server.stop().await;
}

#[tokio::test]
async fn deadlines_stop_queries() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let mut query = QueryClient::new(channel);
    // Billions of steps of a subquery, which nobody waits for.
    let endless = "sum_over_time((sum_over_time(vector(1)[11000s:1s]))[11000s:1s])";
    let request = RangeRequest {
        query: endless.into(),
        start_ms: 0,
        end_ms: 10_000_000,
        step_ms: 1_000,
        options: None,
    };
    // Not by a client that looks at its own clock, too.
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "200m")];
    let outcome = sent(&running.server, "/barograph.v1.Query/Range", &headers, framed(&request)).await;
    assert_eq!(outcome, (200, Some(Code::DeadlineExceeded as i32)));
    let own = QueryOptions { timeout_ms: 100, ..Default::default() };
    let request = InstantRequest {
        query: format!("count_over_time(({endless})[11000s:1s])"),
        at_ms: None,
        options: Some(own),
    };
    assert_eq!(query.instant(request).await.unwrap_err().code(), Code::DeadlineExceeded);
    let over = async {
        while running.get("/api/barograph/v1/queries").await.json()["running"]
            .as_array()
            .is_none_or(|all| !all.is_empty())
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.expect("queries that nobody waits for stop");
    running.server.stop().await;
}
