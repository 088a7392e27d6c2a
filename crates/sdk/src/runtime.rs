//! The monitor of a tokio runtime: one task that sleeps a second at a time and sees how late it wakes.
//!
//! There is one for each runtime, whoever starts it. If its task ends without having been stopped (it panicked, or
//! someone aborted it) it starts itself again; that is counted and, with the feature `tracing`, logged. A runtime that
//! shuts down takes it along.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::{
    Counter, Error, Histogram, Registry, Unit,
    collector::RuntimeProbe,
    event_loop::{EventLoopFigures, LAG_INTERVAL, Lags},
    global::group,
    telemetry::Settings,
};

/// How many runtimes can be monitored by [`RuntimeMonitor::global`]; no more are told apart.
pub const RUNTIMES_MAX: usize = 64;

/// The monitor of one runtime. Cloning is cheap, and clones are the same.
///
/// | metric | |
/// |---|---|
/// | `event_loop_lag_seconds` | histogram of all samples |
/// | `event_loop_lag_avg_ms`, `event_loop_lag_p95_ms` | of the last five minutes |
/// | `event_loop_monitoring_active` | 1 while the monitor runs |
/// | `event_loop_utilization` | share of the last second that the workers were busy, 0 to 1 |
/// | `event_loop_restarts_total` | starts of the monitor after it had failed |
///
/// If there are several runtimes the metrics of all but the first have a label `runtime`.
#[derive(Clone, Debug)]
pub struct RuntimeMonitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    runtime: Handle,
    lag: Histogram,
    restarts: Counter,
    probe: RuntimeProbe,
    lags: Mutex<Lags>,
    /// Bits of the utilisation; NaN while it is unknown.
    utilization: AtomicU64,
    /// Whether it is to run.
    wanted: AtomicBool,
    /// Whether it does.
    active: AtomicBool,
    task: Mutex<Option<AbortHandle>>,
}

impl RuntimeMonitor {
    /// A monitor of a runtime, which does not run yet. `name` is the value of the label `runtime`; empty, there is
    /// no such label.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry, runtime: &Handle, name: &str) -> Result<Self, Error> {
        let lag = registry
            .histogram("event_loop_lag")
            .unit(Unit::Seconds)
            .help("How much later a timer of the async runtime woke than it was to.")
            .family(["runtime"])?
            .with([name]);
        let restarts = registry
            .counter("event_loop_restarts_total")
            .help("Starts of the monitor of the async runtime after it had failed.")
            .family(["runtime"])?
            .with([name]);
        let monitor = Self(Arc::new(Shared {
            runtime: runtime.clone(),
            lag,
            restarts,
            probe: RuntimeProbe::new(),
            lags: Mutex::default(),
            utilization: AtomicU64::new(f64::NAN.to_bits()),
            wanted: AtomicBool::new(false),
            active: AtomicBool::new(false),
            task: Mutex::default(),
        }));
        let observe = |metric: &str, help: &str, read: fn(&EventLoopFigures) -> f64| {
            let shared = Arc::downgrade(&monitor.0);
            let gauge = registry.gauge(metric).help(help).label("runtime", name);
            gauge.observe(move || shared.upgrade().map_or(0.0, |shared| read(&shared.figures())))
        };
        observe("event_loop_lag_avg_ms", "Mean lag of the async runtime, five minutes.", |f| {
            f.avg_lag * 1e3
        })?;
        observe("event_loop_lag_p95_ms", "95th percentile of the lag, five minutes.", |f| f.p95_lag * 1e3)?;
        observe("event_loop_monitoring_active", "1 while the lag is sampled.", |f| {
            f64::from(u8::from(f.monitoring_active))
        })?;
        observe("event_loop_utilization", "Share of the last second the workers were busy, 0 to 1.", |f| {
            f.utilization.unwrap_or(0.0)
        })?;
        Ok(monitor)
    }

    /// The monitor of the runtime this is called in, in the global registry, which is not started yet if it is new.
    /// `None` outside of a runtime, and beyond [`RUNTIMES_MAX`] of them.
    pub fn global() -> Option<Self> {
        static MONITORS: LazyLock<Mutex<HashMap<Id, RuntimeMonitor>>> = LazyLock::new(Mutex::default);
        let runtime = Handle::try_current().ok()?;
        let mut monitors = MONITORS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(monitor) = monitors.get(&runtime.id()) {
            return Some(monitor.clone());
        }
        if monitors.len() >= RUNTIMES_MAX {
            return None;
        }
        let name = if monitors.is_empty() { String::new() } else { runtime.id().to_string() };
        let monitor = group(|registry| Self::register(registry, &runtime, &name));
        monitors.insert(runtime.id(), monitor.clone());
        Some(monitor)
    }

    /// Starts the monitor; it is one task, however often this is called.
    pub fn start(&self) {
        let mut task = self.0.task();
        if !self.0.wanted.swap(true, AcqRel) {
            *task = Some(spawn(Arc::clone(&self.0), false));
        }
    }

    /// Starts or stops the monitor as `METRICS_EVENT_LOOP_MONITORING` says.
    pub fn obey(&self, settings: &Settings) {
        if settings.event_loop_monitoring() { self.start() } else { self.stop() }
    }

    /// Stops the monitor. What was sampled stays.
    pub fn stop(&self) {
        self.0.wanted.store(false, Release);
        if let Some(task) = self.0.task().take() {
            task.abort();
        }
        self.0.active.store(false, Release);
    }

    /// What it saw.
    pub fn figures(&self) -> EventLoopFigures {
        self.0.figures()
    }

    /// Tells how busy the runtime is; for [`ProcessMetricsCollector`](crate::collector::ProcessMetricsCollector).
    pub fn probe(&self) -> RuntimeProbe {
        self.0.probe.clone()
    }
}

