//! Who records.

use crate::{
    record::{MetricRecord, RecordError, RecordKind},
    scope::Attributes,
};

/// Records metrics by name. What the open [scopes](crate::scope) say comes with each record.
///
/// Nothing here blocks: an implementation that sends records elsewhere queues them, and refuses what does not fit.
#[doc(alias = "IStatisticsProvider")]
pub trait StatisticsProvider: Send + Sync {
    /// Records a number: an increment, a value, or a duration in milliseconds, as the kind says.
    ///
    /// # Errors
    /// [`RecordError`]: it was not recorded, and is counted.
    fn record_number(
        &self,
        kind: RecordKind,
        name: &str,
        value: f64,
        attributes: &Attributes,
    ) -> Result<(), RecordError>;

    /// Records many at once, of any kinds. The results stand in the order of the records; one that fails costs no
    /// other.
    #[doc(alias = "BatchRecord")]
    fn batch_record(&self, records: Vec<MetricRecord>) -> Vec<Result<(), RecordError>>;

    /// Adds to a counter. A negative increment is refused.
    ///
    /// # Errors
    /// As [`StatisticsProvider::record_number`].
    #[doc(alias = "RecordCounter")]
    fn record_counter(&self, name: &str, increment: i64, attributes: &Attributes) -> Result<(), RecordError> {
        self.record_number(RecordKind::Counter, name, increment as f64, attributes)
    }

    /// Sets a gauge.
    ///
    /// # Errors
    /// As [`StatisticsProvider::record_number`].
    #[doc(alias = "RecordGauge")]
    fn record_gauge(&self, name: &str, value: f64, attributes: &Attributes) -> Result<(), RecordError> {
        self.record_number(RecordKind::Gauge, name, value, attributes)
    }

    /// Records one value of a distribution.
    ///
    /// # Errors
    /// As [`StatisticsProvider::record_number`].
    #[doc(alias = "RecordHistogram")]
    fn record_histogram(&self, name: &str, value: f64, attributes: &Attributes) -> Result<(), RecordError> {
        self.record_number(RecordKind::Histogram, name, value, attributes)
    }

    /// Records a duration in milliseconds; it is stored in seconds.
    ///
    /// # Errors
    /// As [`StatisticsProvider::record_number`].
    #[doc(alias = "RecordTimer")]
    fn record_timer(
        &self,
        name: &str,
        milliseconds: f64,
        attributes: &Attributes,
    ) -> Result<(), RecordError> {
        self.record_number(RecordKind::Timer, name, milliseconds, attributes)
    }

    /// Counts events whose rate is wanted. A negative count is refused.
    ///
    /// # Errors
    /// As [`StatisticsProvider::record_number`].
    #[doc(alias = "RecordMeter")]
    fn record_meter(&self, name: &str, count: i64, attributes: &Attributes) -> Result<(), RecordError> {
        self.record_number(RecordKind::Meter, name, count as f64, attributes)
    }
}
