//! Settings read and notices said, channel by channel.

use serde_json::{Value, json};

use super::*;
use crate::routing::{Alert, Cause};

fn set(pairs: &[(&str, &str)]) -> crate::routing::LabelSet {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A node that failed.
pub(super) fn notice() -> Notice {
    let alert = Alert {
        labels: set(&[("alertname", "node_failure"), ("severity", "critical"), ("node", "node2")]),
        annotations: set(&[
            ("message", "Node node2 has become unresponsive"),
            ("component", "cluster <a>"),
            ("cluster_size", "3"),
        ]),
        starts_at: 1_700_000_000_000,
        ends_at: None,
        timeout: false,
        updated_at: 1_700_000_000_000,
        generator_url: "http://baro.example/graph".to_owned(),
        cause: None,
    };
    Notice {
        receiver: "team".to_owned(),
        integration: 0,
        reason: Reason::Group,
        group_key: "{}:{alertname=\"node_failure\"}".to_owned(),
        group_labels: set(&[("alertname", "node_failure")]),
        alerts: vec![alert],
        truncated: 0,
        incident: Some("inc_1".to_owned()),
        reminder: false,
        level: 1,
        dedup_key: "key".to_owned(),
        seq: 1,
        at: 1_700_000_030_000,
        deadline: 1_700_000_330_000,
    }
}

fn resolved() -> Notice {
    let mut notice = notice();
    notice.reason = Reason::Resolved;
    notice.alerts[0].ends_at = Some(1_700_000_020_000);
    notice
}

fn channel(key: &str, yaml: &str) -> Result<Channel, String> {
    let read =
        barograph_yaml::read(yaml, "a.yml", |root, findings| read(key, &root, &Global::default(), findings));
    read.map_err(|faults| faults.to_string()).map(Option::unwrap)
}

fn said(key: &str, yaml: &str, notice: &Notice) -> Words {
    let library = library();
    let setting = Setting {
        external_url: "http://baro.example",
        source: "prod",
        ack_url: Some("https://baro.example/ack/1"),
        templates: &library,
        reveal: &|secret| match secret {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => Err(format!("no {}", path.display())),
        },
        now: Timestamp(1_700_000_031_000),
    };
    words(&channel(key, yaml).unwrap(), notice, &setting).unwrap()
}

#[track_caller]
fn ask(key: &str, yaml: &str, notice: &Notice) -> (Request, Value) {
    let words = said(key, yaml, notice);
    assert_eq!(words.template_error, None);
    let Some(Message::Http(request)) = words.message else { panic!("no request") };
    let body = serde_json::from_slice(&request.body).unwrap_or_default();
    (request, body)
}

const HOOK: &str = "{url: 'http://hook.example/token'}";
const SLACK: &str =
    "{api_url: 'http://slack.example/services/T/B/x', channel: '#exesdb-alerts', name: ExESDB}";
const PAGER: &str = "{routing_key: exesdb_routing_key, source: ExESDB Cluster}";
const TELEGRAM: &str = "{bot_token: '1:abc', chat_id: -42}";
const SMS: &str = "{account_sid: AC1, auth_token: t, from: '+1', to: '+2'}";
const TEAMS: &str = "{webhook_url: 'https://teams.example/workflow/secret'}";
const MAIL: &str = "{to: 'a@x.example, b@x.example', from: baro@x.example, smarthost: 'mail.example:587'}";

#[test]
fn a_webhook_gets_the_body_of_version_4() {
    let (request, body) = ask("webhook_configs", HOOK, &notice());
    assert_eq!(request.url, "http://hook.example/token");
    assert!(!format!("{request:?}").contains("token"));
    for (key, expected) in [
        ("version", json!("4")),
        ("status", json!("firing")),
        ("receiver", json!("team")),
        ("groupLabels", json!({"alertname": "node_failure"})),
        ("externalURL", json!("http://baro.example")),
        ("truncatedAlerts", json!(0)),
    ] {
        assert_eq!(body[key], expected, "{key}");
    }
    assert_eq!(body["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(body["alerts"][0]["startsAt"], "2023-11-14T22:13:20Z");
    assert_eq!(body["barograph"]["ackURL"], "https://baro.example/ack/1");
    let (_, body) = ask("webhook_configs", HOOK, &resolved());
    assert_eq!(
        (&body["status"], &body["alerts"][0]["endsAt"]),
        (&json!("resolved"), &json!("2023-11-14T22:13:40Z"))
    );
}

#[test]
fn a_webhook_is_signed_and_cut() {
    let yaml = "{url: 'http://hook.example', signing_secret: key, max_alerts: 1}";
    let mut notice = notice();
    notice.alerts.push(notice.alerts[0].clone());
    let (request, body) = ask("webhook_configs", yaml, &notice);
    assert_eq!((body["alerts"].as_array().unwrap().len(), &body["truncatedAlerts"]), (1, &json!(1)));
    let header = |name| request.headers.iter().find(|(header, _)| *header == name).unwrap().1.clone();
    assert_eq!(header(SIGNATURE), signature("key", 1_700_000_031, &request.body));
    assert_eq!(header(IDEMPOTENCY_KEY), idempotency_key(&notice));
}

#[test]
fn slack_is_told_in_a_heading_and_five_lines() {
    let (_, body) = ask("slack_configs", SLACK, &notice());
    assert_eq!(
        body["text"],
        "🚨 ExESDB Alert\n\n**Severity:** critical\n**Type:** node_failure\n\
         **Message:** Node node2 has become unresponsive\n**Node:** node2\n**Time:** 2023-11-14T22:13:20Z"
    );
    assert_eq!(body["channel"], "#exesdb-alerts");
    assert_eq!(body["blocks"][0]["text"]["text"], "🚨 ExESDB Alert");
    assert_eq!(body["blocks"][2]["elements"][0]["url"], "https://baro.example/ack/1");
    let mut notice = notice();
    notice.alerts[0].labels = set(&[("alertname", "a")]);
    let (_, body) = ask("slack_configs", SLACK, &notice);
    assert!(body["text"].as_str().unwrap().starts_with("⚠️ ExESDB Alert"));
    assert!(body["text"].as_str().unwrap().contains("**Node:** Unknown"));
}

#[test]
fn slack_with_texts_of_its_own_gets_an_attachment() {
    let yaml = r#"{api_url: 'http://slack.example/x', title: '{{ template "slack.default.title" . }}',
        text: '{{ range .Alerts }}{{ .Annotations.message }}{{ end }}', fields: [{title: n, value: '{{ len .Alerts }}'}]}"#;
    let (_, body) = ask("slack_configs", yaml, &notice());
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["title"], "[FIRING:1] node_failure (node2 critical)");
    assert_eq!(attachment["text"], "Node node2 has become unresponsive");
    assert_eq!(attachment["color"], "danger");
    assert_eq!(attachment["fields"][0], json!({"title": "n", "value": "1", "short": false}));
}

#[test]
fn pagerduty_is_triggered_acknowledged_and_resolved() {
    let (request, body) = ask("pagerduty_configs", PAGER, &notice());
    assert_eq!(request.url, "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(
        (&body["routing_key"], &body["event_action"]),
        (&json!("exesdb_routing_key"), &json!("trigger"))
    );
    let payload = &body["payload"];
    assert_eq!(payload["summary"], "Node node2 has become unresponsive");
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("critical"), &json!("ExESDB Cluster")));
    assert_eq!(payload["component"], "cluster <a>");
    assert_eq!(
        payload["custom_details"],
        json!({"node": "node2", "component": "cluster <a>", "cluster_size": "3"})
    );
    let (_, body) = ask("pagerduty_configs", PAGER, &resolved());
    assert_eq!((&body["event_action"], &body["dedup_key"]), (&json!("resolve"), &json!("key")));
    let acknowledged = Notice { reason: Reason::Acknowledged, ..notice() };
    let (_, body) = ask("pagerduty_configs", PAGER, &acknowledged);
    assert_eq!(body["event_action"], "acknowledge");
    assert!(said("slack_configs", SLACK, &acknowledged).message.is_none());
    let mut long = notice();
    long.dedup_key = "k".repeat(300);
    long.alerts[0].annotations.insert("message".to_owned(), "ü".repeat(2000));
    long.alerts[0].annotations.insert("log".to_owned(), "x".repeat(600_000));
    let (_, body) = ask("pagerduty_configs", PAGER, &long);
    assert_eq!(body["dedup_key"].as_str().unwrap().chars().count(), 255);
    assert_eq!(body["payload"]["summary"].as_str().unwrap().chars().count(), 1024);
    assert!(body.to_string().len() < 512_000);
}

