//! What is done around every request: it is counted, timed, logged, and told the trace it belongs to.
//!
//! The log line of a request is `debug`, which costs a look while nobody wants it; one that failed by our fault is `warn`, at
//! most [`FAILURES_TOLD`] of them in [`FAILURES_EVERY`], so that a flood of refusals does not become a flood of lines.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use super::App;
use crate::{Engine, current::Current, diagnostics::documents::TracedRequest};

/// So many requests that failed by our fault have a line of their own, within [`FAILURES_EVERY`].
const FAILURES_TOLD: u32 = 10;
/// See [`FAILURES_TOLD`].
const FAILURES_EVERY: Duration = Duration::from_secs(10);

/// Counts the request by route and status, keeps the number in flight, and logs it.
pub(crate) async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(engine) = app.ready() else {
        return Current::of(request.headers(), None).answer(next.run(request)).await;
    };
    let recorder = &engine.diagnostics.recorder;
    let current = Current::of(request.headers(), recorder.records().then(|| engine.clock.clone()));
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    if route.is_none() {
        engine.collecting.requests.note_unrouted(request.uri().path());
    }
    let _in_flight = (engine.telemetry.in_flight.hold(), engine.collecting.probe.begin());
    let began = engine.clock.monotonic();
    let answer = async {
        let response = next.run(request).await;
        let ended = engine.clock.monotonic();
        let took = ended.saturating_sub(began);
        let (route, status) = (route.as_deref().unwrap_or("none"), response.status().as_u16());
        engine.telemetry.answered(route, status, took);
        engine.collecting.answered(engine.clock.now(), method.as_str(), route, status, took);
        log(method.as_str(), route, status, took, &app.0.told, ended);
        (response, took)
    };
    let (response, took) = current.clone().answer(answer).await;
    if recorder.records() {
        let route = route.as_deref().unwrap_or("none");
        record(&engine, &current, method.as_str(), route, response.status().as_u16(), took);
    }
    response
}

/// How many failures were told lately.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<(Duration, u32)>);

impl Told {
    /// Whether one more may be told at `now`.
    fn may(&self, now: Duration) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(told.0) >= FAILURES_EVERY {
            *told = (now, 0);
        }
        told.1 += 1;
        told.1 <= FAILURES_TOLD
    }
}

/// Tells who looks at requests of one that is over.
fn record(engine: &Engine, current: &Current, method: &str, route: &str, status: u16, took: Duration) {
    let mut stages = current.stages();
    stages.push(("request", took));
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let request = TracedRequest {
        timestamp: engine.clock.now().to_rfc3339(),
        method: method.to_owned(),
        route: route.to_owned(),
        status,
        took_ms: ms(took),
        trace_id: current.trace().to_string(),
        stages: stages.iter().map(|(stage, took)| (*stage, ms(*took))).collect(),
    };
    engine.diagnostics.recorder.note(took, &stages, &request);
}

fn log(method: &str, route: &str, status: u16, took: Duration, told: &Told, now: Duration) {
    let latency_ms = took.as_secs_f64() * 1e3;
    if status >= 500 && told.may(now) {
        tracing::warn!(category = "failure", method, route, status, latency_ms, "request failed");
    } else {
        tracing::debug!(category = "action", method, route, status, latency_ms, "request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_told_of_a_little() {
        let told = Told::default();
        let at = |seconds| Duration::from_secs(seconds);
        assert_eq!((0..100).filter(|_| told.may(at(100))).count(), 10);
        assert!(!told.may(at(109)));
        assert!(told.may(at(110)));
    }
}
