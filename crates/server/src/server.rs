//! Starting and stopping: the order in which the parts of a server come to life and go.
//!
//! A data directory that another server holds is refused first, before anything listens. Then the port opens and
//! answers health and pages while the store is opened behind it. Stopping goes the other way: no new requests,
//! inputs end, those in flight finish, the log is made durable, the lock goes.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use barograph::{Registry, Requests, Sockets, collector::BusinessMetricsCollector};
use barograph_disk::{Disk, RealDisk};
use barograph_model::Tier;
use barograph_state::State;
use barograph_tsdb::{Keeping, Retention, RetentionRule, Store};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    alerting::{self, Alerting},
    auth::Auth,
    clients,
    clock::{Clock, SystemClock},
    collect::{self, Collecting},
    commits::Commits,
    config::Config,
    connections::{self, Connections, Protocol},
    delivery::{self, Delivery},
    diagnostics::{self, Diagnostics},
    engine::Engine,
    events::{self, Events},
    health::{self, Health},
    http::{self, App},
    incidents::{self, Incidents},
    lifetime, maintenance,
    memory::{self, Memory},
    onward::{self, Onward},
    otlp::{self, Otlp, OtlpPorts},
    push::{self, Groups},
    queries::Queries,
    reload::{self, ReloadError, Reloaded},
    remote_write,
    results::Results,
    rules, scraping, spans, starts,
    statsd::{self, Statsd},
    storage::backup::Backups,
    telemetry::Telemetry,
    tenants::Kept,
};

/// Requests in flight get this long to finish when the server stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// What a server needs to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration file's content.
    pub config: Config,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where HTTP listens, which also has the pages; port 0 takes a free one, `None` opens none. Must be a loopback
    /// address unless authentication is configured.
    pub http_addr: Option<SocketAddr>,
    /// Where gRPC listens; `None` opens no such port.
    pub grpc_addr: Option<SocketAddr>,
    /// The file of the web configuration, which says how TLS is spoken; `None` speaks none.
    pub web_config: Option<PathBuf>,
    /// Where OTLP listens beside these two, which take it as well; nowhere by default.
    pub otlp: OtlpPorts,
    /// The directory below which backups may be made; `None` makes none.
    pub backup_dir: Option<PathBuf>,
    /// Whether the calls of the Prometheus API that change the store are answered.
    pub admin_api: bool,
    /// The memory everything together may use, in bytes; `None` takes half of what there is.
    pub memory: Option<u64>,
    /// Called when memory is half full, with `true`, and when it is not any more, with `false`: for the allocator to give
    /// back at once, or to keep for a while, what is freed. `|_| {}` if there is nothing to tell it.
    pub give_back: fn(bool),
    /// The application in whose process this runs; `None` if the server is a program of its own.
    pub application: Option<Application>,
}

