//! `GET /api/barograph/v1/live?metric=NAME`: each new sample of a metric, as server-sent events.
//!
//! The name is one as given, with dots, or as stored. `event: updates`, id the time in milliseconds, data
//! `{"metric", "updates": [{"labels", "timestamp", "value"}]}`, with the samples of all series since the event before;
//! of a native histogram the value is its count. A second without any is a comment, which keeps the connection. A client
//! that comes back with `Last-Event-ID` gets what it missed, of up to five minutes.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use barograph_model::{Budget, Labels, METRIC_NAME, Timestamp};
use barograph_query::{Value, When, ast::Expr};
use futures_util::stream;
use serde_json::json;

use super::{ApiError, App, Caller, params::Params, problem::Problem, prom::write_sample_value};
use crate::{
    Engine,
    queries::{About, Queries, Question},
    server::stopped,
};

/// From one look to the next.
const STEP: Duration = Duration::from_secs(1);
/// How far back a look goes, for samples that were stored late.
const WINDOW_MS: i64 = 15_000;
/// How far back the first look of a client goes that comes back.
const CATCH_UP_MS: i64 = 300_000;
/// So many series of one metric are followed; of others nothing is told.
const SERIES_MAX: usize = 10_000;
/// A name is no longer.
const NAME_BYTES_MAX: usize = 1_024;
/// What may stand behind a name as given in the name as stored.
const SUFFIX: &str = "(_[a-z]+)?(_total)?";

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
    let text = expression(&metric, &known_names(&engine)?);
    let now = engine.clock.now().0;
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<i64>().ok());
    let since = resumed.map_or(now, |seen| seen.clamp(now - CATCH_UP_MS, now));
    let feed = Feed { app, engine, caller, metric, text, since, told: HashMap::new(), first: true };
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), feed))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(events)).into_response())
}

fn known_names(engine: &Engine) -> Result<Vec<String>, Problem> {
    let failed = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "cannot read the catalog");
    let metrics = engine.store.metrics().map_err(failed)?;
    Ok(metrics.into_iter().map(|metric| metric.name).collect())
}

/// A selector of the metric: by its name where that is stored, else by what it may be stored as.
fn expression(metric: &str, known: &[String]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    if known.iter().any(|name| name == metric) {
        return format!("{{__name__=\"{}\"}}", quoted(metric));
    }
    let plain: String = metric.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{{__name__=~\"{plain}{SUFFIX}\"}}")
}

/// One client's stream.
struct Feed {
    app: App,
    engine: Arc<Engine>,
    caller: Caller,
    metric: String,
    /// The selector.
    text: String,
    /// Samples up to here are old.
    since: i64,
    /// By series, the time of the last sample that was told.
    told: HashMap<Labels, i64>,
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
        let event = match self.new_samples(now).await {
            Ok(samples) if samples.is_empty() => ":\n\n".to_owned(),
            Ok(samples) => self.event(now, &samples),
            Err(error) => format!("event: error\ndata: {}\n\n", json!({"error": error.text()})),
        };
        Some(event)
    }

    /// The samples that were not told yet, by series and time.
    async fn new_samples(&mut self, now: Timestamp) -> Result<Samples, ApiError> {
        let window = (now.0 - self.since).max(WINDOW_MS);
        let text = format!("{}[{window}ms]", self.text);
        let expr = barograph_query::parse(&text).map_err(|error| ApiError::internal(error.to_string()))?;
        let expr = Arc::new(expr);
        let about = About::Expression(expr.clone(), When::Instant(now), self.engine.query_options);
        let timeout = self.engine.limits.timeout;
        let question = Question { caller: self.caller.clone(), expression: text, about, timeout };
        let engine = self.engine.clone();
        let found =
            Queries::run(&self.engine, question, move |budget| look(&engine, &expr, now, budget)).await?;
        let (since, told) = (self.since, &mut self.told);
        told.retain(|_, at| *at > now.0 - 2 * WINDOW_MS - CATCH_UP_MS);
        let mut new = Samples::new();
        for (labels, at, value) in found {
            let before = told.get(&labels).copied();
            let room = before.is_some() || told.len() < SERIES_MAX;
            if at > before.unwrap_or(since) && room {
                told.insert(labels.clone(), at);
                new.push((labels, at, value));
            }
        }
        // What was stored late is looked for a while longer, in series that were not told of yet.
        self.since = self.since.max(now.0 - WINDOW_MS);
        Ok(new)
    }

    fn event(&self, now: Timestamp, samples: &Samples) -> String {
        let mut out =
            format!("event: updates\nid: {}\ndata: {{\"metric\":{},\"updates\":[", now.0, json!(self.metric));
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
        out.push_str("]}\n\n");
        out
    }
}

type Samples = Vec<(Labels, i64, f64)>;

fn look(engine: &Engine, expr: &Expr, now: Timestamp, budget: &Budget) -> Result<Samples, ApiError> {
    let answer = barograph_query::evaluate_instant(&*engine.store, expr, now, &engine.query_options, budget)?;
    let mut samples = Samples::new();
    if let Value::Matrix(series) = answer.value {
        for (labels, track) in series {
            let floats = track.floats.iter().map(|sample| (sample.at.0, sample.value));
            let histograms = track.histograms.iter().map(|(at, histogram)| (at.0, histogram.count()));
            samples.extend(floats.chain(histograms).map(|(at, value)| (labels.clone(), at, value)));
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_given_and_as_stored() {
        let known = ["jobs_total".to_owned(), "a.\"b".to_owned()];
        let check = |metric, expected: &str| assert_eq!(expression(metric, &known), expected);
        check("jobs_total", "{__name__=\"jobs_total\"}");
        check("a.\"b", "{__name__=\"a.\\\"b\"}");
        check("flow.execution-duration", "{__name__=~\"flow_execution_duration(_[a-z]+)?(_total)?\"}");
        check("jobs", "{__name__=~\"jobs(_[a-z]+)?(_total)?\"}");
    }
}
