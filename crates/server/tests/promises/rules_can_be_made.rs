//! A rule that is made by API is kept with its versions, fires and reaches a receiver, is over when it is removed, is refused
//! with the place of each mistake, and is changed by those only who may. What a preview says is what then happens.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    only_those_may_who_may::{USERS, ask},
    support::{Running, configured, now_ms, start},
};

const RULES: &str = "/api/barograph/v1/alerts/rules";
/// How far rules look back where times are compared.
const OFFSET_MS: i64 = 2_000;

async fn call(running: &Running, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (kind, body) = match body {
        Value::String(text) => ("application/yaml", text.clone()),
        Value::Null => ("application/json", String::new()),
        document => ("application/json", document.to_string()),
    };
    let reply = running.call(method, path, &[("content-type", kind)], body.as_bytes()).await;
    (reply.status.as_u16(), serde_json::from_str(&reply.text).unwrap_or(Value::Null))
}

async fn get(running: &Running, path: &str) -> Value {
    let (status, document) = call(running, Method::GET, path, &Value::Null).await;
    assert_eq!(status, 200, "{path}: {document}");
    document
}

/// Asks again and again until an answer satisfies.
async fn until(running: &Running, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let document = get(running, path).await;
        if is_right(&document) {
            return document;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never answered what it should: {}", get(running, path).await);
}

async fn write(running: &Running, name: &str, samples: &[(i64, f64)]) {
    let labels = [("__name__", name), ("host", "a")];
    assert_eq!(running.write_series(&labels, samples).await.status, 204);
}

/// A receiver of webhooks, and what it was sent.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let take = async |State(sent): State<Arc<Mutex<Vec<Value>>>>, body: Bytes| {
        sent.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    };
    let router = Router::new().route("/", post(take)).with_state(sent.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, sent)
}

fn config(folder: &Path, url: &str) -> barograph_server::config::Config {
    let route = "{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s}";
    let receivers = format!("[{{name: team, webhook_configs: [{{url: '{url}'}}]}}]");
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, format!("route: {route}\nreceivers: {receivers}\n")).unwrap();
    configured(&format!(
        "collectors: {{built_in: false}}\nready_rules: {{enabled: false}}\nalertmanager_config: {}\n",
        file.display()
    ))
}