/// An application that has the server in its own process.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its name, which becomes the label `job` of what is collected here.
    pub name: String,
    /// The label `instance` of the same.
    pub instance: String,
    /// What it records, which is stored every second.
    pub registry: Registry,
    /// The requests it answers.
    pub requests: Requests,
    /// Its WebSocket connections.
    pub sockets: Sockets,
    /// Its own collectors; the built-in ones are added while the server runs.
    pub collectors: barograph::collector::Collectors,
    /// What its business counts.
    pub business: BusinessMetricsCollector,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address can be reached from other machines, and nothing yet tells friend from foe.
    #[error(
        "{0} is not a loopback address; without authentication (the section auth of the configuration) the server listens \
         on loopback only"
    )]
    NotLoopback(SocketAddr),
    /// The port is taken or not ours to open.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be used: locked by another server, not writable.
    #[error("cannot use the data directory {path}")]
    DataDir {
        /// The directory.
        path: String,
        /// Why.
        source: barograph_disk::Error,
    },
    /// The store in it cannot be opened.
    #[error("cannot open the store in {path}")]
    Store {
        /// The directory.
        path: String,
        /// Why.
        source: barograph_tsdb::Error,
    },
    /// The spans in it cannot be opened.
    #[error("cannot open the spans in {path}")]
    Spans {
        /// The directory.
        path: String,
        /// Why.
        source: barograph_trace::Error,
    },
    /// One of our own metrics is not valid.
    #[error("cannot register the server's own metrics")]
    Telemetry(#[source] barograph::Error),
    /// A variable of the environment that says how to measure is not valid.
    #[error("cannot start with this environment")]
    Measuring(#[source] barograph::telemetry::SettingError),
    /// The web configuration cannot be used.
    #[error("cannot use the web configuration:\n{0}")]
    Web(String),
    /// Rule files cannot be used.
    #[error("cannot use the rule files:\n{0}")]
    Rules(String),
    /// The file that says who is told of alerts cannot be used.
    #[error("cannot use alertmanager.yml:\n{0}")]
    Alertmanager(String),
    /// The system refuses a thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A running server.
pub struct Server {
    address: Option<SocketAddr>,
    grpc_address: Option<SocketAddr>,
    connections: Connections,
    otlp_addresses: [Option<SocketAddr>; 2],
    stop: watch::Sender<bool>,
    /// Whether callers should come; probes tell.
    ready: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    running: Running,
    quits: watch::Sender<bool>,
}

/// What runs behind the port.
struct Running {
    engine: Arc<Engine>,
    committing: std::thread::JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts everything and returns when the server is ready.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let path = settings.data_dir.display().to_string();
        let disk = RealDisk::open(&settings.data_dir);
        let disk = disk.map_err(|source| StartError::DataDir { path, source })?;
        Self::start_on(settings, Arc::new(disk)).await
    }

    /// As [`Server::start`], on a disk of the caller's; the data directory is only its name then.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_on(settings: Settings, disk: Arc<dyn Disk>) -> Result<Self, StartError> {
        Self::start_with(settings, disk, Arc::new(SystemClock::new())).await
    }

    /// As [`Server::start_on`], with a clock of the caller's.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_with(
        settings: Settings,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let path = settings.data_dir.display().to_string();
        let unusable = |source| StartError::DataDir { path: path.clone(), source };
        let rules = rules::Setup::read(&settings.config).map_err(StartError::Rules)?;
        let alerting = alerting::Setup::read(&settings.config).map_err(StartError::Alertmanager)?;
        let connections = Connections::new(&settings.config.limits, settings.web_config.as_deref())
            .map_err(StartError::Web)?;
        check_addresses(&settings, &connections)?;
        // The store takes the lock when it is opened; a directory in use is refused before a port is.
        drop(disk.lock().map_err(unusable)?);
        let (http, grpc) = (listen(settings.http_addr).await?, listen(settings.grpc_addr).await?);
        let otlp = otlp::open(settings.otlp).await?;
        let otlp_addresses = otlp.addresses();
        let address = http.as_ref().map(|(_, address)| *address);
        let grpc_at = grpc.as_ref().map(|(_, address)| tracing::field::display(address));
        let http_at =
            address.map(|address| tracing::field::display(format!("{}://{address}", connections.scheme())));
        tracing::info!(
            http = http_at,
            grpc = grpc_at,
            otlp_grpc = otlp_addresses[0].map(tracing::field::display),
            otlp_http = otlp_addresses[1].map(tracing::field::display),
            data_dir = path,
            version = crate::VERSION,
            "listening"
        );

        warn_of_plain(&settings, &connections);
        let (stop, stopping) = watch::channel(false);
        let (ready, is_ready) = watch::channel(false);
        let mut lifetime = starts::count(&*disk);
        lifetime.before = settings.config.stats.persist.then(|| lifetime::read(&*disk));
        let events = Events::new(&clients::new(lifetime, &settings.config.stats), clock.clone());
        let phases = (is_ready, stopping.clone());
        let state = Arc::new(State::unopened(disk.clone()));
        let auth =
            Arc::new(Auth::new(&settings.config, &connections, state.clone(), clock.clone(), disk.clone()));
        let app = App::new(
            events.clone(),
            clock.clone(),
            state,
            address,
            &settings.config,
            (auth, connections.clone()),
            phases,
        );
        let mut serving = vec![tokio::spawn(events::announce(events.clone(), stopping.clone()))];
        events.system("server_started");
        if http.is_some() || grpc.is_some() || otlp_addresses.iter().any(Option::is_some) {
            let keeping = clients::keep(app.clone(), clock.clone(), disk.clone(), stopping.clone());
            serving.push(tokio::spawn(keeping));
        }
        serving.push(tokio::spawn(http::rate::follow(app.clone(), stopping.clone())));
        serving.push(tokio::spawn(crate::auth::kept::run(app.clone(), stopping.clone())));
        if let Some((listener, address)) = http {
            let (router, stopping) = (http::router(app.clone(), address), stopping.clone());
            serving.push(tokio::spawn(connections::accept(
                listener,
                router,
                Protocol::Http,
                connections.clone(),
                stopping,
            )));
        }
        let grpc_address = grpc.as_ref().map(|(_, address)| *address);
        if let Some((listener, address)) = grpc {
            serving.push(tokio::spawn(crate::grpc::run(listener, address, app.clone())));
        }
        serving.extend(otlp.serve(&app, &stopping));

        let running = match open(&settings, (rules, alerting), disk, path, &app, stopping).await {
            Ok(running) => running,
            Err(error) => {
                serving.iter().for_each(JoinHandle::abort);
                return Err(error);
            }
        };
        ready.send_replace(true);
        app.set_ready(running.engine.clone());
        running.engine.events.system("store_ready");
        tracing::info!("ready");
        let quits = app.quits().clone();
        Ok(Self { address, grpc_address, otlp_addresses, connections, stop, ready, serving, running, quits })
    }

    /// Where HTTP listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What HTTP is spoken over: `http`, or `https` where TLS is.
    pub fn scheme(&self) -> &'static str {
        self.connections.scheme()
    }

    /// The checks and what they say; checks of one's own can be added.
    #[doc(alias = "HealthCheckService")]
    pub fn health(&self) -> &Health {
        &self.running.engine.health
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.running.engine
    }

    /// Where gRPC listens, if it does.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// Reads the configuration again, as it was given on the command line, and has it take effect as far as it can without a
    /// restart.
    ///
    /// # Errors
    /// Something in it is wrong: the one before runs on.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        reload::reload(self.engine()).await
    }

    /// Is told when somebody asks over HTTP for the server to end.
    pub fn quits(&self) -> watch::Receiver<bool> {
        self.quits.subscribe()
    }

    /// Where OTLP listens beside the main ports, if it does: for gRPC, and for HTTP.
    pub fn otlp_addresses(&self) -> [Option<SocketAddr>; 2] {
        self.otlp_addresses
    }

    /// Where StatsD listens, over UDP and TCP, if it does.
    pub fn statsd_address(&self) -> Option<SocketAddr> {
        self.running.engine.statsd.address()
    }

    /// From now on readiness probes say that nobody should come any more, over HTTP and gRPC; all else goes on. What sends
    /// requests to several servers goes elsewhere then, and this one can stop without refusing any.
    pub fn drain(&self) {
        self.ready.send_replace(false);
        // Whoever reads this finds it so.
        tracing::info!("draining");
    }

    /// Stops taking requests, finishes those in flight, makes everything durable and returns.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.running.engine.events.system("server_stopping");
        let _ = self.stop.send(true);
        for task in self.running.tasks.into_iter().chain(self.serving) {
            let _ = task.await;
        }
        self.running.engine.collecting.end();
        self.running.engine.commits.stop();
        let state = self.running.engine.state.clone();
        let _ = tokio::task::spawn_blocking(move || state.close()).await;
        let committing = self.running.committing;
        let _ = tokio::task::spawn_blocking(move || committing.join()).await;
        tracing::info!("stopped");
    }
}

