//! Requests are admitted, or told when to come again; `GET /api/barograph/v1/admission` says how that goes.
//!
//! A request without a body asks for its place at once, one with a body when that is there ([`super::body::Whole`]).

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    body::HttpBody,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{ApiError, App, body::BodyError, problem::Problem, write::refused};
use crate::admission::{Class, Pass, Refused};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/admission", get(admission))
}

async fn admission(State(app): State<App>) -> Response {
    Json(app.admission().describe()).into_response()
}

/// Where the place of a request lies while its body is read, and after.
#[derive(Clone)]
pub(super) struct Slot(Arc<Inner>);

struct Inner {
    class: Class,
    /// What who is refused gets.
    status: StatusCode,
    held: Mutex<Held>,
}

enum Held {
    Nothing,
    Place(Pass),
    Refusal(Refused),
}

impl Slot {
    fn new(class: Class, path: &str) -> Self {
        // Prometheus throws away what it gets a 429 for, unless it is told not to.
        let status = match path {
            "/api/v1/write" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        Self(Arc::new(Inner { class, status, held: Mutex::new(Held::Nothing) }))
    }

    /// Asks for the place.
    pub(super) async fn enter(&self, app: &App) -> Result<(), BodyError> {
        let outcome = app.admission().admit(self.0.class).await;
        let (held, result) = match outcome {
            Ok(pass) => (Held::Place(pass), Ok(())),
            Err(refused) => (Held::Refusal(refused), Err(BodyError::Refused(refused, self.0.status))),
        };
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        result
    }

    fn take(&self) -> Held {
        std::mem::replace(&mut *self.0.held.lock().unwrap_or_else(PoisonError::into_inner), Held::Nothing)
    }
}

/// Lets a request in, or says when to come again.
pub(super) async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let Some(class) = Class::of_path(path) else { return next.run(request).await };
    let slot = Slot::new(class, path);
    let mut response = if request.body().is_end_stream() {
        match slot.enter(&app).await {
            Ok(()) => next.run(request).await,
            Err(error) => refusal(class, path, &error),
        }
    } else {
        request.extensions_mut().insert(slot.clone());
        next.run(request).await
    };
    match slot.take() {
        Held::Place(pass) => {
            // What was refused inside tells nothing of how long work takes.
            let status = response.status();
            if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                pass.done();
            }
        }
        Held::Refusal(refused) => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(refused.after.as_secs()));
        }
        Held::Nothing => {}
    }
    response
}

/// In the form of the API that the path belongs to.
fn refusal(class: Class, path: &str, error: &BodyError) -> Response {
    let (status, text) = (error.status(), error.to_string());
    if class == Class::Ingest {
        refused(status, &text)
    } else if path.starts_with("/api/v1/") {
        ApiError::busy(status, text).into_response()
    } else {
        Problem::new(status, text).into_response()
    }
}