#[tokio::test]
async fn a_rule_made_by_api_fires_outlives_a_restart_and_is_over_when_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (url, sent) = receiver().await;
    let data = dir.path().join("data");
    let running = start(&data, config(dir.path(), &url)).await;
    write(&running, "load", &[(now_ms(), 9.0)]).await;

    let rule = json!({"alert": "Loaded", "expr": "load > 5", "interval": "1s", "labels": {"severity": "critical"},
        "annotations": {"summary": "{{ $labels.host }} has {{ $value }}"}});
    let (status, made) = call(&running, Method::POST, RULES, &rule).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let one = format!("{RULES}/{id}");
    assert_eq!((&made["version"], &made["editable"], &made["file"]), (&json!(1), &json!(true), &Value::Null));
    let fires = until(&running, &one, |rule| rule["state"] == "firing" && rule["fired_24h"] == 1).await;
    for (key, value) in [
        ("name", json!("Loaded")),
        ("kind", json!("threshold")),
        ("severity", json!("critical")),
        ("expr", json!("load > 5")),
        ("for", json!("0s")),
        ("threshold", json!(5.0)),
        ("group", json!("every 1s")),
        ("enabled", json!(true)),
        ("health", json!("ok")),
        ("active", json!(1)),
        ("flapping", json!(false)),
        ("noisy", json!(false)),
    ] {
        assert_eq!(fires[key], value, "{key}");
    }
    for _ in 0..600 {
        if !sent.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let first = sent.lock().unwrap()[0].clone();
    assert_eq!(first["alerts"][0]["annotations"]["summary"], "a has 9");

    // It comes back with what it said; what counts is kept, too.
    let text = "# as somebody writes it\nalert: Loaded\nexpr: load > 6\ninterval: 1s\nlabels: {severity: critical}\n";
    let (status, changed) = call(&running, Method::PUT, &one, &text.into()).await;
    assert_eq!((status, &changed["version"], &changed["text"]), (200, &json!(2), &json!(text)));
    running.server.stop().await;
    let running = start(&data, config(dir.path(), &url)).await;
    write(&running, "load", &[(now_ms(), 9.0)]).await;
    let again = until(&running, &one, |rule| rule["state"] == "firing").await;
    assert_eq!((&again["version"], &again["text"]), (&json!(2), &json!(text)));
    assert!(again["fired_24h"].as_u64().unwrap() >= 1, "{again}");
    let versions = get(&running, &format!("{one}/versions")).await;
    let told: Vec<_> =
        versions["versions"].as_array().unwrap().iter().map(|it| (&it["version"], &it["what"])).collect();
    assert_eq!(told, [(&json!(2), &json!("changed")), (&json!(1), &json!("made"))]);
    assert!(versions["versions"][0]["at"].is_string() && versions["versions"][0]["by"].is_string());

    // Off it is no more; removed it is over.
    let (status, off) =
        call(&running, Method::PUT, &format!("{one}/enabled"), &json!({"enabled": false})).await;
    assert_eq!((status, &off["enabled"], &off["version"]), (200, &json!(false), &json!(3)));
    let alerts = "/api/barograph/v1/alerts?state=resolved";
    until(&running, alerts, |found| found["total"] == 1).await;
    let (status, _) = call(&running, Method::PUT, &format!("{one}/enabled"), &json!({"enabled": true})).await;
    assert_eq!(status, 200);
    until(&running, &one, |rule| rule["state"] == "firing").await;
    assert_eq!(call(&running, Method::DELETE, &one, &Value::Null).await.0, 204);
    until(&running, alerts, |found| found["total"] == 1).await;
    assert_eq!(call(&running, Method::GET, &one, &Value::Null).await.0, 404);
    let versions = get(&running, &format!("{one}/versions")).await;
    assert_eq!(versions["versions"][0]["what"], "removed");
    let statistics = get(&running, "/api/barograph/v1/alerts/statistics").await;
    let of_rule = &statistics["rules"][0];
    assert_eq!(of_rule["rule"], "Loaded");
    for key in ["time_to_acknowledge", "time_to_resolve"] {
        assert!(
            of_rule[key].get("mean_seconds").is_some() && of_rule[key].get("p95_seconds").is_some(),
            "{of_rule}"
        );
    }
    running.server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_a_rule_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let text = "groups: [{name: g, rules: [{alert: OfFile, expr: up == 0}]}]\n";
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, text).unwrap();
    let config = configured(&format!(
        "collectors: {{built_in: false}}\nready_rules: {{enabled: false}}\nrule_files: ['{}']\n",
        file.display()
    ));
    let running = start(&dir.path().join("data"), config).await;
    let listed = until(&running, RULES, |found| found["rules"].as_array().unwrap().len() == 1).await;
    let of_file = &listed["rules"][0];
    assert_eq!(
        (&of_file["name"], &of_file["editable"], &of_file["group"]),
        (&json!("OfFile"), &json!(false), &json!("g"))
    );
    assert_eq!(of_file["file"], file.display().to_string());

    let refused = |status: u16, document: &Value, expected: u16, words: &str| {
        let detail = document["detail"].as_str().unwrap_or_default();
        assert!(status == expected && detail.contains(words), "{status} {document}, expected {words}");
    };
    let (status, wrong) =
        call(&running, Method::POST, RULES, &"alert: A\nexpr: sum(m\nfro: 5m\n".into()).await;
    refused(
        status,
        &wrong,
        400,
        "line 2, column 7: `expr`: 1:6: parse error: unclosed left parenthesis\nline 3, column 1: unknown key `fro` in a rule; remove it",
    );
    let (status, wrong) =
        call(&running, Method::POST, RULES, &json!({"alert": "A", "expr": "m", "labels": {"__name__": "x"}}))
            .await;
    refused(status, &wrong, 400, "labels.__name__: `__name__` cannot be a label of a rule");
    assert_eq!(wrong["path"], "labels.__name__");
    let (status, wrong) = call(&running, Method::POST, RULES, &json!({"record": "a", "expr": "m"})).await;
    refused(status, &wrong, 400, "only rules with `alert` can be kept here");
    let (status, wrong) = call(&running, Method::POST, RULES, &json!({"alert": "OfFile", "expr": "m"})).await;
    refused(status, &wrong, 409, "there is a rule `OfFile` in");
    let (status, made) = call(&running, Method::POST, RULES, &json!({"alert": "A", "expr": "m"})).await;
    assert_eq!(status, 201);
    let (status, wrong) = call(&running, Method::POST, RULES, &json!({"alert": "A", "expr": "n"})).await;
    refused(status, &wrong, 409, "there is a rule `A` already");
    let one = format!("{RULES}/{}", of_file["id"].as_str().unwrap());
    for (method, path) in
        [(Method::PUT, one.clone()), (Method::DELETE, one.clone()), (Method::PUT, format!("{one}/enabled"))]
    {
        let (status, wrong) = call(&running, method, &path, &json!({"enabled": false})).await;
        refused(status, &wrong, 409, "change it there");
    }
    let (status, wrong) = call(&running, Method::GET, &format!("{RULES}/rule_0"), &Value::Null).await;
    refused(status, &wrong, 404, "there is no rule");
    let (status, wrong) = call(
        &running,
        Method::POST,
        &format!("{RULES}/preview"),
        &json!({"rule": {"alert": "A", "expr": "m["}}),
    )
    .await;
    refused(status, &wrong, 400, "rule.expr");
    let (status, wrong) = call(
        &running,
        Method::POST,
        &format!("{RULES}/preview"),
        &json!({"rule": {"alert": "A", "expr": "m"}, "start": "soon"}),
    )
    .await;
    refused(status, &wrong, 400, "start: ");
    // Nothing of that changed what there is.
    let listed = get(&running, RULES).await;
    let names: Vec<_> = listed["rules"].as_array().unwrap().iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, [&json!("OfFile"), &json!("A")]);
    assert_eq!(listed["rules"][1]["id"], made["id"]);
    running.server.stop().await;
}

