//! What is done around every request: it is counted, timed, logged, and told the trace it belongs to.
//!
//! The log line of a request is `debug`, which costs a look while nobody wants it; one that failed by our fault is `warn`, at
//! most [`FAILURES_TOLD`] of them in [`FAILURES_EVERY`], so that a flood of refusals does not become a flood of lines.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

use super::App;
use crate::current::Current;

/// So many requests that failed by our fault have a line of their own, within [`FAILURES_EVERY`].
const FAILURES_TOLD: u32 = 10;
/// See [`FAILURES_TOLD`].
const FAILURES_EVERY: Duration = Duration::from_secs(10);

/// Counts the request by route and status, keeps the number in flight, and logs it.
pub(crate) async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let current = Current::of(request.headers(), None);
    let Some(engine) = app.ready() else {
        return current.answer(next.run(request)).await;
    };
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
        response
    };
    current.answer(answer).await
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
