//! Calls are admitted as requests over HTTP are; streams that last take no place.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::status::busy;
use crate::{admission::Class, http::App};

/// Lets a call in, or says when to come again.
pub(super) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(class) = Class::of_call(request.uri().path()) else { return next.run(request).await };
    match app.admission().admit(class).await {
        Err(refused) => busy(&refused.to_string(), refused.after).into_http(),
        Ok(pass) => {
            let response = next.run(request).await;
            pass.done();
            response
        }
    }
}
