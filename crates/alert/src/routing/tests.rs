//! What upstream's own tests say of routing, inhibition and notices, played in time that is made up.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde_json::Value;

use super::*;
use crate::{
    config::{self, Config},
    incident::Standing,
};

/// A dataset; `None` where there is none.
fn dataset(name: &str) -> Option<Value> {
    #[expect(clippy::disallowed_methods, reason = "tests are told where data lies")]
    let root = std::env::var_os("BAROGRAPH_TESTDATA")?;
    let text = std::fs::read_to_string(PathBuf::from(root).join("datasets/alertmanager").join(name)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn labels(value: &Value) -> LabelSet {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// A configuration of a route alone, with the receivers that it names.
fn with_receivers(route: &str) -> Config {
    let mut names = std::collections::BTreeSet::new();
    for (at, _) in route.match_indices("receiver:") {
        let rest = route[at + 9..].trim_start();
        let name = rest.split(['\n', ',', '}']).next().unwrap_or_default().trim().trim_matches(['\'', '"']);
        names.insert(name.to_owned());
    }
    let indented = route.replace('\n', "\n  ");
    let receivers: Vec<_> = names.iter().map(|name| format!("{{name: {name}}}")).collect();
    let text = format!("route:\n  {indented}\nreceivers: [{}]\n", receivers.join(", "));
    config::parse(&text, "a.yml").unwrap()
}

#[test]
fn routes_are_those_of_upstream() {
    let Some(data) = dataset("routing.json") else { return };
    let config = with_receivers(data["config"].as_str().unwrap());
    let cases = data["cases"].as_array().unwrap();
    for case in cases {
        let input = labels(&case["input"]);
        let routes = config.route.of(&input);
        let results = case["result"].as_array().unwrap();
        let keys: Vec<_> = routes.iter().map(|route| route.path.clone()).collect();
        assert_eq!(keys, serde_json::from_value::<Vec<String>>(case["keys"].clone()).unwrap());
        assert_eq!(routes.len(), results.len());
        for (route, result) in routes.iter().zip(results) {
            let time = |key: &str, default: i64| {
                let duration =
                    result[key].as_str().map(|text| barograph_yaml::units::parse_duration(text).unwrap());
                duration.map_or(default, |duration| i64::try_from(duration.as_millis()).unwrap())
            };
            assert_eq!(route.receiver, result["receiver"]);
            assert_eq!(route.group_wait, time("group_wait", GROUP_WAIT));
            assert_eq!(route.group_interval, time("group_interval", GROUP_INTERVAL));
            assert_eq!(route.repeat_interval, time("repeat_interval", REPEAT_INTERVAL));
            let expected = match result["group_by_all"].as_bool() {
                Some(true) => GroupBy::All,
                _ => GroupBy::Labels(serde_json::from_value(result["group_by"].clone()).unwrap_or_default()),
            };
            assert_eq!(route.group_by, expected);
        }
    }
    assert!(cases.len() >= 8);
}

#[test]
fn inhibition_is_that_of_upstream() {
    let Some(data) = dataset("inhibition.json") else { return };
    let rules: Vec<_> = data["rules"].as_array().unwrap().iter().map(Value::to_string).collect();
    let text =
        format!("route: {{receiver: a}}\nreceivers: [{{name: a}}]\ninhibit_rules: [{}]\n", rules.join(", "));
    let config = config::parse(&text, "a.yml").unwrap();
    let mut inhibitor = Inhibitor::new(&config.inhibit_rules);
    for active in data["active_alerts"].as_array().unwrap() {
        inhibitor.note(&alert(labels(active), 0, Some(100), 0));
    }
    for case in data["cases"].as_array().unwrap() {
        let inhibited = inhibitor.inhibits(&labels(&case["target"]), 50).is_some();
        assert_eq!(Some(inhibited), case["inhibited"].as_bool(), "{case}");
        assert!(inhibitor.inhibits(&labels(&case["target"]), 100).is_none(), "what is over inhibits nothing");
    }
    for active in data["active_alerts"].as_array().unwrap() {
        inhibitor.forget(&alert(labels(active), 0, Some(100), 0));
    }
    assert!(inhibitor.inhibits(&labels(&data["cases"][0]["target"]), 50).is_none());
}

fn alert(labels: LabelSet, starts_at: i64, ends_at: Option<i64>, updated_at: i64) -> Alert {
    Alert {
        labels,
        annotations: LabelSet::new(),
        starts_at,
        ends_at,
        timeout: false,
        updated_at,
        generator_url: String::new(),
        cause: None,
    }
}

/// All parts together, as the server has them.
struct Played {
    config: Arc<Config>,
    alerts: Alerts,
    mutes: Mutes,
    dispatcher: Dispatcher,
    announcements: Announcements,
}

impl Played {
    fn new(text: &str) -> Self {
        let config = Arc::new(config::parse(text, "a.yml").unwrap());
        Self {
            alerts: Alerts::default(),
            mutes: Mutes { inhibitor: Inhibitor::new(&config.inhibit_rules), ..Mutes::default() },
            dispatcher: Dispatcher::new(config.clone(), Log::default()),
            announcements: Announcements::default(),
            config,
        }
    }

    fn post(&mut self, alert: Alert, now: i64) {
        let taken = self.alerts.take(alert, now).unwrap();
        self.mutes.inhibitor.note(&taken.alert);
        self.announcements.note(&taken);
        self.dispatcher.insert([taken.alert], now);
    }

    /// What live streams are told now, by name.
    fn announced(&mut self, now: i64) -> Vec<String> {
        let muting = self.mutes.with(&self.config.time_intervals);
        let due = self.announcements.due(&self.alerts, &muting, now, true);
        due.iter().map(|alert| alert.name().to_owned()).collect()
    }

    fn flush(&mut self, now: i64) -> Vec<Flush> {
        self.dispatcher.flush(now, &self.mutes.with(&self.config.time_intervals))
    }

    fn notices(&mut self, now: i64) -> Vec<crate::notice::Notice> {
        let flushes = self.flush(now);
        self.dispatcher.notices(&flushes, &vec![None; flushes.len()], now)
    }
}

/// Sends what scenarios say, in steps of ten milliseconds, and compares what each receiver is told.
#[test]
fn scenarios_are_those_of_upstream() {
    let Some(data) = dataset("scenarios.json") else { return };
    for scenario in data["scenarios"].as_array().unwrap() {
        play(scenario);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of a scenario")]
fn millis(value: &Value) -> Option<i64> {
    value.as_f64().map(|seconds| (seconds * 1000.0).round() as i64)
}

fn play(scenario: &Value) {
    let name = scenario["name"].as_str().unwrap();
    let config = &scenario["config"];
    let receivers: Vec<_> =
        scenario["receivers"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
    let mut route = config.clone();
    let route = route.as_object_mut().unwrap();
    let timeout = route.remove("resolve_timeout").unwrap_or_else(|| "5m".into());
    route.remove("send_resolved");
    route.insert("receiver".to_owned(), "r".into());
    // Receivers of one group are its integrations.
    let hooks: Vec<_> = receivers.iter().map(|_| "{url: 'http://127.0.0.1'}").collect();
    let text = format!(
        "global: {{resolve_timeout: {}}}\nroute: {}\nreceivers: [{{name: r, webhook_configs: [{}]}}]\n",
        timeout.as_str().unwrap(),
        config_text(route),
        hooks.join(", ")
    );
    let mut played = Played::new(&text);
    let resolve_timeout = played.config.global.resolve_timeout;
    let mut told: BTreeMap<&str, Vec<(i64, Vec<Alert>)>> = BTreeMap::new();
    let mut posts: Vec<_> = scenario["push"].as_array().unwrap().iter().collect();
    posts.reverse();
    let ends = scenario["want"].as_object().unwrap().values().flat_map(|all| all.as_array().unwrap());
    let until = ends.map(|one| millis(&one["between"][1]).unwrap()).max().unwrap();
    for now in (0..=until).step_by(10) {
        while posts.last().is_some_and(|post| millis(&post["at"]).unwrap() <= now) {
            for posted in posts.pop().unwrap()["alerts"].as_array().unwrap() {
                let (starts, ends) = (millis(&posted["starts"]), millis(&posted["ends"]));
                let mut alert = alert(
                    labels(&posted["labels"]),
                    starts.unwrap_or(now),
                    ends.or(Some(now + resolve_timeout)),
                    now,
                );
                alert.timeout = ends.is_none();
                alert.annotations = labels(&posted["annotations"]);
                played.post(alert, now);
            }
        }
        for notice in played.notices(now) {
            let receiver = receivers[notice.integration];
            // A receiver that fails goes on failing until it is told anew.
            if receiver == "webhook_failing" && now < 4_500 {
                played.dispatcher.given_up(&notice);
                continue;
            }
            played.dispatcher.sent_notice(&notice, now);
            told.entry(receiver).or_default().push((now, notice.alerts));
        }
    }
    for (receiver, wanted) in scenario["want"].as_object().unwrap() {
        let told = told.remove(receiver.as_str()).unwrap_or_default();
        let wanted = wanted.as_array().unwrap();
        assert_eq!(told.len(), wanted.len(), "{name}: {receiver} is told {told:?}");
        for ((at, alerts), wanted) in told.iter().zip(wanted) {
            let between = (millis(&wanted["between"][0]).unwrap(), millis(&wanted["between"][1]).unwrap());
            assert!(
                between.0 - 150 <= *at && *at <= between.1 + 150,
                "{name}: told at {at}, not {between:?}"
            );
            let shown = |labels: LabelSet, starts: i64, ends: Option<i64>, annotations: LabelSet| {
                (format!("{labels:?} {annotations:?}"), starts, ends)
            };
            let mut got: Vec<_> = alerts
                .iter()
                .map(|a| shown(a.labels.clone(), a.starts_at, a.ends_at, a.annotations.clone()))
                .collect();
            let want = |a: &Value| {
                let starts = millis(&a["starts"]).unwrap_or(1_000);
                shown(labels(&a["labels"]), starts, millis(&a["ends"]), labels(&a["annotations"]))
            };
            let mut want: Vec<_> = wanted["alerts"].as_array().unwrap().iter().map(want).collect();
            got.sort();
            want.sort();
            assert_eq!(got, want, "{name}: {receiver} at {at}");
        }
    }
}

fn config_text(route: &serde_json::Map<String, Value>) -> String {
    Value::Object(route.clone()).to_string()
}

fn named(name: &str) -> LabelSet {
    LabelSet::from([("alertname".to_owned(), name.to_owned())])
}

const PLAIN: &str = "route: {receiver: r, group_by: [alertname], group_wait: 1s, group_interval: 5s, repeat_interval: 1h}\n\
                     receivers: [{name: r, webhook_configs: [{url: 'http://127.0.0.1'}]}]\n";

#[test]
fn a_restart_pages_nobody_again() {
    let mut played = Played::new(PLAIN);
    played.post(alert(named("a"), 0, Some(300_000), 0), 0);
    let notices = played.notices(1_000);
    assert_eq!(notices.len(), 1);
    // It stops while the notice waits, and again after it was sent.
    for sent in [false, true] {
        if sent {
            played.dispatcher.sent_notice(&notices[0], 1_500);
        }
        let kept = played.dispatcher.log().clone().changes();
        let mut again = Played::new(PLAIN);
        let entries = kept.into_iter().filter_map(|(key, entry)| Some((key, entry?)));
        again.dispatcher = Dispatcher::new(again.config.clone(), Log::restore(entries));
        again.alerts = Alerts::restore(played.alerts.all().cloned().map(|a| (a, false)), 300_000, 2_000);
        let all: Vec<_> = again.alerts.all().cloned().collect();
        again.dispatcher.resume(all, 2_000);
        assert_eq!(again.dispatcher.next(), Some(2_000), "the alert waited long enough");
        assert_eq!(again.notices(2_000), [], "sent: {sent}");
    }
}

#[test]
fn what_is_over_stays_until_all_were_told() {
    let mut played = Played::new(PLAIN);
    played.post(alert(named("a"), 0, Some(300_000), 0), 0);
    let notices = played.notices(1_000);
    played.dispatcher.sent_notice(&notices[0], 1_000);
    played.post(alert(named("a"), 0, Some(2_000), 2_000), 2_000);
    let notices = played.notices(6_000);
    assert_eq!(notices[0].reason, crate::notice::Reason::Resolved);
    // It could not be sent until the next look, so it is told again; then the group is gone.
    played.dispatcher.given_up(&notices[0]);
    let notices = played.notices(11_000);
    assert_eq!(notices.len(), 1);
    played.dispatcher.sent_notice(&notices[0], 11_100);
    assert_eq!(played.notices(60_000), []);
    assert!(played.dispatcher.is_empty());
}

#[test]
fn what_is_over_before_it_could_be_told_is_told_to_be_over_too() {
    let mut played = Played::new(PLAIN);
    played.post(alert(named("a"), 0, Some(300_000), 0), 0);
    let fires = played.notices(1_000).remove(0);
    // Nobody answers until after the next look.
    played.post(alert(named("a"), 0, Some(2_000), 2_000), 2_000);
    let over = played.notices(6_000);
    assert_eq!(over.iter().map(|it| it.reason).collect::<Vec<_>>(), [crate::notice::Reason::Resolved]);
    played.dispatcher.sent_notice(&fires, 20_000);
    assert!(!played.dispatcher.is_empty(), "it stays until its end is told");
    played.dispatcher.sent_notice(&over[0], 20_100);
    for at in [26_000, 31_000, 61_000] {
        assert_eq!(played.notices(at), []);
    }
    // What was never told as firing has no end that anybody waits for.
    let mut played = Played::new(PLAIN);
    played.post(alert(named("b"), 0, Some(500), 500), 500);
    assert_eq!(played.notices(6_000), []);
}

#[test]
fn what_was_told_late_counts_where_what_came_after_it_was_given_up() {
    let mut played = Played::new(PLAIN);
    let with = |host: &str| {
        let mut labels = named("a");
        labels.insert("host".to_owned(), host.to_owned());
        alert(labels, 0, Some(900_000), 0)
    };
    played.post(with("x"), 0);
    let first = played.notices(1_000).remove(0);
    played.post(with("y"), 2_000);
    let second = played.notices(6_000).remove(0);
    played.dispatcher.given_up(&second);
    played.dispatcher.sent_notice(&first, 7_000);
    let third = played.notices(11_000).remove(0);
    played.dispatcher.sent_notice(&third, 11_000);
    // What says less than was sent since counts no more.
    played.dispatcher.sent_notice(&first, 12_000);
    assert_eq!(played.notices(16_000), []);
    let told = played.dispatcher.log().changes();
    assert_eq!(told[0].1.as_ref().unwrap().sent.as_ref().unwrap().0.firing.len(), 2);
}

#[test]
fn an_end_that_everybody_knows_is_no_news_after_a_restart() {
    let of = |host: &str| {
        let mut labels = named("a");
        labels.insert("host".to_owned(), host.to_owned());
        labels
    };
    let mut played = Played::new(PLAIN);
    played.post(alert(of("x"), 0, Some(900_000_000), 0), 0);
    played.post(alert(of("y"), 0, Some(900_000_000), 0), 0);
    // One that fires and one that is over; a reminder an hour later says nothing of that any more.
    for (look, ended) in [(1_000, None), (6_000, Some(2_000)), (3_700_000, None)] {
        if let Some(at) = ended {
            played.post(alert(of("y"), 0, Some(at), at), at);
        }
        let notices = played.notices(look);
        assert_eq!(notices.len(), 1, "{look}");
        played.dispatcher.sent_notice(&notices[0], look);
    }
    let all: Vec<_> = played.alerts.all().cloned().collect();
    assert_eq!(all.len(), 2);
    let config = played.config.clone();
    played.dispatcher.configure(config, all, 3_701_000);
    assert_eq!(played.notices(3_702_000), []);
    // Who did not hear of the end is told.
    played.post(alert(of("x"), 0, Some(3_703_000), 3_703_000), 3_703_000);
    let all: Vec<_> = played.alerts.all().cloned().collect();
    let config = played.config.clone();
    played.dispatcher.configure(config, all, 3_704_000);
    assert_eq!(played.notices(3_705_000).len(), 1);
}

#[test]
fn a_look_that_cannot_be_kept_forgets_nothing_that_waits() {
    let mut played = Played::new(PLAIN);
    played.post(alert(named("a"), 0, Some(900_000), 0), 0);
    let fires = played.notices(1_000).remove(0);
    played.post(alert(named("a"), 0, Some(2_000), 2_000), 2_000);
    for look in [6_000, 7_000] {
        let flushes = played.flush(look);
        assert_eq!(flushes.len(), 1);
        played.dispatcher.again(&flushes[0], look + 1_000);
    }
    let over = played.notices(8_000).remove(0);
    assert_eq!((over.reason, over.seq), (crate::notice::Reason::Resolved, fires.seq + 1));
}

#[test]
fn what_waits_to_be_sent_is_not_told_anew_by_the_next_look() {
    let mut played = Played::new(PLAIN);
    played.post(alert(named("a"), 0, Some(900_000), 0), 0);
    let fires = played.notices(1_000).remove(0);
    // It is being sent, or was and that is not noted yet: for as long as a slow disk takes.
    for at in [6_000, 11_000, 16_000] {
        assert_eq!(played.notices(at), []);
    }
    played.dispatcher.given_up(&fires);
    assert_eq!(played.notices(21_000).len(), 1);
}

#[test]
fn what_was_told_late_and_is_over_is_news_when_it_fires_anew() {
    let deaf = PLAIN.replace("'http://127.0.0.1'", "'http://127.0.0.1', send_resolved: false");
    let mut played = Played::new(&deaf);
    played.post(alert(named("a"), 0, Some(300_000), 0), 0);
    let fires = played.notices(1_000).remove(0);
    played.post(alert(named("a"), 0, Some(2_000), 2_000), 2_000);
    assert_eq!(played.notices(6_000), []);
    played.dispatcher.sent_notice(&fires, 20_000);
    played.post(alert(named("a"), 30_000, Some(900_000), 30_000), 30_000);
    let mut told = 0;
    for at in [31_000, 36_000, 41_000] {
        for notice in played.notices(at) {
            played.dispatcher.sent_notice(&notice, at);
            told += 1;
        }
    }
    assert_eq!(told, 1);
}

#[test]
fn a_page_of_some_alerts_of_a_group_says_nothing_of_the_others() {
    let mut played = Played::new(PLAIN);
    for host in 0..30 {
        let mut labels = named("a");
        labels.insert("host".to_owned(), host.to_string());
        played.post(alert(labels, 0, Some(900_000), 0), 0);
    }
    let told = played.notices(1_000).remove(0);
    played.dispatcher.sent_notice(&told, 1_000);
    for reason in [crate::notice::Reason::Escalation, crate::notice::Reason::Acknowledged] {
        let page = crate::notice::Notice {
            reason,
            alerts: told.alerts[..20].to_vec(),
            truncated: 10,
            seq: 9,
            ..told.clone()
        };
        played.dispatcher.sent_notice(&page, 2_000);
        played.dispatcher.given_up(&page);
    }
    assert_eq!(played.notices(6_000), [], "all of them were told");
}

#[test]
fn a_group_that_is_empty_keeps_its_time_for_a_while() {
    // What is told first is over already: the group is looked at at once, and nobody is told.
    let play = |again: i64| {
        let mut played = Played::new(PLAIN);
        played.post(alert(named("a"), 0, Some(2_000), 2_000), 2_000);
        assert_eq!(played.notices(2_000), []);
        for look in (7_000..again).step_by(5_000) {
            assert_eq!(played.notices(look), []);
        }
        played.post(alert(named("a"), again, Some(i64::MAX), again), again);
        played.dispatcher.next()
    };
    assert_eq!(play(2_500), Some(7_000));
    assert_eq!(play(38_000), Some(39_000), "it was forgotten, and is a new one");
}

fn silence(matchers: &str, (starts_at, ends_at): (i64, i64)) -> Silence {
    Silence {
        id: String::new(),
        matchers: Matchers::parse(matchers).unwrap().documents(),
        starts_at,
        ends_at,
        updated_at: starts_at,
        created_by: String::new(),
        comment: String::new(),
        annotations: LabelSet::new(),
    }
}

#[test]
fn what_is_muted_is_not_told_and_is_told_when_it_is_not() {
    let mut played = Played::new(PLAIN);
    let silence = silence("alertname=a", (0, 3_000));
    played.mutes.silences.set(silence, "s".to_owned(), 0).unwrap();
    played.post(alert(named("a"), 0, Some(300_000), 0), 0);
    let flushes = played.flush(1_000);
    assert_eq!(flushes[0].alerts[0].muted_by, [MutedBy { kind: MuteKind::Silence, id: "s".to_owned() }]);
    assert!(!flushes[0].send);
    assert_eq!(played.notices(6_000).len(), 1);
}

#[test]
fn who_has_it_hears_nothing_of_what_was_muted_for_a_while_and_fires_on() {
    let host = |host: &str| {
        let mut labels = named("a");
        labels.insert("host".to_owned(), host.to_owned());
        labels
    };
    for x_was_over in [false, true] {
        let mut played = Played::new(&PLAIN.replace("1h", "10s"));
        let quiet = Standing { incident: "i".to_owned(), level: 1, opened_at: 0, quiet: true };
        let look = |played: &mut Played, at: i64| {
            let flushes = played.flush(at);
            let standings = vec![Some(quiet.clone()); flushes.len()];
            played.dispatcher.notices(&flushes, &standings, at)
        };
        for name in ["x", "y"] {
            played.post(alert(host(name), 0, Some(900_000), 0), 0);
        }
        let told = look(&mut played, 1_000);
        played.dispatcher.sent_notice(&told[0], 1_000);
        played.mutes.silences.set(silence("host=x", (2_000, 58_000)), "s".to_owned(), 2_000).unwrap();
        for at in (6_000..60_000).step_by(5_000) {
            assert_eq!(look(&mut played, at), [], "at {at}");
            if x_was_over && at == 26_000 {
                played.post(alert(host("x"), 0, Some(27_000), 27_000), 27_000);
            }
            if x_was_over && at == 46_000 {
                played.post(alert(host("x"), 47_000, Some(900_000), 47_000), 47_000);
            }
        }
        // What fires anew is news; what never ceased to is none.
        assert_eq!(look(&mut played, 61_000).len(), usize::from(x_was_over));
    }
}

#[test]
fn a_clock_that_jumps_changes_no_wait() {
    let mut played = Played::new(PLAIN);
    played.post(alert(named("a"), 0, Some(i64::MAX), 0), 0);
    for by in [3_600_000, -3_600_000] {
        let before = played.dispatcher.next().unwrap();
        played.dispatcher.shift(by, by);
        assert_eq!(played.dispatcher.next(), Some(before + by));
    }
}

#[test]
fn a_route_asks_for_an_alert_by_its_name_or_severity() {
    let text = "route:\n  receiver: a\n  routes:\n  - {matchers: ['severity != critical', 'team = web'], receiver: a}\n  \
                - {matchers: ['alertname =~ \"Watch.*\"'], receiver: a, routes: [{matchers: ['site = x'], receiver: a}]}\n  \
                - {matchers: ['severity =~ \".*\"'], receiver: a}\nreceivers: [{name: a}]\n";
    let config = config::parse(text, "a.yml").unwrap_or_else(|faults| panic!("{faults}"));
    let asks = |pairs: &[(&str, &str)]| {
        let labels = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        config.route.asks_for(&labels)
    };
    assert!(asks(&[("alertname", "Watchdog"), ("severity", "none")]));
    assert!(asks(&[("alertname", "Watchdog"), ("site", "x")]), "the route above names it");
    assert!(!asks(&[("alertname", "Watchdog"), ("team", "web")]), "the first takes whatever comes");
    assert!(!asks(&[("alertname", "Other"), ("severity", "none")]));
}

#[test]
fn who_watches_live_waits_for_no_group() {
    let mut played = Played::new("route: {receiver: r, group_wait: 30s}\nreceivers: [{name: r}]\n");
    let silence = |ends_at| Silence {
        id: String::new(),
        matchers: Matchers::parse("alertname=b").unwrap().documents(),
        starts_at: 0,
        ends_at,
        updated_at: 0,
        created_by: String::new(),
        comment: String::new(),
        annotations: LabelSet::new(),
    };
    played.mutes.silences.set(silence(20_000), "s".to_owned(), 0).unwrap();
    for name in ["a", "b"] {
        played.post(alert(named(name), 1_000, Some(300_000), 1_000), 1_000);
    }
    assert_eq!((played.announced(1_000), played.flush(1_000).len()), (vec!["a".to_owned()], 0));
    // Told again, it is the same; a silence that is over lets the other be told.
    played.post(alert(named("a"), 1_000, Some(400_000), 10_000), 10_000);
    assert!(played.announced(10_000).is_empty());
    assert_eq!(played.announced(20_000), ["b"]);
    // It is over, and begins anew.
    played.post(alert(named("a"), 1_000, Some(25_000), 25_000), 25_000);
    assert!(played.announced(25_000).is_empty());
    played.post(alert(named("a"), 26_000, Some(400_000), 26_000), 26_000);
    assert_eq!(played.announced(26_000), ["a"]);
}
