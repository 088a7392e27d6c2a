//! `GET /api/barograph/v1/live?metric=NAME`: each new sample of a metric, as server-sent events.
//!
//! The name is one as given, with dots, or as stored. `event: updates`, id the time in milliseconds, data
//! `{"metric", "updates": [{"labels", "timestamp", "value"}]}`, with the samples of all series since the event before;
//! of a native histogram the value is its count. A second without any is a comment, which keeps the connection. A client
//! that comes back with `Last-Event-ID` gets what it missed, of up to five minutes.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use barograph_model::{METRIC_NAME, Timestamp};
use futures_util::stream;
use serde_json::json;

use super::{App, Caller, params::Params, problem::Problem, prom::write_sample_value};
use crate::{
    Engine,
    follower::{Follower, NAME_BYTES_MAX, STEP, Samples},
    server::stopped,
};

/// Answers with a stream.
pub(super) fn follow(
    app: App,
    headers: &HeaderMap,
    caller: Caller,
    params: &Params,
) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let bad = |text: &str| Problem::new(StatusCode::BAD_REQUEST, text);
    let metric = params.first("metric").filter(|name| name.len() <= NAME_BYTES_MAX);
    let metric = metric.ok_or_else(|| bad("the name of the metric is too long"))?.to_owned();
    if params.all("metric").count() > 1 || params.all("query").count() > 0 {
        return Err(bad("give one metric, or queries"));
    }
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let since = resumed.map_or_else(|| engine.clock.now(), Timestamp);
    let follower = Follower::new(&engine, caller, &metric, since)?;
    let feed = Feed { app, engine, metric, follower, first: true };
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), feed))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(events)).into_response())
}

/// One client's stream.
struct Feed {
    app: App,
    engine: Arc<Engine>,
    metric: String,
    follower: Follower,
    first: bool,
}

impl Feed {
    /// The text of the next event; `None` when the server stops.
    async fn next(&mut self) -> Option<String> {
        if std::mem::take(&mut self.first) {
            let hello = json!({"version": crate::VERSION, "now": self.engine.clock.now().seconds()});
            return Some(format!("event: hello\ndata: {hello}\n\n"));
        }
        let mut stopping = self.app.stopping();
        tokio::select! {
            () = stopped(&mut stopping) => return None,
            () = tokio::time::sleep(STEP) => {}
        }
        let now = self.engine.clock.now();
        let event = match self.follower.look(&self.engine, now).await {
            Ok(samples) if samples.is_empty() => ":\n\n".to_owned(),
            Ok(samples) => self.event(now, &samples),
            Err(error) => format!("event: error\ndata: {}\n\n", json!({"error": error.text()})),
        };
        Some(event)
    }

    fn event(&self, now: Timestamp, samples: &Samples) -> String {
        format!("event: updates\nid: {}\ndata: {}\n\n", now.0, updates(&self.metric, samples))
    }
}

/// New samples of a metric, as JSON.
pub(crate) fn updates(metric: &str, samples: &Samples) -> String {
    let mut out = format!("{{\"metric\":{},\"updates\":[", json!(metric));
    for (i, (labels, at, value)) in samples.iter().enumerate() {
        let labels: serde_json::Map<_, _> = labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let labels = serde_json::Value::Object(labels);
        out.push_str(if i > 0 { "," } else { "" });
        out.push_str(&format!("{{\"labels\":{labels},\"timestamp\":{at},\"value\":"));
        write_sample_value(&mut out, *value);
        out.push('}');
    }
    out.push_str("]}");
    out
}
