//! What follows from what is kept: 20 values of a server and 12 of a client, computed when somebody asks.
//!
//! All are pure functions of one reading, of what surrounds the server, and of nothing else. A share of nothing is
//! `None`, and counts as 1 in a score.

use std::{fmt, sync::Arc, sync::PoisonError};

use super::{ClientDetails, ClientSnapshot, ServerSnapshot, Sessions, UNMEASURED, Weights};

const HOUR_MS: f64 = 3_600_000.0;
/// After so long without an error nothing more is gained by waiting.
const CALM_MS: f64 = 300_000.0;
/// Seconds up to which a p95 is as good as can be, and from which it is as bad.
const LATENCY: (f64, f64) = (0.5, 2.0);
/// Milliseconds of lag from which a queue is as bad as can be.
const LAG_MS: f64 = 1_000.0;

/// What a server cannot know of itself by counting. What is not known is left out of scores.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Resident memory of the process, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most it ever was.
    pub memory_peak_bytes: Option<u64>,
    /// Share of the processors that is in use, 0 to 1.
    pub cpu: Option<f64>,
    /// Share of the memory that is in use, 0 to 1.
    pub memory: Option<f64>,
    /// Share of time in which the runtime's workers work, 0 to 1.
    pub busy: Option<f64>,
    /// Threads that work now: busy workers and blocking threads.
    pub threads_active: Option<u64>,
    /// The most there ever were.
    pub threads_peak: Option<u64>,
    /// Tasks that wait for one.
    pub threads_queued: Option<u64>,
    /// How it went in the last day, or of a client in the last week.
    pub trend: Option<Trends>,
}

/// How things went over a long time, from stored history.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trends {
    /// The 95th percentile of the time calls take, in milliseconds; not known of single clients.
    pub p95_latency: Option<Trend>,
    /// The mean of it.
    pub mean_latency: Option<Trend>,
    /// Calls per second.
    pub throughput: Option<Trend>,
    /// Share of calls that fail.
    pub error_rate: Option<Trend>,
}

/// How one figure went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// Whether it gets better, stays, or gets worse.
    pub direction: Direction,
    /// Its change in an hour, in its unit.
    pub slope_per_hour: f64,
    /// Its change from the begin to the end, in percent of the begin.
    pub change_percent: Option<f64>,
    /// Points that this is made of.
    pub samples: u64,
}

/// Where things are going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// They get better.
    Improving,
    /// They stay.
    #[default]
    Stable,
    /// They get worse.
    Degrading,
}

impl Direction {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Improving => "improving",
            Self::Stable => "stable",
            Self::Degrading => "degrading",
        }
    }
}

/// One part of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// How good it is, 0 to 1; `None` if it is not known, which counts as 1.
    pub value: Option<f64>,
    /// How much it weighs.
    pub weight: f64,
}

/// 100 times the weighted mean of the parts.
#[doc(alias = "composite-health-calculation")]
pub fn composite_health(parts: &[Part]) -> f64 {
    weighted(parts, 1.0)
}

fn weighted(parts: &[Part], unknown: f64) -> f64 {
    let weights: f64 = parts.iter().map(|part| part.weight).sum();
    let sum: f64 = parts.iter().map(|part| part.weight * part.value.unwrap_or(unknown).clamp(0.0, 1.0)).sum();
    if weights > 0.0 { 100.0 * sum / weights } else { 100.0 }
}

