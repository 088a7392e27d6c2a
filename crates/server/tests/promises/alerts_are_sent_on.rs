//! Alerts of our rules reach the Alertmanagers that the configuration names: as they begin and as they end, with the labels that
//! relabelling leaves, whoever else does not answer, and as a reload says.

use std::{fs, path::Path, time::Duration};

use barograph_model::Timestamp;
use barograph_server::config::Sources;
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    fakes::{Fakes, Sent},
    support::{Running, now_ms, start},
};

const RULES: &str = "groups:
- name: g
  interval: 100ms
  rules:
  - {alert: Loaded, expr: load > 1, labels: {severity: page}, annotations: {summary: '{{ $labels.host }} has {{ $value }}'}}
  - {alert: Waiting, expr: load > 1, for: 1h}
  - {alert: Quiet, expr: load > 1, labels: {severity: info}}
";

const PATH: &str = "/api/v2/alerts";

/// A server with this section `alerting`, and with rules that fire.
async fn serve(dir: &Path, alerting: &str) -> Running {
    fs::write(dir.join("rules.yml"), RULES).unwrap();
    write_config(dir, alerting);
    let running = start(&dir.join("data"), Sources::new(Some(&dir.join("b.yml")), []).load().unwrap()).await;
    load(&running, 2.0).await;
    running
}

fn write_config(dir: &Path, alerting: &str) {
    let text = format!(
        "config: {{lifecycle: true}}\ncollectors: {{built_in: false}}\nrule_files: [rules.yml]\n\
         global: {{external_labels: {{site: north, severity: other}}}}\nalerting:\n{alerting}"
    );
    fs::write(dir.join("b.yml"), text).unwrap();
}

