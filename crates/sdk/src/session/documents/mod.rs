//! Sessions as documents: the answers of `/health/server` and the paths beside it.
//!
//! Keys are the names of the statistics. All that stands in one document is of one reading, which is part of it, so that
//! whoever reads it can compute again what was derived. Percentages are shares from 0 to 1, scores go to 100, times are
//! RFC 3339 with milliseconds, and what was not measured yet is null.

mod details;
mod exposition;
mod write;

use std::collections::BTreeMap;

use super::{
    ClientAnalytics, ClientDetails, ClientSnapshot, Expression, ServerAnalytics, ServerSnapshot, ServerStats,
    Sessions, Surroundings, UNMEASURED,
    analytics::{Part, compute_client_analytics, compute_server_analytics},
    field::alias,
};
use crate::telemetry::object::Object;
use write::Write as _;

const HOUR_MS: f64 = 3_600_000.0;
/// Bytes of a gigabyte, as networks count.
const GB: f64 = 1e9;

/// How documents spell what there is more than one way to spell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spelling {
    /// Low-water fields that were not measured are 9223372036854775807 in place of null.
    pub sentinels: bool,
    /// Times are milliseconds since the epoch.
    pub epoch: bool,
}

/// In which order clients are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By id.
    #[default]
    Id,
    /// Those that cost most first.
    Cost,
    /// Those with the worst score first.
    Health,
    /// Those with most calls first.
    Calls,
}

impl Order {
    /// The order of this name: `id`, `cost`, `health`, `calls`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "cost" => Self::Cost,
            "health" => Self::Health,
            "calls" => Self::Calls,
            _ => return None,
        })
    }
}

/// Which clients are listed.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// In which order.
    pub order: Order,
    /// How many are left out at the beginning.
    pub offset: usize,
    /// How many there are at most.
    pub limit: usize,
    /// Whether those that are not connected any more are listed too.
    pub finished: bool,
}

impl Default for Listing {
    fn default() -> Self {
        Self { order: Order::Id, offset: 0, limit: usize::MAX, finished: false }
    }
}

/// A reading of a server with what follows from it, and how to spell both.
#[derive(Debug)]
pub struct Report {
    sessions: Sessions,
    /// The reading.
    pub snapshot: ServerSnapshot,
    /// What follows from it.
    pub analytics: ServerAnalytics,
    spelling: Spelling,
    /// What somebody wanted computed of it.
    computed: Vec<(String, Option<f64>)>,
}

impl Sessions {
    /// Reads the server, for one document.
    pub fn report(&self, surroundings: &Surroundings, spelling: Spelling) -> Report {
        let snapshot = self.snapshot();
        let analytics = compute_server_analytics(&snapshot, surroundings, &self.settings().weights);
        Report { sessions: self.clone(), snapshot, analytics, spelling, computed: Vec::new() }
    }
}

impl Report {
    /// `/health/server`: summary, `raw`, `derived`, and the parts of the scores.
    pub fn server(&self) -> String {
        document(|object| {
            object.object("server", |object| {
                self.summary(object);
                object.object("raw", |object| {
                    for (field, value) in ServerStats::FIELDS.iter().zip(self.snapshot.raw.values()) {
                        object.value(field, field.name, &value, self.spelling);
                    }
                });
                object.object("derived", |object| {
                    self.derived(object);
                    for (name, value) in self.sessions.derived(&self.snapshot) {
                        object.number(&name, value);
                    }
                });
                self.aliases(object);
                if self.snapshot.keeps_totals {
                    object.object("lifetime", |object| {
                        let totals = self.sessions.totals_with(&self.snapshot.raw);
                        totals.iter().for_each(|(name, total)| object.count(name, *total));
                    });
                }
                if !self.computed.is_empty() {
                    object.object("computed", |object| {
                        self.computed.iter().for_each(|(text, value)| object.number(text, *value));
                    });
                }
                object.object("score-parts", |object| {
                    parts(object, "server-health-score", &self.analytics.health_parts);
                    parts(object, "system-load-score", &self.analytics.load_parts);
                });
                object.count("events-published-total", self.snapshot.events_published);
                self.limits(object);
            });
        })
    }

