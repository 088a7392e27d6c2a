//! How series are read: the trait at which the store and the query engine meet.
//!
//! A [`Source`] answers a [`Selection`] with a [`SeriesCursor`]: series in label order, each as borrowed columns
//! of up to [`Batch::MAX`] samples, never a sample a call. Reading charges the [`Budget`] and stops when it says so.

use std::{fmt, sync::Arc};

use crate::{
    Budget, BudgetError, Changes, Exemplar, Histogram, HistogramRollup, Labels, Matcher, Metadata, Parts,
    Rollups, Sample, Tier, TimeRange, Timestamp,
};

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// All of these must hold for a series to be read. Empty means every series.
    pub matchers: &'a [Matcher],
    /// Only samples in this range are read; series with none in it may be left out.
    pub range: TimeRange,
}

/// Some samples of one series, in time order, as columns of equal length.
///
/// Staleness markers are among them; what to do with them is the reader's business.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Milliseconds since the epoch, strictly increasing within a series.
    pub timestamps: &'a [i64],
    /// One value a timestamp.
    pub values: &'a [f64],
}

impl Batch<'_> {
    /// The most samples in one batch.
    pub const MAX: usize = 1024;
}

/// The series of a selection, one after the other.
pub trait SeriesCursor {
    /// Goes to the next series and returns its labels, or `None` after the last. Samples of the series before
    /// that were not read are skipped.
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError>;

    /// The next samples of the current series, or `None` when it has no more.
    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError>;
}

/// The series of a selection as a tier above raw keeps them, one after the other.
pub trait RollupCursor {
    /// As [`SeriesCursor::next_series`].
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError>;

    /// Adds the next windows of the current series to `windows`, in time order; `false` when it has no more.
    fn next_batch(&mut self, windows: &mut Rollups) -> Result<bool, SourceError>;
}

/// A series with what it has besides floats: native histograms, windows of them, or start times.
pub type HistogramSeries<T> = (Labels, Vec<T>);

/// About how much a selection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Its series.
    pub series: u64,
    /// Its samples, or windows of a tier.
    pub samples: u64,
}

/// A place series are read from.
///
/// Everything is sorted: series by [`Labels`], names and values by their bytes.
pub trait Source: Send + Sync {
    /// Reads the samples of a selection, in label order.
    fn select<'a>(
        &'a self,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn SeriesCursor + 'a>, SourceError>;

    /// The times of which a tier holds all that it was given: from where older data was let go, up to where it was
    /// made. Empty for a tier that there is none of.
    fn coverage(&self, tier: Tier) -> TimeRange {
        match tier {
            Tier::Raw => TimeRange::ALL,
            _ => TimeRange::new(Timestamp(0), Timestamp(0)),
        }
    }

    /// As [`Source::coverage`], of the series of a selection alone, some of which may be kept for a shorter or longer
    /// time than others.
    fn coverage_of(&self, tier: Tier, matchers: &[Matcher]) -> TimeRange {
        let _ = matchers;
        self.coverage(tier)
    }

    /// Whose data these are, where a store gives out those of several: what was found for one is never used for another.
    fn owner(&self) -> Option<Arc<str>> {
        None
    }

    /// What is changed behind the back of those who keep results; `None` if that is not noted, so that nothing may be
    /// kept.
    fn changes(&self) -> Option<&Changes> {
        None
    }

