//! A rule as it is told: what it says, how it fares, and how often it fired.

use std::collections::BTreeMap;

use barograph_alert::{
    Rule, RuleSpec, State as Standing,
    incident::statistics::{self, Statistics},
    routing::Severity,
};
use barograph_model::Timestamp;
use barograph_yaml::units::format_duration;
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Engine,
    rules::{
        Running,
        own::{self, Own},
    },
};

/// Times to acknowledge and to resolve are means of so long.
const STATISTICS_MS: i64 = 30 * 86_400_000;

/// What is known of all rules by the names of their alerts.
pub(super) struct Facts {
    now: Timestamp,
    by_rule: BTreeMap<String, Statistics>,
}

impl Facts {
    pub(super) async fn of(engine: &Engine) -> Self {
        let now = engine.clock.now();
        let since = now.0.saturating_sub(STATISTICS_MS);
        let (_, by_rule) = engine.incidents.look(move |book| statistics::of(book.iter(), since)).await;
        Self { now, by_rule }
    }
}

pub(super) fn time(ms: i64) -> String {
    Timestamp(ms).to_rfc3339()
}

/// All rules of a tenant: by file, group and place in it; then those made by API, by name.
pub(super) fn all(engine: &Engine, tenant: Option<&str>, facts: &Facts) -> Vec<Value> {
    let mut documents = Vec::new();
    for running in groups(engine, tenant).iter().filter(|running| *running.file != *own::FILE) {
        documents
            .extend(of_file(running).into_iter().map(|(id, rule)| shown(engine, facts, running, &id, &rule)));
    }
    let mut own = engine.own_rules.all();
    own.retain(|own| own.kept.tenant.as_deref() == tenant);
    own.sort_by(|a, b| a.name().cmp(b.name()));
    documents.extend(own.iter().map(|own| of_own(engine, facts, own)));
    documents
}

/// The one of an id, with its text.
pub(super) fn one(engine: &Engine, tenant: Option<&str>, facts: &Facts, id: &str) -> Option<Value> {
    if let Some(own) = engine.own_rules.one(id) {
        let mut document = (own.kept.tenant.as_deref() == tenant).then(|| of_own(engine, facts, &own))?;
        document["text"] = own.kept.text.as_str().into();
        return Some(document);
    }
    groups(engine, tenant).iter().filter(|running| *running.file != *own::FILE).find_map(|running| {
        let (id, rule) = of_file(running).into_iter().find(|(known, _)| known == id)?;
        let mut document = shown(engine, facts, running, &id, &rule);
        document["text"] = barograph_alert::file::yaml(&rule.spec.document()).into();
        Some(document)
    })
}

fn groups(engine: &Engine, tenant: Option<&str>) -> Vec<std::sync::Arc<Running>> {
    let mut groups = engine.rules.groups();
    // The default tenant looks after the server, and sees the rules of all.
    groups.retain(|running| tenant.is_none() || running.group().spec.tenant.as_deref() == tenant);
    groups
}

/// The alerting rules of a group of a file, with their ids: these stay while others come and go.
fn of_file(running: &Running) -> Vec<(String, Rule)> {
    let group = running.group();
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for rule in group.rules.iter().filter(|rule| rule.spec.alerting().is_some()) {
        let number = before.entry(rule.spec.name()).or_default();
        let text = format!("{}\0{}\0{}\0{number}", running.file, running.name, rule.spec.name());
        *number += 1;
        found.push((format!("rule_{:016x}", xxh3_64(text.as_bytes())), rule.clone()));
    }
    found
}

/// One of a file.
fn shown(engine: &Engine, facts: &Facts, running: &Running, id: &str, rule: &Rule) -> Value {
    let mut document = says(&rule.spec);
    fares(&mut document, Some(rule));
    fired(&mut document, engine, facts, rule.spec.name());
    for (key, value) in [
        ("id", json!(id)),
        ("group", json!(running.name)),
        ("file", json!(&*running.file)),
        ("interval", json!(format_duration(running.interval))),
        ("editable", json!(false)),
        ("version", json!(1)),
        ("enabled", json!(true)),
    ] {
        document.insert(key.to_owned(), value);
    }
    Value::Object(document)
}

