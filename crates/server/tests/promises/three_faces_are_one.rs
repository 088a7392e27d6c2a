//! One program over the three faces of the statistics service sees the same with a server inside and with one elsewhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{fs, path::Path, sync::mpsc, time::Duration};

use crate::support::{now_ms, start};
use barograph::{
    Timestamp,
    export::Address,
    scope::Attributes,
    statistics::{
        AggregationPolicy, ConsumerError, Importance, MetricQuery, QueryResult, RetentionPolicy,
        StatisticsConsumer, StatisticsLifecycle, StatisticsProvider, Update,
        remote::{Remote, RemoteSettings},
    },
};
use barograph_server::{Barograph, config::Config};

const RULES: &str = "groups:
- name: watched
  interval: 100ms
  rules:
  - {alert: Deep, expr: 'max by (flowId) (queue_depth) > 2', labels: {severity: page}, annotations: {summary: 'It is {{ $value }}.'}}
  - {alert: Waiting, expr: 'queue_depth > 100', for: 1h}
";

fn config(folder: &Path) -> Config {
    fs::write(folder.join("rules.yml"), RULES).unwrap();
    Config::parse(
        "collectors: {built_in: false}\nrule_files: ['*.yml']\nready_rules: {enabled: false}\n",
        "b.yaml",
        folder,
        [],
    )
    .unwrap()
}

/// What one program may ask of another.
trait Faces: StatisticsProvider + StatisticsConsumer + StatisticsLifecycle {}
impl<T: StatisticsProvider + StatisticsConsumer + StatisticsLifecycle> Faces for T {}

