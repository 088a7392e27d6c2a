//! The collectors and our own metrics, stored like those of any other program.
//!
//! Every second, or sooner if a collector wants it, each collector that is due reads on a thread that may block, so that a
//! slow one costs only its own readings; our own instruments and those of an application around us are added. All of it is
//! appended under one `job`, and the next group commit takes it along. At the end everything is read a last time.

mod built_in;

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph::{
    Counter, Error, Histogram, Registry, Requests, Sockets,
    caches::{CacheFigures, CacheMeter, Caches},
    collector::{BusinessMetricsCollector, Collectors, Due, Reading, RuntimeProbe},
    exposition::{self, Family},
    runtime::RuntimeMonitor,
    sampling::Load,
    transactions::{TransactionFigures, Transactions},
    window::Watch,
};
use barograph_model::{Labels, METRIC_NAME, Metadata, Timestamp};
use barograph_tsdb::{Row, Store};
use tokio::{
    runtime::{Handle, RuntimeMetrics},
    sync::watch,
    task::JoinSet,
};

use crate::{
    Engine,
    errors::chain,
    sampled::SampledRequests,
    server::{Settings, stopped},
    snapshot::SystemMetricsSnapshot,
    telemetry::{Origin, Telemetry},
};

/// How often our own metrics are read, and due collectors are looked for at least.
const TICK_MS: i64 = 1_000;
/// Collectors that take longer are not waited for.
const WAIT: Duration = Duration::from_millis(100);
/// At the end they get so long.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// Methods by their name; any other is one with all others.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// Of so many metrics it is remembered that the catalog knows them. Beyond, it is told again.
const DESCRIBED_MAX: usize = 100_000;

