//! Requests a program answers: how many, how they ended, how long they took.
//!
//! One set of instruments that everything which answers requests shares: layers for HTTP and gRPC, guards around
//! functions, the documents of health. A request is labelled with its *route*, the template that matched, never with
//! its path, so that there are as many series as routes. What has no route is counted as [`UNROUTED`], and its path
//! is kept in a short list ([`Requests::unrouted`]) for whoever wonders what is missing.
//!
//! | metric | |
//! |---|---|
//! | `http_requests_total{method, route, status}` | requests that are over |
//! | `http_request_errors_total{error_class}` | those that failed (see [`ErrorClass`]) |
//! | `http_request_duration_seconds{method, route}` | histogram; its count is the number of requests |
//! | `http_requests_in_flight` | requests begun and not over |
//! | `http_request_latency_seconds{quantile}` | gauge: quantiles of the sliding window, all routes together |
//! | `http_error_rate` | gauge: share of the window's requests that failed |
//! | `http_request_body_bytes_total{method, route}` | bytes of bodies asked with, as far as known |
//! | `http_response_body_bytes_total{method, route}` | bytes of bodies answered with |
//!
//! [`Requests::client`] are the same for what a program asks of others; their names begin with `http_client_`.
//!
//! A request begun is recorded once, whatever becomes of it: finished, dropped (then it was cancelled), or unwound
//! (then its code panicked). Recording finds the route among those the thread remembers and writes cells of its own: two
//! readings of the clock and some 60 ns, no lock, no allocation once the thread has seen the route and status.

mod figures;
mod request;
mod route;
mod unrouted;

