//! Requests measured on their way: a layer for every service that speaks HTTP, gRPC among it.
//!
//! [`RequestsLayer`] goes around a service of axum, hyper or tonic, or around a client, and records into
//! [`Requests`]:
//!
//! - *Route.* The label is the template that matched: axum's `MatchedPath` with the feature `axum`, what
//!   [`RequestsLayer::routes`] answers otherwise, `pkg.Service/Method` for gRPC. Never the path: a request without a
//!   route goes to one series and to the list of [`Requests::unrouted`](crate::Requests::unrouted).
//! - *Outcome.* The HTTP status; for gRPC the `grpc-status` of the trailers, or of the headers where there is no body.
//!   A service or a body that fails, a handler that panics, and a caller that goes away before the end of the answer
//!   have their class in place of a status. Each request counts once.
//! - *Duration.* From the call of the service to the end of the answer's body, so that streams and trailers are part
//!   of it. An answer that has no end of its own (`text/event-stream`, an upgrade) is over with its headers.
//! - *Bytes.* What the codec knows: the exact size a body announces, and the frames of the answer as they pass.
//!   Nothing is buffered, copied or encoded to be measured. Requests of unknown length count no bytes.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use barograph::http::RequestsLayer;
//!
//! let app: Router = Router::new()
//!     .route("/model/{model_name}/health", get(async || "well"))
//!     .layer(RequestsLayer::new());
//! # }
//! ```
//!
//! A handler that wants a say asks for its [`CurrentRequest`], with axum as an extractor.
//!
//! The layer itself allocates nothing, reads the clock twice, and costs 300 to 450 ns, for gRPC as well. With axum there is
//! more to it: `Router::layer` boxes the service and its future once more, whatever the layer (200 to 300 ns), and the body of
//! the answer, whose type is another. `cargo xtask bench layer` measures all of that, and a layer that does nothing beside it.

mod answering;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod current;
pub(crate) mod grpc;
pub(crate) mod layer;

#[cfg(feature = "axum")]
#[doc(hidden)]
pub use self::axum::{Response, answer, now};
pub use answering::Answering;
pub use body::Measured;
pub use current::CurrentRequest;
pub use layer::{Head, RequestsLayer, RequestsService};

use std::{any::Any, error::Error, io};

use crate::{Requests, errors::ErrorClass};

/// The class of what a service or a body failed with. Types of which it is not known that they are errors are the
/// server's fault.
fn class_of<E: 'static>(requests: &Requests, error: &E) -> ErrorClass {
    let error: &dyn Any = error;
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return requests.classify(error.as_ref());
    }
    #[cfg(feature = "axum")]
    if let Some(error) = error.downcast_ref::<::axum::Error>() {
        return requests.classify(error);
    }
    error.downcast_ref::<io::Error>().map_or(ErrorClass::Server, |error| requests.classify(error))
}
