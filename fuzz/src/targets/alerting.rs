//! What decides who is told of alerts, and how: `alertmanager.yml`, matchers, templates of messages, links to acknowledge, and
//! what mail servers answer.

use barograph_alert::{
    channels::{self, Channel, Message, Replies, Setting, Settings},
    config,
    incident::{Link, LinkKey},
    notice::{Notice, Reason},
    routing::{Alert, LabelSet, Matchers, shown},
    template::{Dialect, Template},
};
use barograph_model::Timestamp;

use crate::{Shape, Target};

fn labels(pairs: &[(&str, &str)]) -> LabelSet {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn notice() -> Notice {
    let alert = |name: &str, ends_at| Alert {
        labels: labels(&[("alertname", name), ("severity", "critical"), ("node", "n<1>")]),
        annotations: labels(&[("summary", "it is \"down\" & out"), ("runbook_url", "http://x/y")]),
        starts_at: 1_700_000_000_000,
        ends_at,
        timeout: false,
        updated_at: 1_700_000_000_000,
        generator_url: "http://x/graph".to_owned(),
        cause: None,
    };
    Notice {
        receiver: "r".to_owned(),
        integration: 0,
        reason: Reason::Group,
        group_key: "{}:{}".to_owned(),
        group_labels: labels(&[("node", "n<1>")]),
        alerts: vec![alert("a", None), alert("b", Some(1_700_000_000_001))],
        truncated: 1,
        incident: Some("incident_0000000000000001".to_owned()),
        reminder: false,
        level: 1,
        dedup_key: "d".to_owned(),
        seq: 1,
        at: 1_700_000_030_000,
        deadline: 1_700_000_330_000,
    }
}

/// Says a notice over a channel.
fn say(channel: &Channel, shape: &mut Shape) {
    let library = channels::library();
    let setting = Setting {
        external_url: "http://x",
        source: "s",
        ack_url: Some("https://x/ack/1"),
        templates: &library,
        reveal: &|_| Ok("secret".to_owned()),
        now: Timestamp(1_700_000_031_000),
    };
    let Ok(words) = channels::words(channel, &notice(), &setting) else { return };
    words.template_error.iter().for_each(|error| shape.message(error));
    match words.message {
        Some(Message::Http(request)) => shape.size(request.body.len()),
        Some(Message::Mail(mail)) => {
            let bytes = mail.bytes(setting.now);
            assert!(
                bytes
                    .split(|byte| *byte == b'\n')
                    .all(|line| line.len() <= 999 && line.first() != Some(&b'.'))
            );
            assert!(bytes.is_ascii() || !mail.message_id.is_ascii(), "a mail is plain");
            shape.size(bytes.len());
        }
        Some(Message::Event(_)) | None => {}
    }
}

/// Reads the file, routes an alert by it, and says it over what it has.
pub(super) const ALERTMANAGER: Target = Target {
    name: "alertmanager",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match config::parse(&text, "alertmanager.yml") {
            Ok(config) => {
                let alert = notice().alerts.swap_remove(0);
                shape.size(config.receivers.len());
                shape.size(config.route.of(&alert.labels).len());
                shape.size(config.inhibit_rules.len());
                let at = Timestamp(1_700_000_000_000);
                config
                    .schedules
                    .values()
                    .take(3)
                    .for_each(|schedule| shape.kind(schedule.on_call(at.0).is_some()));
                let channels = config.receivers.values().flat_map(|receiver| &receiver.channels);
                channels.take(4).for_each(|channel| say(channel, shape));
            }
            Err(faults) => faults.findings.iter().take(4).for_each(|finding| shape.message(&finding.message)),
        }
    },
    seeds: || {
        let text = "global: {smtp_from: a@x, smtp_smarthost: 'm:25', resolve_timeout: 5m}\nroute:\n  receiver: t\n  group_by: [alertname, '...']\n  \
                    group_wait: 30s\n  routes:\n  - {matchers: ['a=~\"b.*\"', 'c!=d'], receiver: t, continue: true, mute_time_intervals: [w], escalation: p}\n\
                    inhibit_rules:\n- {source_matchers: [a=b], target_matchers: [c=d], equal: [e]}\ntime_intervals:\n- name: w\n  time_intervals:\n  \
                    - {times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday'], months: ['1:3'], days_of_month: ['-1'], location: Europe/Berlin}\n\
                    escalation_policies: {p: {levels: [{delay: 5m, targets: [route, 'schedule:s'], channels: [email]}], repeat: 1, then: last}}\n\
                    schedules: {s: {time_zone: Europe/Berlin, layers: [{users: [a, b], rotation: weekly, start: 2026-01-05T09:00, \
                    restrictions: [{from: '22:00', to: '06:00', weekdays: [friday]}]}]}}\nreceivers:\n- name: t\n  \
                    email_configs: [{to: '{{ .CommonLabels.node }}@x', headers: {X: '{{ .Status }}'}}]\n  slack_configs: [{api_url: 'http://x', title: t}]\n  \
                    webhook_configs: [{url: 'http://x', http_config: {basic_auth: {username: a, password: b}}}]\n";
        vec![text.into()]
    },
};