#[tokio::test]
async fn rules_are_changed_by_those_who_may() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let rule = json!({"alert": "A", "expr": "m > 5"});
    let check = async |user, method: Method, path: &str, body: &Value, expected: u16| {
        let (status, document) = ask(&running, user, method.clone(), path, body.clone()).await;
        assert_eq!(status, expected, "{user} {method} {path}: {document}");
        document
    };
    for user in ["reader", "acker"] {
        check(user, Method::POST, RULES, &rule, 403).await;
    }
    let made = check("writer", Method::POST, RULES, &rule, 201).await;
    let one = format!("{RULES}/{}", made["id"].as_str().unwrap());
    check("reader", Method::GET, RULES, &Value::Null, 200).await;
    check("reader", Method::GET, &format!("{one}/versions"), &Value::Null, 200).await;
    check("reader", Method::POST, &format!("{RULES}/preview"), &json!({"rule": rule}), 200).await;
    check("reader", Method::DELETE, &one, &Value::Null, 403).await;
    check("reader", Method::PUT, &format!("{one}/enabled"), &json!({"enabled": false}), 403).await;
    let changed = check("admin", Method::PUT, &one, &json!({"alert": "A", "expr": "m > 6"}), 200).await;
    assert_eq!((&changed["created_by"], &changed["changed_by"]), (&json!("writer"), &json!("admin")));
    check("writer", Method::DELETE, &one, &Value::Null, 204).await;
    let audit = check("admin", Method::GET, "/api/barograph/v1/audit", &Value::Null, 200).await.to_string();
    for act in ["rule.create", "rule.change", "rule.delete"] {
        assert!(audit.contains(act), "{act}: {audit}");
    }
    running.server.stop().await;
}

/// Start and end of each firing of `Live`, as what is recorded of alerts has it.
async fn recorded(running: &Running, start: i64, end: i64) -> Vec<(i64, i64)> {
    let query = "ALERTS%7Balertname%3D%22Live%22,alertstate%3D%22firing%22%7D";
    let path = format!(
        "/api/v1/query_range?query={query}&start={}&end={}&step=1",
        start as f64 / 1e3,
        end as f64 / 1e3
    );
    let data = running.data(&path).await;
    let Some(series) = data["result"].get(0) else { return Vec::new() };
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for value in series["values"].as_array().unwrap() {
        #[expect(clippy::cast_possible_truncation, reason = "a time")]
        let at = (value[0].as_f64().unwrap() * 1e3).round() as i64;
        match spans.last_mut() {
            Some(last) if last.1 + 1_000 == at => last.1 = at,
            _ => spans.push((at, at)),
        }
    }
    spans
}

