//! A program's telemetry as one thing: a registry with its instruments for requests and sockets, the settings, the
//! time, and the documents that show how the program fares.
//!
//! Most programs use that of the process, [`Telemetry::global`], which reads the settings from the environment and
//! starts a thread that moves windows on. Tests and libraries make their own with [`Telemetry::new`], and tell it
//! the time. All figures of a document are of one [`Snapshot`].
//!
//! ```
//! use std::time::Duration;
//! use barograph::{Timestamp, telemetry::{Settings, Telemetry}};
//!
//! let telemetry = Telemetry::new(Settings::default())?;
//! telemetry.tick(Timestamp(0));
//! telemetry.requests().record("GET", "/users/{id}", 200, Duration::from_millis(30));
//!
//! let snapshot = telemetry.snapshot(Timestamp(10_000));
//! assert_eq!(snapshot.requests.total, 1);
//! assert!(snapshot.health("healthy").starts_with(r#"{"status":"healthy","total_requests":1,"error_rate":0,"#));
//! # Ok::<(), barograph::Error>(())
//! ```

mod documents;
pub(crate) mod object;
mod profile;
mod settings;
mod snapshot;
mod units;

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use barograph_model::Timestamp;
use barograph_wire::exposition::{self, Format};

use crate::{
    Error, Registry, Requests, Sockets, caches, global::group, sockets::SILENCE_MAX, window::Ticker,
};

pub use profile::Profile;
pub use settings::{Entry, ExpositionUnits, Origin, SAMPLES_MAX, Setting, SettingError, Settings};
pub use snapshot::{Caches, EventLoop, RouteFigures, Snapshot, TrendPoint};
pub use units::in_units;

/// How many points the trend of the error rate has: an hour of them.
pub const TREND_MAX: usize = 60;

/// How far the points of the trend are apart, and how often silent sockets are looked for.
const TREND_EVERY_MS: i64 = 60_000;

/// A program's telemetry. Cloning it is cheap, and clones are the same.
#[derive(Clone)]
#[doc(alias("unified_metrics_collector", "MetricsCollector"))]
pub struct Telemetry(Arc<Shared>);

struct Shared {
    parts: Parts,
    settings: Mutex<Settings>,
    problems: Vec<SettingError>,
    ticker: Mutex<Option<Ticker>>,
}

/// What moves as time goes on; the ticker has it too, and must not keep its own owner alive.
#[derive(Clone)]
struct Parts {
    registry: Registry,
    requests: Requests,
    sockets: Sockets,
    caches: caches::Caches,
    trend: Arc<Mutex<VecDeque<TrendPoint>>>,
}