    /// Reads the windows of a tier above raw that *start* in the range of a selection, in label order: of each the
    /// parts that are wanted.
    fn rollups<'a>(
        &'a self,
        tier: Tier,
        parts: Parts,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn RollupCursor + 'a>, SourceError> {
        let _ = (tier, parts, selection);
        budget.charge(0)?;
        Ok(Box::new(Nothing))
    }

    /// The last sample of each series of a selection, staleness markers among them, in label order.
    fn last_samples(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Sample)>, SourceError> {
        last_of_each(&mut *self.select(selection, budget)?)
    }

    /// The native histograms of a selection, series in label order, each in time order. Markers are among them.
    fn histograms(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<(i64, Histogram)>>, SourceError> {
        let _ = selection;
        budget.charge(0)?;
        Ok(Vec::new())
    }

    /// Since when the samples of a selection count, of those of which it is known: times of samples, each with the time
    /// from which it counts. Series in label order, each in time order.
    fn start_times(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<(i64, i64)>>, SourceError> {
        let _ = selection;
        budget.charge(0)?;
        Ok(Vec::new())
    }

    /// The windows of native histograms that a tier above raw has, as [`Source::histograms`]; those that start in the
    /// range.
    fn histogram_rollups(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<HistogramRollup>>, SourceError> {
        let _ = (tier, selection);
        budget.charge(0)?;
        Ok(Vec::new())
    }

    /// Whether a selection has native histograms in its range, or windows of them. A source that has indexes tells it by
    /// those; one that does not reads them.
    fn has_histograms(&self, selection: &Selection<'_>, budget: &Budget) -> Result<bool, SourceError> {
        let mut found = !self.histograms(selection, budget)?.is_empty();
        for tier in Tier::ROLLED {
            found = found || !self.histogram_rollups(tier, selection, budget)?.is_empty();
        }
        Ok(found)
    }

    /// The label sets of a selection that may have samples in its range; at most `limit` of them, and whether
    /// there were more.
    fn series(
        &self,
        selection: &Selection<'_>,
        limit: usize,
        budget: &Budget,
    ) -> Result<(Vec<Labels>, bool), SourceError>;

    /// Whether a selection has any series that may have samples in its range. A source that has indexes looks no further
    /// than the first.
    fn has_series(&self, selection: &Selection<'_>, budget: &Budget) -> Result<bool, SourceError> {
        Ok(!self.series(selection, 1, budget)?.0.is_empty())
    }

    /// About how many series with samples in its range a selection has in a tier, and how many samples or windows. A
    /// source that has indexes tells it by those; one that does not counts.
    fn estimate(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Estimate, SourceError> {
        let mut found = Estimate::default();
        if tier == Tier::Raw {
            let mut cursor = self.select(selection, budget)?;
            while cursor.next_series()?.is_some() {
                found.series += 1;
                while let Some(batch) = cursor.next_batch()? {
                    found.samples += batch.timestamps.len() as u64;
                }
            }
            return Ok(found);
        }
        let mut cursor = self.rollups(tier, Parts::NONE, selection, budget)?;
        while cursor.next_series()?.is_some() {
            let mut windows = Rollups::default();
            while cursor.next_batch(&mut windows)? {}
            found.series += 1;
            found.samples += windows.len() as u64;
        }
        Ok(found)
    }

    /// The label names in use by a selection.
    fn label_names(&self, selection: &Selection<'_>, budget: &Budget) -> Result<Vec<String>, SourceError>;

    /// The values of one label in use by a selection.
    fn label_values(
        &self,
        name: &str,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<String>, SourceError>;

    /// The catalog: what is known of each metric, by metric name; of one metric if `name` is given.
    fn metadata(&self, name: Option<&str>) -> Vec<(String, Metadata)>;

    /// The exemplars of a selection by series, those of a series in time order.
    fn exemplars(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError>;
}

/// No series at all.
struct Nothing;

impl RollupCursor for Nothing {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        Ok(None)
    }

    fn next_batch(&mut self, _windows: &mut Rollups) -> Result<bool, SourceError> {
        Ok(false)
    }
}

/// The last sample of each series that is left in a cursor.
///
/// # Errors
/// Those of the cursor.
pub fn last_of_each(cursor: &mut dyn SeriesCursor) -> Result<Vec<(Labels, Sample)>, SourceError> {
    let mut found = Vec::new();
    while let Some(labels) = cursor.next_series()? {
        let mut last = None;
        while let Some(batch) = cursor.next_batch()? {
            last = batch.timestamps.last().copied().zip(batch.values.last().copied()).or(last);
        }
        found.extend(last.map(|(at, value)| (labels, Sample { at: Timestamp(at), value })));
    }
    Ok(found)
}

/// Why reading stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// The query may not read any further.
    Budget(BudgetError),
    /// The store cannot read what it should have; the cause says which file and where.
    Storage(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(cause) => cause.fmt(f),
            Self::Storage(_) => f.write_str("cannot read stored samples"),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Budget(cause) => std::error::Error::source(cause),
            Self::Storage(cause) => Some(&**cause),
        }
    }
}

impl From<BudgetError> for SourceError {
    fn from(cause: BudgetError) -> Self {
        Self::Budget(cause)
    }
}
