//! Where scraped samples go.

use barograph_model::{Exemplar, Metadata};
use barograph_tsdb::{HistogramRow, Row};

/// What became of rows that were handed over; those not counted here are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Older than the newest sample of their series.
    pub out_of_order: u64,
    /// Another value for the time of the newest sample of their series.
    pub duplicate: u64,
    /// Too old, or too far in the future.
    pub out_of_bounds: u64,
    /// Not taken for another reason, such as a limit on series.
    pub refused: u64,
}

/// Why none of some rows was stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot store scraped samples")]
pub struct SinkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Takes what scrapes bring. Called from blocking threads.
pub trait Sink: Send + Sync + 'static {
    /// Stores the samples and native histograms of one scrape.
    ///
    /// # Errors
    /// When none could be stored. Rows that are refused one by one are counted in the [`Outcome`] instead.
    fn append(&self, rows: &[Row<'_>], histograms: &[HistogramRow<'_>]) -> Result<Outcome, SinkError>;

    /// Learns type, unit and help of a metric family; told once, and again when they change.
    fn metadata(&self, family: &str, metadata: &Metadata);

    /// Does what stores and ends a scrape, for a tenant. Once, before it returns.
    fn within(&self, tenant: Option<&str>, work: &mut dyn FnMut()) {
        let _ = tenant;
        work();
    }

    /// Stores an exemplar of a series. The same one comes with every scrape until the target has a newer one.
    fn exemplar(&self, labels: &[u8], exemplar: Exemplar);
}
