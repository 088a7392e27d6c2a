//! What the built-in collectors read last, as one document in six parts.
//!
//! Its keys are the metrics' names after the first word, in camel case (`system.memory.percentage` is
//! `system.memoryPercentage`), but for `websocket.activeConnections` and `websocket.totalConnections`. What was not read,
//! or is not to be had, is null.

use std::collections::BTreeMap;

use barograph::collector::{Collectors, Reading};
use barograph_model::Timestamp;
use serde::Serialize;

macro_rules! part {
    ($(#[$about:meta])* $part:ident of $collector:literal {
        $($field:ident: $given:literal),* $(,)?
    } $($(#[$more_about:meta])* + $more:ident: $read:path)?) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $part {
            $(#[doc = concat!("`", $given, "`.")] pub $field: Option<f64>,)*
            $($(#[$more_about])* pub $more: BTreeMap<String, f64>,)?
        }

        impl $part {
            /// What the collector read last.
            pub(crate) fn latest(collectors: &Collectors) -> Self {
                let readings = &*collectors.latest($collector).1;
                let value = |given: &str| {
                    let is = |reading: &&Reading| reading.labels.is_empty() && reading.definition.given == given;
                    readings.iter().find(is).map(|reading| reading.value)
                };
                Self { $($field: value($given),)* $($more: $read(readings),)? }
            }
        }
    };
}

/// What the built-in collectors read last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsSnapshot {
    /// When it was taken, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The host.
    pub system: SystemMetricsSnapshot,
    /// The process.
    pub process: ProcessMetricsSnapshot,
    /// Requests.
    pub api: ApiMetricsSnapshot,
    /// WebSocket connections.
    pub websocket: WebSocketMetricsSnapshot,
    /// The business.
    pub business: BusinessMetricsSnapshot,
    /// Data on disk.
    pub data: DataMetricsSnapshot,
}

impl MetricsSnapshot {
    /// What collectors read last, at `now`.
    pub fn of(collectors: &Collectors, now: Timestamp) -> Self {
        Self {
            timestamp: now.millis(),
            system: SystemMetricsSnapshot::latest(collectors),
            process: ProcessMetricsSnapshot::latest(collectors),
            api: ApiMetricsSnapshot::latest(collectors),
            websocket: WebSocketMetricsSnapshot::latest(collectors),
            business: BusinessMetricsSnapshot::latest(collectors),
            data: DataMetricsSnapshot::latest(collectors),
        }
    }
}

part! {
    /// The host: percent, bytes, seconds; rates in bytes a second.
    SystemMetricsSnapshot of "system" {
        cpu_usage: "system.cpu.usage",
        memory_used: "system.memory.used",
        memory_total: "system.memory.total",
        memory_free: "system.memory.free",
        memory_percentage: "system.memory.percentage",
        load_1m: "system.load.1m",
        load_5m: "system.load.5m",
        load_15m: "system.load.15m",
        uptime: "system.uptime",
        disk_total: "system.disk.total",
        disk_used: "system.disk.used",
        disk_percentage: "system.disk.percentage",
        network_received: "system.network.received",
        network_sent: "system.network.sent",
        network_rate: "system.network.rate",
        network_capacity: "system.network.capacity",
    }
}

part! {
    /// The process: bytes, percent of one processor, a share of the runtime's time.
    ProcessMetricsSnapshot of "process" {
        pid: "process.pid",
        uptime: "process.uptime",
        memory_rss: "process.memory.rss",
        memory_heap_total: "process.memory.heap_total",
        memory_heap_used: "process.memory.heap_used",
        memory_external: "process.memory.external",
        cpu_usage: "process.cpu.usage",
        eventloop_utilization: "process.eventloop.utilization",
        handles_active: "process.handles.active",
        requests_active: "process.requests.active",
    }
}

part! {
    /// Requests since the start, and times in milliseconds of the last five minutes.
    ApiMetricsSnapshot of "api" {
        requests_total: "api.requests.total",
        requests_success: "api.requests.success",
        requests_failed: "api.requests.failed",
        requests_per_second: "api.requests.per_second",
        response_avg: "api.response.avg",
        response_min: "api.response.min",
        response_max: "api.response.max",
        response_p50: "api.response.p50",
        response_p90: "api.response.p90",
        response_p95: "api.response.p95",
        response_p99: "api.response.p99",
    }
    /// `api.requests.by_endpoint`, by endpoint.
    + requests_by_endpoint: by_endpoint
}

part! {
    /// WebSocket connections, messages and bytes.
    WebSocketMetricsSnapshot of "websocket" {
        total_connections: "websocket.connections.total",
        active_connections: "websocket.connections.active",
        messages_sent: "websocket.messages.sent",
        messages_received: "websocket.messages.received",
        bytes_sent: "websocket.bytes.sent",
        bytes_received: "websocket.bytes.received",
        message_avg_size: "websocket.message.avg_size",
    }
}

part! {
    /// The business: what the preset `prism` counts, and all that is counted by its name.
    BusinessMetricsSnapshot of "business" {
        gateway_checks: "business.gateway.checks",
        violations_detected: "business.violations.detected",
        retrospectives_completed: "business.retrospectives.completed",
        patterns_matched: "business.patterns.matched",
        users_active: "business.users.active",
        violation_rate: "business.violation.rate",
    }
    /// All that is counted, by the dotted name after `business.`.
    + counted: counted
}

part! {
    /// Data on disk: bytes, files, bytes a second.
    DataMetricsSnapshot of "data" {
        size_total: "data.size.total",
        size_hot: "data.size.hot",
        size_warm: "data.size.warm",
        size_cold: "data.size.cold",
        files_total: "data.files.total",
        files_hot: "data.files.hot",
        files_warm: "data.files.warm",
        files_cold: "data.files.cold",
        growth_rate: "data.growth.rate",
    }
}

fn by_endpoint(readings: &[Reading]) -> BTreeMap<String, f64> {
    let endpoint = |reading: &Reading| Some((reading.labels.value("endpoint")?.to_owned(), reading.value));
    readings.iter().filter_map(endpoint).collect()
}

fn counted(readings: &[Reading]) -> BTreeMap<String, f64> {
    let of = |reading: &Reading| {
        let name = reading.definition.given.strip_prefix("business.")?;
        Some((name.to_owned(), reading.value))
    };
    readings.iter().filter_map(of).collect()
}
