//! What rules record can be asked, their alerts are told, and a changed file counts without a restart.

use std::{fs, path::Path, time::Duration};

use crate::support::{Running, now_ms, start};
use barograph_server::config::Config;
use serde_json::{Value, json};

const RULES: &str = "groups:
- name: recorded
  interval: 100ms
  rules:
  - {record: 'job:load:sum', expr: sum by (job) (load), labels: {team: a}}
  - {record: 'job:load:twice', expr: '2 * job:load:sum'}
  - {record: broken, expr: 'load * on () load'}
- name: watched
  interval: 100ms
  limit: 10
  rules:
  - alert: Loaded
    expr: load > 1
    labels: {severity: page}
    annotations: {summary: '{{ $labels.host }} has {{ $value }}'}
  - {alert: Waiting, expr: load > 1, for: 1h}
";

/// A server with this rule file, and series that it speaks of.
async fn serve(dir: &Path, rules: &str) -> Running {
    fs::write(dir.join("rules.yml"), rules).expect("a file");
    let config = "collectors: {built_in: false}\nrule_files: ['*.yml']\n";
    let config = Config::parse(config, "b.yaml", dir, []).expect("it can be used");
    let running = start(&dir.join("data"), config).await;
    let now = now_ms();
    for (host, value) in [("x", 1.0), ("y", 2.0)] {
        let labels = [("__name__", "load"), ("host", host), ("job", "api")];
        assert_eq!(running.write_series(&labels, &[(now, value)]).await.status, 204);
    }
    running
}

