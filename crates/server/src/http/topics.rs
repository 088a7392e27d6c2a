//! `GET /api/barograph/v1/live?topics=performance`: messages about the server itself, as server-sent events.
//!
//! Every `step` (a second by default) comes one event for each message of that moment: `event: performance`, id the time in
//! milliseconds, data the message as in `GET …/performance` with the key `type` before its own: `ThroughputMetric`,
//! `LatencyMetric` or `ResourceUsage`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;

use super::{App, params::Params, problem::Problem};
use crate::{Engine, performance::Performance, server::stopped};

/// The topics there are.
const TOPICS: [&str; 1] = ["performance"];

/// Answers with a stream.
pub(super) fn stream(app: App, params: &Params, step_ms: i64) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let wanted = params.all("topics").flat_map(|topics| topics.split(','));
    if let Some(unknown) = wanted.into_iter().find(|topic| !TOPICS.contains(topic)) {
        let text = format!("there is no topic {unknown:?}; there is {}", TOPICS.join(", "));
        return Err(Problem::new(StatusCode::BAD_REQUEST, text));
    }
    let step = Duration::from_millis(step_ms.unsigned_abs());
    let events = stream::unfold((app, engine, true), move |(app, engine, first)| async move {
        let text = if first { hello(&engine) } else { next(&app, &engine, step).await? };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (app, engine, false)))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(events)).into_response())
}

fn hello(engine: &Engine) -> String {
    let hello = json!({"version": crate::VERSION, "now": engine.clock.now().seconds()});
    format!("event: hello\ndata: {hello}\n\n")
}

/// The events of the next moment; `None` when the server stops.
async fn next(app: &App, engine: &Arc<Engine>, step: Duration) -> Option<String> {
    let mut stopping = app.stopping();
    tokio::select! {
        () = stopped(&mut stopping) => return None,
        () = tokio::time::sleep(step) => {}
    }
    let now = engine.clock.now();
    let Performance { throughput, latency, resources } = Performance::of(engine, now);
    let mut out = String::new();
    throughput.iter().for_each(|message| write(&mut out, now.0, "ThroughputMetric", message));
    latency.iter().for_each(|message| write(&mut out, now.0, "LatencyMetric", message));
    resources.iter().for_each(|message| write(&mut out, now.0, "ResourceUsage", message));
    Some(out)
}

fn write(out: &mut String, id: i64, kind: &str, message: &impl Serialize) {
    // Messages are plain: texts and numbers that are finite.
    let message = serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned());
    let fields = message.strip_prefix('{').unwrap_or_default();
    out.push_str(&format!("event: performance\nid: {id}\ndata: {{\"type\":\"{kind}\",{fields}\n\n"));
}
