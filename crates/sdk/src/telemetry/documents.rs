//! The documents of a program's health, with keys that do not change: fields are added, never removed or retyped.
//!
//! Names ending in `_ms` are in milliseconds; rates are shares from 0 to 1; percentiles and means of nothing are
//! null. What is not said to be of the window is counted since the start.

use super::{
    object::Object,
    settings::{Origin, milliseconds},
    snapshot::{RouteFigures, Snapshot},
};
use crate::{RequestFigures, window::Figures};

/// How many routes `/diagnostics/performance` names.
const ROUTES_MAX: usize = 20;

impl Snapshot {
    /// `/health`: `status` first, then requests, percentiles of the window, and caches.
    pub fn health(&self, status: &str) -> String {
        document(|object| {
            object.text("status", status);
            self.basics(object);
        })
    }

    /// `/health/extended`: the same, with histogram, event loop, WebSockets, the groups of `metrics_extended` and the
    /// trend of the error rate.
    pub fn extended(&self, status: &str) -> String {
        document(|object| {
            object.text("status", status);
            self.basics(object);
            self.details(object);
            object.object("metrics_extended", |object| {
                object.object("requests", |object| {
                    object.count("total_requests", self.requests.total);
                    object.count("failed_requests", self.requests.failed);
                    object.number("error_rate", self.requests.error_rate);
                    object.number("requests_per_second", self.requests.window.per_second);
                });
                object.object("event_loop", |object| self.event_loop(object));
                object.object("websocket", |object| self.websocket(object));
                object.object("percentiles", |object| percentiles(object, &self.requests.window));
            });
            object.list("error_rate_trend", &self.trend, |object, point| {
                object.count("timestamp", point.at.0);
                object.number("error_rate", point.error_rate);
            });
        })
    }

    /// `/diagnostics/metrics`: everything, for whoever looks for a fault.
    pub fn metrics(&self) -> String {
        document(|object| {
            object.count("timestamp", self.at.0);
            self.basics(object);
            self.details(object);
            object.object("window", |object| {
                let window = &self.requests.window;
                object.number("seconds", window.seconds);
                object.count("requests", window.count);
                object.count("errors", self.requests.window_errors);
                object.number("error_rate", self.requests.error_rate);
                object.number("requests_per_second", window.per_second);
                extremes(object, window);
                percentiles(object, window);
            });
            object.object("lifetime", |object| {
                let requests = &self.requests;
                object.count("requests", requests.total);
                object.count("errors", requests.failed);
                object.number("error_rate", share(requests.failed, requests.total));
                object.number("avg_latency_ms", mean(requests).map(milliseconds));
                object.count("in_flight", requests.in_flight);
            });
            object.object("errors", |object| {
                self.requests.errors.iter().for_each(|(class, count)| object.count(class, *count));
            });
            object.list("uninstrumented_routes", &self.unrouted, |object, (path, requests)| {
                object.text("path", path);
                object.count("requests", *requests);
            });
            object.list("cache_hooks", &self.cache_hooks, |object, cache| {
                object.text("cache", &cache.name);
                object.flag("tracked", cache.tracked);
                object.flag("available", cache.available);
                object.count("hits", cache.figures.hits);
                object.count("misses", cache.figures.misses);
                object.count("evictions", cache.figures.evictions);
                object.count("errors", cache.figures.errors);
                object.number("hit_rate", cache.figures.hit_rate());
            });
            object.object("settings", |object| {
                for entry in &self.settings {
                    object.object(entry.name, |object| {
                        object.text("value", &entry.value);
                        object.text("origin", entry.origin.as_str());
                        object.flag("changeable", entry.fixed.is_none());
                    });
                }
            });
        })
    }

    /// `/diagnostics/performance`: what concerns speed.
    pub fn performance(&self) -> String {
        document(|object| {
            let window = &self.requests.window;
            object.count("timestamp", self.at.0);
            object.number("window_seconds", window.seconds);
            object.count("total_requests", self.requests.total);
            object.number("requests_per_second", window.per_second);
            object.number("error_rate", self.requests.error_rate);
            extremes(object, window);
            percentiles(object, window);
            self.histogram(object);
            object.object("event_loop", |object| self.event_loop(object));
            object.number("cache_hit_rate", self.caches.hit_rate());
            let routes = self.routes.iter().take(ROUTES_MAX);
            object.list("routes", routes, |object, RouteFigures { method, route, window }| {
                object.text("method", method);
                object.text("route", route);
                object.count("requests", window.count);
                object.number("requests_per_second", window.per_second);
                percentiles(object, window);
            });
        })
    }

    /// What every document of requests begins with.
    fn basics(&self, object: &mut Object<'_>) {
        object.count("total_requests", self.requests.total);
        object.number("error_rate", self.requests.error_rate);
        percentiles(object, &self.requests.window);
        object.object("cache", |object| {
            object.count("hits", self.caches.hits);
            object.count("misses", self.caches.misses);
            object.count("evictions", self.caches.evictions);
            object.number("hit_rate", self.caches.hit_rate());
        });
    }

    fn details(&self, object: &mut Object<'_>) {
        object.object("event_loop", |object| self.event_loop(object));
        object.object("websocket", |object| self.websocket(object));
        self.histogram(object);
    }

    fn event_loop(&self, object: &mut Object<'_>) {
        object.number("avg_lag_ms", self.event_loop.avg_lag_ms);
        object.number("p95_lag_ms", self.event_loop.p95_lag_ms);
        object.flag("monitoring_active", self.event_loop.monitoring_active);
    }

    fn websocket(&self, object: &mut Object<'_>) {
        object.count("open_connections_estimate", self.sockets.open);
        object.count("messages_sent", self.sockets.messages_sent);
        object.count("messages_received", self.sockets.messages_received);
    }

    /// Cumulative counts by bound in milliseconds; the last is all requests.
    fn histogram(&self, object: &mut Object<'_>) {
        object.object("latency_histogram", |object| {
            for (bound, count) in &self.requests.buckets {
                object.count(&milliseconds(*bound).to_string(), *count);
            }
            object.count("+Inf", self.requests.total);
        });
    }
}

impl Origin {
    /// The word for it in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Profile => "profile",
            Self::File => "file",
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Program => "program",
        }
    }
}

fn document(fields: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::with_capacity(2 << 10);
    Object::write(&mut out, fields);
    out
}

fn percentiles(object: &mut Object<'_>, window: &Figures) {
    for (key, seconds) in [
        ("avg_latency_ms", window.mean),
        ("p50_latency_ms", window.p50),
        ("p90_latency_ms", window.p90),
        ("p95_latency_ms", window.p95),
        ("p99_latency_ms", window.p99),
    ] {
        object.number(key, seconds.map(milliseconds));
    }
}

fn extremes(object: &mut Object<'_>, window: &Figures) {
    object.number("min_latency_ms", window.min.map(milliseconds));
    object.number("max_latency_ms", window.max.map(milliseconds));
}

fn mean(requests: &RequestFigures) -> Option<f64> {
    (requests.total > 0).then(|| requests.sum / requests.total as f64)
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