/// Where it was asked to listen.
fn asked_for(settings: &Settings) -> impl Iterator<Item = SocketAddr> {
    let otlp = [settings.otlp.grpc, settings.otlp.http].map(otlp::OtlpPort::address);
    [settings.http_addr, settings.grpc_addr, otlp[0], otlp[1]].into_iter().flatten()
}

fn check_addresses(settings: &Settings, connections: &Connections) -> Result<(), StartError> {
    if crate::auth::configured(&settings.config, connections).is_some() {
        return Ok(());
    }
    let other = asked_for(settings).find(|address| !address.ip().is_loopback());
    other.map_or(Ok(()), |address| Err(StartError::NotLoopback(address)))
}

/// Says it where passwords and tokens would go over a network that anybody may read.
fn warn_of_plain(settings: &Settings, connections: &Connections) {
    let secure = connections.scheme() == "https"
        || settings.config.auth.as_ref().is_some_and(|auth| auth.secure_cookies);
    for address in asked_for(settings).filter(|address| !address.ip().is_loopback() && !secure) {
        tracing::warn!(
            %address,
            "this address can be reached from elsewhere and speaks no TLS: whoever is on the way can read passwords and \
             tokens; give it a certificate (--web-config), or put something in front of it that speaks TLS and set \
             auth.secure_cookies"
        );
    }
}

