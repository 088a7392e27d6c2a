//! The service: what starts, stops, records and asks.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock, atomic::AtomicUsize},
    thread::JoinHandle,
    time::Duration,
};

use barograph::{
    Registry, Requests, Sockets,
    collector::{AddError, BusinessMetricsCollector, Collectors, MetricCollector},
    statistics::Local,
};
use barograph_model::{Sample, Timestamp};
use barograph_query::{
    engine::{MetricsQueryFilter, MetricsQueryResult, QueryEngine},
    json,
};
use tokio::{
    runtime::{self, Handle},
    sync::{Mutex, oneshot},
};

use super::{
    Embedded, MetricMetadata, MetricsAggregator, MetricsServiceConfig, MetricsServiceStats,
    MetricsStorageStats, Pending,
};
use crate::{
    Engine,
    clock::{Clock, SystemClock},
    http::{ApiError, Caller},
    performance::Performance,
    queries::{About, Queries, Question},
    server::{Application, DRAIN, Server, Settings, StartError},
    snapshot::MetricsSnapshot,
};

/// Threads of the service's own runtime. Queries and collectors run on others, which come and go.
const WORKERS: usize = 2;

/// Why a service does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// It has not been started, or was shut down.
    #[error("the service is not running")]
    NotRunning,
    /// It cannot be started.
    #[error("cannot start the service")]
    Start(#[from] StartError),
    /// A collector is not taken in.
    #[error(transparent)]
    Add(#[from] AddError),
    /// What the business counts has a name that cannot be.
    #[error("cannot count that")]
    Business(#[from] barograph::Error),
    /// A query makes no sense.
    #[error(transparent)]
    Query(#[from] json::Error),
    /// A query met a limit, or the store failed.
    #[error("{0}")]
    Refused(String),
}

/// Collects, stores and answers inside an application. Cloning it is cheap, and clones are the same service.
///
/// Recording and looking never wait; what takes a while is [`Pending`]. What is recorded before the start is stored once it
/// runs. If the last clone goes without [`MetricsService::shutdown`], the service ends all the same, in its own time.
#[derive(Clone)]
pub struct MetricsService(Arc<Shared>);

pub(super) struct Shared {
    config: MetricsServiceConfig,
    application: Application,
    running: RwLock<Option<Running>>,
    /// Held while it starts or stops.
    life: Mutex<Option<Life>>,
    /// Records by name, into the registry of the application.
    pub(super) records: Local,
    /// How many subscriptions there are.
    pub(super) subscribers: AtomicUsize,
}

/// What is asked.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) engine: Arc<Engine>,
    pub(super) runtime: Handle,
    address: Option<SocketAddr>,
}

/// What ends it.
struct Life {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl MetricsService {
    /// A service that does not run yet, over the global registry, and the requests and sockets of the process.
    ///
    /// # Errors
    /// [`ServiceError::Business`].
    pub fn new(config: MetricsServiceConfig) -> Result<Self, ServiceError> {
        let application = Application {
            name: config.name.clone(),
            instance: config.instance.clone(),
            registry: Registry::global().clone(),
            requests: Requests::global().clone(),
            sockets: Sockets::global().clone(),
            collectors: Collectors::new(),
            business: BusinessMetricsCollector::new(&config.business)?,
        };
        Ok(Self(Arc::new(Shared {
            config,
            records: Local::new(&application.registry),
            application,
            running: RwLock::default(),
            life: Mutex::default(),
            subscribers: AtomicUsize::new(0),
        })))
    }

    /// Starts everything; what already runs goes on.
    ///
    /// # Errors
    /// [`ServiceError::Start`].
    pub fn initialize(&self) -> Pending<Result<(), ServiceError>> {
        let shared = self.0.clone();
        Pending::new(async move {
            let mut life = shared.life.lock().await;
            if life.is_some() {
                return Ok(());
            }
            let (tell, told) = oneshot::channel();
            let (stop, stopping) = oneshot::channel();
            let (end, ended) = oneshot::channel();
            let settings = shared.settings();
            let thread = std::thread::Builder::new()
                .name("barograph".to_owned())
                .spawn(move || live(settings, tell, stopping, end))
                .map_err(StartError::Thread)?;
            let running = told.await.map_err(|_| ServiceError::NotRunning)??;
            *shared.running.write().unwrap_or_else(PoisonError::into_inner) = Some(running);
            *life = Some(Life { stop, ended, thread });
            Ok(())
        })
    }

    /// Reads everything a last time, makes it durable, ends all tasks and threads, and releases the store. What does not run
    /// is left alone.
    pub fn shutdown(&self) -> Pending<()> {
        let shared = self.0.clone();
        Pending::new(async move {
            let mut life = shared.life.lock().await;
            let Some(Life { stop, ended, thread }) = life.take() else { return };
            *shared.running.write().unwrap_or_else(PoisonError::into_inner) = None;
            let _ = stop.send(());
            let _ = ended.await;
            // It has nothing left to do.
            let _ = thread.join();
        })
    }

    /// The three faces of the statistics service, over this service.
    pub fn statistics(&self) -> Embedded {
        Embedded::new(self.0.clone())
    }

    /// What the built-in collectors read last.
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot::of(&self.0.application.collectors, SystemClock::new().now())
    }

    /// Collectors, what they did, and the store; zeros for the store of a service that does not run.
    #[doc(alias = "getStats")]
    pub fn stats(&self) -> MetricsServiceStats {
        let collected = self.0.application.collectors.totals();
        let storage = self.running().map(|running| MetricsStorageStats::of(&running.engine.store));
        MetricsServiceStats {
            total_collectors: collected.collectors,
            total_metrics_collected: collected.points,
            collection_errors: collected.errors,
            storage: storage.unwrap_or_default(),
        }
    }

    /// Throughput, latency and use of resources.
    ///
    /// # Errors
    /// [`ServiceError::NotRunning`].
    pub fn performance(&self) -> Result<Performance, ServiceError> {
        let engine = self.running().ok_or(ServiceError::NotRunning)?.engine;
        Ok(Performance::of(&engine, engine.clock.now()))
    }

    /// The points of each series that a filter lets through.
    ///
    /// # Errors
    /// See [`ServiceError`]; a filter that makes no sense, a limit, or a service that does not run.
    pub fn query(
        &self,
        filter: &MetricsQueryFilter,
    ) -> Pending<Result<Vec<MetricsQueryResult>, ServiceError>> {
        let filter = filter.clone();
        self.ask(filter.names.join(", "), move |engine| engine.query(&filter))
    }

    /// The mean of all series of each metric in a time range, by the names asked for.
    ///
    /// # Errors
    /// As [`MetricsService::query`].
    #[doc(alias = "timeRangeQuery")]
    pub fn time_range_query(
        &self,
        names: &[&str],
        start: Timestamp,
        end: Timestamp,
    ) -> Pending<Result<BTreeMap<String, Vec<Sample>>, ServiceError>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.ask(names.join(", "), move |engine| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            engine.time_range_query(&names, start, end)
        })
    }

    /// The newest sample of each metric, as far as there is one in the last five minutes.
    ///
    /// # Errors
    /// As [`MetricsService::query`].
    #[doc(alias = "getLatest")]
    pub fn latest(&self, names: &[&str]) -> Pending<Result<BTreeMap<String, Sample>, ServiceError>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.ask(names.join(", "), move |engine| {
            engine.latest(&names.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }

    /// All metrics with what is known of them, by name.
    ///
    /// # Errors
    /// As [`MetricsService::query`].
    #[doc(alias = "listMetrics")]
    pub fn list_metrics(&self) -> Pending<Result<Vec<MetricMetadata>, ServiceError>> {
        let running = self.running();
        Pending::new(async move {
            let Running { engine, runtime, .. } = running.ok_or(ServiceError::NotRunning)?;
            let read = runtime.spawn_blocking(move || engine.store.metrics()).await;
            let metrics = read.map_err(|_| ServiceError::NotRunning)?;
            let metrics = metrics.map_err(|error| ServiceError::Refused(crate::errors::chain(&error)))?;
            Ok(metrics.into_iter().map(MetricMetadata::from).collect())
        })
    }

    /// Takes a collector in, before the start or after. It runs within a second.
    ///
    /// # Errors
    /// [`ServiceError::Add`]: there is one of that name, or there are too many.
    #[doc(alias = "addCollector")]
    pub fn add_collector(&self, collector: impl MetricCollector + 'static) -> Result<(), ServiceError> {
        Ok(self.0.application.collectors.add(collector)?)
    }

    /// Takes a collector out, and tells whether there was one of that name.
    #[doc(alias = "removeCollector")]
    pub fn remove_collector(&self, name: &str) -> bool {
        self.0.application.collectors.remove(name)
    }

    /// The collectors, to look at them one by one or change how they run.
    pub fn collectors(&self) -> &Collectors {
        &self.0.application.collectors
    }

    /// What makes the tiers; the service does so by itself.
    ///
    /// # Errors
    /// [`ServiceError::NotRunning`].
    pub fn aggregator(&self) -> Result<MetricsAggregator, ServiceError> {
        self.running().map(|running| MetricsAggregator::new(running.engine)).ok_or(ServiceError::NotRunning)
    }

    /// What the business counts, to record what has no method here.
    pub fn business(&self) -> &BusinessMetricsCollector {
        &self.0.application.business
    }

    /// Where HTTP is served, if it is.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.running()?.address
    }

    /// Counts a request that was answered; the time in milliseconds. `endpoint` is the template that matched.
    #[doc(alias = "recordAPIRequest")]
    pub fn record_api_request(&self, endpoint: &str, status: u16, ms: f64) {
        let took = Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
        self.0.application.requests.record("", endpoint, status, took);
    }

    /// Counts a WebSocket connection as open.
    #[doc(alias = "recordWSConnection")]
    pub fn record_ws_connection(&self) {
        self.0.application.sockets.connected();
    }

    /// Takes an open WebSocket connection away, if there is any.
    #[doc(alias = "recordWSDisconnection")]
    pub fn record_ws_disconnection(&self) {
        self.0.application.sockets.disconnected();
    }

    /// Counts a WebSocket message, sent or received.
    #[doc(alias = "recordWSMessage")]
    pub fn record_ws_message(&self, sent: bool, bytes: u64) {
        match sent {
            true => self.0.application.sockets.message_sent(bytes),
            false => self.0.application.sockets.message_received(bytes),
        }
    }

    /// Counts a check of the gateway, if the business counts as `prism` does.
    #[doc(alias = "recordGatewayCheck")]
    pub fn record_gateway_check(&self, violated: bool) {
        self.business().record_gateway_check(violated);
    }

    /// Counts a completed retrospective, if the business counts as `prism` does.
    #[doc(alias = "recordRetrospective")]
    pub fn record_retrospective(&self) {
        self.business().record_retrospective();
    }

    /// Counts a matched pattern, if the business counts as `prism` does.
    #[doc(alias = "recordPatternMatch")]
    pub fn record_pattern_match(&self) {
        self.business().record_pattern_match();
    }

    /// Counts a user as active, if the business counts as `prism` does. The id is hashed and kept nowhere.
    #[doc(alias = "recordActiveUser")]
    pub fn record_active_user(&self, id: &str) {
        self.business().record_active_user(id);
    }

    fn running(&self) -> Option<Running> {
        self.0.running()
    }

    /// Asks when it is the question's turn, under the limits that all queries have.
    fn ask<T: Send + 'static>(
        &self,
        expression: String,
        work: impl FnOnce(&QueryEngine<'_>) -> Result<T, json::Error> + Send + 'static,
    ) -> Pending<Result<T, ServiceError>> {
        let running = self.running();
        Pending::new(async move {
            let Running { engine, runtime, .. } = running.ok_or(ServiceError::NotRunning)?;
            let timeout = engine.limits().timeout;
            let question =
                Question { caller: Caller::own("application"), expression, about: About::Index, timeout };
            let answered = runtime.spawn(async move {
                let source = engine.clone();
                let work = move |budget: &_| match work(&QueryEngine::new(
                    &*source.store,
                    source.clock.now(),
                    budget,
                )) {
                    Err(json::Error::Evaluate(error)) => Err(ApiError::from(error)),
                    answer => Ok(answer),
                };
                Queries::run(&engine, question, work).await
            });
            let answered = answered.await.map_err(|_| ServiceError::NotRunning)?;
            Ok(answered.map_err(|refused| ServiceError::Refused(refused.text().to_owned()))??)
        })
    }
}

impl Shared {
    /// What is asked, while it runs.
    pub(super) fn running(&self) -> Option<Running> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settings(&self) -> Settings {
        Settings {
            config: self.config.server(),
            data_dir: self.config.storage.root.clone(),
            http_addr: self.config.http,
            grpc_addr: None,
            web_config: None,
            otlp: Default::default(),
            backup_dir: None,
            admin_api: false,
            memory: Some(self.config.memory),
            give_back: |_| {},
            application: Some(self.application.clone()),
        }
    }
}

/// The service's thread: it starts a server, tells how that went, and stops it when it is told to, or nobody is left.
fn live(
    settings: Settings,
    tell: oneshot::Sender<Result<Running, StartError>>,
    stopping: oneshot::Receiver<()>,
    end: oneshot::Sender<()>,
) {
    let built = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("barograph")
        .enable_all()
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.send(Err(StartError::Thread(error)));
            return;
        }
    };
    match runtime.block_on(Server::start(settings)) {
        Ok(server) => {
            let (engine, address) = (server.engine().clone(), server.address());
            let _ = tell.send(Ok(Running { engine, runtime: runtime.handle().clone(), address }));
            runtime.block_on(async {
                // An error means that nobody is left who could tell.
                let _ = stopping.await;
                server.stop().await;
            });
        }
        Err(error) => {
            let _ = tell.send(Err(error));
        }
    }
    runtime.shutdown_timeout(DRAIN);
    let _ = end.send(());
}

impl fmt::Debug for MetricsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsService")
            .field("config", &self.0.config)
            .field("running", &self.running().is_some())
            .finish_non_exhaustive()
    }
}
