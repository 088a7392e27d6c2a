//! How a program fares at one moment: what all documents are written from.

use barograph_model::{Labels, Timestamp};

use super::{
    Parts,
    settings::{Entry, Settings},
};
use crate::{Registry, RequestFigures, Requests, SocketFigures, caches::CacheState, window::Figures};

/// How a program fares. Durations are in seconds, rates are shares from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// Requests.
    pub requests: RequestFigures,
    /// The window by method and route, the routes with the most requests first.
    pub routes: Vec<RouteFigures>,
    /// Paths that were asked for and have no route, and how often.
    pub unrouted: Vec<(String, u64)>,
    /// All caches together.
    pub caches: Caches,
    /// Each cache that is known by name, whether it is tracked or not.
    pub cache_hooks: Vec<CacheState>,
    /// The async runtime.
    pub event_loop: EventLoop,
    /// WebSockets.
    pub sockets: SocketFigures,
    /// The error rate minute by minute, the oldest first.
    pub trend: Vec<TrendPoint>,
    /// The settings.
    pub settings: Vec<Entry>,
}

/// The window of one method and route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteFigures {
    /// The method.
    pub method: String,
    /// The route.
    pub route: String,
    /// Its durations.
    pub window: Figures,
}

/// What all caches counted since the start, by the metrics `cache_hits_total`, `cache_misses_total` and
/// `cache_evictions_total` of the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Look-ups that found something.
    pub hits: u64,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Entries removed for their age, for room, or on demand.
    pub evictions: u64,
}

/// The async runtime, by the metrics `event_loop_lag_avg_ms`, `event_loop_lag_p95_ms` and
/// `event_loop_monitoring_active` of the registry; of several runtimes the one that lags most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EventLoop {
    /// Mean lag over the window, in milliseconds.
    pub avg_lag_ms: f64,
    /// 95th percentile of the lag over the window, in milliseconds.
    pub p95_lag_ms: f64,
    /// Whether the lag is sampled.
    pub monitoring_active: bool,
}

/// The error rate at some moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendPoint {
    /// When.
    pub at: Timestamp,
    /// The share of the window's requests that had failed.
    pub error_rate: f64,
}

impl Caches {
    /// The share of look-ups that found something; 0 of none.
    pub fn hit_rate(&self) -> f64 {
        match self.hits + self.misses {
            0 => 0.0,
            all => self.hits as f64 / all as f64,
        }
    }

    fn read(registry: &Registry) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts, which are whole"
        )]
        let sum = |name| registry.values(name).iter().map(|(_, value)| *value).sum::<f64>() as u64;
        Self {
            hits: sum("cache_hits_total"),
            misses: sum("cache_misses_total"),
            evictions: sum("cache_evictions_total"),
        }
    }
}

impl EventLoop {
    fn read(registry: &Registry) -> Self {
        let most = |name| registry.values(name).iter().map(|(_, value)| *value).fold(0.0, f64::max);
        Self {
            avg_lag_ms: most("event_loop_lag_avg_ms"),
            p95_lag_ms: most("event_loop_lag_p95_ms"),
            monitoring_active: most("event_loop_monitoring_active") > 0.0,
        }
    }
}

impl Snapshot {
    pub(super) fn take(parts: &Parts, settings: &Settings, trend: Vec<TrendPoint>, at: Timestamp) -> Self {
        let Parts { registry, requests, sockets, caches, .. } = parts;
        Self {
            at,
            requests: requests.figures(),
            routes: routes(requests),
            unrouted: requests.unrouted(),
            caches: Caches::read(registry),
            cache_hooks: caches.states(),
            event_loop: EventLoop::read(registry),
            sockets: sockets.figures(),
            trend,
            settings: settings.entries().into(),
        }
    }
}

fn routes(requests: &Requests) -> Vec<RouteFigures> {
    let value = |labels: &Labels, name| labels.value(name).unwrap_or_default().to_owned();
    let by_route = requests.recent().group_by(|labels| (value(labels, "method"), value(labels, "route")));
    let route = |((method, route), window)| RouteFigures { method, route, window };
    let mut routes: Vec<_> = by_route.into_iter().map(route).filter(|route| route.window.count > 0).collect();
    // Stable: routes with as many requests stay in the order of their labels.
    routes.sort_by_key(|route| std::cmp::Reverse(route.window.count));
    routes
}
