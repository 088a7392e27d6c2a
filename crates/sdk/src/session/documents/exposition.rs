//! Sessions as metrics: `server_…` of the server, `client_…{client_id}` of clients.
//!
//! The name of a metric is that of the statistic with its level before it and underscores for hyphens; counters whose name
//! has no `total` in it end in `_total`. What was not measured yet has no sample.

use barograph_model::{Labels, MetricType};

use super::Report;
use crate::{
    exposition::{Family, Point},
    session::{ClientStats, Field, FieldKind, ServerStats, UNMEASURED, Value},
};

impl Report {
    /// The fields of the server, and what of its derived values is a number.
    pub fn families(&self) -> Vec<Family> {
        let nobody = Labels::empty();
        let raw = ServerStats::FIELDS.iter().zip(self.snapshot.raw.values());
        let mut families: Vec<_> =
            raw.map(|(field, value)| with(family("server", field), points(field, &value, &nobody))).collect();
        for (name, help, value) in self.derived_numbers() {
            families.push(Family {
                name: spelled("server", name),
                help: help.to_owned(),
                unit: String::new(),
                kind: MetricType::Gauge,
                points: value.map(|value| Point::new("", Labels::empty(), value)).into_iter().collect(),
            });
        }
        families.push(self.response_times());
        families
    }

    /// How long calls of the last minutes took.
    fn response_times(&self) -> Family {
        let window = &self.snapshot.window;
        let quantiles =
            [("0.5", window.p50), ("0.9", window.p90), ("0.95", window.p95), ("0.99", window.p99)];
        let point = |(quantile, seconds): (&str, Option<f64>)| {
            let labels = Labels::from_pairs([("quantile", quantile)]).ok()?;
            Some(Point::new("", labels, seconds? * 1e3))
        };
        Family {
            name: spelled("server", "api-response-ms"),
            help: "How long calls of the last minutes took, by quantile.".to_owned(),
            unit: String::new(),
            kind: MetricType::Gauge,
            points: quantiles.into_iter().filter_map(point).collect(),
        }
    }

    /// What of the derived values is a number, by name, with one line for people.
    pub(super) fn derived_numbers(&self) -> [(&'static str, &'static str, Option<f64>); 17] {
        let derived = &self.analytics;
        let count = |value: Option<u64>| value.map(|value| value as f64);
        [
            ("server-uptime-ms", "Time since the start.", Some(derived.server_uptime_ms as f64)),
            ("server-health-score", "How well the server is, 0 to 100.", Some(derived.server_health_score)),
            ("api-success-rate-overall", "Share of calls that succeeded.", derived.api_success_rate_overall),
            (
                "event-delivery-success-rate",
                "Share of events that were not dropped.",
                derived.event_delivery_success_rate,
            ),
            (
                "system-load-score",
                "How much of its resources is in use, 0 to 100.",
                Some(derived.system_load_score),
            ),
            (
                "collaborative-effectiveness",
                "Share of subscribed pieces with two subscribers and more.",
                derived.collaborative_effectiveness,
            ),
            (
                "subscription-churn-rate-per-hour",
                "Subscriptions made and taken back per hour.",
                derived.subscription_churn_rate_per_hour,
            ),
            ("api-calls-per-hour", "Calls per hour.", derived.api_calls_per_hour),
            (
                "api-peak-calls-per-minute",
                "The most calls that ended in one minute.",
                Some(derived.api_peak_calls_per_minute as f64),
            ),
            (
                "collaborative-sessions-active",
                "Groups of clients that share pieces.",
                Some(derived.collaborative_sessions_active as f64),
            ),
            (
                "pieces-with-multiple-subscribers",
                "Pieces with two subscribers and more.",
                Some(derived.pieces_with_multiple_subscribers as f64),
            ),
            (
                "memory-usage-current-bytes",
                "Memory of the process.",
                count(derived.memory_usage_current_bytes),
            ),
            ("memory-usage-peak-bytes", "The most it ever was.", count(derived.memory_usage_peak_bytes)),
            ("thread-pool-active-count", "Threads at work.", count(derived.thread_pool_active_count)),
            ("thread-pool-usage-peak", "The most there ever were.", count(derived.thread_pool_usage_peak)),
            (
                "thread-pool-queue-size",
                "Tasks that wait for a thread.",
                count(derived.thread_pool_queue_size),
            ),
            (
                "queue-memory-usage-total-bytes",
                "Bytes that wait in queues of events.",
                Some(derived.queue_memory_usage_total_bytes as f64),
            ),
        ]
    }

    /// The fields of one client, if there is such.
    pub fn client_families(&self, id: &str) -> Option<Vec<Family>> {
        let (snapshot, _) = self.sessions.client_snapshot(id)?;
        let labels = Labels::from_pairs([("client_id", &*snapshot.id)]).ok()?;
        let raw = ClientStats::FIELDS.iter().zip(snapshot.raw.values());
        let numbers = raw.filter(|(field, _)| field.kind != FieldKind::Text);
        Some(
            numbers
                .map(|(field, value)| with(family("client", field), points(field, &value, &labels)))
                .collect(),
        )
    }

    /// The fields of all clients that are connected: a series for each, so only for whoever wants as many.
    pub fn all_client_families(&self) -> Vec<Family> {
        let fields =
            ClientStats::FIELDS.iter().enumerate().filter(|(_, field)| field.kind != FieldKind::Text);
        let mut families: Vec<_> = fields.map(|(at, field)| (at, field, family("client", field))).collect();
        for snapshot in self.sessions.client_snapshots(false) {
            let Ok(labels) = Labels::from_pairs([("client_id", &*snapshot.id)]) else { continue };
            let values = snapshot.raw.values();
            for (at, field, family) in &mut families {
                family.points.extend(points(field, &values[*at], &labels));
            }
        }
        families.into_iter().map(|(_, _, family)| family).collect()
    }
}

fn spelled(level: &str, name: &str) -> String {
    format!("{level}_{}", name.replace('-', "_"))
}

/// The metric of a field, without points.
fn family(level: &str, field: &Field) -> Family {
    let mut name = spelled(level, field.name);
    let kind = match field.kind {
        FieldKind::Counter if !name.contains("total") => MetricType::Counter,
        FieldKind::Counter => match name.strip_suffix("_total") {
            Some(stem) => {
                name = stem.to_owned();
                MetricType::Counter
            }
            // It has its `total` where no format expects the one of a counter.
            None => MetricType::Unknown,
        },
        FieldKind::Timestamp => {
            name.push_str("_ms");
            MetricType::Gauge
        }
        _ => MetricType::Gauge,
    };
    Family { name, help: field.help.to_owned(), unit: String::new(), kind, points: Vec::new() }
}

fn points(field: &Field, value: &Value, labels: &Labels) -> Option<Point> {
    let value = value.as_integer()?;
    let none = match field.kind {
        FieldKind::LowWater => value == UNMEASURED,
        FieldKind::Timestamp => value == 0,
        _ => false,
    };
    let suffix = if field.kind == FieldKind::Counter && !is_inside(field) { "_total" } else { "" };
    (!none).then(|| Point::new(suffix, labels.clone(), value as f64))
}

/// Whether the name has `total` in it, but not at its end.
fn is_inside(field: &Field) -> bool {
    field.name.contains("total") && !field.name.ends_with("-total")
}

fn with(mut family: Family, point: Option<Point>) -> Family {
    family.points.extend(point);
    family
}
