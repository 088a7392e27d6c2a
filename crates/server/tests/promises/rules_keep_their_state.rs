//! What a rule knows of its alerts survives a restart, a power loss and a clock that jumps: what is pending goes on being it, and
//! nobody is told twice of what somebody has or what is over. A rule that fails raises an alert about itself.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State};
use barograph_disk::MemoryDisk;
use barograph_model::Timestamp;
use barograph_server::{
    Server,
    clock::{Clock, SystemClock},
    config::Config,
};
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    events_are_told_and_resumed::Stream,
    schemas,
    support::{Running, now_ms, running, settings, start},
};

const API: &str = "/api/barograph/v1";

/// A clock that a test sets.
#[derive(Clone)]
struct Jumping(SystemClock, Arc<AtomicI64>);

impl Jumping {
    fn new() -> Self {
        Self(SystemClock::new(), Arc::default())
    }

    fn jump(&self, by: Duration, back: bool) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.1.fetch_add(if back { -by } else { by }, Ordering::Relaxed);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.0.now().saturating_add(self.1.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

/// Whoever is told.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<Value>>>);

impl Sink {
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let take = async |State(sink): State<Self>, body: Bytes| {
            sink.0.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        };
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    async fn wait(&self, count: usize) -> Vec<Value> {
        while self.all().len() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.all()
    }
}

/// A server on a disk of the test's, with these rules, whose alerts go to a sink.
async fn serve(disk: &MemoryDisk, dir: &Path, rules: &str, sink: &str, clock: &Jumping) -> Running {
    let routes = format!(
        "route: {{receiver: sink, group_by: ['...'], group_wait: 1ms, group_interval: 100ms}}\n\
         receivers: [{{name: sink, webhook_configs: [{{url: '{sink}'}}]}}]\n"
    );
    std::fs::write(dir.join("alertmanager.yml"), routes).unwrap();
    std::fs::write(dir.join("rules.yml"), rules).unwrap();
    let config =
        "collectors: {built_in: false}\nrule_files: [rules.yml]\nalertmanager_config: alertmanager.yml\n";
    let config = Config::parse(config, "b.yaml", dir, []).unwrap();
    let settings = settings(Path::new("/nonexistent"), "127.0.0.1:0", config);
    let server = Server::start_with(settings, Arc::new(disk.clone()), Arc::new(clock.clone())).await;
    running(server.unwrap())
}

async fn until(server: &Running, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1_000 {
        let found = server.get(path).await.json();
        if wanted(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("{path} never answered what it should: {}", server.get(path).await.text);
}

/// Lets every group of rules be evaluated some more times, with a value that keeps it as it is.
async fn go_on(server: &Running, value: f64, clock: &Jumping) {
    for _ in 0..8 {
        let at = clock.now().millis();
        server.write_series(&[("__name__", "load")], &[(at, value)]).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}

fn first(alerts: &Value) -> &Value {
    &alerts["data"]["alerts"][0]
}

async fn act(server: &Running, id: &str, act: &str) {
    let path = format!("{API}/incidents/{id}/{act}");
    let json = [("content-type", "application/json")];
    let body = json!({"acknowledged_by": "ann"}).to_string();
    let reply = server.call(Method::POST, &path, &json, body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_goes_on_after_a_power_loss() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Jumping::new();
    let rules = "groups: [{name: g, interval: 100ms, rules: [{alert: Slow, expr: load > 1, for: 2h}]}]";
    let disk = MemoryDisk::new();
    let server = serve(&disk, dir.path(), rules, "http://127.0.0.1:9/", &clock).await;
    server.write_series(&[("__name__", "load")], &[(clock.now().millis(), 2.0)]).await;
    let pending = until(&server, "/api/v1/alerts", |it| first(it)["state"] == "pending").await;
    let active_at = |alerts: &Value| {
        Timestamp::from_rfc3339(first(alerts)["activeAt"].as_str().unwrap()).unwrap().millis()
    };
    let since = active_at(&pending);
    go_on(&server, 2.0, &clock).await;
    let crashed = disk.crash(7);
    server.server.stop().await;

    // Half an hour passes.
    clock.jump(Duration::from_secs(1_800), false);
    let back = clock.now().millis();
    let server = serve(&crashed, dir.path(), rules, "http://127.0.0.1:9/", &clock).await;
    go_on(&server, 2.0, &clock).await;
    let went_on = |alerts: &Value| first(alerts)["state"] == "pending" && active_at(alerts) != since;
    let shifted = active_at(&until(&server, "/api/v1/alerts", went_on).await) - since;
    assert!((1_790_000..back - since + 60_000).contains(&shifted), "{shifted}");
    assert!(since + shifted < back, "it was pending before");
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, sink, mut disk) = (Jumping::new(), Sink::default(), MemoryDisk::new());
    let url = sink.listen().await;
    let rules = "groups: [{name: g, interval: 100ms, rules: [{alert: Slow, expr: load > 1}]}]";
    let mut server = serve(&disk, dir.path(), rules, &url, &clock).await;
    go_on(&server, 2.0, &clock).await;
    sink.wait(1).await;
    let open = until(&server, &format!("{API}/incidents"), |it| it["total"] == 1).await;
    let id = open["incidents"][0]["id"].as_str().unwrap().to_owned();
    let since = first(&server.get("/api/v1/alerts").await.json())["activeAt"].clone();
    let of = format!("{API}/incidents/{id}");
    act(&server, &id, "ack").await;
    for state in ["acknowledged", "resolved"] {
        if state == "resolved" {
            act(&server, &id, "resolve").await;
        }
        for (round, back) in [false, true].into_iter().enumerate() {
            // Power is lost; a quarter of an hour later it fires as before.
            let crashed = disk.crash(round as u64);
            server.server.stop().await;
            disk = crashed;
            clock.jump(Duration::from_secs(900), false);
            server = serve(&disk, dir.path(), rules, &url, &clock).await;
            go_on(&server, 2.0, &clock).await;
            let alerts = until(&server, "/api/v1/alerts", |it| first(it)["state"] == "firing").await;
            assert_eq!(first(&alerts)["activeAt"], since, "it is the same alert");
            // The clock is set while it runs.
            clock.jump(Duration::from_secs(600), back);
            go_on(&server, 2.0, &clock).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            go_on(&server, 2.0, &clock).await;
            assert_eq!(server.get(&of).await.json()["state"], state);
            assert_eq!(server.get(&format!("{API}/incidents")).await.json()["total"], 1);
            assert_eq!(sink.all().len(), 1, "{state}, round {round}: {:?}", sink.all());
        }
    }
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fails_says_so_and_keeps_its_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, sink, disk) = (Jumping::new(), Sink::default(), MemoryDisk::new());
    let url = sink.listen().await;
    let rules = "groups: [{name: g, interval: 100ms, limit: 2, rules: [\
                 {alert: Slow, expr: load > 1}, {record: twice, expr: load * on () other}]}]";
    let server = serve(&disk, dir.path(), rules, &url, &clock).await;
    let write = async |series: &[(&str, &str)], value: f64| {
        server.write_series(series, &[(clock.now().millis(), value)]).await;
    };
    write(&[("__name__", "load"), ("host", "a")], 2.0).await;
    sink.wait(1).await;

    // More alerts than it may have, and series that do not fit.
    for host in ["b", "c"] {
        write(&[("__name__", "load"), ("host", host)], 2.0).await;
        write(&[("__name__", "other"), ("host", host)], 2.0).await;
    }
    let failed = "/api/v2/alerts?filter=alertname%3Drule_evaluation_failed";
    let told = until(&server, failed, |it| it.as_array().unwrap().len() == 2).await;
    let labels = told[0]["labels"].as_object().unwrap();
    assert_eq!(labels["group"], "g");
    let rules: Vec<_> = told.as_array().unwrap().iter().map(|it| it["labels"]["rule"].clone()).collect();
    assert!(rules.contains(&json!("Slow")) && rules.contains(&json!("twice")), "{rules:?}");
    let why = |rule: &str| {
        let alert = told.as_array().unwrap().iter().find(|it| it["labels"]["rule"] == rule).unwrap();
        alert["annotations"]["description"].as_str().unwrap().to_owned()
    };
    assert!(why("Slow").starts_with("exceeded limit of 2 with 3 alerts."), "{}", why("Slow"));
    let slow = "/api/v2/alerts?filter=alertname%3DSlow";
    assert_eq!(server.get(slow).await.json().as_array().unwrap().len(), 1, "those there were stay");

    // It can be evaluated again: one is told, the other still fails.
    write(&[("__name__", "load"), ("host", "c")], 0.0).await;
    until(&server, failed, |it| it.as_array().unwrap().len() == 1).await;
    until(&server, slow, |it| it.as_array().unwrap().len() == 2).await;
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_live_does_not_wait_for_a_group() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("rules.yml"),
        "groups: [{name: g, interval: 100ms, rules: [\
         {alert: Memory, expr: memory_usage > 85.0, labels: {severity: critical}, annotations: {summary: full}}]}]",
    )
    .unwrap();
    // Groups wait for half a minute, as they do by default.
    let config = "collectors: {built_in: false}\nrule_files: [rules.yml]\n";
    let config = Config::parse(config, "b.yaml", dir.path(), []).unwrap();
    let server = start(&dir.path().join("data"), config).await;
    let mut metric = Stream::open(&server, "bus=alerts&topics=metric_alert", &[]).await;
    let mut system = Stream::open(&server, "bus=alerts&topics=system_alert", &[]).await;
    let labels = [("__name__", "memory_usage"), ("node", "node1")];
    server.write_series(&labels, &[(now_ms(), 89.5)]).await;
    let (event, _, told) = metric.next().await;
    assert_eq!(event, "metric_alert");
    schemas::check("metric-alert", &told);
    let mut fields: Vec<_> = told.as_object().unwrap().iter().collect();
    fields.retain(|field| field.0 != "timestamp");
    let expected = json!({
        "metric_name": "memory_usage", "current_value": 89.5, "threshold_value": 85.0, "threshold_type": "max",
        "severity": "critical", "node": "node1",
    });
    assert_eq!(fields, expected.as_object().unwrap().iter().collect::<Vec<_>>());
    let (_, _, told) = system.next().await;
    schemas::check("system-alert", &told);
    assert_eq!((&told["severity"], &told["message"]), (&json!("critical"), &json!("full")));
    assert_eq!(server.get(&format!("{API}/incidents")).await.json()["total"], 0, "the group waits still");
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_unwell_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("rules.yml"),
        "groups: [{name: g, interval: 100ms, rules: [{alert: ClientUnwell, kind: health, \
         expr: client_health_score < 90, labels: {severity: critical}, \
         annotations: {summary: '{{ $labels.client_id }} is unwell'}}]}]",
    )
    .unwrap();
    let config = "rule_files: [rules.yml]\nstats: {history: 1s}\n";
    let config = Config::parse(config, "b.yaml", dir.path(), []).unwrap();
    let server = start(&dir.path().join("data"), config).await;
    // One that asks only what there is not, and one that fares well.
    for _ in 0..20 {
        for (name, path) in [("clumsy", "/api/v1/query?query=)"), ("neat", "/api/v1/query?query=1")] {
            server.call(Method::GET, path, &[("x-client-id", name)], b"").await;
        }
    }
    let found = "/api/v2/alerts?filter=alertname%3DClientUnwell";
    let told = until(&server, found, |it| it.as_array().is_some_and(|all| !all.is_empty())).await;
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    let client = told[0]["labels"]["client_id"].as_str().unwrap();
    assert!(client.contains("clumsy"), "{client}");
    let shown = server.get(&format!("{API}/alerts")).await.json();
    let alert = shown["alerts"].as_array().unwrap().iter().find(|it| it["kind"] == "health").unwrap();
    assert_eq!(alert["message"], format!("{client} is unwell"));
    server.server.stop().await;
}
