//! What only axum has: an extractor, and handlers that are measured by themselves.

use std::{
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

#[doc(hidden)]
pub use axum::response::Response;
use axum::{body::Body, extract::FromRequestParts, response::IntoResponse};
use http::request::Parts;

use super::{
    Answering, CurrentRequest,
    answering::{Begun, Kind},
};
use crate::Requests;

impl<S: Sync> FromRequestParts<S> for CurrentRequest {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::get().unwrap_or_default())
    }
}

/// What `#[barograph::instrument_route]` makes of an async handler. Inside of a layer, which counts the request
/// already, it names the route.
#[doc(hidden)]
pub async fn answer<R: IntoResponse>(
    method: &'static str,
    route: &'static str,
    handler: impl Future<Output = R>,
) -> Response {
    if let Some(current) = CurrentRequest::get() {
        current.route(route);
        return handler.await.into_response();
    }
    let begun = Begun::new(Requests::global().begin(method, route), Kind::default(), None);
    let response = async { Ok::<_, Infallible>(handler.await.into_response()) };
    match Answering::new(response, begun, None).await {
        Ok(response) => response.map(Body::new),
    }
}

/// What `#[barograph::instrument_route]` makes of a handler that is not async: what answers without waiting.
#[doc(hidden)]
pub fn now(answer: impl Future<Output = Response>) -> Response {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response,
        Poll::Pending => unreachable!("the handler does not wait"),
    }
}
