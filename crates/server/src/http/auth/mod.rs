//! `/api/barograph/v1/auth/…` and `…/audit`: logging in and out, users, tokens, sessions, and what was done.
//!
//! Documents hold no secrets but the two that are told once: a token when it is made, and what a page shows with its
//! changes. None of the answers is kept by anything on the way.

mod audit;
mod login;
mod oidc;
mod sessions;
mod tokens;
mod users;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    middleware::{self, Next},
    response::{Redirect, Response},
    routing::{delete, get, patch, post},
};
use barograph_auth::audit::Outcome;
use serde::de::DeserializeOwned;

use super::{App, Peer, body::Whole, problem::Problem};
use crate::{
    auth::{
        AccountError,
        gate::{self, Who},
    },
    errors::chain,
};

/// Bytes of a body of these.
const BODY_BYTES_MAX: usize = 16 << 10;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/auth/login", post(login::login))
        .route("/api/barograph/v1/auth/logout", post(login::logout))
        .route("/api/barograph/v1/auth/me", get(login::me))
        .route("/api/barograph/v1/auth/password", post(users::own_password))
        .route("/api/barograph/v1/auth/users", get(users::list).post(users::create))
        .route("/api/barograph/v1/auth/users/{name}", patch(users::change).delete(users::remove))
        .route("/api/barograph/v1/auth/tokens", get(tokens::list).post(tokens::create))
        .route("/api/barograph/v1/auth/tokens/{id}", delete(tokens::revoke))
        .route("/api/barograph/v1/auth/sessions", get(sessions::list))
        .route("/api/barograph/v1/auth/sessions/{id}", delete(sessions::end))
        .route("/api/barograph/v1/auth/oidc/login", get(oidc::begin))
        .route("/api/barograph/v1/auth/oidc/callback", get(oidc::finish))
        .route("/api/barograph/v1/audit", get(audit::list))
        .layer(middleware::from_fn(not_kept))
        .route("/login", get(|| async { Redirect::temporary("/ui/login") }))
}

async fn not_kept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A document of these, read strictly. What is wrong is said without what was in it.
async fn read<T: DeserializeOwned>(body: axum::body::Body) -> Result<T, Problem> {
    let body = Whole::within(body, BODY_BYTES_MAX).await;
    let Whole(bytes) = body.map_err(|error| Problem::new(error.status(), error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let text = format!(
            "not the document that is wanted, line {} column {}: {}",
            error.line(),
            error.column(),
            kind(&error)
        );
        Problem::new(StatusCode::BAD_REQUEST, text)
    })
}

/// What is wrong with a document, as far as it tells nothing of its values: they may be passwords.
fn kind(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let tells =
        ["missing field", "unknown field", "duplicate field"].iter().any(|start| text.starts_with(start));
    match tells {
        true => text,
        false if error.is_data() => "a value is of another type".to_owned(),
        false => "it is not JSON".to_owned(),
    }
}

fn bad(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text)
}

fn forbidden(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, text)
}

fn missing(what: &str, name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no {what} {name:?}"))
}

fn refused(error: AccountError) -> Problem {
    let status = match error {
        AccountError::Full(_) => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, chain(&error))
}

/// Does something that waits for the disk.
async fn stored<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AccountError> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "storing failed; the log says why");
    crate::current::blocking(work).await.map_err(failed)?.map_err(refused)
}

/// Notes what somebody did.
async fn noted(app: &App, who: &Who, peer: Option<Peer>, what: (&str, &str), outcome: Outcome, detail: &str) {
    gate::noted(app, &who.0, peer.map(|peer| peer.0.ip()), what, outcome, detail).await;
}
