//! `maintenance`: windows of maintenance, and what a silence was like before.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use barograph_alert::routing::{Every, KeptMaintenance, Maintenance, MatcherDocument, Matchers, Recurrence};
use barograph_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Wrong, blocking, time};
use crate::{
    alerting::Refusal,
    http::{App, Problem, body::Whole},
};

/// Bytes of a name, a comment or an author at most.
const TEXT_BYTES_MAX: usize = 16 << 10;
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/maintenance", get(list).post(set))
        .route("/api/barograph/v1/maintenance/{id}", get(one).delete(remove))
        .route("/api/barograph/v1/silences/{id}/history", get(history))
}

#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    matchers: Vec<GivenMatcher>,
    start: String,
    duration_seconds: u32,
    #[serde(default)]
    recurrence: Option<PostedRecurrence>,
    #[serde(default)]
    timezone: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    created_by: String,
}

/// A matcher as a document, or as a text such as `job="api"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum GivenMatcher {
    Document(MatcherDocument),
    Text(String),
}

#[derive(Deserialize)]
struct PostedRecurrence {
    every: Every,
    #[serde(default)]
    weekdays: Vec<String>,
    #[serde(default)]
    until: Option<String>,
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::new(wrong.0, wrong.1)
    }
}

async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.engine().map_err(Wrong::from)?;
    let now = engine.clock.now().millis();
    let windows: Vec<_> = engine.alerting.maintenance().iter().map(|window| document(window, now)).collect();
    Ok(Json(json!({ "maintenance": windows })))
}

async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.engine().map_err(Wrong::from)?;
    let window = engine.alerting.maintenance().into_iter().find(|window| window.id == id);
    let window = window.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no window of maintenance {id}"))
    })?;
    Ok(Json(document(&window, engine.clock.now().millis())))
}

async fn set(State(app): State<App>, Whole(body): Whole) -> Result<(StatusCode, Json<Value>), Problem> {
    let engine = app.engine().map_err(Wrong::from)?;
    let wanted = read(&body).map_err(Wrong::of)?;
    let now = engine.clock.now();
    let status = if wanted.id.is_empty() { StatusCode::CREATED } else { StatusCode::OK };
    let window = blocking(move || Ok(engine.alerting.set_maintenance(wanted, now)?)).await?;
    Ok((status, Json(document(&window, now.millis()))))
}

async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let engine = app.engine().map_err(Wrong::from)?;
    blocking(move || Ok(engine.alerting.delete_maintenance(&id)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Each form that a silence had.
async fn history(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.engine().map_err(Wrong::from)?;
    let forms = blocking(move || {
        let forms = engine.alerting.silence_history(&id)?;
        match forms.is_empty() {
            true => Err(Refusal::Missing(format!("there is no silence {id}")).into()),
            false => Ok(forms),
        }
    });
    let form = |silence: barograph_alert::routing::Silence| {
        json!({
            "id": silence.id,
            "updated_at": time(silence.updated_at),
            "starts_at": time(silence.starts_at),
            "ends_at": time(silence.ends_at),
            "created_by": silence.created_by,
            "comment": silence.comment,
            "matchers": silence.matchers,
        })
    };
    Ok(Json(json!({ "history": forms.await?.into_iter().map(form).collect::<Vec<_>>() })))
}

fn read(body: &[u8]) -> Result<KeptMaintenance, String> {
    let posted: Posted =
        serde_json::from_slice(body).map_err(|error| format!("expected a window of maintenance: {error}"))?;
    let moment = |text: &str, name: &str| {
        let at = Timestamp::from_rfc3339(text).map(|at| at.millis());
        at.ok_or_else(|| format!("{name} should be a time such as 2026-01-31T12:00:00Z, not {text:?}"))
    };
    let texts = [&posted.name, &posted.comment, &posted.created_by, &posted.timezone, &posted.id];
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(format!("a text has at most {TEXT_BYTES_MAX} bytes"));
    }
    let recurrence = match posted.recurrence {
        None => None,
        Some(given) => {
            let day = |name: &String| {
                let at = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
                at.and_then(|at| i8::try_from(at).ok())
                    .ok_or_else(|| format!("{name:?} is no day of the week such as monday"))
            };
            let weekdays = given.weekdays.iter().map(day).collect::<Result<_, _>>()?;
            let until = given.until.map(|text| moment(&text, "until")).transpose()?;
            Some(Recurrence { every: given.every, weekdays, until })
        }
    };
    let mut matchers = Vec::new();
    for given in posted.matchers {
        match given {
            GivenMatcher::Document(document) => matchers.push(document),
            GivenMatcher::Text(text) => matchers.extend(Matchers::parse(&text)?.documents()),
        }
    }
    Ok(KeptMaintenance {
        id: posted.id,
        name: posted.name,
        matchers,
        start: moment(&posted.start, "start")?,
        duration: i64::from(posted.duration_seconds) * 1000,
        recurrence,
        timezone: posted.timezone,
        comment: posted.comment,
        created_by: posted.created_by,
    })
}

fn document(window: &Maintenance, now: i64) -> Value {
    let recurrence = window.recurrence.as_ref().map(|recurrence| {
        let day = |day: &i8| usize::try_from(*day).ok().and_then(|day| DAYS.get(day).copied());
        json!({
            "every": recurrence.every,
            "weekdays": recurrence.weekdays.iter().filter_map(day).collect::<Vec<_>>(),
            "until": recurrence.until.map(time),
        })
    });
    json!({
        "id": window.id,
        "name": window.name,
        "matchers": window.matchers().documents(),
        "start": time(window.start),
        "duration_seconds": window.duration / 1000,
        "recurrence": recurrence,
        "timezone": window.timezone,
        "comment": window.comment,
        "created_by": window.created_by,
        "active": window.active(now),
        "next_start": window.next(now).map(time),
    })
}