impl Telemetry {
    /// Telemetry in a registry of its own. Nothing ticks it.
    ///
    /// # Errors
    /// None that settings which exist can cause.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Self::within(&Registry::new(), settings)
    }

    /// Telemetry in a registry that may have other metrics too. Nothing ticks it.
    ///
    /// # Errors
    /// The registry has other metrics of the names of [`Requests`], [`Sockets`] or [`caches::Caches`].
    pub fn within(registry: &Registry, settings: Settings) -> Result<Self, Error> {
        Self::make(registry, settings, Vec::new())
    }

    fn make(registry: &Registry, settings: Settings, problems: Vec<SettingError>) -> Result<Self, Error> {
        let requests = Requests::with_bounds(registry, settings.bounds())?;
        let (sockets, caches) = (Sockets::register(registry)?, caches::Caches::register(registry)?);
        let parts = Parts::new(registry, requests, sockets, caches, &settings);
        let settings = Mutex::new(settings);
        Ok(Self(Arc::new(Shared { parts, settings, problems, ticker: Mutex::default() })))
    }

    /// Telemetry of instruments that exist already; `registry` is where the requests are. Nothing ticks it.
    pub fn of(
        registry: &Registry,
        requests: Requests,
        sockets: Sockets,
        caches: caches::Caches,
        settings: Settings,
    ) -> Self {
        let parts = Parts::new(registry, requests, sockets, caches, &settings);
        let settings = Mutex::new(settings);
        Self(Arc::new(Shared { parts, settings, problems: Vec::new(), ticker: Mutex::default() }))
    }

    /// That of the process, in [`Registry::global`]. The first call reads the environment and starts the ticker. What
    /// is not valid there has its default, and [`Telemetry::problems`] tells; a program that would rather not start
    /// asks [`Settings::from_env`] first.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Telemetry> = LazyLock::new(|| {
            let (settings, problems) = Settings::read_env();
            let telemetry = group(|registry| Telemetry::make(registry, settings.clone(), problems.clone()));
            // Without a thread windows stand still; everything else works.
            let _ = telemetry.start_ticker();
            telemetry
        });
        &GLOBAL
    }

    /// Where the metrics are.
    pub fn registry(&self) -> &Registry {
        &self.0.parts.registry
    }

    /// The instruments for requests.
    pub fn requests(&self) -> &Requests {
        &self.0.parts.requests
    }

    /// The instruments for WebSockets.
    pub fn sockets(&self) -> &Sockets {
        &self.0.parts.sockets
    }

    /// The instruments for caches.
    pub fn caches(&self) -> &caches::Caches {
        &self.0.parts.caches
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Settings {
        self.lock_settings().clone()
    }

    /// The settings of the environment that were not valid, of which the defaults hold.
    pub fn problems(&self) -> &[SettingError] {
        &self.0.problems
    }

    /// Changes a setting, by the name of its variable, while the program runs.
    ///
    /// # Errors
    /// There is no such setting, the value is not valid, or it cannot change any more; then all stays as it was.
    pub fn update(&self, name: &str, value: &str) -> Result<(), SettingError> {
        let setting = Setting::named(name).ok_or_else(|| SettingError::Unknown { name: name.to_owned() })?;
        let mut settings = self.lock_settings();
        settings.change(setting, value)?;
        self.registry().set_window(settings.window());
        Ok(())
    }

    /// Tells the time; see [`Registry::tick`]. Sockets that are silent for long are taken for gone, and the trend of the
    /// error rate goes on.
    pub fn tick(&self, now: Timestamp) {
        self.0.parts.tick(now);
    }

    /// Starts a thread that ticks every second, unless there is one.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start_ticker(&self) -> io::Result<()> {
        let mut ticker = self.0.ticker.lock().unwrap_or_else(PoisonError::into_inner);
        if ticker.is_none() {
            let parts = self.0.parts.clone();
            *ticker = Some(Ticker::every_second(move |now| parts.tick(now))?);
        }
        Ok(())
    }

    /// Stops that thread and waits for its end.
    pub fn stop_ticker(&self) {
        let ticker = self.0.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ticker);
    }

    /// Everything at once, as it is `now`.
    #[doc(alias("get_snapshot", "getStats"))]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        self.tick(now);
        let trend = self.0.parts.trend().iter().copied().collect();
        Snapshot::take(&self.0.parts, &self.settings(), trend, now)
    }

    /// All metrics as text, in the units of the settings; `None` where the settings say that nothing is exposed.
    pub fn expose(&self, format: Format) -> Option<String> {
        let settings = self.settings();
        settings.prometheus_enabled().then(|| {
            let mut text = String::new();
            let families = in_units(self.registry().collect(), settings.exposition_units());
            exposition::write(&mut text, &families, format);
            text
        })
    }

    fn lock_settings(&self) -> MutexGuard<'_, Settings> {
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn new(
        registry: &Registry,
        requests: Requests,
        sockets: Sockets,
        caches: caches::Caches,
        settings: &Settings,
    ) -> Self {
        registry.set_window(settings.window());
        Self { requests, sockets, caches, registry: registry.clone(), trend: Arc::default() }
    }

    fn tick(&self, now: Timestamp) {
        self.registry.tick(now);
        let mut trend = self.trend();
        let since = trend.back().map_or(i64::MAX, |last| now.0.saturating_sub(last.at.0));
        // A clock that was set back must not stop the trend.
        if !(0..TREND_EVERY_MS).contains(&since) {
            if trend.len() >= TREND_MAX {
                trend.pop_front();
            }
            trend.push_back(TrendPoint { at: now, error_rate: self.requests.figures().error_rate });
            self.sockets.sweep(now, SILENCE_MAX);
        }
    }

    fn trend(&self) -> MutexGuard<'_, VecDeque<TrendPoint>> {
        self.trend.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Telemetry({:?})", self.registry())
    }
}