/// The 20 values that follow from a reading of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerAnalytics {
    /// Time since the start, in milliseconds.
    pub server_uptime_ms: u64,
    /// How well it is, 0 to 100: the mean of `health_parts`.
    pub server_health_score: f64,
    /// Share of calls that succeeded.
    pub api_success_rate_overall: Option<f64>,
    /// Share of events that were not dropped.
    pub event_delivery_success_rate: Option<f64>,
    /// How much of its resources is in use, 0 to 100: the mean of `load_parts`.
    pub system_load_score: f64,
    /// How it went in the last day.
    pub performance_trend_24h: Option<Trends>,
    /// Share of the subscribed pieces that have two subscribers and more.
    pub collaborative_effectiveness: Option<f64>,
    /// Subscriptions made and taken back, per hour.
    pub subscription_churn_rate_per_hour: Option<f64>,
    /// Calls per hour.
    pub api_calls_per_hour: Option<f64>,
    /// The most calls that ended in one clock minute.
    pub api_peak_calls_per_minute: u64,
    /// Calls by method.
    pub api_method_usage_map: Vec<(Arc<str>, [u64; 2])>,
    /// Calls that failed, by gRPC status.
    pub grpc_error_breakdown_by_status: Vec<(&'static str, u64)>,
    /// Groups of clients that share pieces.
    pub collaborative_sessions_active: u64,
    /// Pieces with two subscribers and more.
    pub pieces_with_multiple_subscribers: u64,
    /// Memory of the process, in bytes.
    pub memory_usage_current_bytes: Option<u64>,
    /// The most it ever was.
    pub memory_usage_peak_bytes: Option<u64>,
    /// Threads at work.
    pub thread_pool_active_count: Option<u64>,
    /// The most there ever were.
    pub thread_pool_usage_peak: Option<u64>,
    /// Tasks that wait for a thread.
    pub thread_pool_queue_size: Option<u64>,
    /// Bytes that wait in queues of events.
    pub queue_memory_usage_total_bytes: u64,
    /// What `server_health_score` is made of.
    pub health_parts: [Part; 6],
    /// What `system_load_score` is made of.
    pub load_parts: [Part; 4],
}

/// What follows from a reading of a server.
#[doc(alias = "compute-server-analytics")]
pub fn compute_server_analytics(
    snapshot: &ServerSnapshot,
    surroundings: &Surroundings,
    weights: &Weights,
) -> ServerAnalytics {
    let raw = &snapshot.raw;
    let uptime = snapshot.at_ms.saturating_sub(raw.server_start_time);
    let per_hour = |count: u64| (uptime > 0).then(|| count as f64 * HOUR_MS / uptime as f64);
    let api_success = share(raw.api_calls_success, raw.api_calls_total);
    let delivery =
        share(raw.events_sent_total.saturating_sub(raw.events_dropped_total), raw.events_sent_total);
    let (healthy, warning) = (raw.event_queues_healthy_count as f64, raw.event_queues_warning_count as f64);
    let queues = healthy + warning + raw.event_queues_critical_count as f64;
    let latency = snapshot.window.p95.map(|p95| (LATENCY.1 - p95) / (LATENCY.1 - LATENCY.0));
    let values = [
        api_success,
        delivery,
        (queues > 0.0).then(|| (healthy + 0.5 * warning) / queues),
        latency.map(|latency| latency.clamp(0.0, 1.0)),
        Some((raw.error_free_duration_ms as f64 / CALM_MS).min(1.0)),
        share(raw.clients_disconnected_graceful, raw.clients_disconnected_total),
    ];
    let health_parts = parts(Weights::SERVER, values, weights.server);
    let load = [surroundings.cpu, surroundings.memory, surroundings.busy, Some(snapshot.queue_fill)];
    let load_parts = parts(Weights::LOAD, load, weights.load);
    let known: Vec<_> = load_parts.iter().filter(|part| part.value.is_some()).copied().collect();
    ServerAnalytics {
        server_uptime_ms: uptime,
        server_health_score: composite_health(&health_parts),
        api_success_rate_overall: api_success,
        event_delivery_success_rate: delivery,
        system_load_score: weighted(&known, 0.0),
        performance_trend_24h: surroundings.trend,
        collaborative_effectiveness: share(snapshot.collaboration.shared, snapshot.collaboration.pieces),
        subscription_churn_rate_per_hour: per_hour(raw.subscription_changes_total),
        api_calls_per_hour: per_hour(raw.api_calls_total),
        api_peak_calls_per_minute: snapshot.peak_calls_per_minute,
        api_method_usage_map: {
            let of = |method: &super::MethodSnapshot| (method.name.clone(), [method.success, method.failure]);
            snapshot.methods.iter().map(of).collect()
        },
        grpc_error_breakdown_by_status: snapshot.grpc_errors.clone(),
        collaborative_sessions_active: snapshot.collaboration.groups,
        pieces_with_multiple_subscribers: snapshot.collaboration.shared,
        memory_usage_current_bytes: surroundings.memory_bytes,
        memory_usage_peak_bytes: surroundings.memory_peak_bytes,
        thread_pool_active_count: surroundings.threads_active,
        thread_pool_usage_peak: surroundings.threads_peak,
        thread_pool_queue_size: surroundings.threads_queued,
        queue_memory_usage_total_bytes: snapshot.queue_bytes,
        health_parts,
        load_parts,
    }
}

