//! The layer, and the service it makes.

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, HeaderMap, Method, Uri, header::CONTENT_LENGTH};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Answering, Measured,
    answering::{Begun, Kind},
    current::Place,
    grpc,
};
use crate::{Requests, requests::UNROUTED};

/// Measures the requests of a service. See the [module](super).
#[derive(Clone)]
#[doc(alias("instrument_route", "execute-unified-method", "update-stats"))]
pub struct RequestsLayer {
    requests: Requests,
    routes: Option<Arc<Routes>>,
    client: bool,
}

type Routes = dyn for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// What a request's route can be told from.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// What layers further out attached to it.
    pub extensions: &'a Extensions,
}

impl RequestsLayer {
    /// Records into [`Requests::global`].
    pub fn new() -> Self {
        Self::of(Requests::global())
    }

    /// Records into these.
    pub fn of(requests: &Requests) -> Self {
        Self { requests: requests.clone(), routes: None, client: false }
    }

    /// For the other side: around a client, recording what it asks of others into [`Requests::client`].
    pub fn client() -> Self {
        Self::client_of(Requests::client())
    }

    /// For a client, recording into these.
    pub fn client_of(requests: &Requests) -> Self {
        Self { client: true, ..Self::of(requests) }
    }

    /// Names routes: `name` gives the template a request matches, one of a few texts, or `None`. Where there is
    /// none, the route is what it would be otherwise.
    #[must_use]
    pub fn routes(
        mut self,
        name: impl for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    ) -> Self {
        self.routes = Some(Arc::new(name));
        self
    }
}

impl Default for RequestsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestsLayer").field("client", &self.client).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequestsLayer {
    type Service = RequestsService<S>;

    fn layer(&self, inner: S) -> RequestsService<S> {
        RequestsService { inner, layer: self.clone() }
    }
}

/// A service whose requests are measured.
#[derive(Clone, Debug)]
pub struct RequestsService<S> {
    inner: S,
    layer: RequestsLayer,
}

impl<S, In, Out> Service<http::Request<In>> for RequestsService<S>
where
    S: Service<http::Request<In>, Response = http::Response<Out>>,
    S::Error: 'static,
    In: Body,
    Out: Body,
    Out::Error: 'static,
{
    type Response = http::Response<Measured<Out>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<In>) -> Self::Future {
        let begun = self.layer.begin(&request);
        // What `call` does itself belongs to the request, too: if it panics, `begun` unwinds.
        let mut current = None;
        let future = {
            let _place = Place::enter(&mut current);
            self.inner.call(request)
        };
        Answering::new(future, begun, current)
    }
}

impl RequestsLayer {
    fn begin<B: Body>(&self, request: &http::Request<B>) -> Begun {
        // Calls of gRPC are all `POST`.
        let is_grpc = request.method() == Method::POST && grpc::is(request.headers());
        let method = if is_grpc { grpc::METHOD } else { method(request.method()) };
        let mut path = None;
        let measured = self.route(request, is_grpc, |route| match route {
            Some(route) => self.requests.begin(method, route),
            None if is_grpc => {
                // What was answered before is the name of a method of ours.
                let name = request.uri().path().strip_prefix('/');
                let known = name.and_then(|name| self.requests.begin_known(method, name));
                known.unwrap_or_else(|| {
                    path = request.uri().path_and_query().cloned().map(Box::new);
                    self.requests.begin(method, UNROUTED)
                })
            }
            None if self.client => self.requests.begin(method, UNROUTED),
            None => self.requests.begin_unrouted(method, request.uri().path()),
        });
        let size = request.body().size_hint().exact().or_else(|| content_length(request.headers()));
        measured.received(size.unwrap_or(0));
        let headers_only = request.method() == Method::HEAD || request.method() == Method::CONNECT;
        Begun::new(measured, Kind { is_grpc, headers_only, client: self.client }, path)
    }

    /// Hands out the route that is known beforehand.
    fn route<B, T>(
        &self,
        request: &http::Request<B>,
        is_grpc: bool,
        take: impl FnOnce(Option<&str>) -> T,
    ) -> T {
        if let Some(routes) = &self.routes {
            let (method, uri) = (request.method(), request.uri());
            let head = Head { method, uri, headers: request.headers(), extensions: request.extensions() };
            if let Some(route) = routes(head) {
                return take(Some(&route));
            }
        }
        #[cfg(feature = "axum")]
        if !self.client
            && let Some(matched) = request.extensions().get::<::axum::extract::MatchedPath>()
        {
            // The router of tonic has one for each service, whose methods are behind a wildcard.
            let all_methods = is_grpc && matched.as_str().contains("{*");
            return take(Some(matched.as_str()).filter(|_| !all_methods));
        }
        #[cfg(not(feature = "axum"))]
        let _ = is_grpc;
        take(None)
    }
}

/// The label of a method. Those that are not in the standard share one: a caller makes them up.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "OTHER",
    }
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
