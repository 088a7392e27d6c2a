//! `/api/barograph/v1/alerts/rules…`: alerting rules, of files and made by API, and how they fare.
//!
//! Those of files are read-only here. Those made here are durable when it is answered, count from their next evaluation on, and
//! keep what they said in each version. Changes are noted in the audit log.

mod document;
mod preview;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use barograph_alert::file::{OneRule, RULE_BYTES_MAX, parse_one, read_one, yaml};
use barograph_auth::{Identity, audit::Outcome};
use barograph_yaml::{Faults, Place, units::format_duration};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App, Peer,
    body::Whole,
    incidents::{bad, blocking},
    problem::Problem,
};
use crate::{
    Engine,
    auth::gate::{self, Who},
    errors::chain,
    rules::own::{self, By, Given, Own, OwnRules, Refusal},
    tenants::scope,
};
use document::Facts;

/// Bytes of a body: a rule, and what JSON needs around it.
const BODY_BYTES_MAX: usize = 2 * RULE_BYTES_MAX;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/alerts/rules", get(list).post(add))
        .route("/api/barograph/v1/alerts/rules/preview", post(preview::preview))
        .route("/api/barograph/v1/alerts/rules/{id}", get(one).put(change).delete(remove))
        .route("/api/barograph/v1/alerts/rules/{id}/enabled", put(enable))
        .route("/api/barograph/v1/alerts/rules/{id}/versions", get(versions))
}

/// `GET …/alerts/rules`: all of whoever asks, by group and name.
async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let documents = document::all(&engine, tenant(&engine).as_deref(), &Facts::of(&engine).await);
    Ok(Json(json!({"rules": documents})))
}

/// `GET …/alerts/rules/{id}`: one, with its text.
async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    document_of(&engine, &id).await.map(Json)
}

async fn document_of(engine: &Engine, id: &str) -> Result<Value, Problem> {
    let facts = Facts::of(engine).await;
    document::one(engine, tenant(engine).as_deref(), &facts, id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no rule {id:?}"))
}

/// Whose rules are meant; `None` is the default tenant, or that there are none.
fn tenant(engine: &Engine) -> Option<String> {
    let name = scope::working()?.0.name.to_string();
    (*name != *engine.tenants.default().name).then_some(name)
}

/// `POST …/alerts/rules` with a rule as a document or as YAML.
async fn add(State(app): State<App>, who: Who, request: Request) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (peer, given) = (peer(&request), given(&engine, request).await?);
    not_of_a_file(&engine, &given)?;
    let name = given.rule.spec.name().to_owned();
    let (rules, now, by) = (engine.own_rules.clone(), engine.clock.now(), who.0.user.clone());
    let added = blocking(move || rules.add(given, By { who: &by, now })).await?;
    let id = added.as_ref().map_or(name, |own| own.id.clone());
    let own = settled(&app, &who.0, peer, ("rule.create", &id), added).await?;
    Ok((StatusCode::CREATED, Json(document_of(&engine, &own.id).await?)).into_response())
}

/// `PUT …/alerts/rules/{id}` with the whole rule.
async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let own = editable(&engine, &id).await?;
    let (peer, given) = (peer(&request), given(&engine, request).await?);
    if own.name() != given.rule.spec.name() {
        not_of_a_file(&engine, &given)?;
    }
    act(&app, &who.0, peer, ("rule.change", &id), move |rules, id, by| rules.change(id, given, by)).await?;
    document_of(&engine, &id).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enabled {
    enabled: bool,
}

/// `PUT …/alerts/rules/{id}/enabled` with `{"enabled"}`.
async fn enable(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    editable(&engine, &id).await?;
    let (peer, (_, body)) = (peer(&request), body(request).await?);
    let Enabled { enabled } = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("expected {{\"enabled\": true}} or false: {error}")))?;
    let what = if enabled { "rule.enable" } else { "rule.disable" };
    act(&app, &who.0, peer, (what, &id), move |rules, id, by| rules.enable(id, enabled, by)).await?;
    document_of(&engine, &id).await.map(Json)
}