pub(crate) async fn listen(
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, bound)))
}

/// Opens the store and starts what drives it.
async fn open(
    settings: &Settings,
    (rules, alerting): (rules::Setup, alerting::Setup),
    disk: Arc<dyn Disk>,
    path: String,
    app: &App,
    stopping: watch::Receiver<bool>,
) -> Result<Running, StartError> {
    let (events, address) = (app.events().clone(), app.address());
    let clock = events.clock().clone();
    let bytes = settings.memory.unwrap_or_else(memory::default_budget);
    let measuring = settings.config.metrics.settings().map_err(StartError::Measuring)?;
    let memory = Arc::new(Memory::new(bytes, settings.application.is_none()));
    let options = store_options(&settings.config, memory.budget());
    let now = clock.now();
    let began = clock.monotonic();
    let opening = disk.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(opening, options, now))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let spans_path = path.clone();
    let (store, recovery) = opened.map_err(|source| StartError::Store { path, source })?;
    for file in &recovery.set_aside {
        tracing::warn!(
            path = file.path,
            reason = file.reason,
            "a corrupt file was set aside; the rest serves"
        );
    }
    tracing::info!(
        series = recovery.series,
        samples = recovery.samples,
        blocks = recovery.blocks,
        torn_bytes = recovery.torn_bytes,
        took_ms = (clock.monotonic() - began).as_millis(),
        "store opened"
    );

    let store = Arc::new(store);
    let tenants = app.tenants().clone();
    store.limit_owners(tenants.series_limits());
    let telemetry = Arc::new(Telemetry::register().map_err(StartError::Telemetry)?);
    app.connections().count_in(&telemetry.registry).map_err(StartError::Telemetry)?;
    let spans = {
        let (config, durability) = (settings.config.traces.clone(), settings.config.storage.durability);
        let (disk, clock, registry) = (disk.clone(), clock.clone(), telemetry.registry.clone());
        let memory_bytes = memory.budget();
        let opened = tokio::task::spawn_blocking(move || {
            spans::Spans::open(disk, &config, durability, memory_bytes, clock, &registry)
        });
        let opened = opened.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        opened.map_err(|source| StartError::Spans { path: spans_path, source })?
    };
    telemetry.reload.succeeded(now);
    app.admission().measure_in(&telemetry.registry).map_err(StartError::Telemetry)?;
    tenants.measure_in(&telemetry.registry).map_err(StartError::Telemetry)?;
    let otlp_state = Otlp::new(&settings.config.otlp, &telemetry.registry).map_err(StartError::Telemetry)?;
    let (commits, committing) =
        Commits::start(store.clone(), clock.clone(), telemetry.clone()).map_err(StartError::Thread)?;
    let collecting =
        Collecting::new(settings, &store, &telemetry, address, measuring).map_err(StartError::Telemetry)?;
    let instruments = health::Instruments::register(&telemetry.registry, settings.config.health.preset)
        .map_err(StartError::Telemetry)?;
    let (state, auth) = (app.state().clone(), app.auth().clone());
    let _ = tokio::task::spawn_blocking(move || auth.load()).await;
    let health =
        Health::new(&settings.config.health, state.clone(), clock.clone(), events.clone(), instruments);
    let loading = health.clone();
    let _ = tokio::task::spawn_blocking(move || loading.load()).await;
    let push = {
        let (config, state, registry) =
            (settings.config.push.clone(), state.clone(), telemetry.registry.clone());
        let loaded = tokio::task::spawn_blocking(move || Groups::load(state, &config, &registry)).await;
        loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    };
    let incidents = {
        let (state, clock, events) = (state.clone(), clock.clone(), events.clone());
        let instruments =
            incidents::Instruments::register(&telemetry.registry).map_err(StartError::Telemetry)?;
        let node = health.node().to_owned();
        let loading = move || Incidents::load(state, clock, events, instruments, node);
        let loaded = tokio::task::spawn_blocking(loading).await;
        loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    };
    let delivery = {
        let instruments =
            delivery::Instruments::register(&telemetry.registry).map_err(StartError::Telemetry)?;
        let (state, receivers) = (state.clone(), alerting.receivers());
        let loaded = tokio::task::spawn_blocking(move || Delivery::load(state, receivers, instruments, now));
        Arc::new(loaded.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    };
    let alerting = {
        let instruments = Alerting::register(&telemetry.registry).map_err(StartError::Telemetry)?;
        let state = state.clone();
        let loading =
            tokio::task::spawn_blocking(move || Alerting::load(state, alerting, now, instruments)).await;
        Arc::new(loading.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    };
    let onward = Onward::new(&telemetry.registry).map_err(StartError::Telemetry)?;
    let own_rules = {
        let state = state.clone();
        let loading = tokio::task::spawn_blocking(move || rules::own::OwnRules::load(state)).await;
        Arc::new(loading.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    };
    delivery.tells(alerting.clone());
    incidents.connect(Box::new(delivery.clone()));
    let statsd = Statsd::open(&settings.config.statsd, clock.clone(), &telemetry.registry).await;
    let statsd = statsd.map_err(|source| {
        let address = settings.config.statsd.address.unwrap_or(([0, 0, 0, 0], 0).into());
        StartError::Listen { address, source }
    })?;
    let scheme = app.connections().scheme();
    let external = &settings.config.external;
    let url = address.map(|address| external.link(scheme, &address.to_string(), ""));
    let url = url.or_else(|| external.url().map(str::to_owned)).unwrap_or_default();
    delivery.call(delivery::Called { url: url.clone(), is_known: external.url().is_some() });
    let engine = Arc::new(Engine {
        store: Kept::new(store, &tenants),
        tenants,
        commits,
        telemetry,
        storage: settings.config.storage.clone(),
        configured: app.configured().clone(),
        results: Results::new(&settings.config.query, memory.budget()),
        queries: Queries::new(&settings.config.query),
        exports: Arc::new(Semaphore::new(http::history::EXPORTS_MAX)),
        data_dir: settings.data_dir.clone(),
        backups: Backups::new(settings.backup_dir.clone()),
        admin_api: settings.admin_api,
        memory,
        ticks: watch::Sender::new(clock.now()),
        records: Default::default(),
        collecting,
        events,
        state,
        health,
        push,
        statsd,
        spans,
        otlp: otlp_state,
        delivery,
        diagnostics: Diagnostics::new(&settings.config.diagnostics),
        incidents,
        alerting,
        onward,
        rules: rules::Board::default(),
        own_rules,
        scraped: Default::default(),
        clock,
    });
    let forwarding =
        remote_write::prepare(&engine, &settings.config.remote_write, settings.config.storage.wal_kept).await;
    engine.health.begin(&settings.config.health, &engine);
    let supervised = |name, start: health::Start| engine.health.supervise(name, stopping.clone(), start);
    let tasks = vec![
        tokio::spawn(health::keep(engine.health.clone(), stopping.clone())),
        supervised("collect", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(collect::run(engine.clone(), stopping.clone())))
        }),
        supervised("maintenance", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(maintenance::run(engine.clone(), stopping.clone())))
        }),
        supervised("delivery", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(delivery::run(engine.clone(), stopping.clone())))
        }),
        supervised("alerting", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(alerting::run(engine.clone(), stopping.clone())))
        }),
        supervised("onward", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(onward::run(engine.clone(), stopping.clone())))
        }),
        supervised("push", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(push::run(engine.clone(), stopping.clone())))
        }),
        supervised("statsd", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(statsd::run(engine.clone(), stopping.clone())))
        }),
        supervised("incidents", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(incidents::run(engine.clone(), stopping.clone())))
        }),
        supervised("spans", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(spans::run(engine.clone(), stopping.clone())))
        }),
        supervised("memory", {
            let (engine, stopping, give_back) = (engine.clone(), stopping.clone(), settings.give_back);
            Box::new(move || Box::pin(memory::run(engine.clone(), give_back, stopping.clone())))
        }),
        tokio::spawn(diagnostics::run(engine.clone(), stopping.clone())),
        tokio::spawn(rules::run(engine.clone(), rules, url, stopping.clone())),
        tokio::spawn(reload::watch::run(engine.clone(), stopping.clone())),
        tokio::spawn(events::publish_while_wanted(engine.clone(), stopping.clone())),
        supervised("remote_write", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            let configs = settings.config.remote_write.clone();
            Box::new(move || {
                let (engine, configs) = (engine.clone(), configs.clone());
                Box::pin(remote_write::run(engine, configs, forwarding.clone(), stopping.clone()))
            })
        }),
        supervised("scraping", {
            let (engine, stopping) = (engine.clone(), stopping.clone());
            Box::new(move || Box::pin(scraping::run(engine.clone(), stopping.clone())))
        }),
    ];
    Ok(Running { engine, committing, tasks })
}

