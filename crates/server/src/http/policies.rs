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
use barograph_tsdb::{Importance, POLICIES_MAX, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, body::Whole, problem::Problem};
use crate::{
    Engine,
    config::{format_duration, parse_duration},
    errors::chain,
};

/// The name of a metric has so many bytes at most.
const NAME_BYTES_MAX: usize = 4 << 10;
/// A policy names so many functions at most.
const FUNCTIONS_MAX: usize = 64;

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
    let tiers = [&asked.raw, &asked.minute, &asked.five_minutes, &asked.hour];
    let mut retention = [None; 4];
    for ((age, text), tier) in retention.iter_mut().zip(tiers).zip(Tier::ALL) {
        let Some(text) = text else { continue };
        let said = parse_duration(text).map_err(|why| bad(format!("{tier}: {why}")))?;
        *age = Some(if said.is_zero() { Duration::MAX } else { said });
    }
    let importance = match asked.importance {
        None => Importance::Normal,
        Some(word) => Importance::ALL
            .into_iter()
            .find(|importance| importance.as_str() == word)
            .ok_or_else(|| bad(format!("importance: expected low, normal or high, found `{word}`")))?,
    };
    let set = change(&app, &name, move |policy| Policy { retention, importance, ..policy }).await?;
    Ok(retention_of(&name, &set))
}

async fn set_aggregation(
    State(app): State<App>,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let asked: Aggregation = read(&body)?;
    let tier = |word: &String| match word.parse::<Tier>() {
        Ok(tier) if tier != Tier::Raw => Ok(tier),
        _ => Err(bad(format!("windows: expected some of 1m, 5m and 1h, found `{word}`"))),
    };
    let mut windows = match &asked.windows {
        None => None,
        Some(words) if words.is_empty() => return Err(bad("windows: give at least one of 1m, 5m and 1h")),
        Some(words) => Some(words.iter().map(tier).collect::<Result<Vec<_>, _>>()?),
    };
    if let Some(tiers) = &mut windows {
        tiers.sort_unstable();
        tiers.dedup();
        windows = windows.filter(|tiers| tiers.len() < Tier::ROLLED.len());
    }
    let functions = functions(asked.functions.unwrap_or_default())?;
    let set = change(&app, &name, move |policy| Policy { windows, functions, ..policy }).await?;
    Ok(aggregation_of(&name, &set))
}

async fn forget_retention(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let usual = |policy| Policy { retention: [None; 4], importance: Importance::Normal, ..policy };
    change(&app, &name, usual).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn forget_aggregation(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    change(&app, &name, |policy| Policy { windows: None, functions: Vec::new(), ..policy }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Names of functions as [`super::points`] takes them, in any case.
fn functions(names: Vec<String>) -> Result<Vec<String>, Problem> {
    const SIMPLE: [&str; 10] =
        ["avg", "sum", "min", "max", "count", "first", "last", "stddev", "rate", "increase"];
    if names.len() > FUNCTIONS_MAX {
        return Err(bad(format!("functions: more than {FUNCTIONS_MAX}")));
    }
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    match names.iter().find(|name| !SIMPLE.contains(&name.as_str()) && !Policy::needs_sketch(name)) {
        None => Ok(names),
        Some(name) => {
            let known = SIMPLE.join(", ");
            Err(bad(format!(
                "functions: expected some of {known}, p50 and the like, quantile, found `{name}`"
            )))
        }
    }
}

fn ready(app: &App) -> Result<Arc<Engine>, Problem> {
    app.ready().ok_or_else(Problem::not_ready)
}

fn policy_of(app: &App, metric: &str) -> Result<Policy, Problem> {
    Ok(ready(app)?.store.policy(metric).unwrap_or_default())
}

/// Changes the policy of a metric; the new one, when it is durable.
async fn change(
    app: &App,
    metric: &str,
    change: impl FnOnce(Policy) -> Policy + Send + 'static,
) -> Result<Policy, Problem> {
    let engine = ready(app)?;
    if metric.is_empty() || metric.len() > NAME_BYTES_MAX {
        return Err(bad("the name of the metric is empty or too long"));
    }
    let metric = metric.to_owned();
    let set = tokio::task::spawn_blocking(move || engine.store.change_policy(&metric, change)).await;
    let set = set.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "setting the policy failed; the log says why")
    })?;
    match set {
        Ok(Some(policy)) => Ok(policy),
        Ok(None) => {
            let why = format!("{POLICIES_MAX} metrics have a policy already; take one of them back first");
            Err(Problem::new(StatusCode::CONFLICT, why))
        }
        Err(error) => {
            let status = match error.is_full() {
                true => StatusCode::INSUFFICIENT_STORAGE,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            Err(Problem::new(status, format!("cannot keep the policy: {}", chain(&error))))
        }
    }
}

fn read<'b, T: Deserialize<'b> + Default>(body: &'b [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| bad(format!("cannot read the policy: {error}")))
}

fn bad(why: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, why)
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
