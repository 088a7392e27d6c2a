//! Collectors: what reads metrics from the outside at an interval, rather than being told by the program.
//!
//! A [`MetricCollector`] reads and writes [`Reading`]s into a [`Writer`]; a [`Runner`] keeps its interval and statistics
//! and holds its failures back from everyone else; [`Collectors`] are many of them. Nothing here has a thread or a clock
//! for deciding: whoever embeds the collectors calls [`Collectors::tick`] with the time.
//!
//! A collector of one's own is a few lines:
//!
//! ```
//! use std::time::Duration;
//! use barograph::collector::{CollectError, Collectors, MetricCollector, MetricCollectorConfig, Writer};
//! use barograph::{MetricType, Timestamp};
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
//! let collectors = Collectors::new();
//! collectors.add(CustomMetricsCollector)?;
//! let readings = collectors.tick(Timestamp(30_000));
//! assert_eq!((readings[0].stored_name().as_str(), readings[0].value), ("custom_metric", 123.45));
//! assert_eq!(collectors.totals().points, 1);
//! # Ok::<(), barograph::collector::AddError>(())
//! ```
//!
//! Metrics with a unit and a line of help have a [`Definition`], as a constant or made at run time.

mod api;
mod business;
mod config;
mod cost;
mod data;
mod definition;
#[cfg(all(target_os = "linux", feature = "host"))]
mod linux_resources;
mod probe;
#[cfg(all(target_os = "linux", feature = "host"))]
mod proc_file;
mod process;
mod resources;
mod runner;
mod set;
mod system;
mod websocket;
mod writer;

use std::{borrow::Cow, fmt};

use barograph_model::{MetricType, Timestamp};

pub use api::{APIMetricsCollector, ApiMetricsCollector};
pub use business::{
    BUSINESS_NAMES_MAX, BusinessConfig, BusinessMetricsCollector, DistinctCount, EXACT_MAX, Ratio,
};
pub use config::{ConfigChange, INTERVAL_MIN, MetricCollectorConfig};
pub use cost::Cost;
pub use data::{DATA_FILES_MAX, DataDirectories, DataMetricsCollector, DataSize, DataSizes};
pub use definition::{Defined, Definition};
pub use probe::{Active, RuntimeProbe};
pub use process::ProcessMetricsCollector;
pub use runner::{CollectorStats, Failure, Ran, Run, Runner};
pub use set::{AddError, COLLECTORS_MAX, CollectorStatus, CollectorTotals, Collectors, Due};
pub use system::SystemMetricsCollector;
pub use websocket::WebSocketMetricsCollector;
pub use writer::{MetricDataPoint, READINGS_MAX, Reading, Writer};

/// Something that reads metrics when it is asked to.
#[doc(alias = "Collector")]
pub trait MetricCollector: Send {
    /// Its name, how often to ask, and whether at all, unless told otherwise.
    fn config(&self) -> MetricCollectorConfig;

    /// What metrics are that it writes by name alone. Gauges by default.
    #[doc(alias = "getMetricType")]
    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    /// Reads everything as it stands at `now`. It may take its time, which only its own readings wait for.
    ///
    /// # Errors
    /// What could not be read. Readings written before stand, so one broken part need not cost the others.
    #[doc(alias = "performCollection")]
    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError>;

    /// What its readings take. Minimal by default; of a collector that reads files it is higher.
    fn cost(&self) -> Cost {
        Cost::Minimal
    }

    /// Forgets what earlier runs left behind, such as the counts that differences are taken from.
    fn reset(&mut self) {}

    /// The given names of metrics that this collector has on other systems or in other set-ups, but not here.
    fn unsupported(&self) -> Vec<Cow<'static, str>> {
        Vec::new()
    }
}

impl MetricCollector for Box<dyn MetricCollector> {
    fn config(&self) -> MetricCollectorConfig {
        (**self).config()
    }

    fn metric_type(&self) -> MetricType {
        (**self).metric_type()
    }

    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        (**self).perform_collection(now, out)
    }

    fn cost(&self) -> Cost {
        (**self).cost()
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn unsupported(&self) -> Vec<Cow<'static, str>> {
        (**self).unsupported()
    }
}

/// Why a collector could not read everything. It is asked again all the same.
#[derive(Debug)]
#[non_exhaustive]
pub enum CollectError {
    /// A file or device could not be read.
    Read {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// What was read is not in the form it should have.
    Malformed {
        /// Where it was read.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Another failure, of a collector of the application.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {path}"),
            Self::Malformed { path, reason } => write!(f, "cannot understand {path}: {reason}"),
            Self::Other(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for CollectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Other(cause) => cause.source(),
            _ => None,
        }
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for CollectError {
    fn from(cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Other(cause)
    }
}

/// `None` unless `now` is later.
fn seconds_between(earlier: Timestamp, now: Timestamp) -> Option<f64> {
    let millis = now.millis().checked_sub(earlier.millis())?;
    (millis > 0).then(|| millis as f64 / 1e3)
}
