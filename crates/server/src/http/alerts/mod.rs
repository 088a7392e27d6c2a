//! `/api/barograph/v1/alerts…`: what fires, who has it, and how long that takes.
//!
//! An alert is named by `alert_` and its fingerprint, or by the bare fingerprint. What is done with an alert is done with each
//! incident it is in. One that is in none yet can be acknowledged all the same: that counts for the incident it comes into.

mod document;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    routing::{get, post},
};
use barograph_alert::{
    incident::{Ack, Act, Early, document::AlertEscalation, statistics},
    routing::{Fingerprint, GroupBy, Matchers, Route},
};
use serde_json::{Value, json};

use super::{
    App, Params, Peer, alertmanager,
    incidents::{
        acts::{act_of, name_of, not_done, noted, said},
        bad, blocking,
    },
    problem::Problem,
};
use crate::{Engine, alerting::Shown, auth::gate::Who};

/// Statistics are of so long unless it is asked otherwise.
const STATISTICS_MS: i64 = 30 * 86_400_000;
/// Alerts of one answer.
const LISTED_MAX: usize = 10_000;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/alerts", get(list).post(alertmanager::post_alerts))
        .route("/api/barograph/v1/alerts/statistics", get(statistics_of))
        .route("/api/barograph/v1/alerts/routes", get(routes_of))
        .route("/api/barograph/v1/alerts/{id}", get(one))
        .route("/api/barograph/v1/alerts/{id}/escalations", get(escalations))
        .route("/api/barograph/v1/alerts/{id}/{action}", post(act))
}

/// `GET …/alerts?state=&filter=&receiver=&limit=`.
async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let states: Vec<String> = params
        .all("state")
        .flat_map(|words| words.split(','))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if let Some(word) = states.iter().find(|word| !document::STATES.contains(&word.as_str())) {
        return Err(bad(format!("state: expected one of {}, found {word:?}", document::STATES.join(", "))));
    }
    let wanted = |state: &str| states.is_empty() || states.iter().any(|word| word == state);
    let matchers = params.all("filter").try_fold(Matchers::default(), |all, text| {
        let wrong = |why| bad(format!("filter: {text:?}: {why}"));
        Matchers::parse(text).map(|more| all.and(more)).map_err(wrong)
    })?;
    let receiver = params.first("receiver").filter(|name| !name.is_empty());
    let limit = params.limit("limit").map_err(|error| bad(error.text()))?.min(LISTED_MAX);
    let now = engine.clock.now();
    let is_asked = |shown: &Shown| {
        matchers.matches(&shown.alert.labels)
            && receiver.is_none_or(|name| shown.receivers.iter().any(|it| it == name))
    };
    let found: Vec<Shown> = engine.alerting.alerts(true, now).into_iter().filter(is_asked).collect();
    let looked = engine
        .incidents
        .look(move |book| found.iter().map(|shown| document::of(shown, book, now.0)).collect::<Vec<Value>>());
    let mut documents = looked.await;
    documents.retain(|document| document["state"].as_str().is_some_and(wanted));
    if wanted("pending") && receiver.is_none() {
        let pending = document::pending(&engine, now.0);
        documents
            .extend(pending.into_iter().filter(|(labels, _)| matchers.matches(labels)).map(|(_, it)| it));
    }
    // The worst first, and of those the newest.
    let rank = |document: &Value| {
        ["critical", "warning", "info"].iter().position(|word| document["severity"] == *word).unwrap_or(3)
    };
    documents.sort_by(|a, b| {
        let newest = || b["starts_at"].as_str().cmp(&a["starts_at"].as_str());
        rank(a).cmp(&rank(b)).then_with(newest).then_with(|| a["id"].as_str().cmp(&b["id"].as_str()))
    });
    let total = documents.len();
    documents.truncate(limit);
    Ok(Json(json!({"alerts": documents, "total": total})))
}

fn fingerprint_of(id: &str) -> Result<Fingerprint, Problem> {
    let hex = id.strip_prefix("alert_").unwrap_or(id);
    let number = (hex.len() == 16).then(|| u64::from_str_radix(hex, 16).ok()).flatten();
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no alert {id:?}"));
    number.map(Fingerprint).ok_or_else(missing)
}

fn shown_of(engine: &Engine, id: &str) -> Result<Shown, Problem> {
    let fingerprint = fingerprint_of(id)?;
    let all = engine.alerting.alerts(true, engine.clock.now());
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no alert {id:?}"));
    all.into_iter().find(|shown| shown.fingerprint == fingerprint).ok_or_else(missing)
}

