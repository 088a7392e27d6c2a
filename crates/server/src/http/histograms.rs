//! `GET|POST /api/barograph/v1/histograms`: native histograms as they are stored, or the windows that a tier made of them.
//!
//! Takes `match[]` (one selector), `start`, `end` and `tier` (`raw` by default). The answer:
//!
//! `{"results": [{"metric", "histograms": [{"timestamp", "histogram"}]}]}`, of a tier above raw
//! `{"results": [{"metric", "windows": [{"start", "first_at", "last_at", "samples", "first", "last", "total"}]}]}`
//!
//! Times are milliseconds since the epoch. A histogram is `{"schema", "count", "sum", "zero_threshold", "zero_count",
//! "positive", "negative", "bounds", "reset"}`, buckets being pairs of index and count, as Prometheus numbers them.

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::{
    Histogram, HistogramRollup, Labels, ResetHint, Selection, Source, Tier, TimeRange, Timestamp,
};
use serde_json::{Value, json};

use super::{ApiError, App, Caller, params::Params, problem::Problem};
use crate::queries::{About, Queries, Question};

/// How far back an answer goes that was not told.
const SPAN_MS: i64 = 3_600_000;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/histograms", get(histograms).post(histograms))
}

async fn histograms(State(app): State<App>, caller: Caller, params: Params) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let text =
        params.first("match[]").ok_or_else(|| ApiError::bad_parameter("match[]", &"give a selector"))?;
    let matchers =
        barograph_query::parse_selector(text).map_err(|e| ApiError::bad_parameter("match[]", &e))?;
    let tier = params.tier("tier")?.unwrap_or(Tier::Raw);
    let end = params.time("end")?.unwrap_or_else(|| engine.clock.now());
    let start = params.time("start")?.unwrap_or(Timestamp(end.0.saturating_sub(SPAN_MS)));
    let source = engine.clone();
    let work = move |budget: &_| {
        let selection = Selection { matchers: &matchers, range: TimeRange::closed(start, end) };
        let results = match tier {
            Tier::Raw => list(source.store.histograms(&selection, budget)?, "histograms", sample),
            tier => list(source.store.histogram_rollups(tier, &selection, budget)?, "windows", window),
        };
        Ok(results)
    };
    let expression = text.to_owned();
    let question = Question { caller, expression, about: About::Index, timeout: engine.limits().timeout };
    let results = Queries::run(&engine, question, work).await?;
    Ok(Json(json!({ "results": results })).into_response())
}

fn list<T>(series: Vec<(Labels, Vec<T>)>, name: &str, entry: fn(&T) -> Value) -> Value {
    let one = |(labels, entries): (Labels, Vec<T>)| {
        let metric: serde_json::Map<String, Value> =
            labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        json!({ "metric": metric, name: entries.iter().map(entry).collect::<Vec<_>>() })
    };
    series.into_iter().map(one).collect()
}

fn sample((at, histogram): &(i64, Histogram)) -> Value {
    json!({ "timestamp": at, "histogram": document(histogram) })
}

fn window(rollup: &HistogramRollup) -> Value {
    json!({
        "start": rollup.start,
        "first_at": rollup.first_at,
        "last_at": rollup.last_at,
        "samples": rollup.count,
        "first": document(&rollup.first),
        "last": document(&rollup.last),
        "total": document(&rollup.total),
    })
}

/// Null stands for the marker that ends a series.
fn document(histogram: &Histogram) -> Value {
    if histogram.is_stale() {
        return Value::Null;
    }
    let reset = match histogram.hint {
        ResetHint::Unknown => "unknown",
        ResetHint::Yes => "yes",
        ResetHint::No => "no",
        ResetHint::Gauge => "gauge",
    };
    json!({
        "schema": histogram.schema(),
        "count": histogram.count(),
        "sum": histogram.sum(),
        "zero_threshold": histogram.zero_threshold(),
        "zero_count": histogram.zero_count(),
        "positive": histogram.positive(),
        "negative": histogram.negative(),
        "bounds": histogram.bounds(),
        "reset": reset,
    })
}