impl Shared {
    fn figures(&self) -> EventLoopFigures {
        let utilization = f64::from_bits(self.utilization.load(Relaxed));
        EventLoopFigures {
            monitoring_active: self.active.load(Acquire),
            restarts: self.restarts.value(),
            interval: LAG_INTERVAL.as_secs_f64(),
            utilization: (!utilization.is_nan()).then_some(utilization),
            ..self.lags().figures()
        }
    }

    /// How long all workers were busy since the runtime started; `None` where that is not counted.
    fn busy(&self) -> Option<Duration> {
        #[cfg(target_has_atomic = "64")]
        {
            let metrics = self.runtime.metrics();
            Some((0..metrics.num_workers()).map(|worker| metrics.worker_total_busy_duration(worker)).sum())
        }
        #[cfg(not(target_has_atomic = "64"))]
        None
    }

    /// Takes in a sample: the lag, and what the workers did since the last one, which was `took` ago.
    fn sample(&self, lag: Duration, busy_before: Option<Duration>, took: Duration) {
        self.lag.record_duration(lag);
        self.lags().record(lag);
        if let (Some(before), Some(busy)) = (busy_before, self.busy()) {
            let workers = self.runtime.metrics().num_workers();
            self.probe.set_busy(busy, workers);
            let share = busy.saturating_sub(before).as_secs_f64() / (took.as_secs_f64() * workers as f64);
            self.utilization.store(share.clamp(0.0, 1.0).to_bits(), Relaxed);
        }
    }

