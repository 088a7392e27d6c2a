//! The gRPC port: the package `barograph.v1` of `proto/`, the standard health service, and reflection.
//!
//! Services decode, call what HTTP calls, and encode. Around all of them lie the same layers (`gate.rs`): who calls is
//! counted, callers from elsewhere are refused, deadlines end calls and streams. Errors are statuses made in one place
//! (`status.rs`).
//!
//! The port answers before the store is open and while the server stops: what needs the store is UNAVAILABLE then. Stopping
//! goes in order: the health service says NOT_SERVING, streams end, connections are told to go away, calls in flight finish.

mod admin;
mod admitted;
mod answers;
mod bounded;
mod events;
mod gate;
mod health;
mod ingest;
mod otlp;
mod pace;
mod query;
mod standing;
mod status;

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, middleware};
use barograph_proto::{
    DESCRIPTORS, OTLP_DESCRIPTORS,
    health::health_server::HealthServer as StandingServer,
    v1::{
        admin_server::AdminServer, events_server::EventsServer, health_server::HealthServer,
        query_server::QueryServer,
    },
};
use futures_util::Stream;
use tokio::{net::TcpListener, sync::watch};
use tonic::{Request, Status, codec::CompressionEncoding, service::Routes};

use crate::{
    Engine,
    connections::{Protocol, accept},
    http::{self, App, Caller},
    server::stopped,
};
use standing::Standing;
pub(crate) use status::later;

/// A message of a service that takes no samples is no larger.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Streams get this long to say goodbye before connections are told to go away.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a stream of answers is.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What every service can reach.
#[derive(Clone)]
struct Api {
    app: App,
    /// Streams that are open hold a receiver.
    streams: Arc<watch::Sender<()>>,
}

impl Api {
    /// The engine, once the store is open.
    fn engine(&self) -> Result<Arc<Engine>, Status> {
        Ok(self.app.engine()?)
    }

    /// Refuses what would last while the server stops.
    fn stream(&self) -> Result<Open, Status> {
        let stopping = self.app.stopping();
        if *stopping.borrow() {
            return Err(status::stopping());
        }
        Ok(Open { stopping, _held: self.streams.subscribe() })
    }
}

/// A stream that is open. The server waits for it to end when it stops.
struct Open {
    stopping: watch::Receiver<bool>,
    _held: watch::Receiver<()>,
}

impl Open {
    /// Waits until the server is told to stop.
    async fn stopped(&mut self) {
        stopped(&mut self.stopping).await;
    }
}

/// Who asks.
fn caller<T>(request: &Request<T>) -> Caller {
    request.extensions().get().cloned().unwrap_or_else(|| Caller::own("unknown"))
}

/// Serves until told to stop.
pub(crate) async fn run(listener: TcpListener, address: SocketAddr, app: App) {
    let streams = Arc::new(watch::Sender::new(()));
    let api = Api { app: app.clone(), streams: streams.clone() };
    let standing = Standing::new(api.clone());
    let router = match router(&api, &standing, address) {
        Ok(router) => router,
        Err(error) => {
            tracing::error!(%error, "the gRPC port cannot describe itself");
            return;
        }
    };
    let (ended, go_away) = watch::channel(false);
    let end = async {
        standing.follow().await;
        // Streams that end by themselves do so before anybody is told to go away.
        let _ = tokio::time::timeout(GOODBYE, streams.closed()).await;
        let _ = ended.send(true);
    };
    let connections = app.connections().clone();
    tokio::join!(accept(listener, router, Protocol::Grpc, connections, go_away), end);
}

/// All services, with what lies around them.
fn router(
    api: &Api,
    standing: &Arc<Standing>,
    address: SocketAddr,
) -> Result<Router, tonic_reflection::server::Error> {
    // Each has its own type, and all have the same settings.
    macro_rules! taking {
        ($service:expr) => {
            $service.accept_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Zstd)
        };
    }
    macro_rules! service {
        ($server:ident, $api:expr, $bytes:expr) => {
            taking!($server::new($api).max_decoding_message_size($bytes))
                .send_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip)
        };
    }
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(OTLP_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false)
    };
    let routes = Routes::new(bounded::Bounded(api.clone()))
        .add_service(service!(QueryServer, query::Query(api.clone()), MESSAGE_BYTES_MAX))
        .add_service(service!(EventsServer, events::Events(api.clone()), MESSAGE_BYTES_MAX))
        .add_service(service!(HealthServer, health::Health(api.clone()), MESSAGE_BYTES_MAX))
        .add_service(service!(AdminServer, admin::Admin(api.clone()), MESSAGE_BYTES_MAX))
        // Channels that check health by themselves read plain messages only.
        .add_service(taking!(StandingServer::new(standing::Service(standing.clone()))))
        .add_service(taking!(described().build_v1()?))
        .add_service(taking!(described().build_v1alpha()?));
    let routes = routes.prepare().into_axum_router().merge(otlp::routes(api.app.clone()));
    Ok(layered(routes, &api.app, address))
}

/// What a port serves that takes OTLP alone.
pub(crate) fn otlp_router(app: App, address: SocketAddr) -> Router {
    let unknown = async || Status::unimplemented("this port takes OTLP alone").into_http::<Body>();
    layered(otlp::routes(app.clone()).fallback(unknown), &app, address)
}

/// Routes, with what lies around all of them on every port for gRPC.
fn layered(routes: Router, app: &App, address: SocketAddr) -> Router {
    let at = http::At::of(app, address);
    routes
        .layer(middleware::from_fn_with_state(app.clone(), admitted::admit))
        .layer(middleware::from_fn(pace::keep))
        .layer(middleware::from_fn(gate::within_deadline))
        .layer(middleware::from_fn_with_state(app.clone(), crate::auth::grpc::gate))
        .layer(middleware::from_fn_with_state(at, gate::judge))
        .layer(http::sessions::layer(app.sessions()))
}