/// A sample of what the rules ask: 2, of a minute ago, has them fire, and 0, a little later, ends it.
async fn load(running: &Running, value: f64) {
    let labels = [("__name__", "load"), ("host", "x")];
    let ago = if value > 1.0 { 60_000 } else { 30_000 };
    let reply = running.write_series(&labels, &[(now_ms() - ago, value)]).await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

/// An Alertmanager, and its `host:port`.
async fn alertmanager() -> (Fakes, String) {
    let fake = Fakes::default();
    let address = fake.listen().await.replace("http://", "");
    (fake, address)
}

/// The alerts of this name that an Alertmanager was told at a path, once there is one that satisfies.
async fn told(fake: &Fakes, path: &str, name: &str, is_right: impl Fn(&Value) -> bool) -> Vec<Value> {
    for _ in 0..1200 {
        let bodies = fake.at(path).iter().map(Sent::json).collect::<Vec<_>>();
        let alerts = bodies.iter().flat_map(|body| body.as_array().unwrap().clone());
        let named: Vec<_> = alerts.filter(|alert| alert["labels"]["alertname"] == name).collect();
        if named.iter().any(&is_right) {
            return named;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} was never told as it should be: {:?}", fake.at(path));
}

fn ends(alert: &Value) -> i64 {
    Timestamp::from_rfc3339(alert["endsAt"].as_str().unwrap()).unwrap().0
}

/// The value of a metric for one Alertmanager.
async fn figure(running: &Running, name: &str, address: &str) -> f64 {
    let page = running.call(Method::GET, "/metrics", &[], b"").await.text;
    let wanted = format!("{name}{{alertmanager=\"http://{address}{PATH}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&wanted));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// What is active, and what was left out.
async fn known(running: &Running) -> (Vec<String>, Vec<String>) {
    let data = running.data("/api/v1/alertmanagers").await;
    let urls = |key: &str| -> Vec<String> {
        data[key].as_array().unwrap().iter().map(|it| it["url"].as_str().unwrap().to_owned()).collect()
    };
    (urls("activeAlertmanagers"), urls("droppedAlertmanagers"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_and_what_is_over_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, address) = alertmanager().await;
    let entry = format!("  alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]\n");
    let running = serve(dir.path(), &entry).await;
    let began = now_ms();
    let firing = told(&fake, PATH, "Loaded", |_| true).await;
    let first = &firing[0];
    // What the alert says itself goes before what all have that leaves the server.
    let labels = json!({"alertname": "Loaded", "host": "x", "severity": "page", "site": "north"});
    assert_eq!((&first["labels"], &first["annotations"]), (&labels, &json!({"summary": "x has 2"})));
    assert!(ends(first) >= began, "it holds for some minutes: {first}");
    assert!(first["generatorURL"].as_str().unwrap().contains("/graph?g0.expr=load"), "{first}");
    told(&fake, PATH, "Quiet", |alert| alert["labels"]["severity"] == "info").await;
    let sent = fake.at(PATH);
    assert_eq!(sent[0].headers["content-type"], "application/json");

    load(&running, 0.0).await;
    let ended = told(&fake, PATH, "Loaded", |alert| ends(alert) <= now_ms()).await;
    let last = ended.iter().find(|alert| ends(alert) <= now_ms()).unwrap();
    assert_eq!((&last["labels"], &last["startsAt"]), (&labels, &first["startsAt"]));
    for body in fake.at(PATH).iter().map(Sent::json) {
        assert!(!body.to_string().contains("Waiting"), "what is pending is told to nobody: {body}");
    }
    assert!(figure(&running, "barograph_alertmanager_notifications_sent_total", &address).await >= 3.0);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_dead_delays_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, address) = alertmanager().await;
    // One takes connections and never answers, and at another nobody listens.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = silent.local_addr().unwrap().to_string();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let entry = format!(
        "  alertmanagers:\n  - {{timeout: 1h, static_configs: [{{targets: ['{hangs}']}}]}}\n  \
         - {{static_configs: [{{targets: ['{closed}', '{address}']}}]}}\n"
    );
    let running = serve(dir.path(), &entry).await;
    told(&fake, PATH, "Loaded", |_| true).await;
    load(&running, 0.0).await;
    told(&fake, PATH, "Loaded", |alert| ends(alert) <= now_ms()).await;
    let errors = "barograph_alertmanager_notifications_errors_total";
    for _ in 0..1200 {
        if figure(&running, errors, &closed).await > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let dropped = figure(&running, "barograph_alertmanager_notifications_dropped_total", &closed).await;
    assert!(dropped > 0.0, "what nobody took is counted");
    assert_eq!(figure(&running, errors, &address).await, 0.0);
    assert_eq!(figure(&running, "barograph_alertmanager_notifications_sent_total", &hangs).await, 0.0);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_routes_are_told_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, address) = alertmanager().await;
    let entry = format!("  alertmanagers: [{{static_configs: [{{targets: ['{address}']}}]}}]\n");
    let running = serve(dir.path(), &entry).await;
    told(&fake, PATH, "Loaded", |_| true).await;
    for _ in 0..1200 {
        let own = running.get("/api/v2/alerts").await;
        if own.text.contains("Loaded") {
            running.server.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("our own routes were never told");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_who_is_told_and_of_what() {
    let dir = tempfile::tempdir().unwrap();
    let (first, first_at) = alertmanager().await;
    let (second, second_at) = alertmanager().await;
    let targets = json!([{"targets": [second_at, "127.0.0.1:1"], "labels": {"zone": "b"}}]).to_string();
    fs::write(dir.path().join("am.json"), targets).unwrap();
    let entry = format!(
        "  alert_relabel_configs: [{{action: labeldrop, regex: site}}]\n  alertmanagers:\n  \
         - path_prefix: /a\n    basic_auth: {{username: u, password: p}}\n    static_configs: [{{targets: ['{first_at}']}}]\n    \
         alert_relabel_configs: [{{action: drop, source_labels: [severity], regex: info}}]\n  \
         - file_sd_configs: [{{files: [am.json]}}]\n    relabel_configs:\n    \
         - {{action: drop, source_labels: [__address__], regex: '127.0.0.1:1'}}\n    \
         - {{source_labels: [zone], target_label: __alerts_path__, replacement: /$1/api/v2/alerts}}\n    \
         alert_relabel_configs: [{{target_label: via, replacement: two}}]\n"
    );
    let running = serve(dir.path(), &entry).await;
    let labels = json!({"alertname": "Loaded", "host": "x", "severity": "page"});
    let one = told(&first, "/a/api/v2/alerts", "Loaded", |_| true).await;
    assert_eq!(one[0]["labels"], labels);
    assert_eq!(first.at("/a/api/v2/alerts")[0].headers["authorization"], "Basic dTpw");
    let two = told(&second, "/b/api/v2/alerts", "Quiet", |_| true).await;
    let quiet = json!({"alertname": "Quiet", "host": "x", "severity": "info", "via": "two"});
    assert_eq!(two[0]["labels"], quiet);
    // When both are over, the first was told of one of them.
    load(&running, 0.0).await;
    told(&first, "/a/api/v2/alerts", "Loaded", |alert| ends(alert) <= now_ms()).await;
    assert!(first.at("/a/api/v2/alerts").iter().all(|sent| !sent.json().to_string().contains("Quiet")));
    assert_eq!(
        known(&running).await,
        (
            vec![format!("http://{first_at}/a{PATH}"), format!("http://{second_at}/b{PATH}")],
            vec![format!("http://127.0.0.1:1{PATH}")]
        )
    );
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_who_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (first, first_at) = alertmanager().await;
    let (second, second_at) = alertmanager().await;
    let entry = |at: &str| format!("  alertmanagers: [{{static_configs: [{{targets: ['{at}']}}]}}]\n");
    let running = serve(dir.path(), &entry(&first_at)).await;
    told(&first, PATH, "Loaded", |_| true).await;

    write_config(dir.path(), &entry(&second_at));
    let reply = running.call(Method::POST, "/-/reload", &[], b"").await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()["needs_restart"].clone()),
        (200, json!([])),
        "{}",
        reply.text
    );
    // One who is new is told of what fires, though nothing of it is new.
    told(&second, PATH, "Loaded", |_| true).await;
    assert_eq!(known(&running).await, (vec![format!("http://{second_at}{PATH}")], vec![]));

    write_config(dir.path(), "  alertmanagers: [{api_version: v1}]\n");
    let reply = running.call(Method::POST, "/-/reload", &[], b"").await;
    assert!(reply.text.contains("`v1` is not spoken"), "{}", reply.text);
    assert_eq!(known(&running).await.0, [format!("http://{second_at}{PATH}")], "what ran runs on");

    write_config(dir.path(), "  alertmanagers: []\n");
    assert_eq!(running.call(Method::POST, "/-/reload", &[], b"").await.status, 200);
    for _ in 0..1200 {
        if known(&running).await == (vec![], vec![]) {
            running.server.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("somebody is told still: {:?}", known(&running).await);
}
