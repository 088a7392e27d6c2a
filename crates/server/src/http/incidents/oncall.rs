//! `…/oncall` and `…/escalation-policies`: who is on call now and next, and who is asked after whom.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use barograph_alert::incident::{Layer, Policy, Rotation, Schedule, Shift, built_in_policies, document};
use barograph_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App, Problem,
    acts::{name_of, noted},
    bad, blocking,
};
use crate::{
    auth::gate::Who,
    errors::chain,
    http::{Params, Peer, body::Whole, params::parse_time},
    incidents::OverrideRefused,
};

const DAY_MS: i64 = 86_400_000;
/// Shifts are told for so long unless it is asked otherwise.
const SHOWN_MS: i64 = 14 * DAY_MS;
/// And for no longer.
const SHOWN_MAX_MS: i64 = 366 * DAY_MS;
/// Who is on call next is looked for so long.
const NEXT_MS: i64 = 90 * DAY_MS;
/// So many that come next are told.
const NEXT_MAX: usize = 3;

/// `GET …/oncall?start=&end=`.
pub(super) async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let now = engine.clock.now();
    let time = |name: &str, default: i64| -> Result<i64, Problem> {
        let given = params.time(name).map_err(|error| bad(error.text()))?;
        Ok(given.map_or(default, |time: Timestamp| time.0))
    };
    let start = time("start", now.0)?;
    let end = time("end", start.saturating_add(SHOWN_MS))?;
    if end <= start || end.saturating_sub(start) > SHOWN_MAX_MS {
        return Err(bad("end: it is after start, by at most 366 days"));
    }
    // Changes of many people are many steps through a calendar.
    let incidents = engine.incidents.clone();
    let schedules = blocking(move || {
        let schedules = incidents.schedules();
        schedules
            .iter()
            .map(|(name, schedule)| shown(name, schedule, now.0, (start, end)))
            .collect::<Vec<_>>()
    })
    .await?;
    Ok(Json(json!({"schedules": schedules})))
}

fn shown(name: &str, schedule: &Schedule, now: i64, (start, end): (i64, i64)) -> Value {
    let coming = schedule.shifts(now, now.saturating_add(NEXT_MS));
    let is_now = |shift: &&Shift| shift.start <= now;
    let current = coming.iter().filter(is_now);
    let current: Vec<Value> =
        current.map(|shift| json!({"user": shift.user, "until": document::time(shift.end)})).collect();
    let next = coming.iter().filter(|shift| !is_now(shift)).take(NEXT_MAX).map(shift);
    json!({
        "name": name,
        "timezone": schedule.time_zone,
        "now": current,
        "next": next.collect::<Vec<_>>(),
        "layers": schedule.layers.iter().map(layer).collect::<Vec<_>>(),
        "overrides": schedule.overrides.iter().map(|it| json!({
            "id": it.id, "user": it.user, "start": document::time(it.start), "end": document::time(it.end),
        })).collect::<Vec<_>>(),
        "shifts": schedule.shifts(start, end).iter().map(shift).collect::<Vec<_>>(),
    })
}

fn shift(shift: &Shift) -> Value {
    json!({"user": shift.user, "start": document::time(shift.start), "end": document::time(shift.end)})
}

fn layer(layer: &Layer) -> Value {
    let rotation = match layer.rotation {
        Rotation::Days(1) => "daily".to_owned(),
        Rotation::Days(7) => "weekly".to_owned(),
        Rotation::Days(days) => format!("{days}d"),
        Rotation::Hours(hours) => format!("{hours}h"),
    };
    let restrictions = layer.restrictions.iter().map(|it| {
        let weekdays: Vec<String> =
            it.weekdays.iter().map(|day| format!("{day:?}").to_ascii_lowercase()).collect();
        json!({"from": it.from.strftime("%H:%M").to_string(), "to": it.to.strftime("%H:%M").to_string(), "weekdays": weekdays})
    });
    json!({
        "name": layer.name,
        "users": layer.users,
        "rotation": rotation,
        "start": layer.start.to_string(),
        "restrictions": restrictions.collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: String,
    start: String,
    end: String,
}

/// `POST …/oncall/{schedule}/overrides` with `{"user", "start", "end"}`.
pub(super) async fn add(
    State(app): State<App>,
    Path(schedule): Path<String>,
    who: Who,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let peer = request.extensions().get::<Peer>().copied();
    let body = Whole::within(request.into_body(), 16 << 10).await;
    let Whole(body) = body.map_err(|error| Problem::new(error.status(), error.to_string()))?;
    let Wanted { user, start, end } = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("expected {{\"user\", \"start\", \"end\"}}: {error}")))?;
    let time = |name: &str, text: &str| {
        parse_time(text).map(|time| time.0).map_err(|why| bad(format!("{name}: {why}")))
    };
    let (start, end) = (time("start", &start)?, time("end", &end)?);
    let (incidents, by, name) = (engine.incidents.clone(), name_of(&who.0, None), schedule.clone());
    let set = blocking(move || incidents.set_override(&name, &user, (start, end), &by)).await?;
    noted(&app, &who.0, peer, ("oncall.override", &schedule), set.is_ok()).await;
    let set = set.map_err(|error| refused(&error))?;
    let document = json!({
        "id": set.id, "user": set.user, "start": document::time(set.start), "end": document::time(set.end),
    });
    Ok((StatusCode::CREATED, Json(document)))
}

/// `DELETE …/oncall/{schedule}/overrides/{id}`.
pub(super) async fn remove(
    State(app): State<App>,
    Path((schedule, id)): Path<(String, String)>,
    who: Who,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let peer = request.extensions().get::<Peer>().copied();
    let incidents = engine.incidents.clone();
    let (name, of) = (schedule.clone(), id.clone());
    let removed = blocking(move || incidents.remove_override(&name, &of)).await?;
    noted(&app, &who.0, peer, ("oncall.override.remove", &id), removed.is_ok()).await;
    removed.map_err(|error| refused(&error))?;
    Ok(Json(json!({"removed": id})))
}

fn refused(error: &OverrideRefused) -> Problem {
    let status = match error {
        OverrideRefused::Schedule(_) | OverrideRefused::Unknown(_) => StatusCode::NOT_FOUND,
        OverrideRefused::Wrong(_) | OverrideRefused::User(_) => StatusCode::BAD_REQUEST,
        OverrideRefused::TooMany => StatusCode::CONFLICT,
        OverrideRefused::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, chain(error))
}

/// `GET …/escalation-policies`.
pub(super) async fn policies(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let config = engine.incidents.config();
    let mut all: BTreeMap<String, Policy> = config.policies.clone();
    for name in built_in_policies() {
        all.entry(name.clone()).or_insert_with(|| Policy::named(&name, &config.policies));
    }
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    let policies = all.iter().map(|(name, policy)| {
        let levels = policy.levels.iter().enumerate().map(|(index, level)| {
            json!({
                "level": index + 1,
                "delay_seconds": seconds(level.delay_ms),
                "targets": level.targets,
                "channels": level.channels,
            })
        });
        json!({
            "name": name,
            "built_in": !config.policies.contains_key(name),
            "levels": levels.collect::<Vec<_>>(),
            "repeat": policy.repeat,
            "then": policy.then,
            "ack_timeout_seconds": policy.ack_timeout_ms.map(seconds),
        })
    });
    Ok(Json(json!({"policies": policies.collect::<Vec<_>>()})))
}
