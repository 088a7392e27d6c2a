//! `GET|POST /api/barograph/v1/query`: one aggregate of each bucket of time, from the tier that suits.
//!
//! GET takes `names` (separated by commas), `granularity`, `function`, `q`, `start`, `end`, `step` and `labels.NAME`;
//! POST takes the same as a JSON object, `names` as a list and `labels` as an object, or as a form. The answer:
//!
//! `{"results": [{"name", "labels", "dataPoints": [{"timestamp", "value"}]}],
//!   "meta": {"tier", "reason", "error", "points_read", "took_ms", "cached"}}`
//!
//! Timestamps are the starts of buckets in milliseconds since the epoch. Values are numbers, or `"NaN"`, `"+Inf"`,
//! `"-Inf"`, which JSON has no numbers for. `error` is the most that values are off, relative to them.

use axum::{
    Router,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::{METRIC_NAME, MatchOp, Matcher, Timestamp};
use barograph_query::{Aggregate, PointQuery, Points};
use serde_json::Value;

use super::{
    App,
    body::{BodyError, Whole},
    compress::compressed,
    params::Params,
    problem::Problem,
    prom::{self, ApiError, write_labels, write_list, write_sample_value, write_string},
};

/// One question may name so many metrics.
const NAMES_MAX: usize = 64;
/// How far back a question looks that does not say.
const SPAN_MS: i64 = 3_600_000;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/query", get(points).post(points))
}

async fn points(State(app): State<App>, headers: HeaderMap, request: Request) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let params = params(&app, &headers, request).await?;
    let selections = selections(&params)?;
    let end = params.time("end")?.unwrap_or_else(|| engine.clock.now());
    let query = PointQuery {
        aggregate: aggregate(&params)?,
        tier: params.tier("granularity")?,
        start: params.time("start")?.unwrap_or(Timestamp(end.0.saturating_sub(SPAN_MS))),
        end,
        step_ms: params.duration_ms("step")?,
    };
    let (source, began) = (engine.clone(), engine.clock.monotonic());
    let work = move |budget: &_| {
        let points = barograph_query::points(&*source.store, &selections, &query, budget)?;
        Ok((points, budget.spent()))
    };
    let (points, read) = prom::run(&engine, engine.limits.timeout, work).await?;
    let took_ms = (engine.clock.monotonic() - began).as_secs_f64() * 1e3;
    let body = ([(CONTENT_TYPE, "application/json")], written(&points, read, took_ms)).into_response();
    Ok(compressed(&headers, body))
}

/// The parameters of the URL, and those of a form or a JSON object in the body.
async fn params(app: &App, headers: &HeaderMap, request: Request) -> Result<Params, Problem> {
    let url = request.uri().query().unwrap_or_default().to_owned();
    if request.method() != Method::POST {
        return Ok(Params::new(&url, &[]));
    }
    let body = Whole::from_request(request, app).await;
    let Whole(body) = body.map_err(|e: BodyError| Problem::new(e.status(), e.to_string()))?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(Params::new(&url, &body));
    }
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let fields: serde_json::Map<String, Value> =
        serde_json::from_slice(&body).map_err(|e| bad(format!("the body is no JSON object: {e}")))?;
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name, text)),
            Value::Number(number) => pairs.push((name, number.to_string())),
            Value::Array(items) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                let texts = texts.ok_or_else(|| bad(format!("{name:?} is no list of strings")))?;
                pairs.extend(texts.into_iter().map(|text| (name.clone(), text.to_owned())));
            }
            Value::Object(labels) => {
                for (label, value) in labels {
                    let Value::String(text) = value else {
                        return Err(bad(format!("the value of {label:?} in {name:?} is no string")));
                    };
                    pairs.push((format!("{name}.{label}"), text));
                }
            }
            Value::Bool(_) => return Err(bad(format!("{name:?} is neither text nor number"))),
        }
    }
    Ok(Params::of(pairs))
}

/// One selection a name, all with the same labels.
fn selections(params: &Params) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let names: Vec<&str> = params
        .all("names")
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .collect();
    if names.is_empty() || names.len() > NAMES_MAX {
        let text = format!("give 1 to {NAMES_MAX} names of metrics, not {}", names.len());
        return Err(ApiError::bad_parameter("names", &text));
    }
    let equal = |label: &str, value: &str| {
        Matcher::new(label, MatchOp::Equal, value).map_err(|e| ApiError::bad_parameter(label, &e))
    };
    let labels = params.beginning("labels.").map(|(label, value)| equal(label, value));
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    let selection = |name: &&str| {
        let mut matchers = vec![equal(METRIC_NAME, name)?];
        matchers.extend(labels.iter().cloned());
        Ok(matchers)
    };
    names.iter().map(selection).collect()
}

/// The `function` parameter, with `q` where it is `quantile`; `avg` if there is none.
fn aggregate(params: &Params) -> Result<Aggregate, ApiError> {
    let bad = |name: &str, text: &str| Err(ApiError::bad_parameter(name, &text));
    let name = params.first("function").unwrap_or("avg");
    Ok(match name {
        "avg" => Aggregate::Avg,
        "sum" => Aggregate::Sum,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "count" => Aggregate::Count,
        "first" => Aggregate::First,
        "last" => Aggregate::Last,
        "stddev" => Aggregate::Stddev,
        "rate" => Aggregate::Rate,
        "increase" => Aggregate::Increase,
        "quantile" => match params.first("q").map(str::parse::<f64>) {
            Some(Ok(q)) if (0.0..=1.0).contains(&q) => Aggregate::Quantile(q),
            _ => return bad("q", "give a number from 0 to 1"),
        },
        _ => match name.strip_prefix('p').map(str::parse::<f64>) {
            Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Aggregate::Quantile(percent / 100.0),
            _ => {
                let text = "give one of avg, sum, min, max, count, first, last, stddev, rate, increase, p50, p90, \
                            p95, p99, p99.9, quantile";
                return bad("function", text);
            }
        },
    })
}

fn written(points: &Points, read: u64, took_ms: f64) -> String {
    let mut out = String::from(r#"{"results":"#);
    write_list(&mut out, &points.series, |out, (labels, samples)| {
        out.push_str(r#"{"name":"#);
        write_string(out, labels.metric_name().unwrap_or_default());
        out.push_str(r#","labels":"#);
        write_labels(out, &labels.without(|name| name == METRIC_NAME.as_bytes()));
        out.push_str(r#","dataPoints":"#);
        write_list(out, samples, |out, sample| {
            out.push_str(&format!(r#"{{"timestamp":{},"value":"#, sample.at.0));
            match sample.value.is_finite() {
                true => out.push_str(
                    &serde_json::Number::from_f64(sample.value).map_or_else(String::new, |n| n.to_string()),
                ),
                false => write_sample_value(out, sample.value),
            }
            out.push('}');
        });
        out.push('}');
    });
    let meta = serde_json::json!({
        "tier": points.tier.as_str(),
        "reason": points.reason,
        "error": points.error,
        "points_read": read,
        "took_ms": took_ms,
        "cached": false,
    });
    out.push_str(&format!(r#","meta":{meta}}}"#));
    out
}