#[test]
fn chats_get_their_forms() {
    let (request, body) = ask("telegram_configs", TELEGRAM, &notice());
    assert_eq!(request.url, "https://api.telegram.org/bot1:abc/sendMessage");
    assert_eq!(body["chat_id"], -42);
    assert!(body["text"].as_str().unwrap().starts_with("[FIRING:1] node_failure"));
    assert!(body.get("parse_mode").is_none());
    let own = "{bot_token: t, chat_id: '@ops', message: '<b>{{ .CommonAnnotations.component }}</b>'}";
    let (_, body) = ask("telegram_configs", own, &notice());
    assert_eq!((&body["text"], &body["parse_mode"]), (&json!("<b>cluster &lt;a&gt;</b>"), &json!("HTML")));

    let (request, body) = ask("msteamsv2_configs", TEAMS, &notice());
    assert_eq!(request.url, "https://teams.example/workflow/secret");
    let card = &body["attachments"][0]["content"];
    assert_eq!((&body["type"], &card["type"]), (&json!("message"), &json!("AdaptiveCard")));
    assert_eq!(card["body"][0]["color"], "Attention");
    assert_eq!(card["actions"][0]["url"], "https://baro.example/ack/1");
}

#[test]
fn a_short_message_is_a_form() {
    let (request, _) = ask("sms_configs", SMS, &notice());
    assert_eq!(request.url, "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json");
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.starts_with("From=%2B1&To=%2B2&Body=%5BFIRING%3A1%5D+node_failure"), "{body}");
    assert!(request.headers.contains(&("Authorization", "Basic QUMxOnQ=".to_owned())));
}