async fn document_of(engine: &Engine, id: &str) -> Result<Value, Problem> {
    let (shown, now) = (shown_of(engine, id)?, engine.clock.now().0);
    Ok(engine.incidents.look(move |book| document::of(&shown, book, now)).await)
}

/// `GET …/alerts/{id}`: the alert; beside it the fields of its acknowledgement, if somebody has it.
async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let mut document = document_of(&engine, &id).await?;
    for key in ["acknowledged_by", "ack_message", "auto_ack"] {
        document[key] = document["ack"][key].clone();
    }
    Ok(Json(document))
}

/// `GET …/alerts/{id}/escalations`: who was asked besides, of all incidents that are kept, the oldest first.
async fn escalations(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let fingerprint = fingerprint_of(&id)?;
    let alert_id = format!("alert_{fingerprint}");
    let looked = engine.incidents.look(move |book| {
        let of = book.iter().filter(|incident| incident.members.contains_key(&fingerprint));
        of.flat_map(|incident| incident.escalations.iter().cloned()).collect::<Vec<_>>()
    });
    let mut found = looked.await;
    found.sort_by_key(|escalation| escalation.at);
    let documents = found.iter().map(|escalation| AlertEscalation {
        original_alert_id: alert_id.clone(),
        ..AlertEscalation::from(escalation)
    });
    Ok(Json(json!({"escalations": documents.collect::<Vec<_>>()})))
}

/// `POST …/alerts/{id}/{action}`.
async fn act(
    State(app): State<App>,
    Path((id, action)): Path<(String, String)>,
    who: Who,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let peer = request.extensions().get::<Peer>().copied();
    let said = said(request).await?;
    let by = name_of(&who.0, said.acknowledged_by.as_deref());
    let shown = shown_of(&engine, &id)?;
    let alert_id = format!("alert_{}", shown.fingerprint);
    let act = act_of(&action, &said, Some(alert_id.clone()))?;
    let (now, incidents, message) = (engine.clock.now().0, engine.incidents.clone(), said.message);
    let (fingerprint, starts_at) = (shown.fingerprint, shown.alert.starts_at);
    let ack =
        Ack { alert_id: alert_id.clone(), by: by.clone(), message: message.clone(), auto: false, at: now };
    let done = blocking(move || {
        let is_in_one = incidents.look_here(|book| book.of_alert(fingerprint).next().is_some());
        match &act {
            Act::Ack { .. } | Act::TakeOver if !is_in_one => {
                incidents.acknowledge_early(fingerprint, Early { ack, starts_at })
            }
            Act::Unack if !is_in_one && incidents.forget_early(fingerprint)? => Ok(()),
            _ => incidents.act_on_alert(fingerprint, &act, &by, &message).map(drop),
        }
    })
    .await?;
    noted(&app, &who.0, peer, (&format!("alert.{action}"), &alert_id), done.is_ok()).await;
    done.map_err(|error| not_done(&error))?;
    document_of(&engine, &alert_id).await.map(Json)
}

/// `GET …/alerts/statistics?range=`: how long it takes to acknowledge and to resolve.
async fn statistics_of(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let range = params.duration_ms("range").map_err(|error| bad(error.text()))?.unwrap_or(STATISTICS_MS);
    let since = engine.clock.now().0.saturating_sub(range);
    let (all, rules) = engine.incidents.look(move |book| statistics::of(book.iter(), since)).await;
    let rules: Vec<Value> = rules
        .into_iter()
        .map(|(rule, figures)| {
            let mut document = json!(figures);
            document["rule"] = rule.into();
            document
        })
        .collect();
    Ok(Json(json!({"range_seconds": range / 1_000, "all": all, "rules": rules})))
}

/// `GET …/alerts/routes`: the tree that alerts go down.
async fn routes_of(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(json!({"route": route(&engine.alerting.config().route)})))
}

fn route(of: &Route) -> Value {
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    json!({
        "path": of.path,
        "receiver": of.receiver,
        "group_by": match &of.group_by {
            GroupBy::All => vec!["...".to_owned()],
            GroupBy::Labels(names) => names.iter().cloned().collect(),
        },
        "group_wait_seconds": seconds(of.group_wait),
        "group_interval_seconds": seconds(of.group_interval),
        "repeat_interval_seconds": seconds(of.repeat_interval),
        "escalation": of.escalation,
        "routes": of.routes.iter().map(route).collect::<Vec<_>>(),
    })
}