use std::{
    collections::BTreeMap,
    sync::{
        LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    Counter, Error, Family, Histogram, Registry, Telemetry, Unit, UpDownCounter,
    errors::{Classifier, ErrorClass},
    global::group,
    window::{Figures, QUANTILES, Watch},
};

pub use figures::RequestFigures;
pub(crate) use request::GRPC_STATUSES;
pub use request::{Outcome, Request};
pub use unrouted::{UNROUTED_MAX, Unrouted};

use route::Route;

/// The bounds of `http_request_duration_seconds` unless configured otherwise: 25 ms to 5 s.
pub const REQUEST_BOUNDS: [f64; 11] = [0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0];

/// The route of requests that no route matched.
pub const UNROUTED: &str = "none";

/// The instruments for requests, in one registry. Cloning it is free, and clones are the same instruments.
#[derive(Clone, Debug)]
#[doc(alias = "MetricsCollector")]
pub struct Requests(&'static Instruments);

#[derive(Debug)]
struct Instruments {
    total: Family<Counter, 3>,
    durations: Family<Histogram, 2>,
    errors: Family<Counter, 1>,
    errors_by_class: [Counter; ErrorClass::BUILT_IN.len()],
    received: Family<Counter, 2>,
    sent: Family<Counter, 2>,
    in_flight: UpDownCounter,
    recent: Watch<Histogram>,
    bounds: Box<[f64]>,
    recent_errors: Watch<Counter>,
    client_errors_count: AtomicBool,
    classifier: RwLock<Classifier>,
    unrouted: Mutex<Unrouted>,
    /// Of a process that has no room for another route.
    lost: OnceLock<Route>,
}

impl Requests {
    /// The instruments in a registry, with [`REQUEST_BOUNDS`]. They live as long as the process.
    ///
    /// # Errors
    /// The registry has other metrics of these names.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Self::with_bounds(registry, &REQUEST_BOUNDS)
    }

    /// The same with other bounds, in seconds, finite and strictly ascending.
    ///
    /// # Errors
    /// As [`Requests::register`], and bounds that are not so.
    pub fn with_bounds(registry: &Registry, bounds: &[f64]) -> Result<Self, Error> {
        Self::define(registry, "http", bounds)
    }

    /// The instruments for what a program asks of others, with [`REQUEST_BOUNDS`].
    ///
    /// # Errors
    /// As [`Requests::register`].
    pub fn register_client(registry: &Registry) -> Result<Self, Error> {
        Self::define(registry, "http_client", &REQUEST_BOUNDS)
    }

    /// The instruments whose names begin with `prefix`.
    fn define(registry: &Registry, prefix: &str, bounds: &[f64]) -> Result<Self, Error> {
        let name = |rest| format!("{prefix}_{rest}");
        let bytes = |rest, help| {
            let counter = registry.counter(&name(rest)).unit(Unit::Bytes).help(help);
            counter.family(["method", "route"])
        };
        let errors = registry
            .counter(&name("request_errors_total"))
            .help("Requests that failed, by class: status 400 and above, timeouts, cancellations, panics.")
            .family(["error_class"])?;
        let durations = registry
            .histogram(&name("request_duration"))
            .unit(Unit::Seconds)
            .help("Time from a request to the end of its answer, by method and route.")
            .bounds(bounds)
            .family(["method", "route"])?;
        let instruments = Instruments {
            recent: registry.watch(&name("request_duration")).expect("it was registered above"),
            recent_errors: registry.watch(&name("request_errors_total")).expect("it was registered above"),
            total: registry
                .counter(&name("requests_total"))
                .help("Requests that are over, by method, route and status.")
                .family(["method", "route", "status"])?,
            durations,
            bounds: bounds.into(),
            errors_by_class: ErrorClass::BUILT_IN.map(|class| errors.with([class.as_str()])),
            errors,
            received: bytes(
                "request_body",
                "Bytes of bodies asked with, as far as known, by method and route.",
            )?,
            sent: bytes("response_body", "Bytes of bodies answered with, by method and route.")?,
            in_flight: registry
                .up_down_counter(&name("requests_in_flight"))
                .help("Requests begun and not over.")
                .register()?,
            client_errors_count: AtomicBool::new(true),
            classifier: RwLock::default(),
            unrouted: Mutex::default(),
            lost: OnceLock::new(),
        };
        let requests = Self(Box::leak(Box::new(instruments)));
        requests.expose_window(registry, prefix)?;
        Ok(requests)
    }

    /// Those of [`Telemetry::global`], in [`Registry::global`]. If that has other metrics of these names, what is recorded
    /// here is shown nowhere, and [`Registry::problems`] tells why.
    #[doc(alias = "unified_metrics_collector")]
    pub fn global() -> &'static Self {
        Telemetry::global().requests()
    }

    /// Those of the process for what it asks of others.
    pub fn client() -> &'static Self {
        static CLIENT: LazyLock<Requests> = LazyLock::new(|| group(Requests::register_client));
        &CLIENT
    }

    /// Begins a request. `method` is one of a few words; `route` the template that matched, such as
    /// `/users/{id}`.
    #[doc(alias("record_http_request", "instrument_route"))]
    pub fn begin(&self, method: &str, route: &str) -> Request {
        Request::begin(Route::find(self, method, route))
    }

    /// Begins a request of a method and route that the calling thread has begun before.
    #[cfg(feature = "tower")]
    pub(crate) fn begin_known(&self, method: &str, route: &str) -> Option<Request> {
        Route::known(self, method, route).map(Request::begin)
    }

    /// Begins a request that no route matched: it is counted under [`UNROUTED`], and `path`, without its query, is
    /// listed by [`Requests::unrouted`]. Takes a lock.
    pub fn begin_unrouted(&self, method: &str, path: &str) -> Request {
        self.note_unrouted(path);
        self.begin(method, UNROUTED)
    }

    /// Records a request that is over and was answered with an HTTP status.
    #[doc(alias = "record_request")]
    pub fn record(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.note(Route::find(self, method, route), Outcome::Status(status), took);
    }

    /// Lists a path that no route matched, without its query. Takes a lock.
    pub fn note_unrouted(&self, path: &str) {
        self.list().note(path);
    }

    /// The paths that were asked for and matched no route, the most frequent first, and how often.
    pub fn unrouted(&self) -> Vec<(String, u64)> {
        self.list().paths()
    }

    /// The class of an error value, by the patterns of [`Requests::set_classifier`].
    pub fn classify(&self, error: &(dyn std::error::Error + 'static)) -> ErrorClass {
        self.0.classifier.read().unwrap_or_else(PoisonError::into_inner).of_dyn(error)
    }

    /// From now on errors are classified so.
    pub fn set_classifier(&self, classifier: Classifier) {
        *self.0.classifier.write().unwrap_or_else(PoisonError::into_inner) = classifier;
    }

    /// Whether [`ErrorClass::Client`] is part of the error rate: `true` unless set. It is counted either way.
    pub fn set_client_errors_count(&self, count: bool) {
        self.0.client_errors_count.store(count, Relaxed);
    }

    /// How requests fare: totals since the start, and the sliding window.
    pub fn figures(&self) -> RequestFigures {
        RequestFigures::read(self.0)
    }

    /// The sliding window of the durations, by the labels `method` and `route`.
    pub fn recent(&self) -> &Watch<Histogram> {
        &self.0.recent
    }

    /// Shows the window beside the totals.
    fn expose_window(&self, registry: &Registry, prefix: &str) -> Result<(), Error> {
        for (at, (_, quantile)) in QUANTILES.into_iter().enumerate() {
            let recent = self.0.recent.clone();
            registry
                .gauge(&format!("{prefix}_request_latency"))
                .unit(Unit::Seconds)
                .help("Quantiles of the time requests took, over the sliding window.")
                .label("quantile", quantile)
                .observe(move || {
                    let figures = recent.figures();
                    [figures.p50, figures.p90, figures.p95, figures.p99][at].unwrap_or(f64::NAN)
                })?;
        }
        let requests = self.clone();
        registry
            .gauge(&format!("{prefix}_error_rate"))
            .help("Share of requests that failed, over the sliding window, 0 to 1.")
            .observe(move || requests.figures().error_rate)
    }

    /// Requests that are over by route, in the order of their names.
    pub fn by_route(&self) -> BTreeMap<String, u64> {
        self.0.durations.series().into_iter().fold(BTreeMap::new(), |mut routes, ([_, route], duration)| {
            *routes.entry(route).or_default() += duration.read().sketch.count();
            routes
        })
    }

    /// The window of each route.
    pub fn windows(&self) -> BTreeMap<String, Figures> {
        self.0.recent.by("route")
    }

    /// Records a request that is over.
    fn note(&self, route: &Route, outcome: Outcome, took: Duration) {
        route.duration.record_duration(took);
        route.count(outcome);
        if let Some(class) = outcome.class() {
            match class.index() {
                Some(index) => self.0.errors_by_class[index].inc(),
                None => self.0.errors.with([class.as_str()]).inc(),
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, Unrouted> {
        self.0.unrouted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
