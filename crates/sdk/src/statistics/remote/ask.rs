//! Questions to a server, and their answers.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use barograph_model::{MetricType, Timestamp};
use serde_json::Value;

use super::{Remote, subscribe};
use crate::{
    clock,
    export::{Request, send_once},
    scope::Attributes,
    statistics::{
        AlertDefinition, ConsumerError, MetricDefinition, MetricQuery, NotificationHandler, PolicyError,
        QueryResult, SeriesResult, StatisticsConsumer, SubscriptionHandle,
    },
};

impl StatisticsConsumer for Remote {
    fn query(&self, query: &MetricQuery) -> Result<QueryResult, ConsumerError> {
        match query {
            MetricQuery::Document(document) => {
                let answer = self.ask("POST", "/api/barograph/v1/query", document)?;
                Ok(QueryResult {
                    series: document_series(&answer),
                    warnings: texts(&answer["meta"]["warnings"]),
                })
            }
            MetricQuery::Instant { expression, at } => {
                let at = at.unwrap_or_else(clock::now);
                let form = format!("query={}&time={}", encoded(expression), at.seconds());
                self.expression("/api/v1/query", &form)
            }
            MetricQuery::Range { expression, start, end, step } => {
                let (start, end, step) = (start.seconds(), end.seconds(), step.as_secs_f64());
                let form = format!("query={}&start={start}&end={end}&step={step}", encoded(expression));
                self.expression("/api/v1/query_range", &form)
            }
        }
    }

    fn latest(&self, metric: &str) -> Result<QueryResult, ConsumerError> {
        let path = format!("/api/barograph/v1/metrics/{}/latest", encoded(metric));
        let answer = self.ask("GET", &path, "")?;
        let series = |one: &Value| SeriesResult {
            name: text(&one["name"]),
            labels: pairs(&one["labels"]),
            points: point(one).into_iter().collect(),
        };
        let series = list(&answer["points"]).iter().map(series).collect();
        Ok(QueryResult { series, warnings: Vec::new() })
    }

    fn available_metrics(&self) -> Result<Vec<MetricDefinition>, ConsumerError> {
        let answer = self.ask("GET", "/api/barograph/v1/metrics", "")?;
        Ok(list(&answer["metrics"]).iter().map(definition).collect())
    }

    fn configured_alerts(&self) -> Result<Vec<AlertDefinition>, ConsumerError> {
        let answer = self.ask("GET", "/api/v1/rules?type=alert", "")?;
        let rules = list(&answer["data"]["groups"]).iter().flat_map(|group| list(&group["rules"]));
        Ok(rules.filter(|rule| rule["type"] == "alerting").map(alert).collect())
    }

    fn subscribe(
        &self,
        metric: &str,
        handler: NotificationHandler,
    ) -> Result<SubscriptionHandle, ConsumerError> {
        subscribe::start(&self.0.settings.address, metric, handler, &self.0.subscribers)
    }

    fn subscribers(&self) -> usize {
        self.0.subscribers.load(Relaxed)
    }
}

impl Remote {
    fn ask(&self, method: &'static str, path: &str, body: &str) -> Result<Value, ConsumerError> {
        let kind = match path.starts_with("/api/v1/") {
            true => "application/x-www-form-urlencoded",
            false => "application/json",
        };
        let headers = [("content-type", kind), ("accept", "application/json")];
        let request = Request { method, path, headers: &headers, body: body.as_bytes() };
        let unavailable = |reason: String| ConsumerError::Unavailable { reason };
        let mut answer = send_once(&self.0.settings.address, request, self.0.settings.timeout)
            .map_err(|error| unavailable(error.to_string()))?;
        let text = answer.text().map_err(|error| unavailable(error.to_string()))?;
        if answer.is_good() {
            return serde_json::from_str(&text).map_err(|error| unavailable(error.to_string()));
        }
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        let said =
            [&said["detail"], &said["error"]].into_iter().find_map(|text| text.as_str().map(str::to_owned));
        let reason = said.unwrap_or(text);
        Err(if answer.may_pass() { unavailable(reason) } else { ConsumerError::Refused { reason } })
    }

    fn expression(&self, path: &str, form: &str) -> Result<QueryResult, ConsumerError> {
        let answer = self.ask("POST", path, form)?;
        let data = &answer["data"];
        let series = match data["resultType"].as_str() {
            Some("scalar" | "string") => {
                vec![SeriesResult {
                    points: sample(&data["result"]).into_iter().collect(),
                    ..Default::default()
                }]
            }
            _ => list(&data["result"]).iter().map(expression_series).collect(),
        };
        Ok(QueryResult { series, warnings: texts(&answer["warnings"]) })
    }

    /// Sets a policy of a metric.
    pub(super) fn set_policy(&self, metric: &str, what: &str, document: &Value) -> Result<(), PolicyError> {
        let path = format!("/api/barograph/v1/metrics/{}/{what}", encoded(metric));
        match self.ask("PUT", &path, &document.to_string()) {
            Ok(_) => Ok(()),
            Err(ConsumerError::Refused { reason }) => Err(PolicyError::Refused { reason }),
            Err(error) => Err(PolicyError::Unavailable { reason: error.to_string() }),
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(text).collect()
}

/// Text pairs.
pub(super) fn pairs(value: &Value) -> Attributes {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name, value.as_str()?))).collect()
}

/// A number, or the text that stands for what JSON has no number for.
pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// A time in milliseconds and a value, as our own API gives them.
fn point(point: &Value) -> Option<(Timestamp, f64)> {
    Some((Timestamp(point["timestamp"].as_i64()?), number(&point["value"])?))
}

fn document_series(answer: &Value) -> Vec<SeriesResult> {
    let series = |series: &Value| SeriesResult {
        name: text(&series["name"]),
        labels: pairs(&series["labels"]),
        points: list(&series["dataPoints"]).iter().filter_map(point).collect(),
    };
    list(&answer["results"]).iter().map(series).collect()
}

fn expression_series(series: &Value) -> SeriesResult {
    let labels = pairs(&series["metric"]);
    let name = labels.get("__name__").unwrap_or_default().to_owned();
    let points = match &series["values"] {
        Value::Array(values) => values.iter().filter_map(sample).collect(),
        _ => sample(&series["value"]).into_iter().collect(),
    };
    SeriesResult { name, labels: labels.with("__name__", ""), points }
}

/// Seconds and a value, as the Prometheus API gives them.
fn sample(pair: &Value) -> Option<(Timestamp, f64)> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
    let at = Timestamp((pair[0].as_f64()? * 1e3).round() as i64);
    Some((at, number(&pair[1])?))
}

fn definition(metric: &Value) -> MetricDefinition {
    let some = |value: &Value| (!value.is_null()).then(|| value.to_string());
    MetricDefinition {
        name: text(&metric["name"]),
        kind: metric["type"].as_str().and_then(MetricType::from_word).unwrap_or_default(),
        unit: text(&metric["unit"]),
        description: text(&metric["description"]),
        attributes: texts(&metric["attributes"]),
        components: texts(&metric["components"]),
        retention: some(&metric["retention"]),
        aggregation: some(&metric["aggregation"]),
    }
}

fn alert(rule: &Value) -> AlertDefinition {
    AlertDefinition {
        name: text(&rule["name"]),
        expression: text(&rule["query"]),
        holds: Duration::try_from_secs_f64(rule["duration"].as_f64().unwrap_or(0.0)).unwrap_or_default(),
        labels: pairs(&rule["labels"]),
        annotations: pairs(&rule["annotations"]),
        state: text(&rule["state"]),
    }
}

/// Text as a part of an address or a form has it (RFC 3986).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
