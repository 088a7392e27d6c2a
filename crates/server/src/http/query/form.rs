//! A question as parameters: `names`, a time range, a function, and how finely.
//!
//! It is the short form of a document, for links and simple clients, in which each series is a group of its own. Means
//! the same as the document it becomes.

use barograph_model::{METRIC_NAME, Timestamp};
use barograph_query::json::{
    Aggregation, Condition, Function, GroupBy, LIMIT_MAX, METRICS_MAX, Moment, Names, Query, Window,
};
use serde_json::Value;

use crate::http::{
    params::{Params, parse_time},
    prom::ApiError,
};

/// Numbers up to here are seconds since the epoch (until the year 5138), greater ones milliseconds (since 1973).
const SECONDS_MAX: f64 = 1e11;

/// What a JSON object may have that is no document.
const KEYS: [&str; 14] = [
    "names",
    "start",
    "startTime",
    "end",
    "endTime",
    "granularity",
    "function",
    "aggregation",
    "q",
    "step",
    "labels",
    "targetPoints",
    "downsample",
    "limit",
];

/// The parameters that a JSON object stands for.
pub(super) fn of_object(fields: serde_json::Map<String, Value>) -> Result<Params, String> {
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if !KEYS.contains(&name.as_str()) {
            return Err(format!("{name}: unknown key; known are query, or {}", KEYS.join(", ")));
        }
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name, text)),
            Value::Number(number) => pairs.push((name, number.to_string())),
            Value::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                let texts = texts.ok_or_else(|| format!("{name}: expected a list of texts"))?;
                pairs.extend(texts.into_iter().map(|text| (name.clone(), text.to_owned())));
            }
            Value::Object(labels) => {
                for (label, value) in labels {
                    let Value::String(text) = value else {
                        return Err(format!("{name}.{label}: expected a text"));
                    };
                    pairs.push((format!("{name}.{label}"), text));
                }
            }
            Value::Bool(_) => return Err(format!("{name}: expected a text or a number")),
        }
    }
    Ok(Params::of(pairs))
}

/// The query that parameters mean.
pub(super) fn query(params: &Params) -> Result<Query, ApiError> {
    let bad = |name: &str, text: &dyn std::fmt::Display| ApiError::bad_parameter(name, text);
    let names =
        params.all("names").flat_map(|names| names.split(',')).map(str::trim).filter(|n| !n.is_empty());
    let names =
        names.map(|name| Names::read(name).map_err(|e| bad("names", &e))).collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() || names.len() > METRICS_MAX {
        let text = format!("give 1 to {METRICS_MAX} names of metrics, not {}", names.len());
        return Err(bad("names", &text));
    }
    let target = params.limit("targetPoints")?;
    if target != usize::MAX && target > LIMIT_MAX {
        return Err(bad("targetPoints", &format!("more than {LIMIT_MAX}")));
    }
    let target = Some(target).filter(|target| *target != usize::MAX);
    let shape = match params.first("downsample") {
        None | Some("function") => false,
        Some("lttb") => true,
        Some(other) => return Err(bad("downsample", &format!("{other:?} is none of function, lttb"))),
    };
    let window = match (params.duration_ms("step")?, target) {
        (Some(step), _) if step < 1 => return Err(bad("step", &"is not positive")),
        (Some(step), _) => Window::Length(step),
        (None, Some(points)) if !shape => Window::Points(points),
        (None, _) => Window::Auto,
    };
    let aggregation = Aggregation { function: function(params)?, window, metric: None, alias: None };
    Ok(Query {
        start: time(params, ["startTime", "start"])?,
        end: time(params, ["endTime", "end"])?,
        end_counts: true,
        dimensions: dimensions(params)?,
        group_by: GroupBy::Series,
        aggregations: vec![aggregation],
        granularity: params.tier("granularity")?,
        target_points: target.filter(|_| shape),
        limit: Some(params.limit("limit")?).filter(|limit| *limit != usize::MAX),
        ..Query::new(names)
    })
}

/// A time, under the first of two names that has one: seconds or milliseconds since the epoch, RFC 3339, or from now.
fn time(params: &Params, names: [&str; 2]) -> Result<Option<Moment>, ApiError> {
    let Some((name, text)) = names.into_iter().find_map(|name| Some((name, params.first(name)?))) else {
        return Ok(None);
    };
    if let Some(ms) = text.parse::<i64>().ok().filter(|ms| ms.unsigned_abs() as f64 > SECONDS_MAX) {
        return Ok(Some(Moment::At(Timestamp(ms))));
    }
    if let Some(moment) = barograph_query::json::parse_moment(text) {
        return Ok(Some(moment));
    }
    let at = parse_time(text).ok().filter(|at| at.0.unsigned_abs() < 1 << 53);
    let wrong = || ApiError::bad_parameter(name, &format!("cannot parse {text:?} to a valid timestamp"));
    at.map(|at| Some(Moment::At(at))).ok_or_else(wrong)
}

/// `labels.NAME=VALUE`, and `labels=NAME:VALUE`.
fn dimensions(params: &Params) -> Result<Vec<(String, Condition)>, ApiError> {
    let mut found: Vec<(&str, &str)> = params.beginning("labels.").collect();
    for pair in params.all("labels") {
        let wrong = || ApiError::bad_parameter("labels", &format!("{pair:?} is no NAME:VALUE"));
        found.push(pair.split_once(':').ok_or_else(wrong)?);
    }
    let known = |name: &str| !name.is_empty() && name != METRIC_NAME;
    if let Some((name, _)) = found.iter().find(|(name, _)| !known(name)) {
        return Err(ApiError::bad_parameter("labels", &format!("{name:?} names no attribute")));
    }
    Ok(found
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Condition::Equals(value.to_owned())))
        .collect())
}

/// The `aggregation`, or `function`, with `q` where it is `quantile`; `avg` if there is none.
fn function(params: &Params) -> Result<Function, ApiError> {
    let parameter = if params.first("aggregation").is_some() { "aggregation" } else { "function" };
    let name = params.first(parameter).unwrap_or("avg");
    if name == "quantile" {
        return match params.first("q").map(str::parse::<f64>) {
            Some(Ok(q)) if (0.0..=1.0).contains(&q) => Ok(Function::Percentile(q * 100.0)),
            _ => Err(ApiError::bad_parameter("q", &"give a number from 0 to 1")),
        };
    }
    let text = "give one of avg, sum, min, max, count, first, last, stddev, rate, increase, p50, p90, p95, p99, \
                p99.9, quantile";
    Function::named(name)
        .filter(|_| !name.eq_ignore_ascii_case("percentile"))
        .ok_or_else(|| ApiError::bad_parameter(parameter, &text))
}