#[test]
fn opsgenie_is_opened_and_closed_by_alias() {
    let yaml = "{api_key: k, responders: [{name: ops, type: team}], tags: 'a, b'}";
    let (request, body) = ask("opsgenie_configs", yaml, &notice());
    assert_eq!(request.url, "https://api.opsgenie.com/v2/alerts");
    assert_eq!((&body["priority"], &body["tags"]), (&json!("P1"), &json!(["a", "b"])));
    assert_eq!(body["responders"][0], json!({"name": "ops", "type": "team"}));
    let (request, _) = ask("opsgenie_configs", yaml, &resolved());
    assert!(request.url.ends_with("/close?identifierType=alias"), "{}", request.url);
}

#[test]
fn a_mail_has_two_forms_and_an_id() {
    let Some(Message::Mail(mail)) = said("email_configs", MAIL, &notice()).message else { panic!() };
    assert_eq!(mail.to, ["a@x.example", "b@x.example"]);
    assert_eq!(mail.subject, "[FIRING:1] node_failure (node2 critical)");
    assert_eq!(mail.message_id, format!("<{}@x.example>", idempotency_key(&notice())));
    let html = mail.html.unwrap();
    assert!(html.contains("<td>node2</td>") && html.contains("https://baro.example/ack/1"), "{html}");
    assert!(mail.text.contains("Acknowledge: https://baro.example/ack/1"), "{}", mail.text);
    let own = "{to: a@x, from: b@x, smarthost: 'm:25', html: '', headers: {Subject: \"x\\r\\nBcc: {{ .Status }}\"}}";
    let Some(Message::Mail(mail)) = said("email_configs", own, &notice()).message else { panic!() };
    assert_eq!((mail.subject.as_str(), mail.html), ("x Bcc: firing", None));
    let own = "{to: '{{ .CommonLabels.node }}@x, b@x', from: b@x, smarthost: 'm:25', headers: {To: all, Date: never, Reply-To: c@x}}";
    let Some(Message::Mail(mail)) = said("email_configs", own, &notice()).message else { panic!() };
    assert_eq!((mail.to, mail.shown_to.as_str()), (vec!["node2@x".to_owned(), "b@x".to_owned()], "all"));
    assert_eq!(mail.headers, [("Reply-To".to_owned(), "c@x".to_owned())]);
}

