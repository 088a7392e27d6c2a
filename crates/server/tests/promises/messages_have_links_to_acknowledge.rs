//! Messages over every channel have a link by which their reader acknowledges, once it is known what the server is called from
//! outside; the link does nothing until its page is posted, and what was queued for others is taken back then.

use std::{path::Path, time::Duration};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    fakes::Fakes,
    support::{Running, configured, start},
};

const API: &str = "/api/barograph/v1";
const OUTSIDE: &str = "https://baro.example";

async fn started(folder: &Path, url: &str, outside: &str) -> Running {
    let receivers = format!(
        "- name: team\n  webhook_configs: [{{url: '{url}/hook'}}]\n  slack_configs: [{{api_url: '{url}/slack'}}]\n  \
         pagerduty_configs: [{{routing_key: k, url: '{url}/v2/enqueue'}}]\n  \
         telegram_configs: [{{bot_token: '1:abc', chat_id: -5, api_url: '{url}'}}]\n  \
         sms_configs: [{{account_sid: AC1, auth_token: t, from: '+1', to: '+2', api_url: '{url}'}}]\n  \
         msteamsv2_configs: [{{webhook_url: '{url}/teams'}}]\n\
         - name: others\n  webhook_configs: [{{url: '{url}/never'}}]\n"
    );
    let route =
        "{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 1s, escalation: quick}";
    let policies = "escalation_policies: {quick: {levels: [{delay: 1s, targets: [route]}, {targets: ['receiver:others']}]}}";
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, format!("route: {route}\n{policies}\nreceivers:\n{receivers}")).unwrap();
    let web =
        if outside.is_empty() { String::new() } else { format!("web: {{external_url: '{outside}'}}\n") };
    let config = format!("{web}collectors: {{built_in: false}}\nalertmanager_config: {}\n", file.display());
    start(&folder.join("data"), configured(&config)).await
}

async fn fire(running: &Running) {
    let alerts = json!([{"labels": {"alertname": "Down", "severity": "critical"}, "annotations": {"message": "down"}}]);
    let kind = [("content-type", "application/json")];
    let reply = running.call(Method::POST, "/api/v2/alerts", &kind, alerts.to_string().as_bytes()).await;
    assert_eq!(reply.status, 200);
}

/// Asks for deliveries until there is what is wanted.
async fn deliveries(running: &Running, query: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let found = running.get(&format!("{API}/deliveries?{query}")).await.json()["deliveries"].take();
        if let Some(one) = found.as_array().unwrap().iter().find(|one| wanted(one)) {
            return one.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_link_out_of_each_message_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    let running = started(folder.path(), &url, OUTSIDE).await;
    fire(&running).await;
    let hook = fakes.wait("/hook", 1).await[0].json();
    let link = hook["barograph"]["ackURL"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(OUTSIDE).unwrap();
    let slack = fakes.wait("/slack", 1).await[0].json();
    let button = &slack["blocks"][2]["elements"][0];
    assert_eq!((&button["url"], &button["value"]), (&json!(link), &json!(link.rsplit('/').next())));
    let pager = fakes.wait("/v2/enqueue", 1).await[0].json();
    assert_eq!(pager["links"][0]["href"], link);
    let teams = fakes.wait("/teams", 1).await[0].json();
    assert_eq!(teams["attachments"][0]["content"]["actions"][0]["url"], link);
    let telegram = fakes.wait("/bot1:abc/sendMessage", 1).await[0].json();
    assert_eq!(telegram["reply_markup"]["inline_keyboard"][0][0]["url"], link);
    let form = fakes.wait("/2010-04-01/Accounts/AC1/Messages.json", 1).await[0].body.clone();
    let text = form_urlencoded::parse(&form).find(|(name, _)| name == "Body").unwrap().1.into_owned();
    assert!(text.ends_with(&link) && text.len() <= 459, "{text}");

    let asked = deliveries(&running, "receiver=others", |one| one["state"] == "retrying").await;
    let incident = format!("{API}/incidents/{}", asked["incident_id"].as_str().unwrap());
    for _ in 0..2 {
        let page = running.get(path).await;
        assert!(page.status == 200 && page.text.contains("<form method=\"post\">"), "{}", page.text);
    }
    assert_eq!(running.get(&incident).await.json()["state"], "open", "whoever only looks changes nothing");
    assert_eq!(running.call(Method::POST, path, &[], b"").await.status, 200);
    let found = running.get(&incident).await.json();
    assert_eq!((&found["state"], &found["ack"]["acknowledged_by"]), (&json!("acknowledged"), &json!("team")));
    let back = deliveries(&running, "receiver=others", |one| one["state"] == "dead").await;
    assert_eq!((&back["id"], &back["error"]), (&asked["id"], &json!("somebody has it")));
    assert_eq!(running.call(Method::POST, path, &[], b"").await.status, 200, "once more is nothing new");
}

#[tokio::test]
async fn there_is_none_where_nobody_says_what_the_server_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    let running = started(folder.path(), &url, "").await;
    fire(&running).await;
    assert_eq!(fakes.wait("/hook", 1).await[0].json()["barograph"]["ackURL"], Value::Null);
}