/// Attributes without those that only an application's own series have.
fn own(labels: &Attributes) -> String {
    let pairs = labels.iter().filter(|(name, _)| !["job", "instance"].contains(name));
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

fn told(result: &QueryResult) -> Vec<String> {
    let one = |series: &barograph::statistics::SeriesResult| {
        let last = series.points.last().map(|(_, value)| *value);
        format!("{}{{{}}} {last:?}", series.name, own(&series.labels))
    };
    result.series.iter().map(one).collect()
}

/// Waits for an update that fits, and tells it.
fn until(updates: &mpsc::Receiver<Update>, fits: impl Fn(&Update) -> bool) -> String {
    loop {
        let update = updates.recv_timeout(Duration::from_secs(20)).unwrap();
        if fits(&update) {
            return format!("{} {} {}", update.metric, own(&update.labels), update.value);
        }
    }
}

/// Asks again until there is an answer.
fn asked(consumer: &dyn StatisticsConsumer, query: &MetricQuery) -> Vec<String> {
    for _ in 0..400 {
        let result = consumer.query(query).unwrap();
        if !result.series.is_empty() {
            return told(&result);
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("{query:?} has no answer");
}

fn program(
    provider: &dyn StatisticsProvider,
    consumer: &dyn StatisticsConsumer,
    lifecycle: &dyn StatisticsLifecycle,
) -> Vec<String> {
    let mut seen = Vec::new();
    let subscribe = |metric: &str| {
        let (tell, updates) = mpsc::channel();
        let handler = Box::new(move |update: &Update| _ = tell.send(update.clone()));
        (consumer.subscribe(metric, handler).unwrap(), updates)
    };
    let (rows, row_updates) = subscribe("rows.read");
    let (alerts, alert_updates) = subscribe("ALERTS");
    seen.push(format!("{} subscribers", consumer.subscribers()));

    lifecycle.begin_scope("import", [("flowId", "F1")].into());
    provider.record_counter("rows.read", 42, &Attributes::new()).unwrap();
    provider.record_gauge("queue.depth", 3.0, &Attributes::new()).unwrap();
    lifecycle.end_scope(vec![("rows".into(), 42.0.into())]);
    assert!(provider.record_counter("rows.read", -1, &Attributes::new()).is_err());

    seen.push(until(&row_updates, |update| update.value == 42.0));
    seen.push(until(&alert_updates, |update| update.labels.get("alertstate") == Some("firing")));
    seen.extend(asked(consumer, &MetricQuery::now("sum by (flowId) (rows_read_total) * 2")));
    seen.extend(asked(consumer, &MetricQuery::now("queue_depth")));
    seen.extend(asked(consumer, &MetricQuery::now("scalar(sum(queue_depth))")));
    let (start, end) = (Timestamp(now_ms() - 60_000), Timestamp(now_ms() + 2_000));
    let step = Duration::from_secs(1);
    let expression = "max(queue_depth)".to_owned();
    seen.extend(asked(consumer, &MetricQuery::Range { expression, start, end, step }));
    seen.extend(told(&consumer.time_range("rows.read", start, end).unwrap()));
    let document = r#"{"query": {"metrics": ["queue.depth"], "groupBy": ["flowId"],
        "aggregations": [{"type": "MAX", "alias": "deepest"}]}}"#;
    seen.extend(asked(consumer, &MetricQuery::Document(document.into())));
    seen.extend(told(&consumer.latest("queue.depth").unwrap()));

    let refusals = [
        MetricQuery::now("no (expression"),
        MetricQuery::Document(r#"{"query": {"metrics": ["m"], "fliter": {}}}"#.into()),
        MetricQuery::Document("no JSON".into()),
        MetricQuery::Range { expression: "up".into(), start: end, end: start, step },
        MetricQuery::Range { expression: "up".into(), start, end, step: Duration::ZERO },
    ];
    for query in refusals {
        match consumer.query(&query) {
            Err(ConsumerError::Refused { reason }) => seen.push(reason),
            other => panic!("{query:?}: {other:?}"),
        }
    }
    seen.push(consumer.latest("no.such.metric").unwrap_err().to_string());

    let age = |hours: u64| Some(Duration::from_secs(hours * 3600));
    let retention = RetentionPolicy {
        raw: age(2),
        hour: Some(Duration::ZERO),
        importance: Importance::High,
        ..Default::default()
    };
    lifecycle.set_retention_policy("rows_read_total", retention).unwrap();
    let windows = |windows: &[&str]| Some(windows.iter().map(|&window| window.to_owned()).collect());
    let aggregation = AggregationPolicy { windows: windows(&["1h", "1m"]), functions: windows(&["MAX"]) };
    lifecycle.configure_aggregation("rows_read_total", aggregation).unwrap();
    let none = AggregationPolicy { windows: windows(&["raw"]), functions: None };
    seen.push(lifecycle.configure_aggregation("rows_read_total", none).unwrap_err().to_string());
    let odd = AggregationPolicy { windows: None, functions: windows(&["mode"]) };
    seen.push(lifecycle.configure_aggregation("rows_read_total", odd).unwrap_err().to_string());

    let metrics = consumer.available_metrics().unwrap();
    for mut metric in metrics.into_iter().filter(|metric| metric.name.starts_with("rows")) {
        metric.attributes.retain(|name| !["job", "instance"].contains(&name.as_str()));
        // The job of an application counts as a component.
        metric.components.clear();
        seen.push(format!("{metric:?}"));
    }
    let mut configured = consumer.configured_alerts().unwrap();
    configured.sort_by(|a, b| a.name.cmp(&b.name));
    seen.extend(configured.iter().map(|alert| format!("{alert:?}")));

    consumer.unsubscribe(rows);
    drop(alerts);
    // It may have been told of one value more than once until then.
    while row_updates.try_recv().is_ok() {}
    seen.push(format!("{} subscribers", consumer.subscribers()));
    provider.record_counter("rows.read", 1, &[("flowId", "F1")].into()).unwrap();
    let after = row_updates.recv_timeout(Duration::from_millis(2_500));
    seen.push(format!("{:?}", after.map(|update| update.value)));
    seen
}

fn run(faces: &dyn Faces) -> Vec<String> {
    program(faces, faces, faces)
}

#[test]
fn one_program_sees_the_same_inside_and_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let inside = {
        let builder = Barograph::builder().storage(folder.path().join("inside")).built_in_collectors(false);
        let service = builder.server(config(folder.path())).start().wait().unwrap();
        let statistics = service.statistics();
        let seen = run(&statistics);
        let (tell, told) = mpsc::channel::<Update>();
        let handler = Box::new(move |update: &Update| _ = tell.send(update.clone()));
        let kept = statistics.subscribe("queue.depth", handler).unwrap();
        service.shutdown().wait();
        assert!(matches!(statistics.latest("queue.depth"), Err(ConsumerError::Unavailable { .. })));
        assert!(statistics.set_retention_policy("m", RetentionPolicy::default()).is_err());
        // A subscription outlives a pause of the service, and does not keep its store open.
        service.initialize().wait().unwrap();
        statistics.record_gauge("queue.depth", 9.0, &Attributes::new()).unwrap();
        while told.recv_timeout(Duration::from_secs(20)).unwrap().value != 9.0 {}
        drop(kept);
        service.shutdown().wait();
        seen
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let running = runtime.block_on(start(&folder.path().join("elsewhere"), config(folder.path())));
    let address = Address::parse(&running.server.address().unwrap().to_string()).unwrap();
    let remote = Remote::start(RemoteSettings::new(address));
    let elsewhere = run(&remote);
    assert!(remote.shutdown(Duration::from_secs(5)));
    runtime.block_on(running.server.stop());
    assert_eq!(inside, elsewhere);
    assert!(inside.contains(&"rows.read flowId=F1 42".to_owned()), "{inside:#?}");
}
