//! `/api/barograph/v1/collectors`, `…/snapshot` and `…/performance`: the collectors, how they fare, what they read last.
//!
//! `PATCH …/collectors/NAME` with `{"interval", "enabled"}` changes how one runs, from its next run on until the server
//! ends: an interval in seconds or as a duration (`30`, `"30s"`). `POST …/NAME/reset` lets it forget its statistics and
//! what it took differences from.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use barograph::collector::{CollectorStatus, ConfigChange};
use barograph_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, body::Whole, problem::Problem};
use crate::{Engine, config::parse_duration, performance::Performance, snapshot::MetricsSnapshot};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/collectors", get(list))
        .route("/api/barograph/v1/collectors/{name}", get(one).patch(change))
        .route("/api/barograph/v1/collectors/{name}/reset", post(reset))
        .route("/api/barograph/v1/snapshot", get(snapshot))
        .route("/api/barograph/v1/performance", get(performance))
}

/// `GET …/collectors`
async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let list: Vec<_> = engine.collecting.collectors.statuses().iter().map(document).collect();
    Ok(Json(json!({ "collectors": list })))
}

/// `GET …/collectors/NAME`
async fn one(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    shown(&*app.ready().ok_or_else(Problem::not_ready)?, &name)
}

fn shown(engine: &Engine, name: &str) -> Result<Json<Value>, Problem> {
    let status = engine.collecting.collectors.status(name);
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no collector {name:?}"));
    status.map(|status| Json(document(&status))).ok_or_else(missing)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    interval: Option<Interval>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Interval {
    Seconds(f64),
    Text(String),
}

impl Interval {
    fn read(&self) -> Result<Duration, String> {
        let read = match self {
            Self::Seconds(seconds) => Duration::try_from_secs_f64(*seconds).map_err(|e| e.to_string()),
            Self::Text(text) => parse_duration(text),
        };
        read.and_then(|interval| match interval.is_zero() {
            true => Err("expected more than 0".to_owned()),
            false => Ok(interval),
        })
    }
}

/// `PATCH …/collectors/NAME`
async fn change(
    State(app): State<App>,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let change: Change =
        serde_json::from_slice(&body).map_err(|e| bad(format!("cannot read the change: {e}")))?;
    let interval = change.interval.as_ref().map(Interval::read).transpose();
    let interval = interval.map_err(|why| bad(format!("interval: {why}")))?;
    engine.collecting.collectors.update_config(&name, ConfigChange { interval, enabled: change.enabled });
    shown(&engine, &name)
}

/// `POST …/collectors/NAME/reset`
async fn reset(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    engine.collecting.collectors.reset(&name);
    shown(&engine, &name)
}

/// `GET …/snapshot`: the last reading of every built-in collector.
async fn snapshot(State(app): State<App>) -> Result<Json<MetricsSnapshot>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(MetricsSnapshot::of(&engine.collecting.collectors, engine.clock.now())))
}

/// `GET …/performance`: throughput, latency and use of resources.
async fn performance(State(app): State<App>) -> Result<Json<Performance>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(Performance::of(&engine, engine.clock.now())))
}

fn document(status: &CollectorStatus) -> Value {
    let (config, stats) = (&status.config, &status.stats);
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    json!({
        "name": config.name,
        "enabled": config.enabled,
        "interval": config.interval.as_secs_f64(),
        "interval_seconds": config.interval.as_secs_f64(),
        "type": status.metric_type.as_str(),
        "cost": status.cost.as_str(),
        "unsupported": status.unsupported,
        "stats": {
            "runs": stats.runs,
            "points": stats.points,
            "errors": stats.errors,
            "missed": stats.missed,
            "last_error": stats.last_error.as_ref().map(|e| json!({"at": e.at.seconds(), "message": e.message})),
            "last_run": stats.last_run.map(Timestamp::seconds),
            "last_duration_ms": millis(stats.last_duration),
            "average_duration_ms": millis(stats.average_duration()),
            "avg_ms": millis(stats.average_duration()),
        },
    })
}
