//! `GET /api/barograph/v1/live`: instant queries answered again and again, as server-sent events.
//!
//! `query=EXPR` (up to [`QUERIES_MAX`] times) and `step=1s` ask for an event at every multiple of the step. A
//! client that comes back with `Last-Event-ID` first gets the steps it missed, at most [`CATCH_UP_MAX`] of them.
//! Nothing queues for a slow client: the next event is made when the last one was taken.
//!
//! `event: hello`, data `{"version", "now"}`, comes first; then `event: points`, id the time in milliseconds,
//! data `{"time": seconds, "results": [[{"metric", "value"}], …]}` with one result a query, in order, or
//! `{"error"}` in its place.
//!
//! `metric=NAME` in place of queries asks for each new sample of a metric (see `follow`), `bus=` and `topics=` for events (see
//! `events`).

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::{Budget, Labels, Timestamp};
use barograph_query::{Steps, Value, When, ast::Expr};
use futures_util::stream;
use serde_json::json;

use super::{
    ApiError, App, Caller,
    events::{self, Listener},
    follow,
    params::Params,
    problem::Problem,
    prom::{write_labels, write_sample_value},
};
use crate::{
    Engine,
    queries::{About, Queries, Question},
    server::stopped,
};

/// One stream may follow so many queries.
const QUERIES_MAX: usize = 64;
/// So many missed steps are made up for.
const CATCH_UP_MAX: i64 = 600;
/// So many of them are evaluated at once, so that what waits for a slow client stays small.
const BATCH_MAX: i64 = 60;
/// The shortest and the longest distance between two events.
const STEP_MS: std::ops::RangeInclusive<i64> = 1_000..=3_600_000;
/// So long an event waits for the collectors' samples of its second.
const SETTLE: Duration = Duration::from_millis(400);

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/live", get(live))
}

async fn live(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    listener: Listener,
    params: Params,
) -> Result<Response, Problem> {
    if params.first("metric").is_some() {
        return follow::follow(app, &headers, caller, &params);
    }
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let step_ms = params.duration_ms("step").map_err(|e| bad(e.text().to_owned()))?.unwrap_or(1_000);
    if !STEP_MS.contains(&step_ms) {
        return Err(bad("step must be from 1s to 1h".into()));
    }
    if ["bus", "topics"].iter().any(|name| params.first(name).is_some()) {
        return events::stream(app, &headers, listener, &params, step_ms);
    }
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let parse = |text: &str| {
        let expr = barograph_query::parse(text).map_err(|e| e.to_string())?;
        Ok(Followed { text: text.to_owned(), expr: Arc::new(expr) })
    };
    let queries: Vec<Result<Followed, String>> = params.all("query").map(parse).collect();
    if queries.is_empty() || queries.len() > QUERIES_MAX {
        return Err(bad(format!("give 1 to {QUERIES_MAX} query parameters, not {}", queries.len())));
    }
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
    let now = engine.clock.now().0;
    let last = match resumed {
        Some(seen) => seen.max(now - CATCH_UP_MAX * step_ms).min(now),
        None => now - step_ms,
    };
    let feed = Feed {
        app,
        engine,
        caller,
        queries,
        step_ms,
        last: last.div_euclid(step_ms) * step_ms,
        greeted: false,
    };
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), feed))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(events)).into_response())
}

/// An expression of a stream.
struct Followed {
    text: String,
    expr: Arc<Expr>,
}

/// One client's stream: where it is and what it asks.
struct Feed {
    app: App,
    engine: Arc<Engine>,
    caller: Caller,
    queries: Vec<Result<Followed, String>>,
    step_ms: i64,
    /// The time of the last event, a multiple of the step.
    last: i64,
    greeted: bool,
}

