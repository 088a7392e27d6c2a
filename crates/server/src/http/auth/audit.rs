//! `GET /api/barograph/v1/audit`: what was done, newest first; with `user` and `action` only that, `limit` of it.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{App, Problem, bad};
use crate::{auth::LISTED_MAX, http::Params};

/// Records without a limit in the request.
const LISTED: usize = 200;

pub(super) async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let limit = match params.first("limit").map(str::parse::<usize>) {
        None => LISTED,
        Some(Ok(limit @ 1..=LISTED_MAX)) => limit,
        Some(_) => return Err(bad(format!("limit should be from 1 to {LISTED_MAX}"))),
    };
    let [user, action] = ["user", "action"].map(|name| params.first(name).map(str::to_owned));
    let read = app.auth().audited(limit, move |record| {
        user.as_ref().is_none_or(|user| record.user == *user)
            && action.as_ref().is_none_or(|action| record.action.starts_with(&**action))
    });
    let records = read.await.map_err(|why| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the audit log cannot be read: {why}"))
    })?;
    Ok(Json(json!({"enabled": app.auth().config().is_some(), "records": records})))
}
