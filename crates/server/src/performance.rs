//! Throughput, latency and use of resources, as messages: what the collectors and the engine measure anyway.
//!
//! Throughput and latency are those of the sliding window of five minutes: all requests together (`http_request`), each
//! route, and the engine's own work (`query`, `persistence_write`, `sample_ingestion`). Resources are `cpu`, `memory`,
//! `disk` and `network`, as the system collector read them last.

use barograph::{
    collector::{Collectors, SystemMetricsCollector},
    window::Figures,
};
use barograph_model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Engine, snapshot::SystemMetricsSnapshot};

/// All messages of one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Performance {
    /// Rates of operations.
    pub throughput: Vec<ThroughputMetric>,
    /// Times of operations.
    pub latency: Vec<LatencyMetric>,
    /// One for each resource.
    pub resources: Vec<ResourceUsage>,
}

/// How often an operation happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThroughputMetric {
    /// Which operation.
    pub operation: String,
    /// How often it happened in the window.
    pub count: u64,
    /// How long the window is, in milliseconds.
    pub duration_ms: f64,
    /// `count` × 1000 / `duration_ms`; 0 of an empty window.
    pub rate_per_sec: f64,
    /// Who tells it.
    pub node: String,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

/// How long an operation took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyMetric {
    /// Which operation.
    pub operation: String,
    /// The figure, in milliseconds.
    pub latency_ms: f64,
    /// Which figure: `p50`, `p90`, `p95`, `p99`, `max`, `min` or `avg`.
    pub percentile: &'static str,
    /// Of how many.
    pub sample_count: u64,
    /// Who tells it.
    pub node: String,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

/// How much of a resource is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResourceUsage {
    /// `cpu`, `memory`, `disk` or `network`.
    pub resource_type: &'static str,
    /// `current_used` × 100 / `total_available`.
    pub usage_percent: f64,
    /// Bytes; of processors milliseconds of their time a second, of the network bytes a second.
    pub total_available: f64,
    /// In the same unit.
    pub current_used: f64,
    /// Who tells it.
    pub node: String,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

impl ThroughputMetric {
    /// So many in so long.
    pub fn new(operation: &str, count: u64, duration_ms: f64, node: &str, now: Timestamp) -> Self {
        let rate_per_sec = if duration_ms > 0.0 { count as f64 * 1e3 / duration_ms } else { 0.0 };
        let (operation, node) = (operation.to_owned(), node.to_owned());
        Self { operation, count, duration_ms, rate_per_sec, node, timestamp: now.to_rfc3339() }
    }
}

impl ResourceUsage {
    /// So much of so much.
    pub fn new(resource: &'static str, used: f64, total: f64, node: &str, now: Timestamp) -> Self {
        Self {
            resource_type: resource,
            usage_percent: if total > 0.0 { 100.0 * used / total } else { 0.0 },
            total_available: total,
            current_used: used,
            node: node.to_owned(),
            timestamp: now.to_rfc3339(),
        }
    }

    /// The four resources of the host, as far as the system collector has read them. A network that nothing is known of
    /// yet carries nothing.
    #[doc(alias = "ResourceUtilizationMonitor")]
    pub fn all(collectors: &Collectors, node: &str, now: Timestamp) -> Vec<Self> {
        let system = SystemMetricsSnapshot::latest(collectors);
        let cores = SystemMetricsCollector::processors() as f64 * 1e3;
        let known = [
            ("cpu", system.cpu_usage.map(|percent| percent / 100.0 * cores), Some(cores)),
            ("memory", system.memory_used, system.memory_total),
            ("disk", system.disk_used, system.disk_total),
            (
                "network",
                system.network_capacity.map(|_| system.network_rate.unwrap_or(0.0)),
                system.network_capacity,
            ),
        ];
        let usage = |(resource, used, total): (_, Option<f64>, Option<f64>)| {
            Some(Self::new(resource, used?, total?, node, now))
        };
        known.into_iter().filter_map(usage).collect()
    }
}

impl Performance {
    /// How the server does at `now`.
    pub fn of(engine: &Engine, now: Timestamp) -> Self {
        let (collecting, node) = (&engine.collecting, engine.health.node());
        let mut windows = vec![("http_request".to_owned(), collecting.requests.figures().window)];
        windows.extend(collecting.requests.windows());
        let inside = collecting.inside.iter().map(|(name, watch)| ((*name).to_owned(), watch.figures()));
        windows.extend(inside);
        let mut all =
            Self { resources: ResourceUsage::all(&collecting.collectors, node, now), ..Self::default() };
        for (operation, figures) in &windows {
            all.add(operation, figures, node, now);
        }
        all.add("sample_ingestion", &collecting.stored.figures(), node, now);
        all
    }

    /// All messages with the key `type` beside their own.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Value> {
        let of = |kind: &str, message: Value| {
            let mut message = message;
            message["type"] = kind.into();
            message
        };
        let throughput = self.throughput.iter().map(move |one| of("ThroughputMetric", json!(one)));
        let latency = self.latency.iter().map(move |one| of("LatencyMetric", json!(one)));
        let resources = self.resources.iter().map(move |one| of("ResourceUsage", json!(one)));
        throughput.chain(latency).chain(resources)
    }

    fn add(&mut self, operation: &str, figures: &Figures, node: &str, now: Timestamp) {
        let throughput = ThroughputMetric::new(operation, figures.count, figures.seconds * 1e3, node, now);
        self.throughput.push(throughput);
        for (percentile, seconds) in [
            ("p50", figures.p50),
            ("p90", figures.p90),
            ("p95", figures.p95),
            ("p99", figures.p99),
            ("max", figures.max),
            ("min", figures.min),
            ("avg", figures.mean),
        ] {
            self.latency.extend(seconds.map(|seconds| LatencyMetric {
                operation: operation.to_owned(),
                latency_ms: seconds * 1e3,
                percentile,
                sample_count: figures.count,
                node: node.to_owned(),
                timestamp: now.to_rfc3339(),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_fields() {
        let now = Timestamp(1_700_000_000_000);
        let throughput = ThroughputMetric::new("event_emission", 1250, 1000.0, "node1", now);
        let expected = json!({
            "operation": "event_emission", "count": 1250, "duration_ms": 1000.0, "rate_per_sec": 1250.0,
            "node": "node1", "timestamp": "2023-11-14T22:13:20Z",
        });
        assert_eq!(serde_json::to_value(throughput).unwrap(), expected);
        let memory = ResourceUsage::new("memory", 4e9, 16e9, "node1", now);
        let expected = json!({
            "resource_type": "memory", "usage_percent": 25.0, "total_available": 16e9, "current_used": 4e9,
            "node": "node1", "timestamp": "2023-11-14T22:13:20Z",
        });
        assert_eq!(serde_json::to_value(memory).unwrap(), expected);
        let figures = Figures { seconds: 10.0, count: 5, p95: Some(0.25), ..Figures::default() };
        let mut all = Performance::default();
        all.add("persistence_write", &figures, "node1", now);
        let expected = json!({
            "operation": "persistence_write", "latency_ms": 250.0, "percentile": "p95", "sample_count": 5,
            "node": "node1", "timestamp": "2023-11-14T22:13:20Z",
        });
        assert_eq!(serde_json::to_value(&all.latency[0]).unwrap(), expected);
        assert_eq!((all.throughput[0].rate_per_sec, all.latency.len()), (0.5, 1));
    }
}
