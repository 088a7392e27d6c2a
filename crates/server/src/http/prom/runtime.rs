//! What the server is and how it runs, in the words of Prometheus: `status/{flags,runtimeinfo,walreplay}`, `features`,
//! `alertmanagers` and `notifications`.
//!
//! Where upstream tells of Go, threads stand for goroutines, and what has no counterpart is empty.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use barograph_alert::raised::RESEND;
use barograph_model::{Tier, Timestamp};
use barograph_query::Function;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::{answer::success, error::ApiError};
use crate::{Engine, config::format_duration, http::App, onward, surroundings::host_name};

/// A stream on which nothing happens says so this often.
const SILENCE: Duration = Duration::from_secs(15);

/// `GET /api/v1/status/flags`: the settings that upstream has as flags.
pub(crate) async fn flags(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let limits = engine.limits();
    let address = app.address().map(|address| address.to_string()).unwrap_or_default();
    let flags = json!({
        "alertmanager.notification-queue-capacity": onward::QUEUE_MAX.to_string(),
        "query.lookback-delta": format_duration(limits.lookback),
        "query.max-concurrency": limits.max_concurrency.to_string(),
        "query.max-samples": limits.max_samples.to_string(),
        "query.timeout": format_duration(limits.timeout),
        "rules.alert.resend-delay": format_duration(Duration::from_millis(RESEND.unsigned_abs())),
        "storage.tsdb.path": engine.data_dir.display().to_string(),
        "storage.tsdb.retention.size": retention_bytes(&engine),
        "storage.tsdb.retention.time": retention(&engine),
        "web.enable-admin-api": engine.admin_api.to_string(),
        "web.enable-remote-write-receiver": "true",
        "web.listen-address": address,
    });
    Ok(success(&headers, &flags.to_string(), &[], &[]))
}

/// How long raw samples are kept; `0s` is for ever.
fn retention(engine: &Engine) -> String {
    engine.configured.current().retention.of(Tier::Raw).map_or_else(|| "0s".to_owned(), format_duration)
}

fn retention_bytes(engine: &Engine) -> String {
    format!("{}B", engine.configured.current().retention.bytes.unwrap_or_default())
}

/// `GET /api/v1/status/runtimeinfo`
pub(crate) async fn runtimeinfo(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let folder = std::env::current_dir().map(|folder| folder.display().to_string());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let reload = engine.configured.last();
    let stats = engine.store.stats();
    let data = json!({
        "startTime": app.started().to_rfc3339(),
        "CWD": folder.unwrap_or_default(),
        "hostname": host_name(),
        "serverTime": engine.clock.now().to_rfc3339(),
        "reloadConfigSuccess": reload.failed.is_none(),
        "lastConfigTime": reload.succeeded.unwrap_or(app.started()).to_rfc3339(),
        "corruptionCount": stats.set_aside + stats.blocks_damaged,
        "goroutineCount": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": threads,
        "GOMEMLIMIT": engine.memory.budget(),
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": retention(&engine),
    });
    Ok(success(&headers, &data.to_string(), &[], &[]))
}

/// `GET /api/v1/status/walreplay`: answered while the log is read, too.
pub(crate) async fn walreplay(State(app): State<App>, headers: HeaderMap) -> Response {
    let state = if app.ready().is_some() { "done" } else { "in progress" };
    success(&headers, &json!({ "min": 0, "max": 0, "current": 0, "state": state }).to_string(), &[], &[])
}

/// `GET /api/v1/alertmanagers`: those that alerts are sent on to, and those that were found and are left out.
pub(crate) async fn alertmanagers(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let (active, dropped) = app.engine()?.onward.urls();
    let list = |urls: Vec<String>| urls.into_iter().map(|url| json!({ "url": url })).collect::<Vec<_>>();
    let data = json!({ "activeAlertmanagers": list(active), "droppedAlertmanagers": list(dropped) });
    Ok(success(&headers, &data.to_string(), &[], &[]))
}

/// `GET /api/v1/features`: what there is, and what is switched on.
pub(crate) async fn features(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let all = |names: &[&str]| -> Value {
        Value::Object(names.iter().map(|name| ((*name).to_owned(), true.into())).collect())
    };
    let experimental = engine.limits().experimental;
    let functions: Map<String, Value> = Function::all()
        .iter()
        .map(|function| (function.name.to_owned(), (!function.experimental || experimental).into()))
        .collect();
    let data = json!({
        "api": {
            "admin": engine.admin_api,
            "exclude_alerts": true,
            "label_values_match": true,
            "lifecycle": engine.configured.current().reloading.lifecycle,
            "query_stats": false,
            "query_warnings": true,
            "remote_write_receiver": true,
            "time_range_labels": true,
            "time_range_series": true,
        },
        "promql": {
            "anchored": experimental,
            "at_modifier": true,
            "bool": true,
            "by": true,
            "group_left": true,
            "group_right": true,
            "ignoring": true,
            "negative_offset": true,
            "offset": true,
            "on": true,
            "per_query_lookback_delta": true,
            "smoothed": experimental,
            "subqueries": true,
            "without": true,
        },
        "promql_functions": functions,
        "prometheus": all(&["stringlabels"]),
        "rules": all(&["concurrent_rule_eval", "keep_firing_for", "query_offset"]),
        "scrape": all(&[
            "extra_scrape_metrics",
            "native_histograms",
            "openmetrics",
            "proto",
            "text",
            "utf8_names",
        ]),
        "service_discovery_providers": all(&["dns", "file", "http", "static"]),
        "tsdb": all(&["delete_series", "exemplar_storage", "native_histograms", "out_of_order"]),
    });
    Ok(success(&headers, &data.to_string(), &[], &[]))
}

/// What an operator should know now.
fn told(app: &App) -> Vec<Value> {
    let note =
        |since: Timestamp, text: &str| json!({ "text": text, "date": since.to_rfc3339(), "active": true });
    let mut told = Vec::new();
    if app.ready().is_none() {
        told.push(note(app.started(), "The server starts: its log is being read."));
    }
    if app.is_draining() {
        told.push(note(app.started(), "The server is about to stop and takes no new work."));
    }
    if let Some((since, why)) = app.configured().last().failed {
        told.push(note(since, &format!("The configuration cannot be used; the one before runs on: {why}")));
    }
    told
}

/// `GET /api/v1/notifications`
pub(crate) async fn notifications(State(app): State<App>, headers: HeaderMap) -> Response {
    success(&headers, &Value::Array(told(&app)).to_string(), &[], &[])
}

/// `GET /api/v1/notifications/live`: the same as events, until the server stops.
pub(crate) async fn notifications_live(State(app): State<App>) -> Response {
    let event = |note: &Value| Ok::<_, std::convert::Infallible>(Bytes::from(format!("data: {note}\n\n")));
    let now: Vec<_> = told(&app).iter().map(event).collect();
    let mut stopping = app.stopping();
    let ends = async move { _ = stopping.wait_for(|stops| *stops).await };
    let silence = stream::unfold((), |()| async {
        tokio::time::sleep(SILENCE).await;
        Some((Ok(Bytes::from_static(b": \n\n")), ()))
    });
    let begin = stream::once(async { Ok(Bytes::from_static(b": \n\n")) });
    let events = begin.chain(stream::iter(now)).chain(silence).take_until(ends);
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(events)).into_response()
}
