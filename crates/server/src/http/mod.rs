//! The HTTP port: pages, the Prometheus API, our own API, ingest, health and metrics.
//!
//! Handlers decode, call into the engine on a thread that may block, and encode. While the store is being opened
//! (replay of its log) every path that needs it answers 503; health, readiness and the pages answer at once.

mod admin;
mod compress;
mod guard;
mod health;
mod import;
mod live;
mod metrics;
mod pages;
mod params;
mod problem;
mod prom;
mod write;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request},
    http::Method,
    middleware,
};
use barograph_model::Timestamp;

use crate::Engine;
use params::Params;
use prom::ApiError;

/// A request body may be this large as it arrives.
const BODY_BYTES_MAX: usize = 32 << 20;

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    engine: OnceLock<Arc<Engine>>,
    started: Timestamp,
    address: SocketAddr,
    stopping: tokio::sync::watch::Receiver<bool>,
}

impl App {
    /// The state before the store is open.
    pub(crate) fn new(
        started: Timestamp,
        address: SocketAddr,
        stopping: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Shared { engine: OnceLock::new(), started, address, stopping }))
    }

    /// From now on the server is ready.
    pub(crate) fn set_ready(&self, engine: Arc<Engine>) {
        assert!(self.0.engine.set(engine).is_ok(), "a server becomes ready once");
    }

    /// The engine, once the store is open.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>, ApiError> {
        self.ready().ok_or_else(|| ApiError::unavailable("the store is being opened; try again in a moment"))
    }

    /// The engine, if the store is open and the server is not stopping.
    pub(crate) fn ready(&self) -> Option<Arc<Engine>> {
        self.0.engine.get().cloned()
    }

    /// When the process began to serve.
    pub(crate) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// Turns true when the server is told to stop.
    pub(crate) fn stopping(&self) -> tokio::sync::watch::Receiver<bool> {
        self.0.stopping.clone()
    }
}

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let address = app.0.address;
    Router::new()
        .merge(prom::routes())
        .merge(write::routes())
        .merge(import::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(admin::routes())
        .merge(live::routes())
        .merge(pages::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), health::count_requests))
        .layer(middleware::from_fn_with_state(address, guard::loopback_only))
        .with_state(app)
}

impl FromRequest<App> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &App) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() != Method::POST {
            return Ok(Self::new(&query, &[]));
        }
        let form = Bytes::from_request(request, state)
            .await
            .map_err(|e| ApiError::bad_data(format!("cannot read the form: {e}")))?;
        Ok(Self::new(&query, &form))
    }
}
