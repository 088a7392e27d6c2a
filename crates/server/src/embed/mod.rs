//! The server inside an application: it collects, stores and answers in the application's own process.
//!
//! [`Barograph::builder`] says what it is to be, and starts a [`MetricsService`], in sync and async programs alike:
//! whatever takes a while is [`Pending`], to be awaited or waited for. The service has threads and a runtime of its own.
//! What the application records with instruments of the global registry is stored every second, as are collectors, built-in
//! and own; [`MetricsService::shutdown`] reads all of it a last time, so that nothing is lost.
//!
//! ```
//! use std::time::Duration;
//! use barograph_server::{Barograph, Tier, collector::BusinessConfig};
//!
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! let service = Barograph::builder()
//!     .storage(root)
//!     .retention(Tier::Raw, Duration::from_secs(24 * 3600))
//!     .retention(Tier::Minute, Duration::from_secs(7 * 24 * 3600))
//!     .built_in_collectors(true)
//!     .business(BusinessConfig::prism())
//!     .aggregation_interval(Duration::from_secs(60))
//!     .cleanup_interval(Duration::from_secs(3600))
//!     .start()
//!     .wait()?;
//!
//! service.record_api_request("/api/check", 200, 45.0);
//! service.record_ws_connection();
//! service.record_ws_message(true, 1024);
//! service.record_ws_disconnection();
//! service.record_gateway_check(false);
//! service.record_retrospective();
//! service.record_pattern_match();
//! service.record_active_user("user-123");
//!
//! let stats = service.stats();
//! assert_eq!((stats.total_collectors, stats.collection_errors), (6, 0));
//! service.shutdown().wait();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`MetricsService::statistics`] gives the three faces of the statistics service over it, for code that is also to run with
//! a server elsewhere. A collector of one's own is added at any time, and its metrics can be asked for:
//!
//! ```
//! use std::time::Duration;
//! use barograph_server::{
//!     Barograph, MetricCollector, MetricType, Timestamp,
//!     collector::{CollectError, MetricCollectorConfig, Writer},
//! };
//!
//! struct CustomMetricsCollector;
//!
//! impl MetricCollector for CustomMetricsCollector {
//!     fn config(&self) -> MetricCollectorConfig {
//!         MetricCollectorConfig::new("custom").every(Duration::from_secs(30))
//!     }
//!     fn metric_type(&self) -> MetricType {
//!         MetricType::Gauge
//!     }
//!     fn perform_collection(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
//!         out.data_point("custom.metric", 123.45, &[("unit", "ms")]);
//!         Ok(())
//!     }
//! }
//!
//! # let folder = tempfile::tempdir()?;
//! let service = Barograph::builder().storage(folder.path()).start().wait()?;
//! service.add_collector(CustomMetricsCollector)?;
//! let latest = loop {
//!     let latest = service.latest(&["custom.metric"]).wait()?;
//!     if !latest.is_empty() {
//!         break latest;
//!     }
//! };
//! assert_eq!(latest["custom.metric"].value, 123.45);
//! service.shutdown().wait();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aggregator;
mod config;
mod pending;
mod service;
mod statistics;
mod stats;
mod subscription;

pub use aggregator::MetricsAggregator;
pub use config::{Builder, MetricsServiceConfig, MetricsStorageConfig};
pub use pending::Pending;
pub use service::{MetricsService, ServiceError};
pub use statistics::Embedded;
pub use stats::{MetricMetadata, MetricsServiceStats, MetricsStorageStats, StorageLevel};

/// The way in: see the module.
#[derive(Clone, Copy, Debug)]
pub struct Barograph;

impl Barograph {
    /// Begins to say what a service is to be.
    pub fn builder() -> Builder {
        Builder::new()
    }
}
