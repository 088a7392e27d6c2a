//! Records by name are stored as what they are, and a program does the same with a server as with its own registry.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use crate::support::{Running, now_ms, start_quiet};
use barograph::{
    Registry, Timestamp,
    export::{Address, Exporter, OtlpSettings, PushSettings},
    exposition::Format,
    record::{MetricRecord, RecordKind},
    sampling::{Random, SamplingInfo, Strategy},
    scope::{self, Attributes},
    statistics::{
        Local, MetricQuery, RetentionPolicy, StatisticsConsumer, StatisticsLifecycle, StatisticsProvider,
        remote::{Remote, RemoteSettings},
    },
};
use hyper::Method;

async fn post(running: &Running, body: &str, key: &str) -> crate::support::Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    running.call(Method::POST, "/api/barograph/v1/record", &headers, body.as_bytes()).await
}

/// The value of an expression with one series.
async fn value(running: &Running, expression: &str) -> String {
    let expression: String = expression.bytes().map(|b| format!("%{b:02X}")).collect();
    let data = running.data(&format!("/api/v1/query?query={expression}")).await;
    data["result"][0]["value"][1].as_str().unwrap_or("nothing").to_owned()
}

#[tokio::test]
async fn what_is_good_is_stored_and_the_rest_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let past = now_ms() - 60_000;
    let body = format!(
        r#"[{{"name":"jobs.done","type":"counter","value":2,"attributes":{{"flowId":"F1"}}}},
            {{"name":"jobs.done","type":"counter","value":-2}},
            {{"name":"job.duration","type":"timer","value":1500,"component":"importer"}},
            {{"name":"depth","type":"gauge","value":7,"timestamp":{past}}},
            {{"name":"depth","type":"gauge","value":7,"unit":"bytes"}},
            {{"name":"jobs.done","type":"counter","value":3,"attributes":{{"flowId":"F1"}}}},
            {{"type":"gauge"}}]"#
    );
    // Sent again, as after an answer that was lost, it counts once.
    for _ in 0..2 {
        let reply = post(&running, &body, "one").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let reply = reply.json();
        assert_eq!((&reply["accepted"], &reply["rejected"]), (&4.into(), &3.into()));
        let reasons: Vec<_> = reply["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (e["index"].clone(), e["reason"].clone()))
            .collect();
        assert_eq!(
            reasons,
            [(1.into(), "negative".into()), (4.into(), "conflict".into()), (6.into(), "unreadable".into())]
        );
    }
    assert_eq!(value(&running, r#"jobs_done_total{flowId="F1"}"#).await, "5");
    assert!(!value(&running, "increase(jobs_done_total[1m]) > 0").await.is_empty());
    assert_eq!(
        value(&running, r#"histogram_sum(job_duration_seconds{componentId="importer"})"#).await,
        "1.5"
    );
    assert_eq!(value(&running, &format!("depth @ {}", past as f64 / 1e3)).await, "7");
    assert_eq!(value(&running, &format!("depth @ {}", past as f64 / 1e3 - 1.0)).await, "nothing");
    let known = running.data("/api/v1/metadata?metric=job_duration_seconds").await;
    let metric = &known["job_duration_seconds"][0];
    assert_eq!((&metric["type"], &metric["unit"]), (&"histogram".into(), &"seconds".into()));
    let all_wrong = post(&running, r#"{"name":"x","type":"counter","value":-1}"#, "two").await;
    assert_eq!((all_wrong.status.as_u16(), &all_wrong.json()["accepted"]), (400, &0.into()));
    assert_eq!(post(&running, "no json", "three").await.status, 400);
    running.server.stop().await;
}

/// What a program records; it does not know where to.
fn program(provider: &dyn StatisticsProvider, lifecycle: &dyn StatisticsLifecycle) {
    lifecycle.begin_scope("import", [("flowId", "F1")].into());
    let attributes = Attributes::from([("stepId", "parse")]);
    provider.record_counter("rows.read", 40, &attributes).expect("recorded");
    provider.record_counter("rows.read", 2, &attributes).expect("recorded");
    assert!(provider.record_counter("rows.read", -1, &attributes).is_err());
    provider.record_gauge("branches.active", 3.0, &attributes).expect("recorded");
    provider.record_histogram("row.size", 100.0, &attributes).expect("recorded");
    provider.record_timer("step.duration", 250.0, &attributes).expect("recorded");
    provider.record_meter("events.seen", 5, &attributes).expect("recorded");
    lifecycle.start_timer("step.duration", attributes).stop();
    lifecycle.end_scope(vec![("rows".into(), 42.0.into())]);
    let results = provider.batch_record(vec![
        MetricRecord::new(RecordKind::Counter, "files", 1.0).component("importer"),
        MetricRecord::new(RecordKind::Counter, "files", -1.0),
    ]);
    assert!(results[0].is_ok() && results[1].is_err());
    assert!(scope::current().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_program_with_a_registry_and_with_a_server() {
    let local = Local::new(&Registry::new());
    program(&local, &local);
    let text = local.registry().expose(Format::Text004);
    let labels = r#"{flowId="F1",stepId="parse"}"#;
    for line in [
        format!("rows_read_total{labels} 42"),
        format!("branches_active{labels} 3"),
        format!("row_size_sum{labels} 100"),
        format!("step_duration_seconds_count{labels} 2"),
        format!("events_seen_total{labels} 5"),
        r#"files_total{componentId="importer"} 1"#.to_owned(),
        r#"scope_result_sum{flowId="F1",result="rows",scope="import"} 42"#.to_owned(),
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }

    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let address = Address::parse(&running.server.address().unwrap().to_string()).unwrap();
    let remote = Remote::start(RemoteSettings::new(address));
    let (told, updates) = mpsc::channel();
    let asked = remote.clone();
    let handle = tokio::task::spawn_blocking(move || {
        let handler = Box::new(move |update: &barograph::statistics::Update| _ = told.send(update.clone()));
        asked.subscribe("rows.read", handler)
    });
    let handle = handle.await.unwrap().unwrap();
    assert_eq!(remote.subscribers(), 1);
    // The stream is to be there before the first sample.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let recording = remote.clone();
    tokio::task::spawn_blocking(move || program(&recording, &recording)).await.unwrap();
    let update = tokio::task::spawn_blocking(move || {
        let mut last = updates.recv_timeout(Duration::from_secs(20)).unwrap();
        while last.value != 42.0 {
            last = updates.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        (last, updates)
    });
    let (update, updates) = update.await.unwrap();
    assert_eq!((update.metric.as_str(), update.labels.get("flowId")), ("rows.read", Some("F1")));
    assert_eq!(value(&running, "rows_read_total").await, "42");
    assert_eq!(value(&running, "branches_active").await, "3");
    assert_eq!(value(&running, "histogram_sum(row_size)").await, "100");
    assert_eq!(value(&running, "histogram_count(step_duration_seconds)").await, "2");
    assert_eq!(value(&running, "events_seen_total").await, "5");
    assert_eq!(value(&running, r#"files_total{componentId="importer"}"#).await, "1");
    assert_eq!(value(&running, "histogram_sum(scope_result)").await, "42");

    let asked = remote.clone();
    tokio::task::spawn_blocking(move || {
        asked.unsubscribe(handle);
        assert_eq!(asked.subscribers(), 0);
        assert!(updates.try_recv().is_err() || updates.recv_timeout(Duration::from_secs(2)).is_err());
        let consumer: Arc<dyn StatisticsConsumer> = Arc::new(asked.clone());
        let result = consumer.query(&MetricQuery::now("rows_read_total * 2")).unwrap();
        assert_eq!(result.series[0].points[0].1, 84.0);
        let latest = consumer.latest("branches.active").unwrap();
        assert_eq!(latest.series[0].points.last().unwrap().1, 3.0);
        assert!(consumer.query(&MetricQuery::now("no (expression")).is_err());
        let metrics = consumer.available_metrics().unwrap();
        let counter = barograph::MetricType::Counter;
        assert!(metrics.iter().any(|metric| metric.name == "rows_read_total" && metric.kind == counter));
        let range =
            consumer.time_range("branches.active", Timestamp(now_ms() - 60_000), Timestamp(now_ms() + 1_000));
        assert_eq!(range.unwrap().series[0].points.last().unwrap().1, 3.0);
        assert!(consumer.configured_alerts().unwrap().is_empty());
        let policy = RetentionPolicy { raw: Some(Duration::from_secs(7_200)), ..Default::default() };
        asked.set_retention_policy("rows_read_total", policy).unwrap();
        asked.configure_aggregation("rows_read_total", Default::default()).unwrap();
        assert!(asked.shutdown(Duration::from_secs(5)));
        assert!(asked.record_gauge("late", 1.0, &Attributes::new()).is_err());
    })
    .await
    .unwrap();
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_is_pushed_with_all_that_came_before() {
    let registry = Registry::new();
    registry.counter("sold").register().unwrap().add(3);
    let latency = registry.histogram("latency").unit(barograph::Unit::Seconds).register().unwrap();
    [0.1, 0.2, 0.4].into_iter().for_each(|seconds| latency.record(seconds));
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let address = Address::parse(&running.server.address().unwrap().to_string()).unwrap();
    let exporter = Exporter::push(&registry, PushSettings::new(address, "shop"));
    let ended =
        tokio::task::spawn_blocking(move || (exporter.shutdown(Duration::from_secs(10)), exporter.problem()));
    assert_eq!(ended.await.unwrap(), (true, None));
    assert_eq!(value(&running, r#"sold_total{job="shop"}"#).await, "3");
    assert_eq!(value(&running, "histogram_count(latency_seconds)").await, "3");
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_blocks_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    drop(listener);
    let settings = RemoteSettings { queue_max: 10, ..RemoteSettings::new(address.clone()) };
    let remote = Remote::start(settings);
    for _ in 0..100 {
        remote.record_gauge("depth", 1.0, &Attributes::new()).unwrap();
    }
    let exporter = Exporter::otlp(&Registry::new(), OtlpSettings::new(address, "shop"));
    let ended = tokio::task::spawn_blocking(move || {
        let began = Duration::from_millis(300);
        (remote.shutdown(began), exporter.shutdown(began))
    });
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap();
    assert_eq!(ended, (false, false));
}

#[tokio::test]
async fn sampled_records_count_for_all_and_say_how_they_were_sampled() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let now = now_ms();
    let (mut random, mut records, mut took) = (Random::new(7), Vec::new(), 0.0);
    for order in 0..20_000 {
        let milliseconds = f64::from(order % 100);
        took += milliseconds / 1e3;
        if random.unit() < 0.1 {
            for (name, kind, value) in
                [("orders", RecordKind::Counter, 1.0), ("order.time", RecordKind::Timer, milliseconds)]
            {
                let record = MetricRecord::new(kind, name, value).attributes([("flowId", "F1")]);
                let sampling = SamplingInfo::kept(Strategy::AdaptiveRate, 0.1);
                let record = record.sampled(sampling).at(Timestamp(now - 20_000 + i64::from(order)));
                let mut text = String::new();
                record.write_json(&mut text);
                records.push(text);
            }
        }
    }
    for (key, batch) in records.chunks(1_000).enumerate() {
        let reply = post(&running, &format!("[{}]", batch.join(",")), &key.to_string()).await;
        assert_eq!(reply.json()["rejected"], 0, "{}", reply.text);
    }
    let plain = r#"{"name":"orders","type":"counter","value":1,"attributes":{"flowId":"F2"}}"#;
    assert_eq!(post(&running, plain, "plain").await.status, 200);

    let near = async |expression: &str, expected: f64| {
        let found: f64 = value(&running, expression).await.parse().unwrap();
        assert!((found / expected - 1.0).abs() < 0.05, "{expression}: {found}, not {expected}");
    };
    near(r#"orders_total{flowId="F1"}"#, 20_000.0).await;
    near("histogram_count(order_time_seconds)", 20_000.0).await;
    near("histogram_sum(order_time_seconds)", took).await;
    assert_eq!(
        value(&running, r#"orders_total_sampling_rate{sampling_strategy="adaptive_rate"}"#).await,
        "0.1"
    );

    let points = running.get("/api/barograph/v1/metrics/orders/latest").await.json();
    let point = |flow: &str| {
        let points = points["points"].as_array().unwrap();
        points.iter().find(|point| point["labels"]["flowId"] == flow).unwrap().clone()
    };
    let expected = serde_json::json!({"strategy": "adaptive_rate", "rate": 0.1});
    assert_eq!(point("F1")["sampling"], expected, "{points}");
    assert_eq!(point("F2").get("sampling"), None, "{points}");
    running.server.stop().await;
}