impl Feed {
    /// The text of the next event, or of all that were missed; `None` when the server stops.
    async fn next(&mut self) -> Option<String> {
        if !self.greeted {
            self.greeted = true;
            let hello = json!({"version": crate::VERSION, "now": self.engine.clock.now().seconds()});
            return Some(format!("event: hello\ndata: {hello}\n\n"));
        }
        let mut stopping = self.app.stopping();
        tokio::select! {
            () = stopped(&mut stopping) => return None,
            () = self.until_next_step() => {}
        }
        let now = self.engine.clock.now().0.div_euclid(self.step_ms) * self.step_ms;
        if now < self.last {
            // The clock was set back: go on from where it is.
            self.last = now - self.step_ms;
        }
        let start = (self.last + self.step_ms).max(now - CATCH_UP_MAX * self.step_ms);
        let end = now.min(start + (BATCH_MAX - 1) * self.step_ms).max(start);
        let steps = Steps { start: Timestamp(start), end: Timestamp(end), step_ms: self.step_ms };
        self.last = steps.end.0;
        Some(self.events(steps).await)
    }

    /// Waits for the next multiple of the step, and then for the collectors' samples of that time, if they come
    /// soon.
    async fn until_next_step(&self) {
        let next = self.last + self.step_ms;
        let wait = (next - self.engine.clock.now().0).clamp(0, self.step_ms);
        let wait = u64::try_from(wait).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let mut ticks = self.engine.ticks.subscribe();
        let collected = ticks.wait_for(|tick| tick.0 >= next);
        let _ = tokio::time::timeout(SETTLE, collected).await;
    }

    /// Evaluates every query over the steps and turns the columns into one event a step.
    async fn events(&self, steps: Steps) -> String {
        let mut results = Vec::with_capacity(self.queries.len());
        for query in &self.queries {
            results.push(match query {
                Ok(followed) => self.columns(followed, steps).await.map_err(|error| error.text().to_owned()),
                Err(error) => Err(error.clone()),
            });
        }
        write_events(steps, &results)
    }

    /// Evaluates one query under limits of its own, so that one that is too heavy spoils no other.
    async fn columns(&self, followed: &Followed, steps: Steps) -> Result<Columns, ApiError> {
        let (engine, expr) = (self.engine.clone(), followed.expr.clone());
        let about = About::Expression(expr.clone(), When::Range(steps), engine.query_options());
        let question = Question {
            caller: self.caller.clone(),
            expression: followed.text.clone(),
            about,
            timeout: engine.limits().timeout,
        };
        Queries::run(&self.engine, question, move |budget| evaluate(&engine, &expr, steps, budget)).await
    }
}

/// The points of one query by time.
type Columns = HashMap<i64, Vec<(Labels, f64)>>;

fn evaluate(engine: &Engine, expr: &Expr, steps: Steps, budget: &Budget) -> Result<Columns, ApiError> {
    let answer =
        barograph_query::evaluate_range(&*engine.store, expr, steps, &engine.query_options(), budget)?;
    let mut columns = Columns::new();
    if let Value::Matrix(series) = answer.value {
        for (labels, track) in series {
            for sample in track.floats {
                columns.entry(sample.at.0).or_default().push((labels.clone(), sample.value));
            }
        }
    }
    Ok(columns)
}

fn write_events(steps: Steps, results: &[Result<Columns, String>]) -> String {
    let mut out = String::new();
    let mut at = steps.start.0;
    while at <= steps.end.0 {
        out.push_str(&format!("event: points\nid: {at}\ndata: {{\"time\":{},\"results\":[", at as f64 / 1e3));
        for (i, result) in results.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            match result {
                Ok(columns) => write_points(&mut out, columns.get(&at).map_or(&[], Vec::as_slice)),
                Err(error) => out.push_str(&json!({"error": error}).to_string()),
            }
        }
        out.push_str("]}\n\n");
        at += steps.step_ms;
    }
    out
}

fn write_points(out: &mut String, points: &[(Labels, f64)]) {
    out.push('[');
    for (i, (labels, value)) in points.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"metric\":" } else { "{\"metric\":" });
        write_labels(out, labels);
        out.push_str(",\"value\":");
        write_sample_value(out, *value);
        out.push('}');
    }
    out.push(']');
}
