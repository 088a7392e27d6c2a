//! `/api/barograph/v1/metrics/NAME/retention` and `…/aggregation`: what is kept of one metric, other than of the rest.
//!
//! `PUT` sets, `GET` tells, `DELETE` takes back. What was set is durable when it is answered and holds from the next
//! upkeep on. Retention is `{"raw", "1m", "5m", "1h", "importance"}`: durations, `"0s"` for ever, null or absent as
//! usual; importance `low`, `normal`, `high`. Aggregation is `{"windows", "functions"}`: which windows are made, and what
//! they are to answer; null or absent for all.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use barograph_model::Tier;
use barograph_tsdb::{Importance, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, body::Whole, problem::Problem};
use crate::{
    Engine,
    config::{format_duration, parse_duration},
    current,
    policies::{self, Refused},
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(
            "/api/barograph/v1/metrics/{name}/retention",
            get(retention).put(set_retention).delete(forget_retention),
        )
        .route(
            "/api/barograph/v1/metrics/{name}/aggregation",
            get(aggregation).put(set_aggregation).delete(forget_aggregation),
        )
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Retention {
    raw: Option<String>,
    #[serde(rename = "1m")]
    minute: Option<String>,
    #[serde(rename = "5m")]
    five_minutes: Option<String>,
    #[serde(rename = "1h")]
    hour: Option<String>,
    importance: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Aggregation {
    windows: Option<Vec<String>>,
    functions: Option<Vec<String>>,
}

async fn retention(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(retention_of(&name, &policy_of(&app, &name)?))
}

async fn aggregation(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(aggregation_of(&name, &policy_of(&app, &name)?))
}

async fn set_retention(
    State(app): State<App>,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let asked: Retention = read(&body)?;
    let texts = [&asked.raw, &asked.minute, &asked.five_minutes, &asked.hour];
    let mut tiers = [None; 4];
    for ((age, text), tier) in tiers.iter_mut().zip(texts).zip(Tier::ALL) {
        let Some(text) = text else { continue };
        *age = Some(parse_duration(text).map_err(|why| Refused::Wrong(format!("{tier}: {why}")))?);
    }
    let importance = match asked.importance {
        None => Importance::Normal,
        Some(word) => {
            Importance::ALL.into_iter().find(|importance| importance.as_str() == word).ok_or_else(|| {
                Refused::Wrong(format!("importance: expected low, normal or high, found `{word}`"))
            })?
        }
    };
    let set = set(&app, &name, move |engine, name| policies::set_retention(engine, name, tiers, importance))
        .await?;
    Ok(retention_of(&name, &set))
}

async fn set_aggregation(
    State(app): State<App>,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let Aggregation { windows, functions } = read(&body)?;
    let asked = move |engine: &Engine, name: &str| {
        policies::set_aggregation(engine, name, windows.as_deref(), functions)
    };
    Ok(aggregation_of(&name, &set(&app, &name, asked).await?))
}

async fn forget_retention(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let usual = |policy| Policy { retention: [None; 4], importance: Importance::Normal, ..policy };
    set(&app, &name, move |engine, name| policies::change(engine, name, usual)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn forget_aggregation(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let usual = |policy| Policy { windows: None, functions: Vec::new(), ..policy };
    set(&app, &name, move |engine, name| policies::change(engine, name, usual)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn ready(app: &App) -> Result<Arc<Engine>, Problem> {
    app.ready().ok_or_else(Problem::not_ready)
}

fn policy_of(app: &App, metric: &str) -> Result<Policy, Problem> {
    Ok(ready(app)?.store.policy(metric).unwrap_or_default())
}

/// Sets the policy of a metric on a thread that may wait for the disk.
async fn set(
    app: &App,
    metric: &str,
    set: impl FnOnce(&Engine, &str) -> Result<Policy, Refused> + Send + 'static,
) -> Result<Policy, Problem> {
    let (engine, metric) = (ready(app)?, metric.to_owned());
    let done = current::blocking(move || set(&engine, &metric)).await;
    let failed =
        |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "setting the policy failed; the log says why");
    Ok(done.map_err(failed)??)
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Wrong(_) => StatusCode::BAD_REQUEST,
            Refused::TooMany => StatusCode::CONFLICT,
            Refused::Store { full: true, .. } => StatusCode::INSUFFICIENT_STORAGE,
            Refused::Store { full: false, .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.to_string())
    }
}

fn read<'b, T: Deserialize<'b> + Default>(body: &'b [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::Wrong(format!("cannot read the policy: {error}")))
}

fn retention_of(metric: &str, policy: &Policy) -> Json<Value> {
    let text = |age: Duration| if age == Duration::MAX { "0s".to_owned() } else { format_duration(age) };
    let [raw, minute, five_minutes, hour] = policy.retention.map(|age| age.map(text));
    Json(json!({
        "metric": metric,
        "raw": raw,
        "1m": minute,
        "5m": five_minutes,
        "1h": hour,
        "importance": policy.importance.as_str(),
    }))
}

fn aggregation_of(metric: &str, policy: &Policy) -> Json<Value> {
    let windows: Option<Vec<_>> =
        policy.windows.as_ref().map(|tiers| tiers.iter().map(|tier| tier.as_str()).collect());
    let functions = (!policy.functions.is_empty()).then_some(&policy.functions);
    Json(json!({"metric": metric, "windows": windows, "functions": functions}))
}
