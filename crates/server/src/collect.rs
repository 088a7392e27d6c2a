//! The built-in collectors and our own metrics, stored like those of any other program.
//!
//! Every second each collector that is due reads, our own instruments are added, and all of it is appended under
//! `job="barograph"`. The next group commit takes it along. Nobody waits for it, and a collector that fails or
//! panics costs only its own readings.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph::{
    collector::{Process, Runner, RuntimeProbe, System, Writer},
    exposition::{self, Family},
};
use barograph_model::{Labels, METRIC_NAME, Metadata, Timestamp};
use barograph_tsdb::Row;
use serde_json::{Value, json};
use tokio::{runtime::RuntimeMetrics, sync::watch};

use crate::{
    Engine,
    config::{self, Config},
    errors::chain,
    server::stopped,
    telemetry::Origin,
};

/// How often due collectors are looked for.
const TICK_MS: i64 = 1_000;

/// The built-in collectors with their state.
#[derive(Debug)]
pub struct Collectors {
    state: Mutex<State>,
    /// What the process collector cannot know by itself: requests in flight, how busy the runtime is.
    pub probe: RuntimeProbe,
    /// The labels by which our own series are told from others.
    own: [(&'static str, String); 2],
}

#[derive(Debug)]
struct State {
    runners: Vec<Runner>,
    /// What each collector read last, by its place in `runners`.
    latest: Vec<Writer>,
}

impl Collectors {
    /// The collectors that the configuration leaves on.
    pub fn new(config: &Config, address: SocketAddr) -> Self {
        let probe = RuntimeProbe::new();
        let system = runner(Runner::new(Box::new(System::new())), config.collectors.system);
        let process = Process::new().with_probe(probe.clone());
        let process = runner(Runner::new(Box::new(process)), config.collectors.process);
        let runners = vec![system, process];
        let latest = runners.iter().map(|_| Writer::new()).collect();
        let own = [("instance", address.to_string()), ("job", "barograph".to_owned())];
        Self { state: Mutex::new(State { runners, latest }), probe, own }
    }

    /// What was read last, as families to expose.
    pub fn families(&self) -> Vec<Family> {
        self.state().latest.iter().flat_map(Writer::families).collect()
    }

    /// The collectors and how they fare, as the API shows them.
    pub fn document(&self) -> Value {
        let state = self.state();
        let list: Vec<_> = state.runners.iter().map(describe).collect();
        json!({ "collectors": list })
    }

    /// What was read last, by collector: `{"timestamp", "system": {"cpuUsage", …}, "process": {…}}`.
    pub fn snapshot(&self, now: Timestamp) -> Value {
        let state = self.state();
        let mut document = json!({"timestamp": now.0});
        for (runner, latest) in state.runners.iter().zip(&state.latest) {
            let single = latest.readings().iter().filter(|reading| reading.labels.is_empty());
            let field = |given: &str| {
                let own =
                    given.strip_prefix(runner.name()).map_or(given, |rest| rest.trim_start_matches('.'));
                camel_case(own)
            };
            let fields: serde_json::Map<String, Value> =
                single.map(|reading| (field(reading.definition.given), reading.value.into())).collect();
            document[runner.name()] = fields.into();
        }
        document
    }

    /// How many collectors there are, how many points they read, and how often one failed.
    pub fn totals(&self) -> (usize, u64, u64) {
        let state = self.state();
        let of = |figure: fn(&barograph::collector::Stats) -> u64| {
            state.runners.iter().map(|runner| figure(runner.stats())).sum()
        };
        (state.runners.len(), of(|stats| stats.points), of(|stats| stats.errors))
    }

    /// Runs the collectors that are due and returns what they read.
    fn tick(&self, now: Timestamp) -> Vec<Point> {
        let mut state = self.state();
        let State { runners, latest } = &mut *state;
        let mut points = Vec::new();
        for (runner, latest) in runners.iter_mut().zip(latest) {
            let mut out = Writer::new();
            if runner.tick(now, &mut out) {
                points.extend(out.readings().iter().map(|reading| Point {
                    name: reading.stored_name(),
                    family: reading.stored_name(),
                    labels: reading.labels.clone(),
                    value: reading.value,
                    about: reading.definition.metadata(),
                }));
                *latest = out;
            }
        }
        points
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label set of one of our own points.
    fn series(&self, name: &str, labels: &Labels) -> Option<Labels> {
        let own = self.own.iter().map(|(name, value)| (*name, value.as_str()));
        let others = labels.iter().filter(|(name, _)| *name != "instance" && *name != "job");
        Labels::from_pairs(own.chain(others).chain([(METRIC_NAME, name)])).ok()
    }
}

/// `memory.heap_used` as `memoryHeapUsed`.
fn camel_case(name: &str) -> String {
    let mut words = name.split(['.', '_']);
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        text.push_str(letters.as_str());
    }
    text
}

fn runner(mut runner: Runner, config: config::Collector) -> Runner {
    runner.set_enabled(config.enabled);
    runner.set_interval(config.interval);
    runner
}

fn describe(runner: &Runner) -> Value {
    let stats = runner.stats();
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    json!({
        "name": runner.name(),
        "enabled": runner.enabled(),
        "interval_seconds": runner.interval().as_secs_f64(),
        "unsupported": runner.unsupported(),
        "stats": {
            "runs": stats.runs,
            "points": stats.points,
            "errors": stats.errors,
            "last_error": stats.last_error.as_ref().map(|e| json!({"at": e.at.seconds(), "message": e.message})),
            "last_run": stats.last_run.map(Timestamp::seconds),
            "last_duration_ms": millis(stats.last_duration),
            "average_duration_ms": millis(stats.average_duration()),
        },
    })
}

/// Metrics and labels of which own metrics tell that they overflowed.
const OVERFLOWS_TOLD: usize = 100;

/// Collects at every whole second until told to stop; the first time at once.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut described = HashSet::new();
    let mut failing = false;
    let runtime = tokio::runtime::Handle::current().metrics();
    loop {
        let now = engine.clock.now();
        let at = Timestamp(now.0.div_euclid(TICK_MS) * TICK_MS);
        engine.collectors.probe.set_busy(busy(&runtime), runtime.num_workers());
        let stats = engine.store.stats();
        engine.telemetry.observe_store(&stats, &engine.store.levels());
        engine.telemetry.results.observe(&engine.results.counts(), &stats);
        engine.telemetry.observe_overflow(&engine.store.overflows(OVERFLOWS_TOLD));
        let mut points = engine.collectors.tick(at);
        points.extend(own_points(&engine));
        store(&engine, at, &points, &mut described, &mut failing);
        engine.ticks.send_replace(at);
        // The clock may have been set back meanwhile: never wait longer than a tick.
        let wait = u64::try_from((at.0 + TICK_MS - engine.clock.now().0).clamp(0, TICK_MS)).unwrap_or(0);
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
    }
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

/// The instruments of the server itself, by the names of their series.
fn own_points(engine: &Engine) -> Vec<Point> {
    let families = engine.telemetry.registry.collect();
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

fn store(
    engine: &Engine,
    at: Timestamp,
    points: &[Point],
    described: &mut HashSet<String>,
    failing: &mut bool,
) {
    let series: Vec<_> = points
        .iter()
        .filter_map(|point| Some((engine.collectors.series(&point.name, &point.labels)?, point.value)))
        .collect();
    let rows: Vec<_> = series
        .iter()
        .map(|(labels, value)| Row { labels: labels.as_bytes(), at: at.0, value: *value })
        .collect();
    match engine.append(Origin::Own, &rows) {
        Ok(appended) => {
            engine.commits.want(appended.ticket);
            *failing = false;
        }
        // A store that refuses for a while is told once, not every second.
        Err(error) => {
            if !std::mem::replace(failing, true) {
                tracing::warn!(error = chain(&error), "own metrics are not stored for now");
            }
        }
    }
    for point in points {
        if !described.contains(&point.family) {
            described.insert(point.family.clone());
            engine.store.set_metadata(&point.family, &point.about);
        }
    }
}

/// How long the runtime's workers were busy together since they started.
fn busy(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}