    /// Computes an expression of the reading, to be shown under `computed` in the document of the server.
    ///
    /// # Errors
    /// It is none, or names what is no number; the text says which.
    pub fn compute(&mut self, text: &str) -> Result<Option<f64>, String> {
        let expression = Expression::parse(text).map_err(|error| error.to_string())?;
        let numbers = self.numbers();
        if let Some(unknown) = expression.names().into_iter().find(|name| !numbers.contains_key(*name)) {
            return Err(format!("there is no statistic {unknown:?} that is a number"));
        }
        let value = expression.evaluate(&|name| numbers.get(name).copied().flatten());
        self.computed.push((text.to_owned(), value));
        Ok(value)
    }

    /// The numbers of the server by name and alias, raw and derived.
    fn numbers(&self) -> BTreeMap<String, Option<f64>> {
        let raw = ServerStats::FIELDS.iter().zip(self.snapshot.raw.values());
        let raw = raw.map(|(field, value)| {
            let value = value.as_integer().filter(|value| *value != UNMEASURED);
            (field.name.to_owned(), value.map(|value| value as f64))
        });
        let derived = self.derived_numbers().into_iter().map(|(name, _, value)| (name.to_owned(), value));
        let own = self.sessions.derived(&self.snapshot);
        let mut numbers: BTreeMap<_, _> = raw.chain(derived).chain(own).collect();
        let aliases: Vec<_> =
            numbers.iter().filter_map(|(name, value)| Some((alias(name)?, *value))).collect();
        numbers.extend(aliases);
        numbers
    }

    /// `/health/clients`: the summary of the server, and a line for each client.
    pub fn clients(&self, listing: Listing) -> String {
        let snapshots = self.sessions.client_snapshots(listing.finished);
        let nothing = ClientDetails::default();
        let weights = &self.sessions.settings().weights;
        let mut all: Vec<_> = snapshots
            .iter()
            .map(|snapshot| (snapshot, compute_client_analytics(snapshot, &nothing, None, weights)))
            .collect();
        match listing.order {
            Order::Id => {}
            Order::Cost => all.sort_by(|a, b| b.1.cost.total_cmp(&a.1.cost)),
            Order::Health => all.sort_by(|a, b| a.1.client_health_score.total_cmp(&b.1.client_health_score)),
            Order::Calls => all.sort_by_key(|(snapshot, _)| std::cmp::Reverse(snapshot.raw.api_calls_total)),
        }
        document(|object| {
            object.object("server", |object| self.summary(object));
            let listed = all.iter().skip(listing.offset).take(listing.limit);
            object.list("clients", listed, |object, (snapshot, analytics)| line(object, snapshot, analytics));
            object.count("total", all.len() as u64);
            object.count("offset", listing.offset as u64);
        })
    }

    /// The seven figures that a person looks at first.
    fn summary(&self, object: &mut Object<'_>) {
        let (raw, derived) = (&self.snapshot.raw, &self.analytics);
        object.number("uptime-hours", derived.server_uptime_ms as f64 / HOUR_MS);
        object.count("clients-connected", raw.clients_connected_current);
        object.count("clients-peak", raw.clients_connected_peak);
        object.count("api-calls-total", raw.api_calls_total);
        object.number("api-success-rate", derived.api_success_rate_overall);
        object.count("events-sent", raw.events_sent_total);
        object.number("bytes-transferred-gb", raw.bytes_transferred_total as f64 / GB);
    }

