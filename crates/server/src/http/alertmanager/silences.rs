//! `silences` and `silence/ID`.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use barograph_alert::routing::{LabelSet, MatcherDocument, Silence, SilenceState};
use barograph_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Wrong, blocking, filter, time};
use crate::http::{App, Params, body::Whole};

/// Bytes of a comment or an author at most.
const TEXT_BYTES_MAX: usize = 16 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<MatcherDocument>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
    #[serde(default)]
    annotations: Option<LabelSet>,
}

/// `GET /api/v2/silences`: those that mute first, then those that will, then those that did.
pub(super) async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Wrong> {
    let engine = app.engine()?;
    let now = engine.clock.now().millis();
    let wanted = filter::matchers(&params)?;
    let mut silences = engine.alerting.silences();
    silences.retain(|silence| {
        let values: LabelSet = silence.matchers.iter().map(|m| (m.name.clone(), m.value.clone())).collect();
        wanted.matches(&values)
    });
    silences.sort_by_key(|silence| {
        let state = silence.state(now);
        let order = match state {
            SilenceState::Active => silence.ends_at,
            SilenceState::Pending => silence.starts_at,
            SilenceState::Expired => -silence.ends_at,
        };
        (state, order, silence.id.clone())
    });
    Ok(Json(silences.iter().map(|silence| document(silence, now)).collect()))
}

/// `POST /api/v2/silences`: makes one, or changes the one of its id.
pub(super) async fn set(State(app): State<App>, Whole(body): Whole) -> Result<Json<Value>, Wrong> {
    let engine = app.engine()?;
    let posted: Posted =
        serde_json::from_slice(&body).map_err(|error| Wrong::of(format!("expected a silence: {error}")))?;
    let moment = |text: &str, name: &str| {
        let at = Timestamp::from_rfc3339(text).map(|at| at.millis());
        at.ok_or_else(|| {
            Wrong::of(format!("{name} should be a time such as 2026-01-31T12:00:00Z, not {text:?}"))
        })
    };
    if posted.comment.len() > TEXT_BYTES_MAX || posted.created_by.len() > TEXT_BYTES_MAX {
        return Err(Wrong::of(format!("comment and createdBy have at most {TEXT_BYTES_MAX} bytes")));
    }
    let silence = Silence {
        id: posted.id.unwrap_or_default(),
        matchers: posted.matchers,
        starts_at: moment(&posted.starts_at, "startsAt")?,
        ends_at: moment(&posted.ends_at, "endsAt")?,
        updated_at: 0,
        created_by: posted.created_by,
        comment: posted.comment,
        annotations: posted.annotations.unwrap_or_default(),
    };
    let id = blocking(move || Ok(engine.alerting.set_silence(silence, engine.clock.now())?)).await?;
    Ok(Json(json!({ "silenceID": id })))
}

/// `GET /api/v2/silence/ID`
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Wrong> {
    let engine = app.engine()?;
    let silence = engine.alerting.silence(&id);
    let silence = silence.ok_or_else(|| Wrong(StatusCode::NOT_FOUND, format!("there is no silence {id}")))?;
    Ok(Json(document(&silence, engine.clock.now().millis())))
}

/// `DELETE /api/v2/silence/ID`: it is over from now on, and stays to be seen.
pub(super) async fn expire(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Wrong> {
    let engine = app.engine()?;
    blocking(move || Ok(engine.alerting.expire_silence(&id, engine.clock.now())?)).await?;
    Ok(StatusCode::OK)
}

fn document(silence: &Silence, now: i64) -> Value {
    let mut document = json!({
        "id": silence.id,
        "status": { "state": silence.state(now) },
        "updatedAt": time(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": time(silence.ends_at),
        "startsAt": time(silence.starts_at),
        "matchers": silence.matchers,
    });
    if !silence.annotations.is_empty() {
        document["annotations"] = json!(silence.annotations);
    }
    document
}
