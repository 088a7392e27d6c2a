//! `/-/healthy`, `/-/ready`, `/health` and their aliases: is the process alive, can it be used?

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::{App, diagnostics, params::Params};
use crate::{Engine, memory::Step};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/-/healthy", get(healthy))
        .route("/livez", get(healthy))
        .route("/healthz", get(healthy))
        .route("/-/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/health", get(health))
}

/// Whether requests should be sent here: the store is open and takes what it is given, and the server is not stopping.
pub(crate) fn serving(app: &App) -> bool {
    let failing = || matches!(Health::of(app.ready().as_deref()), Health::Failing(_));
    !*app.stopping().borrow() && !failing()
}

/// What a probe looks at: its name, and why it fails if it does.
type Check = (&'static str, Option<&'static str>);

async fn healthy(params: Params) -> Response {
    probe("Barograph is healthy.\n", &[("process", None)], &params)
}

async fn ready(State(app): State<App>, params: Params) -> Response {
    let stopping = app.stopping().borrow().then_some("Barograph is stopping.");
    let opening = app.ready().is_none().then_some("Barograph is opening its store.");
    probe("Barograph is ready.\n", &[("serving", stopping), ("store", opening)], &params)
}

/// 200 if every check passes. With `verbose` there is a line for each check.
fn probe(fine: &'static str, checks: &[Check], params: &Params) -> Response {
    let failed = checks.iter().find_map(|(_, failure)| *failure);
    let status = if failed.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let text = match (params.all("verbose").next(), failed) {
        (Some(_), _) => checks.iter().map(line).collect(),
        (None, Some(failure)) => format!("{failure}\n"),
        (None, None) => fine.to_owned(),
    };
    (status, text).into_response()
}

fn line((name, failure): &Check) -> String {
    match failure {
        Some(failure) => format!("[-] {name}: {failure}\n"),
        None => format!("[+] {name}\n"),
    }
}

/// How the server fares, in the words of our own document and in those of `application/health+json`.
pub(crate) enum Health {
    Fine,
    Degraded(&'static str),
    Failing(&'static str),
}

impl Health {
    pub(crate) fn of(engine: Option<&Engine>) -> Self {
        let Some(engine) = engine else { return Self::Failing("the store is being opened") };
        let stats = engine.store.stats();
        if stats.read_only {
            Self::Failing("the store is read-only after its disk failed")
        } else if engine.memory.sheds(Step::Queries) || engine.memory.sheds(Step::Ingest) {
            Self::Degraded("memory is short: queries or writes are refused for now")
        } else if stats.set_aside > 0 {
            Self::Degraded("corrupt files were set aside; the log names them")
        } else {
            Self::Fine
        }
    }
}

impl Health {
    /// The status, our word for it, and the reason.
    pub(crate) fn words(&self) -> (StatusCode, &'static str, Option<&'static str>) {
        match self {
            Self::Fine => (StatusCode::OK, "healthy", None),
            Self::Degraded(why) => (StatusCode::OK, "degraded", Some(why)),
            Self::Failing(why) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", Some(why)),
        }
    }

    /// The word for it in `application/health+json`.
    const fn standard(&self) -> &'static str {
        match self {
            Self::Fine => "pass",
            Self::Degraded(_) => "warn",
            Self::Failing(_) => "fail",
        }
    }
}

/// One word first, then what a person would ask next, and how requests fare. With `basic` the word alone.
async fn health(State(app): State<App>, headers: HeaderMap, params: Params) -> Response {
    let engine = app.ready();
    let health = Health::of(engine.as_deref());
    let (status, word, reason) = health.words();
    if params.all("basic").any(|value| value != "false") {
        return (status, Json(json!({"status": word}))).into_response();
    }
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let asks_standard = accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/health+json"))
    });
    let (kind, body) = if asks_standard {
        let body = json!({"status": health.standard(), "output": reason, "releaseId": crate::VERSION});
        ("application/health+json", body.to_string())
    } else {
        let uptime = engine.as_ref().map(|engine| (engine.clock.now().0 - app.started().0) as f64 / 1e3);
        let ours = json!({
            "reason": reason,
            "version": crate::VERSION,
            "uptime_seconds": uptime,
            "series": engine.as_ref().map(|engine| engine.store.stats().series),
        });
        let first = match engine {
            Some(engine) => diagnostics::snapshot(&engine).health(word),
            None => json!({"status": word}).to_string(),
        };
        ("application/json", joined(&first, &ours.to_string()))
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// One object with the keys of two, those of the first before those of the second.
fn joined(first: &str, second: &str) -> String {
    let (first, second) =
        (first.strip_suffix('}').unwrap_or(first), second.strip_prefix('{').unwrap_or(second));
    format!("{first},{second}")
}

/// Counts the request by path class and status, and keeps the number in flight.
pub(crate) async fn count_requests(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(engine) = app.ready() else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<axum::extract::MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    if route.is_none() {
        engine.collecting.requests.note_unrouted(request.uri().path());
    }
    let _in_flight = (engine.telemetry.in_flight.hold(), engine.collecting.probe.begin());
    let began = engine.clock.monotonic();
    let response = next.run(request).await;
    let took = engine.clock.monotonic() - began;
    let (route, status) = (route.as_deref().unwrap_or("none"), response.status().as_u16());
    engine.telemetry.answered(route, status, took);
    engine.collecting.answered(engine.clock.now(), method.as_str(), route, status, took);
    response
}
