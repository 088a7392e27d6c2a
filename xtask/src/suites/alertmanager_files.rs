//! Files of Alertmanager, good and bad: `barograph check alertmanager` says yes and no where `amtool check-config` does.

use std::{fs, process::Command};

use anyhow::{Result, ensure};

use super::Ground;
use crate::{peers::Alertmanager, place, tally::Tally};

/// What most files begin with.
const PLAIN: &str = "receivers: [{name: a}, {name: b, webhook_configs: [{url: 'http://127.0.0.1/'}]}]\n";

/// What follows on [`PLAIN`], and whether that is a good file.
const ROUTES: [(&str, &str, bool); 36] = [
    ("one receiver", "route: {receiver: a}", true),
    ("no route", "", false),
    ("a route without a receiver", "route: {group_by: [x]}", false),
    ("a receiver that is not there", "route: {receiver: z}", false),
    ("a receiver below that is not there", "route: {receiver: a, routes: [{receiver: z}]}", false),
    ("an unknown key", "route: {receiver: a, colour: red}", false),
    ("an unknown key at the top", "route: {receiver: a}\ncolour: red", false),
    ("an unknown key in global", "route: {receiver: a}\nglobal: {colour: red}", false),
    ("matchers on the root", "route: {receiver: a, matchers: ['x=\"1\"']}", false),
    ("match on the root", "route: {receiver: a, match: {x: y}}", false),
    ("continue on the root", "route: {receiver: a, continue: true}", false),
    (
        "times on the root",
        "route: {receiver: a, mute_time_intervals: [t]}\ntime_intervals: [{name: t}]",
        false,
    ),
    (
        "all forms of matchers",
        "route: {receiver: a, routes: [{match: {x: y}, match_re: {z: 'a|b'}, matchers: [u=v, 'w!~\"q.*\"']}]}",
        true,
    ),
    ("a matcher that is none", "route: {receiver: a, routes: [{matchers: ['x']}]}", false),
    ("a pattern that is none", "route: {receiver: a, routes: [{matchers: ['x=~\"(\"']}]}", false),
    ("an old pattern that is none", "route: {receiver: a, routes: [{match_re: {x: '('}}]}", false),
    ("matchers in one text", "route: {receiver: a, routes: [{matchers: '{x=\"1\", y!=\"2\"}'}]}", false),
    (
        "several matchers in one item",
        "route: {receiver: a, routes: [{matchers: ['{x=\"1\",y!=\"2\"}']}]}",
        true,
    ),
    ("all labels", "route: {receiver: a, group_by: ['...']}", true),
    ("all labels and more", "route: {receiver: a, group_by: ['...', x]}", false),
    ("a label twice", "route: {receiver: a, group_by: [x, x]}", false),
    (
        "times of all kinds",
        "route: {receiver: a, group_wait: 0s, group_interval: 1m30s, repeat_interval: 1w2d}",
        true,
    ),
    ("no time between looks", "route: {receiver: a, group_interval: 0s}", false),
    ("no time between repeats", "route: {receiver: a, repeat_interval: 0s}", false),
    ("a time that is none", "route: {receiver: a, group_wait: soon}", false),
    ("a negative time", "route: {receiver: a, group_wait: -5s}", false),
    ("an interval that is not there", "route: {receiver: a, routes: [{active_time_intervals: [t]}]}", false),
    (
        "intervals",
        "route: {receiver: a, routes: [{mute_time_intervals: [t], active_time_intervals: [u]}]}\nmute_time_intervals: [{name: t, time_intervals: [{times: [{start_time: '09:00', end_time: '24:00'}], weekdays: ['monday:friday', Sunday], days_of_month: ['1:5', '-3:-1'], months: ['1:3', may], years: ['2020:2030']}]}]\ntime_intervals: [{name: u, time_intervals: [{location: Europe/Berlin}]}]",
        true,
    ),
    ("an interval twice", "route: {receiver: a}\ntime_intervals: [{name: t}, {name: t}]", false),
    (
        "a day that is none",
        "route: {receiver: a}\ntime_intervals: [{name: t, time_intervals: [{weekdays: [caturday]}]}]",
        false,
    ),
    (
        "a time of the day that is none",
        "route: {receiver: a}\ntime_intervals: [{name: t, time_intervals: [{times: [{start_time: '25:00', end_time: '26:00'}]}]}]",
        false,
    ),
    (
        "a place that is none",
        "route: {receiver: a}\ntime_intervals: [{name: t, time_intervals: [{location: Nowhere/Else}]}]",
        false,
    ),
    (
        "inhibition",
        "route: {receiver: a}\ninhibit_rules: [{source_matchers: [x=y], target_match: {z: w}, equal: [u]}]",
        true,
    ),
    ("inhibition that is none", "route: {receiver: a}\ninhibit_rules: [{source_matchers: ['=y']}]", false),
    ("templates that are not there", "route: {receiver: a}\ntemplates: ['none/*.tmpl']", true),
    ("a text where a mapping should be", "route: a", false),
];

