//! Metrics by name under `/api/barograph/v1/metrics`: which there are, their latest values, and figures over a time
//! range.
//!
//! Names may be given as they were, with dots; they are found as in queries. All figures come of one query of the JSON
//! language, from the tier that suits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use barograph::collector::Cost;
use barograph_model::{Labels, Sample, Tier, TimeRange, Timestamp};
use barograph_query::{
    engine::{LATEST_MS, STATISTICS},
    json::{GroupBy, Moment, Query, Reply, Series},
};
use barograph_tsdb::MetricInfo;
use serde_json::{Value, json};

use super::{ApiError, App, Caller, params::Params, problem::Problem, query};
use crate::{
    Engine,
    config::format_duration,
    current,
    errors::chain,
    queries::{About, Queries, Question},
    records::{Told, told},
    storage::catalog,
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/metrics", get(list))
        .route("/api/barograph/v1/metrics/{name}", get(one))
        .route("/api/barograph/v1/metrics/{name}/latest", get(latest))
        .route("/api/barograph/v1/metrics/{name}/stats", get(stats))
}

/// `GET …/metrics`: every metric with what is known of it; `prefix` by the name as stored or with dots, `limit`. With
/// `group-by=componentId` their names by component, in its place.
async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let limit = params.limit("limit")?;
    let prefix = plain(params.first("prefix").unwrap_or_default());
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let all = metrics(&engine).await?;
    let found: Vec<&MetricInfo> = all.iter().filter(|metric| metric.name.starts_with(&prefix)).collect();
    if let Some(by) = params.first("group-by").or_else(|| params.first("groupBy")) {
        if !plain(by).replace('_', "").eq_ignore_ascii_case("componentid") {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "metrics are grouped by componentId only"));
        }
        return Ok(Json(json!({"count": found.len(), "groups": by_component(&found, limit)})));
    }
    let costs = engine.collecting.collectors.costs();
    let describe = |metric: &&MetricInfo| described(&engine, metric, &costs);
    let shown: Vec<Value> = found.iter().take(limit).map(describe).collect();
    Ok(Json(json!({"count": found.len(), "metrics": shown})))
}

/// The names of metrics by the components that report them.
fn by_component(metrics: &[&MetricInfo], limit: usize) -> Vec<Value> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for metric in metrics {
        for component in &metric.components {
            groups.entry(component).or_default().push(&metric.name);
        }
    }
    let group = |(component, metrics): (&str, Vec<&str>)| json!({"componentId": component, "count": metrics.len(), "metrics": metrics});
    groups.into_iter().take(limit).map(group).collect()
}

/// `GET …/metrics/NAME`: the same of one, with `aggregates`, the figures of its samples in the last hour, or from `start` to
/// `end`; null where these are too many to look at, or none.
async fn one(
    State(app): State<App>,
    Path(name): Path<String>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let all = metrics(&engine).await?;
    let spelled = plain(&name);
    let found = all.iter().find(|metric| metric.name == name || metric.name == spelled);
    let found = found.ok_or_else(|| missing(&name))?;
    let mut document = described(&engine, found, &engine.collecting.collectors.costs());
    let figures = statistics(&engine, &name, caller, &params).await;
    document["aggregates"] = figures.map_or(Value::Null, |figures| figures["stats"].clone());
    Ok(Json(document))
}

/// A name as it is stored.
pub(crate) fn plain(name: &str) -> String {
    name.replace(['.', '-'], "_")
}

/// The catalog's document, with what the JSON language calls things, how long each tier of it is kept, and which windows are
/// made of it for which functions (null for all), and what it takes to have it.
fn described(engine: &Engine, metric: &MetricInfo, costs: &BTreeMap<String, Cost>) -> Value {
    let mut document = catalog::document(metric);
    let cost = costs.get(&metric.name).copied().unwrap_or(Cost::of(metric.metadata.kind));
    document["cost"] = cost.as_str().into();
    document["description"] = document["help"].clone();
    document["attributes"] = document["labels"].clone();
    let (retention, aggregation) = keeping(engine, &metric.name);
    document["retention"] = retention;
    document["aggregation"] = aggregation;
    document
}

/// How long each tier keeps a metric, and which windows are made of it for which functions.
pub(crate) fn keeping(engine: &Engine, metric: &str) -> (Value, Value) {
    let (kept, windows) = engine.store.keeping_of(metric);
    let policy = engine.store.policy(metric);
    let kept = Tier::ALL.into_iter().zip(kept);
    let text = |age: Option<Duration>| age.map_or_else(|| "0s".to_owned(), format_duration);
    let aggregation = json!({
        "windows": windows.iter().map(|tier| tier.as_str()).collect::<Vec<_>>(),
        "functions": policy.map(|policy| policy.functions).filter(|functions| !functions.is_empty()),
    });
    (kept.map(|(tier, age)| (tier.to_string(), json!(text(age)))).collect(), aggregation)
}

/// All metrics, by name.
pub(crate) async fn metrics(engine: &Arc<Engine>) -> Result<Vec<MetricInfo>, Problem> {
    let engine = engine.clone();
    let failed =
        |e| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot read the catalog: {}", chain(&e)));
    let read = current::blocking(move || engine.store.metrics()).await;
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "that failed; the log says why");
    read.map_err(broken)?.map_err(failed)
}

