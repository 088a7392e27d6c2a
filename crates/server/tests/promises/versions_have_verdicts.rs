//! The newest version of a service is held against the one before it: a worse one fires with what shows it, one that is as good
//! does not, and one that should not be in use is named. A preview says the same, and a restart changes nothing.

use std::{path::Path, time::Duration};

use barograph_server::config::Config;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Running, now_ms, request, start};

const RULES: &str = "/api/barograph/v1/alerts/rules";
const RULE_FILE: &str = r#"
groups:
- name: versions
  interval: 500ms
  rules:
  - alert: Slower
    expr: took_seconds
    version: {baseline: previous, window: 1h, look_back: 4h, direction: lower_is_better, bound: 0.05}
    labels: {severity: warning}
    annotations: {summary: 'version {{ $labels.version }} of {{ $labels.job }} is slower'}
  - alert: FailsMore
    expr: failed
    version: {baseline: '1.4', window: 1h, look_back: 4h, of: requests}
  - alert: OldVersion
    expr: took_seconds
    version: {at_least: '1.5', deprecated: ['0\..*']}
"#;

async fn serve(dir: &Path) -> Running {
    std::fs::write(dir.join("rules.yml"), RULE_FILE).unwrap();
    let config = "collectors: {built_in: false}\nready_rules: {enabled: false}\nrule_files: [rules.yml]\n";
    let config = Config::parse(config, "b.yaml", dir, []).unwrap();
    start(&dir.join("data"), config).await
}

/// Some hours of two versions: the second takes over in the middle.
async fn write(running: &Running) {
    let now = now_ms();
    let noisy = |level: f64, i: i64| level * (0.95 + 0.1 * (i * i * 7_919).rem_euclid(101) as f64 / 100.0);
    let old = |level: f64| (-200..=-100).map(|i| (now + i * 60_000, noisy(level, i))).collect::<Vec<_>>();
    // Time goes on while it is looked.
    let new = |level: f64| (-99..=3).map(|i| (now + i * 60_000, noisy(level, i + 13))).collect::<Vec<_>>();
    for (name, job, before, after) in [
        ("took_seconds", "worse", 0.1, 0.2),
        ("took_seconds", "same", 0.1, 0.1),
        ("failed", "worse", 1.0, 20.0),
        ("failed", "same", 1.0, 1.0),
        ("requests", "worse", 100.0, 100.0),
        ("requests", "same", 100.0, 100.0),
    ] {
        let (old, new) = (old(before), new(after));
        let series = |version| [("__name__", name), ("job", job), ("version", version)];
        let (labels_old, labels_new) = (series("1.4"), series("1.5"));
        let body = request(&[(&labels_old, &old), (&labels_new, &new)]);
        assert_eq!(running.write(&body).await.status, 204);
    }
}

/// The alerts of a rule that fire, as Prometheus tells them.
async fn firing(running: &Running, name: &str) -> Vec<Value> {
    let data = running.data("/api/v1/alerts").await;
    let all = data["alerts"].as_array().unwrap().iter();
    let wanted = |alert: &&Value| alert["labels"]["alertname"] == name && alert["state"] == "firing";
    all.filter(wanted).cloned().collect()
}

async fn until_firing(running: &Running, name: &str) -> Vec<Value> {
    for _ in 0..1_200 {
        let found = firing(running, name).await;
        if !found.is_empty() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} never fired: {}", running.data("/api/v1/rules").await);
}

#[tokio::test]
async fn a_worse_version_fires_and_an_equal_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve(dir.path()).await;
    write(&running).await;
    let found = until_firing(&running, "Slower").await;
    assert_eq!(found.len(), 1, "{found:?}");
    let slower = &found[0];
    let labels = json!({"alertname": "Slower", "job": "worse", "version": "1.5", "severity": "warning"});
    assert_eq!(slower["labels"], labels);
    assert_eq!(slower["annotations"]["summary"], "version 1.5 of worse is slower");
    let verdict = slower["annotations"]["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("regression: 1.5 has ") && verdict.contains("times what 1.4 has"),
        "{verdict}"
    );
    let share = until_firing(&running, "FailsMore").await;
    assert_eq!((share.len(), &share[0]["labels"]["job"]), (1, &json!("worse")), "{share:?}");
    let verdict = share[0]["annotations"]["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("regression: 1.5 differs by 19.00 % from 1.4"), "{verdict}");
    // Both rules were evaluated with both jobs; those that are as good have no alert at all.
    assert_eq!(running.data("/api/v1/alerts").await["alerts"].as_array().unwrap().len(), 2);

    // The same as a preview of a rule that was not made yet, and as it is written back.
    let rule = json!({"alert": "Slower2", "expr": "took_seconds", "interval": "1m",
        "version": {"baseline": "previous", "window": "1h", "look_back": "4h"}});
    let end = now_ms() as f64 / 1e3;
    let asked = json!({"rule": rule, "start": end - 300.0, "end": end}).to_string();
    let json_type = [("content-type", "application/json")];
    let path = format!("{RULES}/preview");
    let preview = running.call(Method::POST, &path, &json_type, asked.as_bytes()).await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    let preview = preview.json();
    assert_eq!((&preview["fired"], &preview["firings"][0]["labels"]["job"]), (&json!(1), &json!("worse")));
    let made = running.call(Method::POST, RULES, &json_type, rule.to_string().as_bytes()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json()["kind"], "version");
    assert_eq!(
        made.json()["params"]["version"],
        json!({"baseline": "previous", "window": "1h", "look_back": "4h"})
    );
    let wrong =
        json!({"alert": "W", "expr": "m", "version": {"baseline": "previous", "windw": "1h"}}).to_string();
    let refused = running.call(Method::POST, RULES, &json_type, wrong.as_bytes()).await;
    assert!(refused.status == 400 && refused.text.contains("did you mean `window`?"), "{}", refused.text);

    // What fires goes on as the same alert.
    running.server.stop().await;
    let running = serve(dir.path()).await;
    let again = until_firing(&running, "Slower").await;
    assert_eq!((&again[0]["labels"], &again[0]["activeAt"]), (&slower["labels"], &slower["activeAt"]));
    running.server.stop().await;
}

#[tokio::test]
async fn a_version_that_should_not_be_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve(dir.path()).await;
    for version in ["0.9", "1.4.9", "1.10", ""] {
        let labels = [("__name__", "took_seconds"), ("job", "api"), ("version", version)];
        let labels = if version.is_empty() { &labels[..2] } else { &labels[..] };
        assert_eq!(running.write_series(labels, &[(now_ms(), 0.1)]).await.status, 204);
    }
    let mut found = until_firing(&running, "OldVersion").await;
    // They may have come between two evaluations.
    for _ in 0..1_200 {
        if found.len() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = firing(&running, "OldVersion").await;
    }
    let told: Vec<_> = found.iter().map(|alert| alert["annotations"]["verdict"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        [
            "deprecated: 0.9 is in use, which matches 0\\..*",
            "outdated: 1.4.9 is in use, and 1.5 is the oldest that should be"
        ]
    );
    running.server.stop().await;
}
