//! `/-/healthy`, `/-/ready`, `/livez`, `/readyz`, `/healthz` and `/health`: is the process alive, can it be used, how is it?
//!
//! `/livez`, `/readyz` and `/healthz` answer as those of Kubernetes do: `ok`, or with `?verbose` and whenever something
//! fails a line for each check; `?exclude=NAME` leaves one out, and `/readyz/NAME` asks for one alone. Why a check fails is
//! told by `/health` and `/status`, not here.

use std::borrow::Cow;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{App, diagnostics, params::Params, problem::Problem};
use crate::{
    Engine,
    health::{ComponentHealth, Status, standard},
    memory::Step,
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/-/healthy", get(|| async { "Barograph is healthy.\n" }))
        .route("/-/ready", get(ready))
        .route("/livez", get(livez))
        .route("/livez/{check}", get(one_of_livez))
        .route("/healthz", get(healthz))
        .route("/healthz/{check}", get(one_of_livez))
        .route("/readyz", get(readyz))
        .route("/readyz/{check}", get(one_of_readyz))
        .route("/health", get(health))
}

/// What a probe looks at: its name, and what is wrong if anything is.
type Check = (Cow<'static, str>, Option<&'static str>);

async fn ready(State(app): State<App>) -> Response {
    match serving(&app).iter().find_map(|(_, failure)| *failure) {
        Some(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("{failure}\n")).into_response(),
        None => "Barograph is ready.\n".into_response(),
    }
}

/// Whether requests are answered at all.
fn serving(app: &App) -> Vec<Check> {
    let stopping = (*app.stopping().borrow() || app.is_draining()).then_some("Barograph is stopping.");
    let opening = app.ready().is_none().then_some("Barograph is opening its store.");
    vec![("serving".into(), stopping), ("store".into(), opening)]
}

/// The same, and that nothing fails which the server cannot do without.
fn readiness(app: &App) -> Vec<Check> {
    let mut checks = serving(app);
    if let Some(engine) = app.ready() {
        // What `/health` knows at once need not wait for a check.
        if engine.store.stats().read_only {
            checks.retain(|(name, _)| name != "store");
            checks.push(("store".into(), Some("it is read-only after its disk failed")));
        }
        let essential = engine.health.essential().into_iter();
        let failure = |status| (status == Status::Unhealthy).then_some("it fails");
        checks.extend(essential.map(|(name, status)| (name.into(), failure(status))));
    }
    checks
}

/// Whether requests should be sent here, which is also what `grpc.health.v1` answers: nothing that is essential fails.
pub(crate) fn serves(app: &App) -> bool {
    let ready = readiness(app).iter().all(|(_, failure)| failure.is_none());
    ready && Health::of(app.ready().as_deref()).status != Status::Unhealthy
}

fn liveness() -> Vec<Check> {
    vec![("process".into(), None)]
}

async fn livez(params: Params) -> Response {
    probe("livez", &liveness(), &params)
}

async fn healthz(params: Params) -> Response {
    probe("healthz", &liveness(), &params)
}

async fn readyz(State(app): State<App>, params: Params) -> Response {
    probe("readyz", &readiness(&app), &params)
}

async fn one_of_livez(Path(name): Path<String>) -> Response {
    one_of(&liveness(), &name)
}

async fn one_of_readyz(State(app): State<App>, Path(name): Path<String>) -> Response {
    one_of(&readiness(&app), &name)
}

fn one_of(checks: &[Check], name: &str) -> Response {
    match checks.iter().find(|(known, _)| known == name) {
        Some((_, None)) => "ok".into_response(),
        Some((_, Some(_))) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{name} failed: reason withheld\n")).into_response()
        }
        None => Problem::new(StatusCode::NOT_FOUND, format!("there is no check {name:?}")).into_response(),
    }
}

/// 200 if every check passes that is not excluded.
fn probe(name: &str, checks: &[Check], params: &Params) -> Response {
    let excluded = |check: &str| params.all("exclude").any(|excluded| excluded == check);
    let failed = checks.iter().any(|(check, failure)| failure.is_some() && !excluded(check));
    if !failed && params.all("verbose").all(|value| value == "false") {
        return "ok".into_response();
    }
    let mut text = String::new();
    for (check, failure) in checks {
        text += &match (failure, excluded(check)) {
            (_, true) => format!("[+]{check} excluded: ok\n"),
            (None, false) => format!("[+]{check} ok\n"),
            (Some(_), false) => format!("[-]{check} failed: reason withheld\n"),
        };
    }
    for unknown in params.all("exclude").filter(|excluded| !checks.iter().any(|(check, _)| check == excluded))
    {
        text += &format!("warn: some health checks cannot be excluded: no matches for {unknown:?}\n");
    }
    text += &format!("{name} check {}\n", if failed { "failed" } else { "passed" });
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, text).into_response()
}

