//! The HTTP port: pages, the Prometheus API, our own API, ingest, health and metrics.
//!
//! Handlers decode, call into the engine on a thread that may block, and encode. While the store is being opened
//! (replay of its log) every path that needs it answers 503; health, readiness and the pages answer at once.

pub(crate) mod admin;
mod admitted;
mod alertmanager;
mod alerts;
mod answered;
mod auth;
mod body;
mod caller;
mod cardinality;
mod collectors;
mod components;
mod compress;
mod diagnostics;
mod events;
mod federate;
pub(crate) mod figures;
mod flat;
mod follow;
mod graph;
mod guard;
pub(crate) mod health;
mod histograms;
pub(crate) mod history;
mod import;
mod incidents;
mod influx;
mod influx_query;
mod lifecycle;
mod live;
mod mcp;
mod metrics;
mod openapi;
pub(crate) mod otlp;
mod pages;
mod params;
mod ping;
mod policies;
mod prefix;
mod problem;
mod prom;
mod push;
mod queries;
mod query;
pub(crate) mod rate;
mod reading;
mod receivers;
mod record;
mod remote_read;
mod rules;
mod runbooks;
mod sampling;
mod service;
mod services;
pub(crate) mod sessions;
mod socket;
mod status;
pub(crate) mod storage;
mod tenants;
mod unread;
mod write;
mod zipkin;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
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
use barograph_state::State;

use crate::{
    Engine,
    admission::Admission,
    auth::{Auth, gate},
    clock::Clock,
    config::{Config, Limits, Stats},
    connections::{self, Connections},
    events::Events,
    reload::Configured,
    surroundings::Peaks,
    tenants::Tenants,
    trends,
};
use body::Whole;
pub(crate) use caller::{Caller, Peer};
pub(crate) use events::Listener;
pub(crate) use follow::updates;
pub(crate) use guard::{At, refusal};
pub(crate) use health::{Health, joined};
pub(crate) use params::Params;
pub(crate) use problem::Problem;
pub(crate) use prom::{ApiError, Asked, Wanted, bounded, checked, evaluated, expression, tiers};
pub(crate) use query::of_text;
pub(crate) use rate::Rates;
pub(crate) use record::{check_records, recorded};
pub(crate) use write::{NO_MEMORY, check_count, not_durable, not_stored};

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    engine: OnceLock<Arc<Engine>>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    started: Timestamp,
    address: Option<SocketAddr>,
    events: Events,
    peaks: Peaks,
    stats: Stats,
    per_client: bool,
    rates: Rates<IpAddr>,
    configured: Arc<Configured>,
    quits: tokio::sync::watch::Sender<bool>,
    auth: Arc<Auth>,
    trends: trends::Found,
    told: answered::Told,
    connections: Connections,
    admission: Admission,
    tenants: Tenants,
    ready: tokio::sync::watch::Receiver<bool>,
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

    /// Bytes of the body after decompression.
    pub(crate) fn decoded_bytes(&self) -> usize {
        self.decoded_bytes
    }

    /// Samples in the body.
    pub(crate) fn samples(&self) -> usize {
        self.samples
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
    /// The state before the store is open. What is watched is whether callers should come, and whether the server stops.
    pub(crate) fn new(
        events: Events,
        clock: Arc<dyn Clock>,
        state: Arc<State>,
        address: Option<SocketAddr>,
        config: &Config,
        (auth, connections): (Arc<Auth>, Connections),
        (ready, stopping): (tokio::sync::watch::Receiver<bool>, tokio::sync::watch::Receiver<bool>),
    ) -> Self {
        Self(Arc::new(Shared {
            engine: OnceLock::new(),
            started: clock.now(),
            configured: Arc::new(Configured::new(config.clone(), clock.now())),
            quits: tokio::sync::watch::Sender::new(false),
            admission: Admission::new(&config.admission, clock.clone()),
            tenants: Tenants::new(&config.tenancy),
            clock,
            state,
            address,
            events,
            peaks: Peaks::default(),
            stats: config.stats.clone(),
            per_client: config.per_client,
            rates: Rates::new(config.rate_limit),
            auth,
            trends: trends::Found::default(),
            told: answered::Told::default(),
            connections,
            ready,
            stopping,
        }))
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

    /// The running configuration.
    pub(crate) fn configured(&self) -> &Arc<Configured> {
        &self.0.configured
    }

    /// Turns true when somebody asks for the server to end.
    pub(crate) fn quits(&self) -> &tokio::sync::watch::Sender<bool> {
        &self.0.quits
    }

    /// When the process began to serve.
    pub(crate) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// What one request may bring now.
    pub(crate) fn limits(&self) -> RequestLimits {
        (&self.0.configured.current().limits).into()
    }

    /// The clients of this server.
    pub(crate) fn sessions(&self) -> &Sessions {
        self.0.events.sessions()
    }

    /// What must survive besides samples; there before the store is open.
    pub(crate) fn state(&self) -> &Arc<State> {
        &self.0.state
    }

    /// What happens, told to whoever listens.
    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    /// Which statistics of them there are.
    pub(crate) fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Whether exposed statistics have those of each client.
    pub(crate) fn exposes_clients(&self) -> bool {
        self.0.per_client
    }

    /// Where the server listens for HTTP, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// The connections of all ports.
    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// Which requests are taken.
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Whose data there are.
    pub(crate) fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    /// How often each address may ask.
    pub(crate) fn rates(&self) -> &Rates<IpAddr> {
        &self.0.rates
    }

    /// Who may call.
    pub(crate) fn auth(&self) -> &Arc<Auth> {
        &self.0.auth
    }

    /// How things went in the last day, as far as it was looked for.
    pub(crate) fn trends(&self) -> &trends::Found {
        &self.0.trends
    }

    /// A time that only goes on.
    pub(crate) fn monotonic(&self) -> Duration {
        self.0.clock.monotonic()
    }

    /// What the server used most of.
    pub(crate) fn peaks(&self) -> &Peaks {
        &self.0.peaks
    }

    /// Whether callers should go elsewhere, though the store is open: the server is about to stop.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.engine.get().is_some() && !*self.0.ready.borrow()
    }

    /// Turns true when the server is told to stop.
    pub(crate) fn stopping(&self) -> tokio::sync::watch::Receiver<bool> {
        self.0.stopping.clone()
    }
}

