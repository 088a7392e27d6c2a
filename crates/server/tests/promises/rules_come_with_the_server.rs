//! Rules that come with the server are evaluated without being written; their heartbeat is told only where a route asks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Running, configured, start_with_ready_rules};

/// Asks until an answer satisfies; the rules are evaluated twice a minute.
async fn until(running: &Running, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let reply = running.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        if is_right(&reply.json()) {
            return reply.json();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} never answered what it should: {}", running.get(path).await.text);
}

/// A machine that is slow may well have something else to say of itself.
fn heartbeat_of(reply: &Value) -> Option<&Value> {
    let alerts = reply["data"]["alerts"].as_array().unwrap();
    alerts.iter().find(|alert| alert["labels"]["alertname"] == "Watchdog")
}

#[tokio::test]
async fn a_heartbeat_disturbs_nobody() {
    let config = configured("ready_rules: {groups: [watchdog, http], without: [target-down]}\n");
    let running = start_with_ready_rules(config).await;
    let rules = running.data("/api/v1/rules").await;
    let groups = rules["groups"].as_array().unwrap();
    let files: Vec<&Value> = groups.iter().map(|group| &group["file"]).collect();
    assert_eq!(files, ["ready:http", "ready:watchdog"]);
    let of_watchdog = groups[1]["rules"].as_array().unwrap();
    assert!(of_watchdog.len() > 10 && of_watchdog.iter().all(|rule| rule["name"] != "target-down"));

    let alerts = until(&running, "/api/v1/alerts", |reply| heartbeat_of(reply).is_some()).await;
    let heartbeat = heartbeat_of(&alerts).unwrap();
    assert_eq!(heartbeat["labels"], json!({"alertname": "Watchdog", "severity": "none"}));
    assert_eq!(heartbeat["state"], "firing");
    // Rules that ask for what is not there are no error.
    let rules = running.data("/api/v1/rules?rule_group[]=watchdog").await;
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["lastError"].as_str().is_none_or(str::is_empty)), "{rules:?}");

    for path in ["/api/v2/alerts", "/api/barograph/v1/alerts", "/api/barograph/v1/incidents"] {
        let answer = running.get(path).await;
        assert!(answer.status == 200 && !answer.text.contains("Watchdog"), "{path}: {}", answer.text);
    }

    let link = heartbeat["annotations"]["runbook_url"].as_str().unwrap();
    let page = running.get(&link[link.find("/runbooks").unwrap()..]).await;
    assert!(page.status == 200 && page.text.contains("<h1>Watchdog</h1>"), "{}", page.text);
    assert_eq!(running.get("/runbooks/none").await.status, 404);
    running.server.stop().await;
}

#[tokio::test]
async fn a_heartbeat_is_told_where_a_route_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alertmanager.yml");
    // Nobody listens there: what is to be told stays in the outbox.
    let routes = "route: {receiver: all, routes: [{matchers: [alertname = Watchdog], receiver: heart, group_wait: 0s}]}\n\
                  receivers: [{name: all}, {name: heart, webhook_configs: [{url: 'http://127.0.0.1:9/', send_resolved: false}]}]\n";
    std::fs::write(&file, routes).unwrap();
    let text = format!("alertmanager_config: {}\nready_rules: {{groups: [watchdog]}}\n", file.display());
    let running = start_with_ready_rules(configured(&text)).await;
    until(&running, "/api/barograph/v1/deliveries?receiver=heart", |reply| {
        !reply["deliveries"].as_array().unwrap().is_empty()
    })
    .await;
    assert!(running.get("/api/v2/alerts").await.text.contains("Watchdog"));
    assert!(!running.get("/api/barograph/v1/incidents").await.text.contains("Watchdog"));
    running.server.stop().await;
}
