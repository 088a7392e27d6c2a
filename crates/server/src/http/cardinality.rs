//! Where the series are: `GET /api/barograph/v1/cardinality`, and the Prometheus form of the same,
//! `GET /api/v1/status/tsdb`.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_tsdb::{Cardinality, MetricSeries, Overflow};
use serde_json::{Value, json};

use super::{App, params::Params, problem::Problem, prom};
use crate::{Engine, current};

/// Rows of each list, when nobody says and at most.
const ROWS: usize = 20;
const ROWS_MAX: usize = 1000;

/// Rows of each list of the Prometheus form when nobody says.
const STATUS_ROWS: usize = 10;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/cardinality", get(cardinality))
        .route("/api/v1/status/tsdb", get(status))
}

async fn cardinality(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let limit = rows(&params, ROWS).map_err(|e| wrong(e.text().to_owned()))?;
    let selectors = barograph_query::parse_selectors(params.all("match[]"))
        .map_err(|e| wrong(format!("invalid parameter \"match[]\": {e}")))?;
    let metric = params.first("metric").map(str::to_owned);
    let work = move |engine: &Engine| {
        let now = engine.clock.now();
        document(&engine.store.cardinality(&selectors, metric.as_deref(), limit, now))
    };
    let body = current::blocking(move || work(&engine)).await;
    let body = body
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "counting failed; the log says why"))?;
    Ok(Json(body).into_response())
}

fn rows(params: &Params, default: usize) -> Result<usize, prom::ApiError> {
    Ok(match params.limit("limit")? {
        usize::MAX => default,
        limit => limit.min(ROWS_MAX),
    })
}

fn document(found: &Cardinality) -> Value {
    let metrics: Vec<_> = found.metrics.iter().map(|row| metric(row, found)).collect();
    let growth: Vec<_> = found
        .growth
        .iter()
        .map(|row| {
            json!({
                "metric": row.metric,
                "created_last_hour": row.created_last_hour,
                "created_since_start": row.created,
                "series": row.series,
            })
        })
        .collect();
    let labels: Vec<_> = found
        .labels
        .iter()
        .map(|row| json!({"label": row.label, "values": row.values, "value_bytes": row.bytes}))
        .collect();
    let metric_labels: Vec<_> = found
        .metric_labels
        .iter()
        .map(|row| {
            let limit = found.label_values_max;
            json!({"metric": row.metric, "label": row.label, "values": row.values, "limit": limit})
        })
        .collect();
    let pairs: Vec<_> = found
        .pairs
        .iter()
        .map(|row| json!({"label": row.label, "value": row.value, "series": row.series}))
        .collect();
    json!({
        "series": {
            "active": found.series,
            "limit": found.series_max,
            "room": found.series_max.saturating_sub(found.series),
            "created_last_hour": found.created_last_hour,
            "created_since_start": found.created,
            "matched": found.matched,
            "examined": found.examined,
        },
        "limits": {
            "series": found.series_max,
            "series_per_metric": found.metric_series_max,
            "values_per_label": found.label_values_max,
        },
        "metrics": metrics,
        "growth": growth,
        "labels": labels,
        "metric_labels": metric_labels,
        "pairs": pairs,
        "overflow": {
            "samples": found.overflow_samples,
            "merged": found.overflow_merged,
            "refused": found.overflow_refused,
            "offenders": found.overflows.iter().map(offender).collect::<Vec<_>>(),
        },
    })
}

fn metric(row: &MetricSeries, found: &Cardinality) -> Value {
    let labels: Vec<_> =
        row.labels.iter().map(|(label, values)| json!({"label": label, "values": values})).collect();
    json!({
        "metric": row.metric,
        "series": row.series,
        "share": row.series as f64 / found.series.max(1) as f64,
        "limit": found.metric_series_max,
        "created_last_hour": row.created_last_hour,
        "created_since_start": row.created,
        "labels": labels,
    })
}

fn offender(row: &Overflow) -> Value {
    json!({
        "metric": row.metric,
        "label": row.label,
        "limit": row.limit.as_str(),
        "samples": row.samples,
        "merged": row.merged,
        "example": row.example,
        "first": row.first_at.seconds(),
        "last": row.last_at.seconds(),
    })
}

async fn status(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, prom::ApiError> {
    let engine = app.engine()?;
    let limit = rows(&params, STATUS_ROWS)?;
    let work = move || {
        let found = engine.store.cardinality(&[], None, limit, engine.clock.now());
        status_document(&found, engine.store.head_extent())
    };
    let data = current::blocking(work)
        .await
        .map_err(|_| prom::ApiError::internal("counting failed; the log says why"))?;
    Ok(prom::success(&headers, &data.to_string(), &[], &[]))
}

/// The lists that Prometheus names so. Without samples the span of times is upside down, as there.
fn status_document(
    found: &Cardinality,
    extent: Option<(usize, barograph_model::Timestamp, barograph_model::Timestamp)>,
) -> Value {
    let (chunks, first, last) =
        extent.map_or((0, i64::MAX, i64::MIN), |(chunks, first, last)| (chunks, first.0, last.0));
    let row = |name: String, value: u64| json!({"name": name, "value": value});
    let metrics = found.metrics.iter().map(|m| row(m.metric.clone(), m.series as u64));
    let labels = found.labels.iter().map(|l| row(l.label.clone(), l.values as u64));
    let bytes = found.labels.iter().map(|l| row(l.label.clone(), l.bytes));
    let pairs = found.pairs.iter().map(|p| row(format!("{}={}", p.label, p.value), p.series as u64));
    json!({
        "headStats": {
            "numSeries": found.series,
            "numLabelPairs": found.pairs_in_use,
            "chunkCount": chunks,
            "minTime": first,
            "maxTime": last,
        },
        "seriesCountByMetricName": metrics.collect::<Vec<_>>(),
        "labelValueCountByLabelName": labels.collect::<Vec<_>>(),
        "memoryInBytesByLabelName": bytes.collect::<Vec<_>>(),
        "seriesCountByLabelValuePair": pairs.collect::<Vec<_>>(),
    })
}
