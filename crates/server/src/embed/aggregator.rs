//! What makes few points of many: the tiers of the store, and points that are at hand.

use std::sync::Arc;

use barograph_model::Sample;
use barograph_query::engine::{self, AggregationFunction};
use barograph_tsdb::Maintenance;

use super::ServiceError;
use crate::{Engine, errors::chain};

/// Makes the tiers of a service's store: windows of a minute from samples, of five minutes from those, of an hour from
/// those. The service does so by itself at its aggregation interval; this does it now.
#[derive(Clone)]
pub struct MetricsAggregator(Arc<Engine>);

impl MetricsAggregator {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self(engine)
    }

    /// Cuts what is over into blocks, makes their windows, merges blocks, and deletes what is past its retention. May take
    /// seconds, on this thread.
    ///
    /// # Errors
    /// [`ServiceError::Refused`]: the disk failed.
    pub fn aggregate(&self) -> Result<Maintenance, ServiceError> {
        let done = self.0.store.maintain(self.0.clock.now());
        done.map_err(|error| ServiceError::Refused(chain(&error)))
    }

    /// What a function makes of all points: one, stamped with the time of the first. None of none.
    pub fn apply(points: &[Sample], function: AggregationFunction) -> Vec<Sample> {
        engine::apply_aggregation(points, function)
    }

    /// At most `target` points of those, by equal parts of their time.
    pub fn downsample(points: &[Sample], target: usize, function: AggregationFunction) -> Vec<Sample> {
        engine::downsample(points, target, function)
    }
}

impl std::fmt::Debug for MetricsAggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsAggregator")
    }
}