#[test]
fn a_template_that_fails_is_told_and_the_plain_form_sent() {
    let yaml = "{api_url: 'http://slack.example/x', title: '{{ .Nothing }}'}";
    let words = said("slack_configs", yaml, &notice());
    assert!(words.template_error.unwrap().contains("there is no field `.Nothing`"));
    let Some(Message::Http(request)) = words.message else { panic!() };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["attachments"][0]["title"], "[FIRING:1] node_failure (node2 critical)");
}

#[test]
fn settings_are_read_strictly() {
    let check = |key: &str, yaml: &str, expected: &str| {
        let error = channel(key, yaml).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check("webhook_configs", "{}", "`url` is missing");
    check("webhook_configs", "{url: secret}", "`url`: expected a URL that begins with");
    check("webhook_configs", "{url: 'http://a', urll: x}", "did you mean `url`?");
    check("slack_configs", "{channel: a}", "nobody says where Slack is");
    check("slack_configs", "{api_url: 'http://a', title: '{{ nope }}'}", "there is no function `nope`");
    check("pagerduty_configs", "{service_key: a}", "version 1");
    check("telegram_configs", "{bot_token: a, chat_id: x}", "expected a number or `@name`");
    check("victorops_configs", "{api_key: a}", "are not supported");
    check("email_configs", "{to: a@x, from: b@x}", "`smarthost` is missing");
    check("email_configs", "{to: '{{ nope }}', from: b@x, smarthost: 'm:25'}", "`to`: not a template");
    check(
        "webhook_configs",
        "{url: 'http://a', http_config: {basic_auth: {username: a}, bearer_token: b}}",
        "keep one",
    );
}

#[test]
fn secrets_are_not_shown() {
    let all = [
        ("webhook_configs", HOOK, "token"),
        ("slack_configs", SLACK, "services"),
        ("pagerduty_configs", PAGER, "exesdb_routing_key"),
        ("telegram_configs", TELEGRAM, "1:abc"),
        ("msteamsv2_configs", TEAMS, "workflow"),
    ];
    for (key, yaml, secret) in all {
        let channel = channel(key, yaml).unwrap();
        assert!(!format!("{channel:?}").contains(secret) && !channel.target().contains(secret), "{key}");
    }
}

#[test]
fn what_a_rule_found_is_told() {
    let mut notice = notice();
    notice.alerts[0].cause = Some(Cause {
        kind: "threshold".to_owned(),
        value: Some(89.5),
        threshold: Some(85.0),
        ..Cause::default()
    });
    let (_, body) = ask("webhook_configs", HOOK, &notice);
    assert_eq!(body["barograph"]["values"][0]["value"], 89.5);
    let Some(Message::Mail(mail)) = said("email_configs", MAIL, &notice).message else { panic!() };
    assert!(mail.text.contains("value 89.5, threshold 85"), "{}", mail.text);
}