fn missing(name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no metric {name:?}"))
}

/// `GET …/metrics/NAME/latest`: the last sample of each series in the last five minutes; `labels.NAME` as in queries. A
/// point of sampled records has `sampling: {strategy, rate}`; its value is corrected already.
async fn latest(
    State(app): State<App>,
    Path(name): Path<String>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (points, metrics) = newest(&engine, caller.clone(), &name, &params).await?;
    let sampled = sampled(&engine, caller, metrics).await?;
    let points = points.iter().map(|(series, last)| {
        let mut point = json!({
            "name": series.name, "labels": labels(series), "timestamp": last.at.0, "value": number(last.value),
        });
        if let Some(told) = sampled.get(&series.labels) {
            point["sampling"] = json!({"strategy": told.strategy, "rate": told.rate});
        }
        point
    });
    Ok(Json(json!({"name": name, "points": points.collect::<Vec<_>>()})))
}

/// How the series of metrics were sampled lately, of those that were.
async fn sampled(
    engine: &Arc<Engine>,
    caller: Caller,
    metrics: Vec<String>,
) -> Result<HashMap<Labels, Told>, ApiError> {
    let (source, now) = (engine.store.clone(), engine.clock.now());
    let (about, expression) = (About::Index, metrics.join(" "));
    let question = Question { caller, expression, about, timeout: engine.limits().timeout };
    let range = TimeRange::closed(now.saturating_add(-LATEST_MS), now.saturating_add(LATEST_MS));
    Queries::run(engine, question, move |budget| Ok(told(&*source, &metrics, range, budget)?)).await
}

/// The series of a metric, each with its last sample; and the names they are stored under.
pub(crate) async fn newest(
    engine: &Arc<Engine>,
    caller: Caller,
    name: &str,
    params: &Params,
) -> Result<(Vec<(Series, Sample)>, Vec<String>), Problem> {
    let query = query::parameters(name, params)?;
    let query = Query {
        start: query.start.or(Some(Moment::FromNow(-LATEST_MS))),
        granularity: Some(Tier::Raw),
        ..query
    };
    let reply = answered(engine, caller, query, engine.clock.now(), name).await?;
    let last = |series: Series| series.points.last().copied().map(|last| (series, last));
    Ok((reply.results.into_iter().filter_map(last).collect(), reply.metrics))
}

/// `GET …/metrics/NAME/stats`: figures over a time range (`start`, `end`; the last hour), of all series together or with
/// `by` of each group; `labels.NAME` as in queries.
async fn stats(
    State(app): State<App>,
    Path(name): Path<String>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(statistics(&engine, &name, caller, &params).await?))
}

/// The figures of a metric as `…/metrics/NAME/stats` answers them.
pub(super) async fn statistics(
    engine: &Arc<Engine>,
    name: &str,
    caller: Caller,
    params: &Params,
) -> Result<Value, Problem> {
    let mut query = query::parameters(name, params)?;
    let by: Vec<&str> = params.all("by").flat_map(|by| by.split(',')).filter(|by| !by.is_empty()).collect();
    query.group_by = match by.as_slice() {
        ["*"] => GroupBy::Series,
        names => GroupBy::Attributes(names.iter().map(|&name| name.to_owned()).collect()),
    };
    query.aggregations.clear();
    let query = STATISTICS.iter().fold(query, |query, (_, function)| query.aggregate(*function, None));
    let reply = answered(engine, caller, query, engine.clock.now(), name).await?;
    let mut groups: Vec<Value> = Vec::new();
    for series in &reply.results {
        let own = labels(series);
        if groups.last().is_none_or(|group| group["labels"] != own) {
            groups.push(json!({"labels": own}));
        }
        let figure = STATISTICS.iter().find(|(_, function)| Some(function.name()) == series.aggregation);
        if let (Some((name, _)), Some(group), Some(point)) = (figure, groups.last_mut(), series.points.last())
        {
            group[*name] = number(point.value);
        }
    }
    let meta = &reply.meta;
    Ok(json!({
        "name": name,
        "start": meta.start.0,
        "end": meta.end.0,
        "stats": groups.first(),
        "groups": groups,
        "meta": {"tier": meta.tier, "reason": meta.reason, "error": meta.error, "points_read": meta.points_read},
    }))
}

/// The answer; 404 if there is no such metric at all.
pub(super) async fn answered(
    engine: &Arc<Engine>,
    caller: Caller,
    query: Query,
    now: Timestamp,
    name: &str,
) -> Result<Reply, Problem> {
    let reply = query::run(engine, caller, query, now, false).await;
    let reply = reply.map_err(|failure| failure.into_problem(true))?;
    if reply.metrics.is_empty() {
        // Nothing lately, or nothing ever.
        let (all, spelled) = (metrics(engine).await?, plain(name));
        all.iter()
            .find(|metric| metric.name == name || metric.name == spelled)
            .ok_or_else(|| missing(name))?;
    }
    Ok(reply)
}

fn labels(series: &Series) -> Value {
    series
        .labels
        .iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A number, or a text where JSON has none for it.
pub(super) fn number(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => number.into(),
        None if value.is_nan() => "NaN".into(),
        None => if value > 0.0 { "+Inf" } else { "-Inf" }.into(),
    }
}