/// `DELETE …/alerts/rules/{id}`. What fires by it is over.
async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    request: Request,
) -> Result<StatusCode, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    editable(&engine, &id).await?;
    let peer = peer(&request);
    act(&app, &who.0, peer, ("rule.delete", &id), |rules, id, by| rules.remove(id, by)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/alerts/rules/{id}/versions`: the newest first. One of a file has none but the one it is.
async fn versions(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let shown = document_of(&engine, &id).await;
    if shown.as_ref().is_ok_and(|document| document["editable"] == false) {
        return Ok(Json(json!({"versions": []})));
    }
    let tenants_on = scope::working().is_some();
    let (rules, of) = (engine.own_rules.clone(), id.clone());
    let found = blocking(move || rules.versions(&of)).await?;
    let found = found.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, chain(&error)))?;
    // Those of a rule that is gone can still be looked at; where there are tenants, it is not known whose it was.
    if found.is_empty() || (shown.is_err() && tenants_on) {
        return Err(missing(&id));
    }
    let version = |version: own::Version| {
        json!({
            "version": version.version,
            "at": document::time(version.at),
            "by": version.by,
            "what": version.what,
            "enabled": version.enabled,
            "text": version.text,
        })
    };
    Ok(Json(json!({"versions": found.into_iter().map(version).collect::<Vec<_>>()})))
}

/// A rule that was made here by whoever asks.
async fn editable(engine: &Engine, id: &str) -> Result<Arc<Own>, Problem> {
    if let Some(own) = engine.own_rules.one(id).filter(|own| own.kept.tenant == tenant(engine)) {
        return Ok(own);
    }
    let shown = document_of(engine, id).await?;
    let file = shown["file"].as_str().unwrap_or("a file");
    Err(Problem::new(StatusCode::CONFLICT, format!("this rule stands in {file}; change it there")))
}

/// Refuses a name that a rule of a file has.
fn not_of_a_file(engine: &Engine, given: &Given) -> Result<(), Problem> {
    let name = given.rule.spec.name();
    for running in engine.rules.groups().iter().filter(|running| *running.file != *own::FILE) {
        let group = running.group();
        let same = |rule: &barograph_alert::Rule| rule.spec.alerting().is_some() && rule.spec.name() == name;
        if group.spec.tenant == given.tenant && group.rules.iter().any(same) {
            let text = format!(
                "there is a rule `{name}` in {}, group {}; give this one another name",
                running.file, running.name
            );
            return Err(Problem::new(StatusCode::CONFLICT, text));
        }
    }
    Ok(())
}

fn peer(request: &Request) -> Option<Peer> {
    request.extensions().get::<Peer>().copied()
}

async fn body(request: Request) -> Result<(HeaderMap, axum::body::Bytes), Problem> {
    let (parts, body) = request.into_parts();
    let Whole(body) = Whole::within(body, BODY_BYTES_MAX)
        .await
        .map_err(|error| Problem::new(error.status(), error.to_string()))?;
    Ok((parts.headers, body))
}

/// Reads a rule: a document by its content type, otherwise YAML.
async fn given(engine: &Engine, request: Request) -> Result<Given, Problem> {
    let (headers, body) = body(request).await?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (rule, text) = if kind.starts_with("application/json") {
        let document: Value = serde_json::from_slice(&body)
            .map_err(|error| bad(format!("expected a rule as a JSON document: {error}")))?;
        let rule = read_rule(&document, "")?;
        let text = text_of(&rule);
        (rule, text)
    } else {
        let text = std::str::from_utf8(&body).map_err(|_| bad("expected a rule as YAML in UTF-8"))?;
        (parse_one(text, "the rule").map_err(|faults| faulty(&faults))?, text.to_owned())
    };
    Ok(Given { rule, text, tenant: tenant(engine) })
}

/// A rule of a document, which is its keys or a text of YAML.
fn read_rule(document: &Value, below: &str) -> Result<OneRule, Problem> {
    let read = match document {
        Value::String(text) => parse_one(text, "the rule"),
        document => read_one(document, below),
    };
    read.map_err(|faults| faulty(&faults))
}

/// A rule as YAML.
fn text_of(rule: &OneRule) -> String {
    let mut document = rule.spec.document();
    if let Some(interval) = rule.interval {
        document.insert("interval".to_owned(), format_duration(interval).into());
    }
    yaml(&document)
}

/// Each mistake in a line, with its place.
fn faulty(faults: &Faults) -> Problem {
    let line = |finding: &barograph_yaml::Finding| match &finding.place {
        Place::File { line, column } => format!("line {line}, column {column}: {}", finding.message),
        place => format!("{place}: {}", finding.message),
    };
    let lines: Vec<String> = faults.findings.iter().map(line).collect();
    let problem = bad(lines.join("\n"));
    match faults.findings.first().map(|finding| &finding.place) {
        Some(Place::Path(path)) => problem.at(path.clone()),
        _ => problem,
    }
}

/// Does something with the rule of an id, which blocks, and notes who did.
async fn act(
    app: &App,
    who: &Identity,
    peer: Option<Peer>,
    (name, id): (&str, &str),
    change: impl FnOnce(&OwnRules, &str, By<'_>) -> Result<Arc<Own>, Refusal> + Send + 'static,
) -> Result<Arc<Own>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (rules, now, by, of) =
        (engine.own_rules.clone(), engine.clock.now(), who.user.clone(), id.to_owned());
    let done = blocking(move || change(&rules, &of, By { who: &by, now })).await?;
    settled(app, who, peer, (name, id), done).await
}

/// Notes what became of a change, and answers with why it was not made.
async fn settled(
    app: &App,
    who: &Identity,
    peer: Option<Peer>,
    what: (&str, &str),
    done: Result<Arc<Own>, Refusal>,
) -> Result<Arc<Own>, Problem> {
    let outcome = if done.is_ok() { Outcome::Done } else { Outcome::Failed };
    let detail = match &done {
        Ok(own) => format!("{}, version {}", own.name(), own.kept.version),
        Err(refusal) => refusal.to_string(),
    };
    gate::noted(app, who, peer.map(|peer| peer.0.ip()), what, outcome, &detail).await;
    done.map_err(|refusal| {
        let status = match &refusal {
            Refusal::Taken(_) | Refusal::TooMany => StatusCode::CONFLICT,
            Refusal::Missing(_) => StatusCode::NOT_FOUND,
            Refusal::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        if matches!(refusal, Refusal::TooMany)
            && let Some(engine) = app.ready()
        {
            engine.telemetry.rules.own_refused();
        }
        Problem::new(status, chain(&refusal))
    })
}