    fn derived(&self, object: &mut Object<'_>) {
        let derived = &self.analytics;
        object.count("server-uptime-ms", derived.server_uptime_ms);
        object.number("server-health-score", derived.server_health_score);
        object.number("api-success-rate-overall", derived.api_success_rate_overall);
        object.number("event-delivery-success-rate", derived.event_delivery_success_rate);
        object.number("system-load-score", derived.system_load_score);
        object.trends("performance-trend-24h", derived.performance_trend_24h);
        object.number("collaborative-effectiveness", derived.collaborative_effectiveness);
        object.number("subscription-churn-rate-per-hour", derived.subscription_churn_rate_per_hour);
        object.number("api-calls-per-hour", derived.api_calls_per_hour);
        object.count("api-peak-calls-per-minute", derived.api_peak_calls_per_minute);
        object.object("api-method-usage-map", |object| {
            for (name, [success, failure]) in &derived.api_method_usage_map {
                object.object(name, |object| {
                    object.count("calls", success + failure);
                    object.count("success", *success);
                    object.count("failure", *failure);
                });
            }
        });
        self.grpc_errors(object, "grpc-error-breakdown-by-status");
        object.count("collaborative-sessions-active", derived.collaborative_sessions_active);
        object.count("pieces-with-multiple-subscribers", derived.pieces_with_multiple_subscribers);
        self.memory(object);
        self.threads(object);
        object.count("queue-memory-usage-total-bytes", derived.queue_memory_usage_total_bytes);
    }

    fn aliases(&self, object: &mut Object<'_>) {
        if self.sessions.settings().aliases {
            object.object("aliases", |object| {
                for (field, value) in ServerStats::FIELDS.iter().zip(self.snapshot.raw.values()) {
                    if let Some(name) = field.alias() {
                        object.value(field, &name, &value, self.spelling);
                    }
                }
                let name = "pieces-with-multiple-subscribers";
                object
                    .count(&alias(name).unwrap_or_default(), self.analytics.pieces_with_multiple_subscribers);
            });
        }
    }

    fn grpc_errors(&self, object: &mut Object<'_>, key: &str) {
        object.object(key, |object| {
            for (status, count) in &self.snapshot.grpc_errors {
                object.count(status, *count);
            }
        });
    }

    fn memory(&self, object: &mut Object<'_>) {
        object.count_or_null("memory-usage-current-bytes", self.analytics.memory_usage_current_bytes);
        object.count_or_null("memory-usage-peak-bytes", self.analytics.memory_usage_peak_bytes);
    }

    fn threads(&self, object: &mut Object<'_>) {
        object.count_or_null("thread-pool-active-count", self.analytics.thread_pool_active_count);
        object.count_or_null("thread-pool-usage-peak", self.analytics.thread_pool_usage_peak);
        object.count_or_null("thread-pool-queue-size", self.analytics.thread_pool_queue_size);
    }

    /// How often each limit was hit.
    fn limits(&self, object: &mut Object<'_>) {
        object.object("limits-hit", |object| {
            self.snapshot.limits.iter().for_each(|(name, times)| object.count(name, *times));
        });
    }
}

/// A client as one of many.
fn line(object: &mut Object<'_>, snapshot: &ClientSnapshot, analytics: &ClientAnalytics) {
    object.text("client-id", &snapshot.id);
    object.number("connected-duration-hours", analytics.connection_duration_ms as f64 / HOUR_MS);
    object.count("api-calls", snapshot.raw.api_calls_total);
    object.count("events-received", snapshot.events_received());
    object.text("queue-health", snapshot.queue.as_str());
    object.text("state", if snapshot.gone.is_some() { "disconnected" } else { "connected" });
    object.number("client-health-score", analytics.client_health_score);
    object.text("pattern", analytics.pattern.as_str());
    object.number("cost", analytics.cost);
}

/// What a score is made of.
fn parts(object: &mut Object<'_>, score: &str, parts: &[Part]) {
    object.object(score, |object| {
        for part in parts {
            object.object(part.name, |object| {
                object.number("value", part.value);
                object.number("weight", part.weight);
            });
        }
    });
}

fn document(fields: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::with_capacity(4 << 10);
    Object::write(&mut out, fields);
    out
}