/// Matchers that are read are read again as they are shown.
pub(super) const MATCHERS: Target = Target {
    name: "matchers",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match Matchers::parse(&text) {
            Ok(matchers) => {
                shape.size(matchers.all().len());
                shape.kind(matchers.matches(&notice().alerts[0].labels));
                shape.kind(matchers.is_selective());
                let again: Vec<String> = matchers.all().iter().map(shown).collect();
                let again = Matchers::parse(&format!("{{{}}}", again.join(",")));
                assert!(again.is_ok_and(|again| again.all().len() == matchers.all().len()), "{text:?}");
            }
            Err(error) => shape.message(error),
        }
    },
    seeds: || {
        [r#"{a="b",c!="d",e=~"f.*",g!~"h|i"}"#, "a=b", r#""a b"="c\"\\\n""#, "a = ''", "x=~[0-9]+"]
            .map(|text| text.as_bytes().to_vec())
            .into()
    },
};

/// Fills in a template of a message, as text and as HTML.
pub(super) const NOTICE_TEMPLATES: Target = Target {
    name: "notice_templates",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match Template::parse_as(&text, Dialect::Notices) {
            Ok(template) => {
                let mut channel = Channel::dashboard();
                let email = channels::Email {
                    to: "a@x".to_owned(),
                    from: "b@x".to_owned(),
                    html: Some(template.clone()),
                    text: Some(template.clone()),
                    headers: vec![("Subject".to_owned(), template.clone()), ("X-Own".to_owned(), template)],
                    ..channels::Email::default()
                };
                channel.settings = Settings::Email(Box::new(email));
                say(&channel, shape);
            }
            Err(error) => shape.message(error),
        }
    },
    seeds: || {
        let texts = [
            r#"{{ range .Alerts.Firing }}{{ .Labels.alertname | toUpper }} {{ .StartsAt.Format "2006-01-02" }}{{ end }}"#,
            r#"{{ define "a" }}{{ .CommonLabels.SortedPairs.Values | join "," }}{{ end }}{{ template "a" . }}"#,
            r#"{{ with $x := .GroupLabels }}{{ len $x }}{{ else }}none{{ end }}{{ reReplaceAll "n(.)" "$1" .Receiver }}"#,
            r#"{{ if and (eq .Status "firing") (gt (len .Alerts) 1) }}{{ .AckURL | urlquery }}{{ end }}{{ template "email.default.html" . }}"#,
        ];
        texts.map(|text| text.as_bytes().to_vec()).into()
    },
};

/// No bytes are a link that nobody signed, and what is signed is read back.
pub(super) const ACK_LINKS: Target = Target {
    name: "ack_links",
    run: |input, shape| {
        let (key, text) = (LinkKey::new(&[7; 32]), String::from_utf8_lossy(input));
        match Link::verify(&text, &key, 1_700_000_000_000) {
            Ok(link) => {
                assert_eq!(link.sign(&key), text, "a link is written in one way");
                shape.size(link.by().len());
            }
            Err(error) => shape.message(error),
        }
        let (id, by) = text.split_at(text.floor_char_boundary(25));
        let made = Link::new(id, by, 1_700_000_060_000);
        shape.kind(made.is_some());
        if let Some(link) = made.or_else(|| Link::new("incident_00000000000000ff", by, 1_700_000_060_000)) {
            assert_eq!(Link::verify(&link.sign(&key), &key, 1_700_000_000_000), Ok(link));
        }
    },
    seeds: || {
        let key = LinkKey::new(&[7; 32]);
        let link = |by: &str, at| Link::new("incident_9d1c5a7720be4f13", by, at).map(|link| link.sign(&key));
        let links = [link("ann", 1_700_000_060_000), link("ann", 0), link("", i64::MAX)];
        links
            .into_iter()
            .flatten()
            .map(String::into_bytes)
            .chain([b"incident_9d1c5a7720be4f13ann".to_vec()])
            .collect()
    },
};

/// Replies are the same however they are cut.
pub(super) const SMTP_REPLIES: Target = Target {
    name: "smtp_replies",
    run: |input, shape| {
        let read = |size: usize| {
            let (mut replies, mut found) = (Replies::default(), Vec::new());
            for chunk in input.chunks(size) {
                replies.take(chunk);
                loop {
                    match replies.reply() {
                        Ok(Some(reply)) => found.push(reply),
                        Ok(None) => break,
                        Err(error) => return (found, Some(error)),
                    }
                }
            }
            (found, None)
        };
        let (whole, error) = read(usize::MAX);
        assert_eq!(read(1).0, whole);
        shape.size(whole.len());
        error.iter().for_each(|error| shape.message(error));
        for reply in whole.iter().take(3) {
            shape.kind((reply.code, reply.is_final(), reply.offers("STARTTLS"), reply.offers_way("LOGIN")));
            shape.size(reply.to_string().len());
        }
    },
    seeds: || {
        vec![
            b"220 mail\r\n250-mail\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1\r\n334 VXNlcm5hbWU6\r\n235 in\r\n".to_vec(),
            b"354\r\n421-4.3.0 going\r\n421 now\n".to_vec(),
        ]
    },
};
