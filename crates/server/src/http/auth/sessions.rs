//! Sessions: one's own, and for administrators with `?all=true` those of all.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use barograph_auth::{Scope, audit::Outcome};
use serde_json::{Value, json};

use super::{App, Peer, Problem, Who, missing, noted};
use crate::auth::Asked;

/// `GET …/sessions`.
pub(super) async fn list(State(app): State<App>, who: Who, request: Request) -> Json<Value> {
    let auth = app.auth();
    let asked = Asked::of(request.headers(), request.extensions(), auth.is_secure());
    let all = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "all=true"));
    let of = (!all || !who.0.may(Scope::Admin)).then_some(&*who.0.user);
    Json(json!({"sessions": auth.sessions().list(of, asked.cookie.as_deref(), auth.now_ms())}))
}

/// `DELETE …/sessions/ID`.
pub(super) async fn end(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Who,
    request: Request,
) -> Result<StatusCode, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    let of = (!who.0.may(Scope::Admin)).then_some(&*who.0.user);
    let ended = app.auth().sessions().end_listed(&id, of);
    let ended = ended.ok_or_else(|| missing("session", &id))?;
    app.auth().keep_sessions().await;
    noted(&app, &who, peer, ("session.end", &ended.user), Outcome::Done, &id).await;
    Ok(StatusCode::NO_CONTENT)
}
