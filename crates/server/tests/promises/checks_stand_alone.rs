//! A check that hangs, panics, fails or changes all the time is told as what it is, and holds up no other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph_disk::{Fault, MemoryDisk};
use barograph_server::health::{Checking, Finding, HealthCheck, Plan};
use serde_json::Value;

use crate::{
    events_are_told_and_resumed::Stream,
    support::{Running, configured, start_in_memory, start_on},
};

/// A check made of a function.
struct Made<F> {
    name: &'static str,
    plan: Plan,
    look: F,
}

impl<F: Fn() -> Checking + Send + Sync + 'static> HealthCheck for Made<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn plan(&self) -> Plan {
        self.plan.clone()
    }

    fn check(self: Arc<Self>) -> Checking {
        (self.look)()
    }
}

/// Ten times a second, with a timeout of a twentieth.
fn quick() -> Plan {
    Plan { timeout: Duration::from_millis(50), ..Plan::every(Duration::from_millis(20)) }
}

/// Asks until the answer is as it should be.
pub(crate) async fn until(running: &Running, path: &str, right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1200 {
        let document = running.get(path).await.json();
        if right(&document) {
            return document;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never became what it should: {}", running.get(path).await.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_or_panics_holds_up_no_other() {
    let running = start_in_memory().await;
    let health = running.server.health();
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    let good = move || -> Checking {
        counted.fetch_add(1, Relaxed);
        Box::pin(async { Finding::pass().with("answer", 42) })
    };
    health
        .add(Made { name: "hangs", plan: quick(), look: || -> Checking { Box::pin(std::future::pending()) } })
        .unwrap();
    health
        .add(Made {
            name: "panics",
            plan: quick(),
            look: || -> Checking { Box::pin(async { panic!("boom") }) },
        })
        .unwrap();
    let good = Made { name: "good", plan: Plan { timeout: Duration::from_secs(30), ..quick() }, look: good };
    health.add(good).unwrap();
    let path = "/api/barograph/v1/health/checks/hangs";
    let hangs = until(&running, path, |check| check["result"] == "timeout").await;
    assert!(hangs["error"].as_str().unwrap().contains("did not end within 50 ms"), "{hangs}");
    assert!(hangs["duration_ms"].as_f64().unwrap() >= 50.0);
    let panics = until(&running, "/health/checks/panics", |check| check["result"] == "fail").await;
    assert_eq!(panics["error"], "the check panicked: boom");
    let before = runs.load(Relaxed);
    until(&running, "/health/components/good", |it| it["status"] == "healthy").await;
    until(&running, "/health/components/hangs", |it| it["status"] == "unhealthy").await;
    for _ in 0..1200 {
        if runs.load(Relaxed) > before + 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(runs.load(Relaxed) > before + 5);
    // Neither is essential: the server works, and says that something is wrong.
    let overall = running.get("/health?basic=true").await;
    assert_eq!((overall.status.as_u16(), &overall.json()["status"]), (200, &"degraded".into()));
    assert!(health.remove("hangs") && health.remove("panics") && !health.remove("hangs"));
    until(&running, "/health?basic=true", |it| it["status"] == "healthy").await;
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_changes_all_the_time_is_told_once() {
    let running = start_in_memory().await;
    let runs = AtomicU64::new(0);
    let look = move || -> Checking {
        let fails = runs.fetch_add(1, Relaxed) % 2 == 1;
        Box::pin(async move { if fails { Finding::fail("odd") } else { Finding::pass() } })
    };
    let plan = Plan { timeout: Duration::from_secs(30), ..Plan::every(Duration::from_millis(20)).at_once() };
    running.server.health().add(Made { name: "flaps", plan, look }).unwrap();
    let flaps =
        until(&running, "/health/components/flaps", |it| it["details"]["flapping"] == Value::Bool(true))
            .await;
    assert_eq!(flaps["status"], "degraded");
    let path = "/health/history?component=flaps";
    let count = async || running.get(path).await.json()["history"].as_array().unwrap().len();
    // A run that was under way may be told yet; after that nothing is, however often it changes.
    let runs_so_far = async || {
        let metrics = running.get("/metrics").await.text;
        let line = |line: &&str| {
            line.starts_with("barograph_health_checks_total") && line.contains("check=\"flaps\"")
        };
        metrics
            .lines()
            .filter(line)
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum::<f64>()
    };
    let (told, before) = (count().await, runs_so_far().await);
    for _ in 0..1200 {
        if runs_so_far().await > before + 10.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(runs_so_far().await > before + 10.0);
    assert_eq!(count().await, told);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_look_at_what_is_elsewhere() {
    let other = tempfile::tempdir().unwrap();
    let asked = crate::support::start_with_grpc(other.path()).await.0.server;
    let (http, grpc) = (asked.address().unwrap(), asked.grpc_address().unwrap());
    let config = format!(
        "collectors: {{built_in: false}}\nhealth:\n  checks:\n  \
         - {{name: port, tcp: '{http}', interval: 100ms, fails: 1}}\n  \
         - {{name: page, http: 'http://{http}/livez', text: ok, interval: 100ms, fails: 1, depends_on: [port]}}\n  \
         - {{name: text, http: 'http://{http}/livez', text: other, interval: 100ms}}\n  \
         - {{name: status, http: 'http://{http}/nothing', status: [404], interval: 100ms}}\n  \
         - {{name: rpc, grpc: '{grpc}', interval: 100ms}}\n  \
         - {{name: service, grpc: '{grpc}', service: no.Such, interval: 100ms}}\n  \
         - {{name: names, dns: localhost, interval: 100ms}}\n  \
         - {{name: address, dns: localhost, address: 192.0.2.1, interval: 100ms}}\n"
    );
    let running = start_on(Arc::new(MemoryDisk::new()), configured(&config)).await;
    for (name, expected) in [
        ("port", "pass"),
        ("page", "pass"),
        ("text", "fail"),
        ("status", "pass"),
        ("rpc", "pass"),
        ("service", "fail"),
        ("names", "pass"),
        ("address", "fail"),
    ] {
        until(&running, &format!("/health/checks/{name}"), |check| check["result"] == expected).await;
    }
    asked.stop().await;
    until(&running, "/health/components/port", |it| it["status"] == "unhealthy").await;
    // What depends on the port is down because of it.
    let page = until(&running, "/health/components/page", |it| it["details"]["caused_by"].is_array()).await;
    assert_eq!(page["details"]["caused_by"][0], "port");
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_is_unhealthy_until_it_is_back() {
    let disk = MemoryDisk::new();
    let running = start_on(Arc::new(disk.clone()), configured("")).await;
    until(&running, "/health/components/persistence", |it| it["status"] == "healthy").await;
    let check = running.get("/health/checks/persistence_check").await.json();
    assert_eq!(
        (&check["result"], &check["details"]["stores_checked"]),
        (&"pass".into(), &2.into()),
        "{check}"
    );
    assert!(check["details"]["avg_response_time"].is_number());
    disk.fail(0, u64::MAX, Fault::Full);
    let health = running.server.health();
    let status = async |expected: u16| {
        for _ in 0..1200 {
            health.wake("persistence_check");
            health.wake("wal");
            if running.get("/health?basic=true").await.status == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", running.get("/health").await.text);
    };
    status(503).await;
    let verbose = running.get("/readyz").await;
    assert_eq!(verbose.status, 503);
    assert!(verbose.text.contains("failed: reason withheld\n"), "{}", verbose.text);
    // Whoever comes late is told, too.
    let query = "last_event_id=0&topics=alerts/persistence_failure,alerts/node_failure,health/cluster_health";
    let mut told = Stream::open(&running, query, &[]).await;
    let mut awaited = vec!["persistence_failure", "node_failure", "cluster_health_updated"];
    while !awaited.is_empty() {
        let (event, _, data) = told.next().await;
        let kind =
            if event == "system_alert" { data["alert_type"].as_str().unwrap() } else { event.as_str() };
        let right = match kind {
            "persistence_failure" => {
                data["severity"] == "critical" && data["context"]["component"].is_string()
            }
            "node_failure" => {
                data["context"]["failed_node"] == health.node() && data["context"]["cluster_size"] == 1
            }
            _ => data["status"] == "unhealthy" && data["unhealthy_nodes"][0] == health.node(),
        };
        awaited.retain(|awaited| !(right && *awaited == kind));
    }
    disk.heal();
    status(200).await;
    let history = "/api/barograph/v1/health/history?component=persistence";
    until(&running, history, |it| it["history"].as_array().is_some_and(|list| !list.is_empty())).await;
    running.server.stop().await;
}