/// One made by API.
fn of_own(engine: &Engine, facts: &Facts, own: &Own) -> Value {
    let running = engine.rules.groups();
    let group = own.group();
    let found = running.iter().find(|running| *running.file == *own::FILE && running.name == group);
    let rule = found.filter(|_| own.kept.enabled).and_then(|running| {
        running.group().rules.iter().find(|rule| rule.spec.name() == own.name()).cloned()
    });
    let mut document = match &own.rule {
        Ok(given) => says(&given.spec),
        Err(_) => unreadable(own.name()),
    };
    fares(&mut document, rule.as_ref());
    if let Err(error) = &own.rule {
        document.insert("health".to_owned(), "err".into());
        document.insert("last_error".to_owned(), error.as_str().into());
    }
    fired(&mut document, engine, facts, own.name());
    let interval = own.rule.as_ref().ok().and_then(|rule| rule.interval);
    // A key that it has, among those that a form gives back as they are.
    if let (Some(interval), Some(Value::Object(params))) = (interval, document.get_mut("params")) {
        params.insert("interval".to_owned(), format_duration(interval).into());
    }
    let interval = interval.unwrap_or_else(|| engine.configured.current().global.evaluation_interval);
    for (key, value) in [
        ("id", json!(own.id)),
        ("group", json!(group)),
        ("file", Value::Null),
        ("interval", json!(format_duration(interval))),
        ("editable", json!(true)),
        ("version", json!(own.kept.version)),
        ("enabled", json!(own.kept.enabled)),
        ("created_at", json!(time(own.kept.created_at))),
        ("created_by", json!(own.kept.created_by)),
        ("changed_at", json!(time(own.kept.changed_at))),
        ("changed_by", json!(own.kept.changed_by)),
    ] {
        document.insert(key.to_owned(), value);
    }
    Value::Object(document)
}

/// What a rule says.
fn says(spec: &RuleSpec) -> Map<String, Value> {
    let Some(alert) = spec.alerting() else { return Map::new() };
    let annotations: BTreeMap<_, _> =
        alert.annotations.iter().map(|(name, text)| (name, text.text())).collect();
    let labels = spec.labels();
    let severity = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let Value::Object(document) = json!({
        "name": alert.name,
        "kind": alert.watches.as_str(),
        "severity": Severity::of(&severity).as_str(),
        "expr": spec.expr.to_string(),
        "for": format_duration(alert.hold),
        "keep_firing_for": format_duration(alert.keep_firing),
        "labels": labels,
        "annotations": annotations,
        "threshold": alert.threshold.as_ref().map(|threshold| threshold.fire),
        "threshold_type": alert.threshold.as_ref().and_then(|threshold| threshold.side()).map(|side| side.as_str()),
        "escalation": alert.handling.escalation,
        "runbook_url": alert.handling.runbook_url,
        "params": spec.params(),
    }) else {
        return Map::new();
    };
    document
}

/// What is told of a rule that says nothing that can be read.
fn unreadable(name: &str) -> Map<String, Value> {
    let Value::Object(document) = json!({
        "name": name, "kind": "threshold", "severity": "warning", "expr": "", "for": "0s", "keep_firing_for": "0s",
        "labels": {}, "annotations": {}, "threshold": null, "threshold_type": null, "escalation": null,
        "runbook_url": null, "params": {},
    }) else {
        return Map::new();
    };
    document
}

/// How a rule fares; nothing is known of one that is not evaluated.
fn fares(document: &mut Map<String, Value>, rule: Option<&Rule>) {
    let state = match rule.map_or(Standing::Inactive, Rule::state) {
        Standing::Inactive => "inactive",
        Standing::Pending => "pending",
        Standing::Firing => "firing",
    };
    let status = rule.map(|rule| &rule.status);
    let evaluated = status.and_then(|status| status.at);
    for (key, value) in [
        ("state", json!(state)),
        ("active", json!(rule.map_or(0, |rule| rule.active().count()))),
        ("health", json!(status.map_or("unknown", |status| status.health.as_str()))),
        ("last_error", json!(status.map(|status| &status.error).filter(|error| !error.is_empty()))),
        ("last_evaluation", json!(evaluated.map(Timestamp::to_rfc3339))),
        (
            "evaluation_ms",
            json!(status.filter(|_| evaluated.is_some()).map(|it| it.took.as_secs_f64() * 1e3)),
        ),
    ] {
        document.insert(key.to_owned(), value);
    }
}

/// How often a rule fired, and how long people took; rules whose alerts have one name are told together.
fn fired(document: &mut Map<String, Value>, engine: &Engine, facts: &Facts, name: &str) {
    let fired = engine.alerting.fired(name, facts.now);
    let of_rule = facts.by_rule.get(name);
    for (key, value) in [
        ("fired_24h", json!(fired.in_a_day)),
        ("flapping", json!(fired.flapping)),
        ("noisy", json!(fired.noisy.is_some())),
        ("noisy_why", json!(fired.noisy)),
        ("mtta", json!(of_rule.and_then(|it| it.time_to_acknowledge.mean_seconds))),
        ("mttr", json!(of_rule.and_then(|it| it.time_to_resolve.mean_seconds))),
    ] {
        document.insert(key.to_owned(), value);
    }
}