/// Receivers, each for a route to `a`, and whether that is good.
const RECEIVERS: [(&str, &str, bool); 17] = [
    ("a receiver twice", "[{name: a}, {name: a}]", false),
    ("a receiver without a name", "[{webhook_configs: []}, {name: a}]", false),
    ("a channel that is none", "[{name: a, pigeon_configs: [{}]}]", false),
    ("a webhook without an address", "[{name: a, webhook_configs: [{send_resolved: true}]}]", false),
    ("a webhook with an address that is none", "[{name: a, webhook_configs: [{url: 'x y'}]}]", false),
    (
        "a webhook with settings",
        "[{name: a, webhook_configs: [{url: 'http://h/', max_alerts: 3, send_resolved: false, http_config: {basic_auth: {username: u, password: p}}}]}]",
        true,
    ),
    (
        "a mail without a server",
        "[{name: a, email_configs: [{to: 'x@example.org', from: 'y@example.org'}]}]",
        false,
    ),
    (
        "a mail without a recipient",
        "[{name: a, email_configs: [{from: 'y@example.org', smarthost: 'localhost:25'}]}]",
        false,
    ),
    (
        "a mail",
        "[{name: a, email_configs: [{to: 'x@example.org', from: 'y@example.org', smarthost: 'localhost:25', headers: {Subject: '{{ .Status }}'}}]}]",
        true,
    ),
    ("Slack without an address", "[{name: a, slack_configs: [{channel: '#x'}]}]", false),
    (
        "Slack",
        "[{name: a, slack_configs: [{channel: '#x', api_url: 'https://hooks.example.org/x', title: '{{ .CommonLabels.alertname }}', fields: [{title: t, value: v, short: true}]}]}]",
        true,
    ),
    ("PagerDuty without a key", "[{name: a, pagerduty_configs: [{description: x}]}]", false),
    (
        "PagerDuty",
        "[{name: a, pagerduty_configs: [{routing_key: k, severity: '{{ .CommonLabels.severity }}', details: {x: y}}]}]",
        true,
    ),
    ("Opsgenie without a key", "[{name: a, opsgenie_configs: [{message: x}]}]", false),
    ("Opsgenie", "[{name: a, opsgenie_configs: [{api_key: k, responders: [{name: t, type: team}]}]}]", true),
    ("Telegram without a chat", "[{name: a, telegram_configs: [{bot_token: t}]}]", false),
    (
        "Telegram",
        "[{name: a, telegram_configs: [{bot_token: t, chat_id: -5, parse_mode: HTML, api_url: 'https://api.telegram.org'}]}]",
        true,
    ),
];

pub(super) fn run(ground: &Ground, peer: &Alertmanager, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("alertmanager-files")?;
    let file = folder.join("alertmanager.yml");
    let routes = ROUTES.iter().map(|(name, text, good)| (*name, format!("{PLAIN}{text}\n"), *good));
    let receivers = RECEIVERS.iter();
    let receivers = receivers
        .map(|(name, text, good)| (*name, format!("route: {{receiver: a}}\nreceivers: {text}\n"), *good));
    for (name, text, good) in routes.chain(receivers) {
        fs::write(&file, &text)?;
        let theirs = Command::new(&peer.amtool).arg("check-config").arg(&file).output()?;
        let ours = Command::new(&ground.binary).args(["check", "alertmanager"]).arg(&file).output()?;
        let check = || {
            let told = |output: &std::process::Output| {
                [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
            };
            ensure!(
                theirs.status.success() == good && ours.status.success() == good,
                "{text}\nshould be {}\namtool says {}:\n{}\nbarograph says {}:\n{}",
                if good { "good" } else { "refused" },
                theirs.status,
                told(&theirs),
                ours.status,
                told(&ours)
            );
            // A mistake has its place.
            ensure!(good || told(&ours).contains("alertmanager.yml:"), "{}", told(&ours));
            Ok(())
        };
        tally.check(&format!("check alertmanager: {name}"), check());
    }
    Ok(())
}
