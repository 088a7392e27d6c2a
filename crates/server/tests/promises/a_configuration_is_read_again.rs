//! A configuration is read again while the server runs: what can take effect does, what waits for a restart is named, and one
//! that is wrong changes nothing and is told everywhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::path::Path;

use barograph_server::config::{Config, Sources};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::{
    checks_stand_alone::until,
    support::{Running, now_ms, start},
};

const FIRST: &str = "config: {lifecycle: true}\ncollectors: {built_in: false}\nquery: {lookback: 5m}\n";

fn load(dir: &Path, text: &str) -> Config {
    let path = dir.join("b.yml");
    std::fs::write(&path, text).unwrap();
    Sources::new(Some(&path), []).load().unwrap()
}

async fn running(dir: &Path, text: &str) -> Running {
    start(&dir.join("data"), load(dir, text)).await
}

async fn figure(server: &Running, name: &str) -> f64 {
    let page = server.call(Method::GET, "/metrics", &[], b"").await.text;
    let line =
        page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_takes_effect_or_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = running(dir.path(), FIRST).await;
    let pattern = dir.path().join("targets.json");
    std::fs::write(&pattern, r#"[{"targets": ["127.0.0.1:9"]}]"#).unwrap();
    let text = format!(
        "{FIRST}retention: {{raw: 2d, bytes: 1GiB}}\nstorage: {{durability: sync}}\nrate_limit: {{requests_per_second: 0.01, burst: 1}}\n\
         diagnostics: {{thresholds: [{{metric: cpu_usage, max: 5}}]}}\nscrape_configs: [{{job_name: j, file_sd_configs: [{{files: [targets.json]}}]}}]\n\
         health: {{checks: [{{name: other, tcp: '127.0.0.1:9'}}]}}\n"
    );
    std::fs::write(dir.path().join("b.yml"), text.replace("lookback: 5m", "lookback: 1m, max_samples: 7"))
        .unwrap();
    let reply = server.call(Method::POST, "/-/reload", &[], b"").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.json()["needs_restart"], json!(["storage.durability"]));
    let changed = reply.json()["changed"].to_string();
    for path in ["query.lookback", "query.max_samples", "retention.raw", "scrape_configs", "health.checks"] {
        assert!(changed.contains(path), "{changed}");
    }
    let config = server.call(Method::GET, "/api/barograph/v1/config", &[], b"").await.json();
    assert_eq!(
        (&config["retention"]["raw"], &config["retention"]["bytes"]),
        (&json!("2d"), &json!(1u64 << 30))
    );
    assert_eq!(config["storage"]["durability"], "batch");
    // One query may read seven samples now, and none of what is there costs less.
    let checks = server.call(Method::GET, "/health/components", &[], b"").await;
    assert!(checks.text.contains("other"), "{}", checks.text);
    let refused = server.call(Method::GET, "/health/components", &[], b"").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let again = server.call(Method::PUT, "/-/reload", &[], b"").await.json();
    assert_eq!((&again["changed"], &again["needs_restart"]), (&json!([]), &json!(["storage.durability"])));
    // What is as at the start again waits for nothing.
    std::fs::write(dir.path().join("b.yml"), FIRST).unwrap();
    let back = server.call(Method::PUT, "/-/reload", &[], b"").await.json();
    assert_eq!(back["needs_restart"], json!([]), "{back}");
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_wrong_keeps_the_running_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = running(dir.path(), FIRST).await;
    assert_eq!(figure(&server, "barograph_config_last_reload_successful").await, 1.0);
    let since = figure(&server, "barograph_config_last_reload_success_timestamp_seconds").await;
    assert!(since > 1e9);
    let wrong = |text: &str| std::fs::write(dir.path().join("b.yml"), text).unwrap();
    wrong(&format!("{FIRST}retention: {{raw: soon}}\n"));
    let reply = server.call(Method::POST, "/-/reload", &[], b"").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(reply.text.contains("b.yml:4:18: `raw`: expected a duration"), "{}", reply.text);
    assert_eq!(figure(&server, "barograph_config_last_reload_successful").await, 0.0);
    let info = server.get("/api/v1/status/runtimeinfo").await.json();
    assert_eq!(info["data"]["reloadConfigSuccess"], false, "{info}");
    let told = server.get("/api/v1/notifications").await.json();
    assert!(told["data"][0]["text"].as_str().unwrap().contains("cannot be used"), "{told}");
    assert_eq!(figure(&server, "barograph_config_reload_failures_total").await, 1.0);
    let last = server.call(Method::GET, "/api/barograph/v1/config/reload", &[], b"").await.json();
    assert_eq!(last["successful"], false);
    assert!(last["error"].as_str().unwrap().contains("`raw`"), "{last}");
    // Rule files are part of it.
    std::fs::write(dir.path().join("bad.rules"), "groups: 5\n").unwrap();
    wrong(&format!("{FIRST}rule_files: [bad.rules]\n"));
    assert_eq!(
        server.call(Method::POST, "/-/reload", &[], b"").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    std::fs::remove_file(dir.path().join("b.yml")).unwrap();
    assert_eq!(
        server.call(Method::POST, "/-/reload", &[], b"").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(server.call(Method::GET, "/api/v1/query?query=1", &[], b"").await.status, StatusCode::OK);
    wrong(FIRST);
    assert_eq!(server.call(Method::POST, "/-/reload", &[], b"").await.status, StatusCode::OK);
    assert_eq!(figure(&server, "barograph_config_last_reload_successful").await, 1.0);
    let last = server.call(Method::GET, "/api/barograph/v1/config/reload", &[], b"").await.json();
    assert_eq!((&last["successful"], &last["error"]), (&json!(true), &json!(null)));
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reloads_who_was_not_allowed_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = running(dir.path(), "collectors: {built_in: false}\n").await;
    for path in ["/-/reload", "/-/quit"] {
        let reply = server.call(Method::POST, path, &[], b"").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.text.contains("--enable-lifecycle"), "{}", reply.text);
    }
    assert!(server.server.reload().await.is_ok());
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_shown_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let text = "collectors: {built_in: false}\nscrape_configs:\n- job_name: a\n  basic_auth: {username: ann, password: hunter2}\n";
    let server = running(dir.path(), text).await;
    let shown = server.call(Method::GET, "/api/barograph/v1/config/running", &[], b"").await.text;
    assert!(shown.contains("password: <secret>") && shown.contains("job_name: a"), "{shown}");
    assert!(!shown.contains("hunter2"));
    let status = server.call(Method::GET, "/api/v1/status/config", &[], b"").await.json();
    assert_eq!(status, json!({"status": "success", "data": {"yaml": shown}}));
    server.server.stop().await;
}

#[test]
fn flags_come_over_the_environment_and_that_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.yml");
    std::fs::write(
        &path,
        "query: {lookback: 1m, timeout: '${WAIT}', slow: '${NONE:-9s}'}\nretention: {raw: 1d}\n",
    )
    .unwrap();
    let environment =
        [("BAROGRAPH_QUERY__LOOKBACK", "2m"), ("BAROGRAPH_RETENTION__RAW", "2d"), ("WAIT", "7s")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut sources = Sources::new(Some(&path), environment);
    let error = sources.load().unwrap_err().to_string();
    assert!(error.contains("`timeout`: expected a duration"), "{error}");
    sources.flags = vec![
        ("--retention-raw", "retention.raw", "3d".to_owned()),
        ("--config-expand-env", "config.expand_env", "true".to_owned()),
    ];
    let config = sources.load().unwrap();
    let seconds =
        (config.query.lookback.as_secs(), config.query.timeout.as_secs(), config.query.slow.as_secs());
    assert_eq!(seconds, (120, 7, 9));
    assert_eq!(config.retention.tiers[0].unwrap().as_secs(), 3 * 86_400);
    let origins =
        ["query.timeout", "query.lookback", "retention.raw"].map(|path| config.origins[path].as_str());
    assert_eq!(origins, ["file", "environment", "flag"]);
    sources.environment.retain(|(name, _)| name != "WAIT");
    let error = sources.load().unwrap_err().to_string();
    assert!(error.contains("b.yml:1:32: environment variable WAIT is not set"), "{error}");
}

/// Has a text take the place of the configuration.
async fn reload(server: &Running, dir: &Path, text: &str) -> serde_json::Value {
    std::fs::write(dir.join("b.yml"), text).unwrap();
    let reply = server.call(Method::POST, "/-/reload", &[], b"").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_may_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let server = running(dir.path(), FIRST).await;
    let t = now_ms();
    let mut at = 0;
    let mut write = async |labels: &[(&str, &str)]| {
        at += 1;
        server.write_series(labels, &[(t - 60_000 + at, 1.0)]).await
    };
    assert_eq!(write(&[("__name__", "m"), ("a", "long enough for all")]).await.status, 204);
    let told = reload(
        &server,
        dir.path(),
        &format!(
            "{FIRST}limits: {{label_value: 12, labels_per_series: 3, values_per_label: 3, samples_per_request: 2, body: 200, connections: 9}}\n"
        ),
    )
    .await;
    assert_eq!(told["needs_restart"], json!(["limits.connections"]), "{told}");
    let refused = write(&[("__name__", "m"), ("a", "longer than that too")]).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text.contains("label value")),
        (400, true),
        "{}",
        refused.text
    );
    let many = [("__name__", "m"), ("a", "1"), ("b", "1"), ("c", "1")];
    assert_eq!(write(&many).await.status, 400);
    // What is known goes on, whatever it is called.
    assert_eq!(write(&[("__name__", "m"), ("a", "long enough for all")]).await.status, 204);
    for value in ["1", "2", "3"] {
        assert_eq!(write(&[("__name__", "v"), ("a", value)]).await.status, 204);
    }
    let over = server.data("/api/v1/query?query=v%7Ba%3D%22__overflow__%22%7D").await;
    assert_eq!(over["result"].as_array().unwrap().len(), 1, "{over}");
    let samples: Vec<_> = (1..=3).map(|n| (t - 1_000 + n, 0.0)).collect();
    let refused = server.write_series(&[("__name__", "s")], &samples).await;
    assert!(!refused.status.is_success() && refused.text.contains("more than 2 samples"), "{}", refused.text);
    let body = format!("m {}\n", "1".repeat(300));
    let large = server.call(Method::POST, "/api/v1/import/prometheus", &[], body.as_bytes()).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", large.text);

    let told = reload(&server, dir.path(), FIRST).await;
    assert_eq!(told["needs_restart"], json!([]));
    assert_eq!(write(&many).await.status, 204);
    assert_eq!(server.write_series(&[("__name__", "s")], &samples).await.status, 204);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_nodes_may_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let job = |key: &str, name: &str| format!("{{key: {key}, name: {name}, period: 24h}}");
    let of = |jobs: &[String], nodes: &str| {
        format!("{FIRST}health: {{heartbeats: [{}], cluster: [{nodes}]}}\n", jobs.join(", "))
    };
    let server = running(dir.path(), &of(&[job("k", "first")], "")).await;
    assert_eq!(server.get("/ping/k").await.status, 200);
    assert_eq!(server.get("/ping/l").await.status, 404);
    until(&server, "/health/components/first", |it| it["status"] == "healthy").await;

    let both = of(&[job("k", "renamed"), job("l", "second")], "{name: other, url: 'http://127.0.0.1:9'}");
    assert_eq!(reload(&server, dir.path(), &both).await["needs_restart"], json!([]));
    // What was heard of a job before counts.
    until(&server, "/health/components/renamed", |it| it["status"] == "healthy").await;
    assert_eq!(server.get("/health/components/first").await.status, 404);
    assert_eq!(server.get("/ping/l/fail").await.status, 200);
    until(&server, "/health/components/second", |it| it["status"] == "unhealthy").await;
    let node = |it: &serde_json::Value| it.to_string().contains("\"other\"");
    until(&server, "/health/cluster", |it| node(it)).await;

    assert_eq!(reload(&server, dir.path(), FIRST).await["needs_restart"], json!([]));
    assert_eq!(server.get("/ping/k").await.status, 404);
    assert_eq!(server.get("/health/components/second").await.status, 404);
    until(&server, "/health/cluster", |it| !node(it)).await;
    server.server.stop().await;
}