/// The collectors, and what is stored of our own metrics.
#[derive(Debug)]
pub struct Collecting {
    /// The collectors by name.
    pub collectors: Collectors,
    /// What the process collector cannot know by itself: requests in flight, how busy the runtime is.
    pub probe: RuntimeProbe,
    /// The requests that the `api` collector tells of.
    pub requests: Requests,
    /// The connections that the `websocket` collector tells of.
    pub sockets: Sockets,
    /// Both of them as documents of health, with the settings of measuring.
    pub telemetry: barograph::Telemetry,
    /// The results of queries that are kept, among the caches of the server.
    results: Option<CacheMeter>,
    /// How promptly our runtime runs what is due. An application around us tells of its own.
    event_loop: Option<RuntimeMonitor>,
    /// Some of the requests that the server answered.
    pub(crate) sampled: SampledRequests,
    /// What the `business` collector counts.
    pub business: BusinessMetricsCollector,
    /// Work inside the engine, by operation.
    pub(crate) inside: [(&'static str, Watch<Histogram>); 2],
    /// Samples that were stored.
    pub(crate) stored: Watch<Counter>,
    /// Whether what takes more is collected.
    higher_cost: bool,
    /// What the application around us records.
    application: Option<Registry>,
    /// The labels by which our own series are told from others.
    own: [(&'static str, String); 2],
    described: Mutex<HashSet<String>>,
    failing: AtomicBool,
}

impl Collecting {
    /// With the built-in collectors as they are configured.
    ///
    /// # Errors
    /// What the business counts has names that cannot be.
    pub(crate) fn new(
        settings: &Settings,
        store: &Arc<Store>,
        telemetry: &Telemetry,
        address: Option<SocketAddr>,
        measuring: barograph::telemetry::Settings,
    ) -> Result<Self, Error> {
        let registry = &telemetry.registry;
        let histogram = |name| registry.watch(name).expect("the server's own metrics are registered");
        let inside = [
            ("query", histogram("barograph_query_duration")),
            ("persistence_write", histogram("barograph_wal_fsync_duration")),
        ];
        let stored = registry.watch("barograph_ingest_samples").expect("as before");
        let (name, instance) = match &settings.application {
            Some(application) => (application.name.clone(), application.instance.clone()),
            None => ("barograph".to_owned(), address.map(|address| address.to_string()).unwrap_or_default()),
        };
        let configured = &settings.config.collectors;
        let recorded = settings.application.as_ref().map_or(registry, |application| &application.registry);
        let (collectors, requests, sockets, business) = match &settings.application {
            Some(of) => (of.collectors.clone(), of.requests.clone(), of.sockets.clone(), of.business.clone()),
            None => (
                Collectors::new(),
                Requests::with_bounds(registry, measuring.bounds())?,
                // The server itself has no such connections: what it would say of them is the collector's to say.
                Sockets::register(&Registry::new())?,
                BusinessMetricsCollector::new(&configured.counted)?,
            ),
        };
        let caches = Caches::register(recorded)?;
        let results = settings.application.is_none().then(|| caches.cache("query_results"));
        let event_loop = match &settings.application {
            Some(_) => None,
            None => Some(RuntimeMonitor::register(registry, &Handle::current(), "")?),
        };
        let collecting = Self {
            results,
            sampled: SampledRequests::new(measuring.max_samples()),
            collectors,
            event_loop,
            probe: RuntimeProbe::new(),
            telemetry: barograph::Telemetry::of(
                recorded,
                requests.clone(),
                sockets.clone(),
                caches,
                measuring,
            ),
            requests,
            sockets,
            business,
            inside,
            stored,
            higher_cost: settings.config.stats.higher_cost,
            application: settings.application.as_ref().map(|application| application.registry.clone()),
            own: [("instance", instance), ("job", name)],
            described: Mutex::default(),
            failing: AtomicBool::new(false),
        };
        collecting.obey_settings();
        collecting.add_built_in(configured, settings, store);
        Ok(collecting)
    }

    /// Counts a request that the server answered; one of an application is for the application to count.
    pub(crate) fn answered(&self, now: Timestamp, method: &str, route: &str, status: u16, took: Duration) {
        let known = METHODS.iter().find(|known| **known == method).unwrap_or(&"_OTHER");
        self.sampled.offer(now, known, route, status, took);
        if self.application.is_none() {
            self.requests.record(known, route, status, took);
        }
    }

    /// Does as the settings of measuring say, now that they may have changed.
    pub(crate) fn obey_settings(&self) {
        if let Some(monitor) = &self.event_loop {
            monitor.obey(&self.telemetry.settings());
        }
    }

    /// Whether own metrics are not stored for now.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    /// Whether nobody looks how promptly our runtime works.
    pub(crate) fn event_loop_is_off(&self) -> bool {
        self.event_loop.as_ref().is_some_and(|monitor| !monitor.figures().monitoring_active)
    }

    /// What there is to expose: own metrics, those of the application, and what collectors read last.
    pub fn families(&self, own: &Registry) -> Vec<Family> {
        let mut families = own.collect();
        families.extend(self.application.iter().flat_map(Registry::collect));
        families.extend(self.collectors.families());
        let mut known = HashSet::new();
        families.retain(|family| known.insert(family.name.clone()));
        families
    }

    /// The label set of one of our own points.
    fn series(&self, name: &str, labels: &Labels) -> Option<Labels> {
        let own = self.own.iter().map(|(name, value)| (*name, value.as_str()));
        let others = labels.iter().filter(|(name, _)| *name != "instance" && *name != "job");
        Labels::from_pairs(own.chain(others).chain([(METRIC_NAME, name)])).ok()
    }

    /// What a collector read, but for what an application tells itself under the same name.
    fn points(&self, readings: &[Reading]) -> Vec<Point> {
        let point = |reading: &Reading| {
            let name = reading.stored_name();
            let told = self.application.as_ref().is_some_and(|registry| registry.exposes(&name));
            (!told).then(|| Point {
                family: name.clone(),
                name,
                labels: reading.labels.clone(),
                value: reading.value,
                about: reading.definition.metadata(),
            })
        };
        readings.iter().filter_map(point).collect()
    }

    /// What selects our own series, as matchers of an expression.
    pub(crate) fn own_matchers(&self) -> String {
        let matcher =
            |(name, value): &(&str, String)| format!("{name}={}", serde_json::Value::from(value.as_str()));
        self.own.iter().map(matcher).collect::<Vec<_>>().join(",")
    }

    /// What is recorded of transactions: the engine's own, and those of an application around it.
    pub(crate) fn transactions(&self, own: &Transactions) -> Vec<TransactionFigures> {
        let mut figures = own.figures();
        let application = self.application.as_ref().filter(|registry| registry.exposes("tx_started_total"));
        let application = application.and_then(|registry| Transactions::register(registry).ok());
        figures.extend(application.iter().flat_map(Transactions::figures));
        figures
    }

    /// Stores what families say, as our own.
    pub(crate) fn keep(&self, engine: &Engine, at: Timestamp, families: &[Family]) {
        self.store(engine, at, &points_of(families));
    }

    fn store(&self, engine: &Engine, at: Timestamp, points: &[Point]) {
        let of = |point: &Point| Some((self.series(&point.name, &point.labels)?, point.value));
        let series: Vec<_> = points.iter().filter_map(of).collect();
        let rows: Vec<_> = series
            .iter()
            .map(|(labels, value)| Row { labels: labels.as_bytes(), at: at.0, value: *value })
            .collect();
        match engine.append(Origin::Own, &rows) {
            Ok(appended) => {
                engine.commits.want(appended.ticket);
                self.failing.store(false, Relaxed);
            }
            // A store that refuses for a while is told once, not every second.
            Err(error) => {
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(error = chain(&error), "own metrics are not stored for now");
                }
            }
        }
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        if described.len() > DESCRIBED_MAX {
            described.clear();
        }
        for point in points {
            if described.insert(point.family.clone()) {
                engine.store.set_metadata(&point.family, &point.about);
            }
        }
    }
}

/// Metrics and labels of which own metrics tell that they overflowed.
const OVERFLOWS_TOLD: usize = 100;

/// Collects until told to stop; the first time at once.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let runtime = Handle::current().metrics();
    loop {
        let now = engine.clock.now();
        let at = Timestamp(now.0.div_euclid(TICK_MS) * TICK_MS);
        engine.collecting.probe.set_busy(busy(&runtime), runtime.num_workers());
        // A collector with an interval of its own below a second comes between the whole ones.
        let whole = *engine.ticks.borrow() != at;
        read_all(&engine, engine.collecting.collectors.due(now), if whole { at } else { now }, WAIT).await;
        if whole {
            own(&engine, at);
            engine.ticks.send_replace(at);
        }
        // The clock may have been set back meanwhile: never wait longer than a tick.
        let next = engine.collecting.collectors.next_due().map_or(i64::MAX, |due| due.0).min(at.0 + TICK_MS);
        let wait = next.saturating_sub(engine.clock.now().0).clamp(1, TICK_MS).unsigned_abs();
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
    }
    let now = engine.clock.now();
    read_all(&engine, engine.collecting.collectors.at_once(now), now, LAST_WAIT).await;
    own(&engine, now);
}

/// Lets collectors read, each by itself, and stores what they read. Waits a while, so that what is quick is there.
async fn read_all(engine: &Arc<Engine>, due: Vec<Due>, at: Timestamp, wait: Duration) {
    let mut runs = JoinSet::new();
    for due in due {
        let engine = engine.clone();
        runs.spawn_blocking(move || {
            let points = engine.collecting.points(&due.run());
            if !points.is_empty() {
                engine.collecting.store(&engine, at, &points);
            }
        });
    }
    let all = async { while runs.join_next().await.is_some() {} };
    if tokio::time::timeout(wait, all).await.is_err() {
        runs.detach_all();
    }
}

/// How busy the machine is, as the system collector read it last, and how full the queue of queries.
fn load(engine: &Engine) -> Load {
    let percent = SystemMetricsSnapshot::latest(&engine.collecting.collectors).cpu_usage;
    let queue = engine.queries.waiting() as f64 / engine.limits().max_queued.max(1) as f64;
    Load { cpu: percent.unwrap_or(0.0) / 100.0, queue }
}

/// Stores our own instruments, and those of the application around us.
fn own(engine: &Arc<Engine>, at: Timestamp) {
    let stats = engine.store.stats();
    engine.telemetry.observe_store(&stats, &engine.store.levels());
    let results = engine.results.counts();
    engine.telemetry.results.observe(&results, &stats);
    if let Some(cache) = &engine.collecting.results {
        let evictions = results.evicted + results.changed;
        cache.observe(CacheFigures { hits: results.hits, misses: results.misses, evictions, errors: 0 });
    }
    engine.telemetry.events.observe(&engine.events);
    engine.telemetry.scrapes.observe(&engine.scraped.view().counts());
    engine.telemetry.observe_overflow(&engine.store.overflows(OVERFLOWS_TOLD));
    engine.tenants.observe(|| engine.store.series_of_owners());
    let registries = [Some(&engine.telemetry.registry), engine.collecting.application.as_ref()];
    let mut points = Vec::new();
    engine.telemetry.registry.tick(at);
    engine.collecting.telemetry.tick(at);
    let kept_max = engine.collecting.telemetry.settings().max_samples();
    engine.collecting.sampled.tick(at, load(engine), kept_max);
    for registry in registries.into_iter().flatten() {
        points.extend(recorded(registry));
    }
    engine.collecting.store(engine, at, &points);
}

/// One value to store, with what is known of its metric.
struct Point {
    /// The name of the series.
    name: String,
    /// The name under which the catalog knows the metric: the series' own, but for the parts of a histogram.
    family: String,
    labels: Labels,
    value: f64,
    about: Metadata,
}

/// What a registry's instruments recorded, by the names of their series.
fn recorded(registry: &Registry) -> Vec<Point> {
    points_of(&registry.collect())
}

fn points_of(families: &[Family]) -> Vec<Point> {
    let points = families.iter().flat_map(|family| family.points.iter().map(move |point| (family, point)));
    let point = |(family, point): (&Family, &exposition::Point)| Point {
        name: format!("{}{}", family.name, point.suffix),
        family: if point.suffix == "_total" { format!("{}_total", family.name) } else { family.name.clone() },
        labels: point.labels.clone(),
        value: point.value,
        about: Metadata { kind: family.kind, unit: family.unit.clone(), help: family.help.clone() },
    };
    points.map(point).collect()
}

/// How long the runtime's workers were busy together since they started.
fn busy(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}