/// How the server fares, and why if not well: what shows at once, and what its checks say.
pub(crate) struct Health {
    pub(crate) status: Status,
    reason: Option<Cow<'static, str>>,
}

impl Health {
    pub(crate) fn of(engine: Option<&Engine>) -> Self {
        let Some(engine) = engine else { return Self::new(Status::Unhealthy, "the store is being opened") };
        let stats = engine.store.stats();
        let at_once = if stats.read_only {
            Self::new(Status::Unhealthy, "the store is read-only after its disk failed")
        } else if engine.memory.sheds(Step::Queries) || engine.memory.sheds(Step::Ingest) {
            Self::new(Status::Degraded, "memory is short: queries or writes are refused for now")
        } else if stats.set_aside > 0 {
            Self::new(Status::Degraded, "corrupt files were set aside; the log names them")
        } else {
            Self { status: Status::Healthy, reason: None }
        };
        let (status, reason) = engine.health.overall();
        if status > at_once.status { Self { status, reason: reason.map(Cow::Owned) } } else { at_once }
    }

    fn new(status: Status, reason: &'static str) -> Self {
        Self { status, reason: Some(reason.into()) }
    }

    /// The status of the answer, our word for it, and the reason.
    pub(crate) fn words(&self) -> (StatusCode, &'static str, Option<&str>) {
        let status = match self.status {
            Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        (status, self.status.as_str(), self.reason.as_deref())
    }

    /// Of one component.
    pub(super) fn of_component(component: &ComponentHealth) -> Self {
        let reason = component.details.get("message").and_then(Value::as_str);
        Self { status: component.status, reason: reason.map(|reason| Cow::Owned(reason.to_owned())) }
    }
}

/// Whether `application/health+json` is asked for.
pub(super) fn asks_standard(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/health+json"))
    })
}

/// What the checks say, as `application/health+json`.
pub(super) fn standard_document(
    engine: Option<&Engine>,
    health: &Health,
    component: Option<&str>,
) -> Response {
    let runs = engine.map(|engine| engine.health.runs()).unwrap_or_default();
    let runs = runs.iter().filter(|(of, ..)| component.is_none_or(|component| component == of));
    let runs = runs.map(|(component, status, run)| (component.as_str(), *status, run));
    let node = engine.map_or("", |engine| engine.health.node());
    let (status, _, reason) = health.words();
    let document = standard(health.status, node, reason, runs);
    (status, [(header::CONTENT_TYPE, "application/health+json")], document.to_string()).into_response()
}

/// One word first, then what a person would ask next, and how requests fare. With `basic` the word alone.
async fn health(State(app): State<App>, headers: HeaderMap, params: Params) -> Response {
    let engine = app.ready();
    let health = Health::of(engine.as_deref());
    let (status, word, reason) = health.words();
    if params.all("basic").any(|value| value != "false") {
        return (status, Json(json!({"status": word}))).into_response();
    }
    if asks_standard(&headers) {
        return standard_document(engine.as_deref(), &health, None);
    }
    let uptime = engine.as_ref().map(|engine| (engine.clock.now().0 - app.started().0) as f64 / 1e3);
    let ours = json!({
        "reason": reason,
        "missing": diagnostics::missing(engine.as_deref()),
        "version": crate::VERSION,
        "uptime_seconds": uptime,
        "availability": availability(engine.as_deref()),
        "series": engine.as_ref().map(|engine| engine.store.stats().series),
    });
    let first = match engine {
        Some(engine) => diagnostics::snapshot(&engine).health(word),
        None => json!({"status": word}).to_string(),
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, joined(&first, &ours.to_string())).into_response()
}

/// How much of the time the server served, as far as that is known.
pub(super) fn availability(engine: Option<&Engine>) -> Option<Value> {
    engine.and_then(|engine| Some(engine.health.availability()?.to_json(engine.clock.now())))
}

/// One object with the keys of two, those of the first before those of the second.
pub(crate) fn joined(first: &str, second: &str) -> String {
    let (first, second) =
        (first.strip_suffix('}').unwrap_or(first), second.strip_prefix('{').unwrap_or(second));
    format!("{first},{second}")
}