/// The 12 values that follow from a reading of a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientAnalytics {
    /// Share of its calls that succeeded.
    pub api_success_rate: Option<f64>,
    /// The slowest call less the fastest, in milliseconds.
    pub response_time_range_ms: Option<u64>,
    /// Share of its events that were not dropped.
    pub event_delivery_reliability: Option<f64>,
    /// How well its queue is, 0 to 100.
    pub queue_health_score: f64,
    /// How well it is, 0 to 100: the mean of `health_parts`.
    pub client_health_score: f64,
    /// How it went in the last week.
    pub performance_trend_7d: Option<Trends>,
    /// How long it has been connected, in milliseconds.
    pub connection_duration_ms: u64,
    /// Calls per second.
    pub api_call_frequency_hz: Option<f64>,
    /// Events per second.
    pub event_consumption_rate_hz: Option<f64>,
    /// Pieces it is subscribed to.
    pub active_subscription_count: u64,
    /// Calls by method.
    pub api_method_usage_map: Vec<(Arc<str>, u64)>,
    /// Pieces it touched.
    pub session_pieces_accessed: Vec<Arc<str>>,
    /// What `client_health_score` is made of.
    pub health_parts: [Part; 4],
    /// What it behaves like.
    pub pattern: Pattern,
    /// How much it costs the server, to compare clients by: calls, 64 KiB that were moved, errors and dropped events,
    /// the last two ten times each, per second.
    pub cost: f64,
}

/// What follows from a reading of a client. Without details the maps are empty.
#[doc(alias = "compute-client-analytics")]
pub fn compute_client_analytics(
    snapshot: &ClientSnapshot,
    details: &ClientDetails,
    trend: Option<Trends>,
    weights: &Weights,
) -> ClientAnalytics {
    let raw = &snapshot.raw;
    let lasted = snapshot.at_ms.saturating_sub(raw.connected_at);
    let per_second = |count: f64| (lasted > 0).then(|| count * 1e3 / lasted as f64);
    let measured = raw.fastest_api_call_ms != UNMEASURED;
    let success = share(raw.api_calls_success, raw.api_calls_total);
    let reliability = share(raw.events_sent.saturating_sub(raw.events_dropped), raw.events_sent);
    let fill = raw.queue_size_current as f64 / snapshot.capacity.max(1) as f64;
    let overflow = share(raw.queue_overflow_count, raw.queue_offer_attempts).unwrap_or(0.0);
    let lag = (raw.queue_consumer_lag_ms as f64 / LAG_MS).min(1.0);
    let queue = 100.0 * (1.0 - 0.4 * fill - 0.4 * (10.0 * overflow).min(1.0) - 0.2 * lag);
    let calm = (raw.last_error_time > 0)
        .then(|| (snapshot.at_ms.saturating_sub(raw.last_error_time) as f64 / CALM_MS).min(1.0));
    let values = [success, reliability, Some(queue / 100.0), calm];
    let health_parts = parts(Weights::CLIENT, values, weights.client);
    let frequency = per_second(raw.api_calls_total as f64);
    let moved = (raw.bytes_sent + raw.bytes_received) as f64;
    let failed = (raw.api_calls_failure + raw.events_dropped) as f64;
    ClientAnalytics {
        api_success_rate: success,
        response_time_range_ms: measured
            .then(|| raw.slowest_api_call_ms.saturating_sub(raw.fastest_api_call_ms)),
        event_delivery_reliability: reliability,
        queue_health_score: queue,
        client_health_score: composite_health(&health_parts),
        performance_trend_7d: trend,
        connection_duration_ms: lasted,
        api_call_frequency_hz: frequency,
        event_consumption_rate_hz: per_second(raw.events_sent as f64),
        active_subscription_count: snapshot.subscriptions,
        api_method_usage_map: details.methods.clone(),
        session_pieces_accessed: details.accessed.clone(),
        health_parts,
        pattern: Pattern::of(snapshot, success, overflow, per_second),
        cost: per_second(raw.api_calls_total as f64 + moved / 65_536.0 + 10.0 * failed).unwrap_or(0.0),
    }
}