/// How long what is kept.
pub(crate) fn keeping(config: &Config) -> Keeping {
    let forever = |age: Duration| if age == Duration::ZERO { Duration::MAX } else { age };
    let of_tier = |all: Retention, tier: Tier| all.with(tier, config.retention.of(tier));
    let rules = config.retention.rules.iter().map(|rule| RetentionRule {
        matchers: rule.matchers.clone(),
        tiers: rule.tiers.map(|age| age.map(forever)),
    });
    let by_type = config.retention.by_type.iter();
    Keeping {
        retention: Tier::ALL.into_iter().fold(Retention::default(), of_tier),
        rules: rules.collect(),
        by_type: by_type.map(|(kind, tiers)| (*kind, tiers.map(|age| age.map(forever)))).collect(),
        bytes: config.retention.bytes,
        cleanup_interval: config.storage.cleanup_interval,
    }
}

fn store_options(config: &Config, memory_bytes: u64) -> barograph_tsdb::Options {
    let mut options = barograph_tsdb::Options::default();
    let keeping = keeping(config);
    options.retention = keeping.retention;
    options.retention_bytes = keeping.bytes;
    options.retention_rules = keeping.rules;
    options.retention_by_type = keeping.by_type;
    options.cleanup_interval = keeping.cleanup_interval;
    options.out_of_order = config.storage.out_of_order;
    // What is up to an hour late usually goes into the block of its window.
    options.cut_delay = Duration::from_secs(3600);
    options.cache_bytes = memory::cache_share(memory_bytes);
    options.index_bytes_max = memory::index_share(memory_bytes);
    options.pending_bytes_max = memory::pending_share(memory_bytes);
    let limits = series_limits(config);
    options.series_max = limits.series;
    // Fewer where memory would not hold them.
    options.series_bytes_max = memory::series_share(memory_bytes);
    options.aliases_bytes_max = memory::aliases_share(memory_bytes);
    options.metric_series_max = limits.series_per_metric;
    options.label_values_max = limits.values_per_label;
    options.labels_max = limits.labels;
    options.owner_label = config.tenancy.enabled.then(|| barograph_tenancy::LABEL.to_owned());
    options.label_name_bytes_max = limits.label_name_bytes;
    options.label_value_bytes_max = limits.label_value_bytes;
    options
}

/// How many series there may be, and what they may be called.
pub(crate) fn series_limits(config: &Config) -> barograph_tsdb::SeriesLimits {
    let (limits, count) = (&config.limits, |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX));
    barograph_tsdb::SeriesLimits {
        series: count(limits.active_series),
        series_per_metric: count(limits.series_per_metric),
        values_per_label: count(limits.values_per_label),
        labels: count(limits.labels_per_series),
        label_name_bytes: count(limits.label_name_bytes),
        label_value_bytes: count(limits.label_value_bytes),
    }
}

/// Waits until the server is told to stop.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender goes only with the server.
    let _ = stopping.wait_for(|stop| *stop).await;
}
