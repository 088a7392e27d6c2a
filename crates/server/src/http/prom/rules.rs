//! `rules` and `alerts`: which rules there are, how they fare, and the alerts they found.

use axum::{extract::State, http::HeaderMap, response::Response};
use barograph_alert::{Alert, Group, Rule, RuleSpec, State as AlertState};
use barograph_model::{Labels, Matcher, Timestamp};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{answer::success, error::ApiError};
use crate::{
    http::{App, params::Params},
    rules::Running,
};

/// `GET /api/v1/alerts`
pub(crate) async fn alerts(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let mut alerts = Vec::new();
    for running in engine.rules.groups() {
        alerts.extend(running.group().rules.iter().flat_map(Rule::active).map(alert));
    }
    Ok(success(&headers, &json!({ "alerts": alerts }).to_string(), &[], &[]))
}

/// `GET /api/v1/rules`
pub(crate) async fn rules(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let wanted = Wanted::new(&params)?;
    let page = Page::new(&params)?;
    let (mut groups, mut next) = (Vec::new(), None);
    let mut found = page.from.is_none();
    for running in engine.rules.groups() {
        let token = token(&running);
        found |= page.from.as_ref() == Some(&token);
        if !found || !wanted.takes_group(&running) {
            continue;
        }
        let document = group(&running, &wanted);
        if document["rules"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        if groups.len() == page.limit {
            next = Some(token);
            break;
        }
        groups.push(document);
    }
    if !found {
        let text = "it names no group; were rules changed meanwhile?";
        return Err(ApiError::bad_parameter("group_next_token", &text));
    }
    let mut data = json!({ "groups": groups });
    if let Some(next) = next {
        data["groupNextToken"] = next.into();
    }
    Ok(success(&headers, &data.to_string(), &[], &[]))
}

/// Which rules are asked for.
struct Wanted<'p> {
    recording: bool,
    alerting: bool,
    alerts: bool,
    names: Vec<&'p str>,
    groups: Vec<&'p str>,
    files: Vec<&'p str>,
    matchers: Vec<Vec<Matcher>>,
}

impl<'p> Wanted<'p> {
    fn new(params: &'p Params) -> Result<Self, ApiError> {
        let kind = params.first("type").unwrap_or_default().to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(ApiError::bad_parameter("type", &format!("not supported value {kind:?}")));
        }
        let matchers = barograph_query::parse_selectors(params.all("match[]"))
            .map_err(|e| ApiError::bad_parameter("match[]", &e))?;
        let alerts = match params.first("exclude_alerts").unwrap_or("false").to_lowercase().as_str() {
            "true" | "t" | "1" => false,
            "false" | "f" | "0" => true,
            _ => return Err(ApiError::bad_parameter("exclude_alerts", &"expected true or false")),
        };
        Ok(Self {
            recording: kind != "alert",
            alerting: kind != "record",
            alerts,
            names: params.all("rule_name[]").collect(),
            groups: params.all("rule_group[]").collect(),
            files: params.all("file[]").collect(),
            matchers,
        })
    }

    fn takes_group(&self, running: &Running) -> bool {
        let takes = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        takes(&self.groups, &running.name) && takes(&self.files, &running.file)
    }

    fn takes(&self, rule: &RuleSpec) -> bool {
        let kind = if rule.alerting().is_some() { self.alerting } else { self.recording };
        let named = self.names.is_empty() || self.names.contains(&rule.name());
        kind && named && (self.matchers.is_empty() || self.matchers.iter().any(|all| matches(all, rule)))
    }
}

/// Whether the labels of a rule fit; those with a template in them have no value yet.
fn matches(matchers: &[Matcher], rule: &RuleSpec) -> bool {
    let labels = rule.labels();
    let value = |name: &str| labels.get(name).copied().filter(|value| !value.contains("{{"));
    matchers.iter().all(|matcher| matcher.matches(value(matcher.name()).unwrap_or_default()))
}

/// Which part of the groups is asked for.
struct Page {
    limit: usize,
    from: Option<String>,
}

impl Page {
    fn new(params: &Params) -> Result<Self, ApiError> {
        let from = params.first("group_next_token").map(str::to_owned);
        let Some(limit) = params.first("group_limit") else {
            return match from {
                None => Ok(Self { limit: usize::MAX, from: None }),
                Some(_) => Err(ApiError::bad_parameter("group_limit", &"it is needed with group_next_token")),
            };
        };
        let limit = limit.parse().ok().filter(|limit| *limit > 0);
        let limit =
            limit.ok_or_else(|| ApiError::bad_parameter("group_limit", &"expected a number above 0"))?;
        Ok(Self { limit, from })
    }
}

/// Names a group to continue from.
fn token(running: &Running) -> String {
    format!("{:032x}", xxh3_128(format!("{};{}", running.file, running.name).as_bytes()))
}

fn group(running: &Running, wanted: &Wanted<'_>) -> Value {
    let (group, last) = (running.group(), running.last());
    let Group { spec, rules, .. } = &*group;
    let rules = rules.iter().filter(|rule| wanted.takes(&rule.spec));
    json!({
        "name": running.name,
        "file": &*running.file,
        "rules": rules.map(|rule| document(rule, wanted.alerts)).collect::<Vec<_>>(),
        "interval": running.interval.as_secs_f64(),
        "limit": spec.limit,
        "evaluationTime": last.took.as_secs_f64(),
        "lastEvaluation": time(last.at),
    })
}

fn document(rule: &Rule, with_alerts: bool) -> Value {
    let (spec, status) = (&rule.spec, &rule.status);
    let mut document = json!({
        "name": spec.name(),
        "query": spec.expr.to_string(),
        "labels": spec.labels(),
        "health": status.health.as_str(),
        "evaluationTime": status.took.as_secs_f64(),
        "lastEvaluation": time(status.at),
        "type": "recording",
    });
    if !status.error.is_empty() {
        document["lastError"] = status.error.as_str().into();
    }
    if let Some(alerting) = spec.alerting() {
        let annotations = alerting.annotations.iter();
        let annotations: Map<String, Value> =
            annotations.map(|(name, text)| (name.clone(), text.text().into())).collect();
        document["type"] = "alerting".into();
        document["state"] = rule.state().as_str().into();
        document["duration"] = alerting.hold.as_secs_f64().into();
        document["keepFiringFor"] = alerting.keep_firing.as_secs_f64().into();
        document["annotations"] = annotations.into();
        document["alerts"] = if with_alerts { rule.active().map(alert).collect() } else { json!([]) };
    }
    document
}

fn alert(alert: &Alert) -> Value {
    let mut document = json!({
        "labels": labels(&alert.labels),
        "annotations": alert.annotations,
        "state": alert.state.as_str(),
        "activeAt": time(Some(alert.active_at)),
        "value": scientific(alert.value),
    });
    if let (AlertState::Firing, Some(since)) = (alert.state, alert.keep_firing_since) {
        document["keepFiringSince"] = time(Some(since)).into();
    }
    document
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// RFC 3339; what was never is Go's first moment.
pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), Timestamp::to_rfc3339)
}

/// A number as upstream writes the value of an alert: `1e+00`.
fn scientific(value: f64) -> String {
    if !value.is_finite() {
        return barograph_query::go_float(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_alerts_have_an_exponent() {
        let check = |value: f64, text: &str| assert_eq!(scientific(value), text);
        check(1.0, "1e+00");
        check(0.0, "0e+00");
        check(-12.5, "-1.25e+01");
        check(1e-7, "1e-07");
        check(f64::INFINITY, "+Inf");
    }
}