/// What a client behaves like: the first of these that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pattern {
    /// More than one in a hundred of its events met a full queue, or the last was a second late.
    SlowConsumer,
    /// More than one in ten of its calls failed, of at least ten.
    ErrorProne,
    /// It changes its subscriptions more than once in ten seconds, and has done so ten times.
    Churning,
    /// It moves more than 64 KiB with each call or event.
    Bulk,
    /// It calls more than ten times a second.
    Chatty,
    /// It was silent for a minute.
    Idle,
    /// Nothing stands out.
    Ordinary,
}

impl Pattern {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SlowConsumer => "slow-consumer",
            Self::ErrorProne => "error-prone",
            Self::Churning => "churning",
            Self::Bulk => "bulk",
            Self::Chatty => "chatty",
            Self::Idle => "idle",
            Self::Ordinary => "ordinary",
        }
    }

    fn of(
        snapshot: &ClientSnapshot,
        success: Option<f64>,
        overflow: f64,
        per_second: impl Fn(f64) -> Option<f64>,
    ) -> Self {
        let raw = &snapshot.raw;
        let changes = raw.subscription_add_count + raw.subscription_remove_count;
        let exchanges = raw.api_calls_total + snapshot.events_received();
        let more_often = |count: u64, hz: f64| per_second(count as f64).is_some_and(|rate| rate > hz);
        if overflow > 0.01 || raw.queue_consumer_lag_ms >= 1_000 {
            Self::SlowConsumer
        } else if raw.api_calls_total >= 10 && success.is_some_and(|success| success < 0.9) {
            Self::ErrorProne
        } else if changes >= 10 && more_often(changes, 0.1) {
            Self::Churning
        } else if exchanges > 0 && (raw.bytes_sent + raw.bytes_received) / exchanges > 65_536 {
            Self::Bulk
        } else if raw.api_calls_total >= 10 && more_often(raw.api_calls_total, 10.0) {
            Self::Chatty
        } else if snapshot.at_ms.saturating_sub(raw.last_activity_time) >= 60_000 {
            Self::Idle
        } else {
            Self::Ordinary
        }
    }
}

type Compute = dyn Fn(&ServerSnapshot) -> Option<f64> + Send + Sync;

/// A value that a program computes of a reading, beside those that all servers have.
pub(super) struct Extra {
    name: String,
    compute: Box<Compute>,
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How many values a program may add.
pub const EXTRAS_MAX: usize = 64;

impl Sessions {
    /// From now on documents also show this value, computed of the reading whenever one is written. `false` beyond
    /// [`EXTRAS_MAX`].
    pub fn derive(
        &self,
        name: &str,
        compute: impl Fn(&ServerSnapshot) -> Option<f64> + Send + Sync + 'static,
    ) -> bool {
        let mut extras = self.0.extras.write().unwrap_or_else(PoisonError::into_inner);
        let room = extras.len() < EXTRAS_MAX;
        if room {
            extras.push(Extra { name: name.to_owned(), compute: Box::new(compute) });
        }
        room
    }

    /// What was added by [`Sessions::derive`], of this reading.
    pub fn derived(&self, snapshot: &ServerSnapshot) -> Vec<(String, Option<f64>)> {
        let extras = self.0.extras.read().unwrap_or_else(PoisonError::into_inner);
        extras.iter().map(|extra| (extra.name.clone(), (extra.compute)(snapshot))).collect()
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

fn parts<const N: usize>(names: [&'static str; N], values: [Option<f64>; N], weights: [f64; N]) -> [Part; N] {
    std::array::from_fn(|i| Part { name: names[i], value: values[i], weight: weights[i] })
}
