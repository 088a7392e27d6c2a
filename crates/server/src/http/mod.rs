//! The HTTP port: pages, the Prometheus API, our own API, ingest, health and metrics.
//!
//! Handlers decode, call into the engine on a thread that may block, and encode. While the store is being opened
//! (replay of its log) every path that needs it answers 503; health, readiness and the pages answer at once.

pub(crate) mod admin;
mod body;
mod caller;
mod cardinality;
mod collectors;
mod components;
mod compress;
mod diagnostics;
mod events;
pub(crate) mod figures;
mod follow;
mod guard;
pub(crate) mod health;
mod histograms;
pub(crate) mod history;
mod import;
mod live;
mod metrics;
mod pages;
mod params;
mod ping;
mod policies;
mod problem;
mod prom;
mod queries;
mod query;
mod reading;
mod record;
mod sampling;
mod service;
mod services;
pub(crate) mod sessions;
mod socket;
mod status;
pub(crate) mod storage;
mod write;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::{FromRequest, Request},
    http::{Method, StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
};
use barograph::session::Sessions;
use barograph_model::Timestamp;

use crate::{Engine, config::Limits, events::Events, surroundings::Peaks};
use body::Whole;
pub(crate) use caller::{Caller, Peer};
pub(crate) use events::Listener;
pub(crate) use follow::updates;
pub(crate) use guard::refusal;
pub(crate) use params::Params;
pub(crate) use problem::Problem;
pub(crate) use prom::{ApiError, Asked, Wanted, bounded, checked, evaluated, expression, tiers};
pub(crate) use query::of_text;
pub(crate) use record::{check_records, recorded};
pub(crate) use write::{NO_MEMORY, check_count, not_durable, not_stored};

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    engine: OnceLock<Arc<Engine>>,
    started: Timestamp,
    limits: RequestLimits,
    events: Events,
    peaks: Peaks,
    stopping: tokio::sync::watch::Receiver<bool>,
}

/// What one request may bring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// Bytes of the body as sent.
    body_bytes: usize,
    /// Bytes of the body after decompression.
    decoded_bytes: usize,
    /// Samples in the body.
    samples: usize,
}

impl RequestLimits {
    /// Bytes of the body as sent.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

impl From<&Limits> for RequestLimits {
    fn from(limits: &Limits) -> Self {
        let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            body_bytes: count(limits.body_bytes),
            decoded_bytes: count(limits.decoded_bytes),
            samples: count(limits.samples_per_request),
        }
    }
}

impl App {
    /// The state before the store is open.
    pub(crate) fn new(
        events: Events,
        started: Timestamp,
        limits: RequestLimits,
        stopping: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        let (engine, peaks) = (OnceLock::new(), Peaks::default());
        Self(Arc::new(Shared { engine, started, limits, events, peaks, stopping }))
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

    /// What one request may bring.
    pub(crate) fn limits(&self) -> RequestLimits {
        self.0.limits
    }

    /// The clients of this server.
    pub(crate) fn sessions(&self) -> &Sessions {
        self.0.events.sessions()
    }

    /// What happens, told to whoever listens.
    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    /// What the server used most of.
    pub(crate) fn peaks(&self) -> &Peaks {
        &self.0.peaks
    }

    /// Turns true when the server is told to stop.
    pub(crate) fn stopping(&self) -> tokio::sync::watch::Receiver<bool> {
        self.0.stopping.clone()
    }
}

/// All routes, at an address.
pub(crate) fn router(app: App, address: SocketAddr) -> Router {
    let counted = sessions::layer(app.sessions());
    Router::new()
        .merge(prom::routes())
        .merge(write::routes())
        .merge(import::routes())
        .merge(history::routes())
        .merge(health::routes())
        .merge(components::routes())
        .merge(ping::routes())
        .merge(status::routes())
        .merge(services::routes())
        .merge(diagnostics::routes())
        .merge(sessions::routes())
        .merge(histograms::routes())
        .merge(metrics::routes())
        .merge(admin::routes())
        .merge(cardinality::routes())
        .merge(collectors::routes())
        .merge(storage::routes())
        .merge(live::routes())
        .merge(events::routes())
        .merge(socket::routes())
        .merge(query::routes())
        .merge(queries::routes())
        .merge(record::routes())
        .merge(figures::routes())
        .merge(policies::routes())
        .merge(sampling::routes())
        .merge(service::routes())
        .merge(pages::routes())
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), health::count_requests))
        .layer(counted)
        .layer(middleware::from_fn_with_state(address, guard::loopback_only))
        .with_state(app)
}

/// 405, in the form of the API that the path belongs to; `Allow` names what would do.
async fn wrong_method(method: Method, uri: Uri) -> Response {
    let text = format!("{} does not take {method}", uri.path());
    match uri.path().starts_with("/api/v1/") {
        true => ApiError::wrong_method(text).into_response(),
        false => Problem::new(StatusCode::METHOD_NOT_ALLOWED, text).into_response(),
    }
}

impl FromRequest<App> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &App) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.method() != Method::POST {
            return Ok(Self::new(&query, &[]));
        }
        let Whole(form) = Whole::from_request(request, state).await?;
        Ok(Self::new(&query, &form))
    }
}