/// Asks again and again until an answer satisfies.
async fn until(running: &Running, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..400 {
        let data = running.data(path).await;
        if is_right(&data) {
            return data;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never answered what it should: {}", running.data(path).await);
}

fn values(data: &Value) -> Vec<(Value, Value)> {
    let series = data["result"].as_array().expect("a list").iter();
    series.map(|series| (series["metric"].clone(), series["value"][1].clone())).collect()
}

#[tokio::test]
async fn what_is_recorded_can_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve(dir.path(), RULES).await;
    let twice = json!({"__name__": "job:load:twice", "job": "api", "team": "a"});
    until(&running, "/api/v1/query?query=job:load:twice", |data| {
        values(data) == [(twice.clone(), "6".into())]
    })
    .await;
    until(&running, "/api/v1/query?query=ALERTS", |data| values(data).len() == 2).await;
    let own = "/api/v1/query?query=barograph_rule_evaluations_total";
    until(&running, own, |data| values(data).len() == 2).await;
    running.server.stop().await;
}

#[tokio::test]
async fn rules_and_alerts_say_how_they_fare() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve(dir.path(), RULES).await;
    let alerts =
        until(&running, "/api/v1/alerts", |data| data["alerts"].as_array().unwrap().len() == 2).await;
    let loaded = &alerts["alerts"][0];
    assert_eq!(
        loaded["labels"],
        json!({"alertname": "Loaded", "host": "y", "job": "api", "severity": "page"})
    );
    assert_eq!(loaded["annotations"], json!({"summary": "y has 2"}));
    assert_eq!((&loaded["state"], &loaded["value"]), (&json!("firing"), &json!("2e+00")));
    assert_eq!(alerts["alerts"][1]["state"], "pending");

    let data = until(&running, "/api/v1/rules", |data| {
        let rules =
            data["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules.filter(|rule| rule["health"] != "unknown").count() == 5
    })
    .await;
    let groups = data["groups"].as_array().unwrap();
    assert_eq!((&groups[0]["name"], &groups[1]["name"]), (&json!("recorded"), &json!("watched")));
    assert_eq!((&groups[1]["limit"], &groups[1]["interval"]), (&json!(10), &json!(0.1)));
    assert_eq!(groups[0]["file"], dir.path().join("rules.yml").display().to_string());
    let recorded = &groups[0]["rules"];
    assert_eq!((&recorded[0]["type"], &recorded[0]["health"]), (&json!("recording"), &json!("ok")));
    assert_eq!(recorded[0]["query"], "sum by (job) (load)");
    assert_eq!(recorded[0]["labels"], json!({"team": "a"}));
    assert_eq!(recorded[2]["health"], "err");
    assert!(recorded[2]["lastError"].as_str().unwrap().contains("many-to-many"), "{recorded}");
    let watched = &groups[1]["rules"];
    assert_eq!((&watched[0]["state"], &watched[1]["state"]), (&json!("firing"), &json!("pending")));
    assert_eq!(
        (&watched[1]["duration"], &watched[0]["alerts"][0]["labels"]["host"]),
        (&json!(3600.0), &json!("y"))
    );
    running.server.stop().await;
}

#[tokio::test]
async fn rules_are_chosen_by_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve(dir.path(), RULES).await;
    let names = async |query: &str| -> Vec<String> {
        let data = running.data(&format!("/api/v1/rules?{query}")).await;
        let groups = data["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().iter());
        rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    };
    until(&running, "/api/v1/rules", |data| data["groups"].as_array().unwrap().len() == 2).await;
    assert_eq!(names("type=alert").await, ["Loaded", "Waiting"]);
    assert_eq!(names("type=record").await, ["job:load:sum", "job:load:twice", "broken"]);
    assert_eq!(names("rule_name[]=Loaded&rule_name[]=broken").await, ["broken", "Loaded"]);
    assert_eq!(names("rule_group[]=watched").await, ["Loaded", "Waiting"]);
    assert_eq!(names("file[]=/nowhere").await, [""; 0]);
    assert_eq!(names("match[]=%7Bseverity=%22page%22%7D").await, ["Loaded"]);
    assert_eq!(
        names("match[]=%7Bteam=%22a%22%7D&match[]=%7Bseverity=%22page%22%7D").await,
        ["job:load:sum", "Loaded"]
    );
    let first = running.data("/api/v1/rules?group_limit=1").await;
    assert_eq!(first["groups"][0]["name"], "recorded");
    let token = first["groupNextToken"].as_str().unwrap();
    let second = running.data(&format!("/api/v1/rules?group_limit=1&group_next_token={token}")).await;
    assert_eq!((&second["groups"][0]["name"], &second["groupNextToken"]), (&json!("watched"), &Value::Null));
    let without = running.data("/api/v1/rules?exclude_alerts=true&type=alert").await;
    assert_eq!(without["groups"][0]["rules"][0]["alerts"], json!([]));
    for bad in [
        "type=x",
        "match[]=%7B",
        "group_limit=0",
        "group_next_token=x",
        "group_limit=1&group_next_token=x",
        "exclude_alerts=x",
    ] {
        assert_eq!(running.get(&format!("/api/v1/rules?{bad}")).await.status, 400, "{bad}");
    }
    running.server.stop().await;
}

#[tokio::test]
async fn a_changed_file_counts_and_what_is_gone_ends() {
    let dir = tempfile::tempdir().unwrap();
    let running = serve(dir.path(), RULES).await;
    until(&running, "/api/v1/query?query=job:load:sum", |data| values(data).len() == 1).await;
    fs::write(dir.path().join("rules.yml"), "groups: [{name: bad").unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(running.data("/api/v1/rules").await["groups"].as_array().unwrap().len(), 2);
    let changed = "groups:\n- {name: recorded, interval: 100ms, rules: [{record: other, expr: load}]}\n";
    fs::write(dir.path().join("rules.yml"), changed).unwrap();
    until(&running, "/api/v1/query?query=other", |data| values(data).len() == 2).await;
    until(&running, "/api/v1/query?query=job:load:sum", |data| values(data).is_empty()).await;
    until(&running, "/api/v1/query?query=ALERTS", |data| values(data).is_empty()).await;
    assert_eq!(running.data("/api/v1/alerts").await, json!({"alerts": []}));
    running.server.stop().await;
}

#[tokio::test]
async fn a_server_does_not_start_with_rules_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("r.yml"), "groups: [{name: g, rules: [{record: x, expr: 'sum('}]}]").unwrap();
    let config = Config::parse("rule_files: [r.yml]", "b.yaml", dir.path(), []).unwrap();
    let error = crate::support::start_configured(&dir.path().join("data"), config).await.err().unwrap();
    assert!(error.to_string().contains("r.yml:1:46: `expr`: 1:5: parse error"), "{error}");
}
