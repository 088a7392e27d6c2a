//! The engine with its edges: HTTP, scraping, collection, configuration, as a library.
//!
//! [`Server::start`] takes [`Settings`] and returns a running server; the `barograph` binary does little more than
//! call it. Everything asynchronous, every thread and every clock of the product is in this crate; what it calls
//! below is synchronous and told the time.
//!
//! An application that wants all of it in its own process uses [`Barograph::builder`], see [`embed`]; this crate
//! re-exports the SDK (`barograph`) for it.
//!
//! - [`alerting`]: alerts, and who is told
//! - [`config`]: the configuration file
//! - [`diagnostics`]: the server looking at itself
//! - [`logging`]: log lines
//! - [`embed`]: the server inside an application
//! - [`engine`]: the store and what drives it, shared by all inputs and outputs
//! - [`health`]: checks, and what they say of components, server and cluster
//! - [`performance`], [`snapshot`]: what is measured, as messages and in one document
//! - [`outgoing`]: what is asked of others
//! - [`results`]: results of queries that are kept to be used again
//! - [`rules`]: rule files, and the rules in them evaluated
//! - [`scrape`]: targets, and what is read from them
//! - [`storage`]: backups, sizes and growth
//! - [`tenants`]: data of several, kept apart
//! - `http`: what is answered

mod admission;
pub mod alerting;
pub mod auth;
mod clients;
pub mod clock;
mod collect;
mod commits;
pub mod config;
mod connections;
mod current;
mod delivery;
pub mod diagnostics;
mod discovery;
pub mod embed;
pub mod engine;
mod errors;
mod events;
mod export;
mod follower;
mod grpc;
pub mod health;
mod http;
mod incidents;
mod intake;
mod lifetime;
mod line;
pub mod logging;
mod maintenance;
mod memory;
mod naming;
mod onward;
mod otlp;
pub mod outgoing;
pub mod performance;
mod policies;
mod push;
mod queries;
mod records;
pub mod reload;
mod remote_write;
pub mod results;
pub mod rules;
mod sampled;
pub mod scrape;
mod scraping;
mod server;
pub mod snapshot;
mod spans;
mod starts;
mod statsd;
pub mod storage;
mod surroundings;
mod telemetry;
pub mod tenants;
mod trends;
mod unpack;
mod zeros;

pub use barograph::{
    self as sdk,
    collector::{
        self, APIMetricsCollector, ApiMetricsCollector, BusinessMetricsCollector, CollectorStats,
        DataMetricsCollector, MetricCollector, MetricCollectorConfig, MetricDataPoint,
        ProcessMetricsCollector, SystemMetricsCollector, WebSocketMetricsCollector,
    },
};
pub use barograph_model::{MetricType, Tier, Tier as TimeSeriesGranularity, Timestamp};
pub use barograph_query::engine::{AggregationFunction, MetricsQueryFilter, MetricsQueryResult, QueryEngine};
pub use barograph_tsdb::Store as MetricsStorage;
pub use commits::CommitError;
pub use embed::{
    Barograph, Embedded, MetricMetadata, MetricsAggregator, MetricsService, MetricsServiceConfig,
    MetricsServiceStats, MetricsStorageConfig, MetricsStorageStats,
};
pub use engine::Engine;
pub use otlp::{OtlpPort, OtlpPorts};
pub use server::{Application, Server, Settings, StartError};
pub use snapshot::{
    ApiMetricsSnapshot, ApiMetricsSnapshot as APIMetricsSnapshot, BusinessMetricsSnapshot,
    DataMetricsSnapshot, MetricsSnapshot, ProcessMetricsSnapshot, SystemMetricsSnapshot,
    WebSocketMetricsSnapshot,
};

/// Whether a file can be used as web configuration, with the certificates and keys that it names.
///
/// # Errors
/// What is wrong with it.
pub fn check_web_config(path: &std::path::Path) -> Result<config::WebConfig, String> {
    connections::check(path)
}

/// The version of this crate, which is that of the product.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