#[tokio::test]
async fn a_preview_says_what_then_happens() {
    let dir = tempfile::tempdir().unwrap();
    let (url, sent) = receiver().await;
    // Rules look a little back, so that what they see is there whenever it is looked at.
    let mut config = config(dir.path(), &url);
    config.global.rule_query_offset = Duration::from_millis(OFFSET_MS.unsigned_abs());
    let running = start(&dir.path().join("data"), config).await;
    let rule = json!({"alert": "Live", "expr": "wave > 5", "for": "2s", "interval": "1s", "labels": {"severity": "critical"}});
    let (status, made) = call(&running, Method::POST, RULES, &rule).await;
    assert_eq!(status, 201, "{made}");
    // Two times high: first for too short, then for long enough.
    let began = now_ms();
    for value in [1.0, 9.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0] {
        write(&running, "wave", &[(now_ms(), value)]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let end = now_ms();
    let asked = json!({"rule": rule, "start": began as f64 / 1e3, "end": end as f64 / 1e3});
    let (status, found) = call(&running, Method::POST, &format!("{RULES}/preview"), &asked).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(
        (&found["fired"], &found["flapping"], &found["series"][0]["points"][0][1]),
        (&json!(1), &json!(0), &json!(1.0)),
        "{found}"
    );
    assert_eq!(found["would_page"], json!([{"who": "team", "times": 1}]));
    let time = |value: &Value| barograph_model::Timestamp::from_rfc3339(value.as_str().unwrap()).unwrap().0;
    let firing = &found["firings"][0];
    let (from, to) = (time(&firing["start"]), time(&firing["end"]));
    // What is recorded is as of the times that were asked; a turn may have been left out.
    let happened = recorded(&running, from - OFFSET_MS - 3_000, to - OFFSET_MS + 3_000).await;
    let near = |a: i64, b: i64| (a - b).abs() <= 1_000;
    let [(first, last)] = happened[..] else { panic!("{happened:?} {found}") };
    assert!(near(first, from - OFFSET_MS) && near(last, to - OFFSET_MS - 1_000), "{happened:?} {found}");
    let told = sent.lock().unwrap().iter().filter(|notice| notice["status"] == "firing").count();
    assert_eq!(told, 1);
    assert_eq!(found["series"][0]["labels"], json!({"__name__": "wave", "host": "a"}));
    running.server.stop().await;
}

#[tokio::test]
async fn a_preview_says_what_was_held_back_by_what() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(&dir.path().join("data"), config(dir.path(), "http://127.0.0.1:9/")).await;
    let now = now_ms();
    // High for two minutes, in a window of maintenance that is still under way.
    let samples: Vec<_> =
        (0..30).map(|at| (now - 300_000 + at * 10_000, if at < 12 { 9.0 } else { 1.0 })).collect();
    write(&running, "m", &samples).await;
    let begins = barograph_model::Timestamp(now - 600_000).to_rfc3339();
    let window =
        json!({"name": "backup", "matchers": ["host=a"], "start": begins, "duration_seconds": 36_000});
    let (status, made) = call(&running, Method::POST, "/api/barograph/v1/maintenance", &window).await;
    assert_eq!(status, 201, "{made}");
    let rule = json!({"alert": "A", "expr": "m > 5", "interval": "10s", "labels": {"severity": "critical"}});
    let asked = json!({"rule": rule, "start": (now - 280_000) as f64 / 1e3});
    let (status, found) = call(&running, Method::POST, &format!("{RULES}/preview"), &asked).await;
    assert_eq!((status, &found["fired"], &found["incidents"]), (200, &json!(1), &json!(0)), "{found}");
    assert_eq!(found["would_page"], json!([]), "{found}");
    let held = &found["held_back"][0];
    assert_eq!((&held["by"], &held["about"]), (&json!("maintenance"), &json!("backup")), "{found}");
    assert_eq!((&held["firings"], &held["untold"]), (&json!(1), &json!(1)), "{found}");
    running.server.stop().await;
}

#[tokio::test]
async fn a_preview_is_held_to_the_limits_of_queries() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured("collectors: {built_in: false}\nquery: {max_samples: 50}\n");
    let running = start(dir.path(), config).await;
    let now = now_ms();
    let samples: Vec<_> = (0..200).map(|index| (now - (200 - index) * 1_000, 1.0)).collect();
    write(&running, "m", &samples).await;
    let rule = json!({"alert": "A", "expr": "max_over_time(m[2m]) > 5", "interval": "1s"});
    let asked = json!({"rule": rule, "start": (now - 100_000) as f64 / 1e3});
    let (status, told) = call(&running, Method::POST, &format!("{RULES}/preview"), &asked).await;
    assert_eq!(status, 422, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("ask for less time"), "{told}");
    running.server.stop().await;
}