    fn lags(&self) -> MutexGuard<'_, Lags> {
        self.lags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(shared: Arc<Shared>, again: bool) -> AbortHandle {
    let runtime = shared.runtime.clone();
    runtime.spawn(run(Running { shared, begun: false, again })).abort_handle()
}

async fn run(mut running: Running) {
    running.begin();
    let shared = Arc::clone(&running.shared);
    let (mut last, mut busy) = (Instant::now(), shared.busy());
    loop {
        let due = last + LAG_INTERVAL;
        sleep_until(due).await;
        let now = Instant::now();
        shared.sample(now.saturating_duration_since(due), busy, now - last);
        (last, busy) = (now, shared.busy());
    }
}

/// The task that runs. When it is dropped although it is wanted, another takes its place; not if it was dropped
/// before it ever ran, as a runtime does that shuts down.
struct Running {
    shared: Arc<Shared>,
    begun: bool,
    again: bool,
}

impl Running {
    fn begin(&mut self) {
        self.begun = true;
        self.shared.active.store(true, Release);
        if self.again {
            self.shared.restarts.inc();
            #[cfg(feature = "tracing")]
            tracing::error!(
                component = "event_loop_monitor",
                restarts = self.shared.restarts.value(),
                error = "the task ended without having been stopped",
                "monitor of the async runtime started again"
            );
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.active.store(false, Release);
        if self.begun {
            let mut task = self.shared.task();
            if self.shared.wanted.load(Acquire) {
                *task = Some(spawn(Arc::clone(&self.shared), true));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(registry: &Registry) -> RuntimeMonitor {
        RuntimeMonitor::register(registry, &Handle::current(), "").unwrap()
    }

    async fn until(condition: impl Fn() -> bool) {
        for _ in 0..1000 {
            if condition() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it did not come about");
    }

    #[tokio::test]
    async fn a_runtime_that_is_blocked_lags() {
        let monitor = monitor(&Registry::new());
        monitor.start();
        until(|| monitor.figures().monitoring_active).await;
        tokio::time::sleep(LAG_INTERVAL - Duration::from_millis(50)).await;
        #[expect(clippy::disallowed_methods, reason = "the test blocks the runtime")]
        std::thread::sleep(Duration::from_millis(250));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let figures = monitor.figures();
        assert_eq!(figures.samples, 1);
        assert!((0.15..1.0).contains(&figures.max_lag), "{figures:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn lag_does_not_accumulate() {
        let registry = Registry::new();
        let monitor = monitor(&registry);
        monitor.start();
        monitor.start();
        until(|| monitor.figures().monitoring_active).await;
        tokio::time::advance(Duration::from_millis(3_500)).await;
        until(|| monitor.figures().samples == 1).await;
        for _ in 0..5 {
            tokio::time::sleep(LAG_INTERVAL).await;
        }
        until(|| monitor.figures().samples >= 5).await;
        let figures = monitor.figures();
        assert!((2.49..2.6).contains(&figures.max_lag), "{figures:?}");
        assert!(figures.avg_lag * (figures.samples as f64) < 2.6, "{figures:?}");
        assert!(
            registry.expose(crate::exposition::Format::Text004).contains("event_loop_monitoring_active 1\n")
        );
    }

    #[tokio::test]
    async fn it_starts_again_when_its_task_is_killed_and_not_when_it_is_stopped() {
        let monitor = monitor(&Registry::new());
        monitor.start();
        until(|| monitor.figures().monitoring_active).await;
        for restarts in 1..4 {
            monitor.0.task().as_ref().unwrap().abort();
            until(|| monitor.figures().restarts == restarts && monitor.figures().monitoring_active).await;
        }
        monitor.stop();
        until(|| !monitor.figures().monitoring_active).await;
        tokio::task::yield_now().await;
        assert_eq!((monitor.figures().monitoring_active, monitor.figures().restarts), (false, 3));
        monitor.start();
        until(|| monitor.figures().monitoring_active).await;
        assert_eq!(monitor.figures().restarts, 3);
    }

    #[test]
    fn a_runtime_that_shuts_down_takes_it_along() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let monitor = runtime.block_on(async {
            let monitor = monitor(&Registry::new());
            monitor.start();
            while !monitor.figures().monitoring_active {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            monitor
        });
        drop(runtime);
        assert_eq!((monitor.figures().monitoring_active, monitor.figures().restarts), (false, 0));
    }

    #[tokio::test]
    async fn one_for_each_runtime() {
        let (one, two) = (RuntimeMonitor::global().unwrap(), RuntimeMonitor::global().unwrap());
        assert!(Arc::ptr_eq(&one.0, &two.0));
        assert!(std::thread::spawn(|| RuntimeMonitor::global().is_none()).join().unwrap());
    }
}