/// All routes, at an address.
pub(crate) fn router(app: App, address: SocketAddr) -> Router {
    let external = app.configured().current().external.clone();
    // What tools of assistants ask is admitted one by one.
    let answering = prom::routes()
        .merge(components::routes())
        .merge(figures::routes())
        .merge(query::routes())
        .layer(middleware::from_fn_with_state(app.clone(), admitted::around))
        .layer(middleware::from_fn(gate::again));
    let all = Router::new()
        .merge(mcp::routes(&app, answering))
        .merge(prom::routes())
        .merge(write::routes())
        .merge(otlp::routes())
        .merge(remote_read::routes())
        .merge(federate::routes())
        .merge(import::routes())
        .merge(influx::routes())
        .merge(influx_query::routes())
        .merge(push::routes())
        .merge(zipkin::routes())
        .merge(history::routes())
        .merge(health::routes())
        .merge(components::routes())
        .merge(ping::routes())
        .merge(status::routes())
        .merge(services::routes())
        .merge(diagnostics::routes())
        .merge(incidents::routes())
        .merge(runbooks::routes())
        .merge(alerts::routes())
        .merge(rules::routes())
        .merge(sessions::routes())
        .merge(histograms::routes())
        .merge(metrics::routes())
        .merge(admin::routes())
        .merge(admitted::routes())
        .merge(tenants::routes())
        .merge(cardinality::routes())
        .merge(collectors::routes())
        .merge(storage::routes())
        .merge(lifecycle::routes())
        .merge(openapi::routes())
        .merge(live::routes())
        .merge(events::routes())
        .merge(socket::routes())
        .merge(query::routes())
        .merge(queries::routes())
        .merge(record::routes())
        .merge(figures::routes())
        .merge(policies::routes())
        .merge(receivers::routes())
        .merge(sampling::routes())
        .merge(service::routes())
        .merge(alertmanager::routes())
        .merge(auth::routes())
        .merge(graph::routes())
        .merge(pages::routes(external.path()));
    prefix::behind(layered(all, app, address), &external)
}

/// Routes, with what lies around all of them on every port for HTTP.
fn layered(routes: Router<App>, app: App, address: SocketAddr) -> Router {
    let counted = sessions::layer(app.sessions());
    let at = At::of(&app, address);
    routes
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), admitted::around))
        .layer(middleware::from_fn_with_state(app.clone(), rate::limit))
        .layer(middleware::from_fn_with_state(app.clone(), gate::gate))
        .layer(middleware::from_fn_with_state(app.clone(), answered::around))
        .layer(counted)
        .layer(middleware::from_fn_with_state(at, guard::loopback_only))
        .layer(middleware::from_fn(unread::around))
        .layer(middleware::from_fn(write::v2::around))
        .layer(middleware::from_fn_with_state(app.clone(), connections::headers))
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
