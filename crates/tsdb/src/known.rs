//! What is in memory of one series, for those who ask before they append.

use barograph_model::{Labels, Timestamp, is_stale};

use crate::{Store, head::hash_of};

impl Store {
    /// Whether a series has samples or native histograms in memory. One that rests in blocks alone is not known.
    pub fn knows(&self, labels: &Labels) -> bool {
        let bytes = labels.as_bytes();
        let hash = hash_of(bytes);
        self.head.lane(self.head.lane_of(hash)).find(hash, bytes).is_some() || self.histograms.knows(labels)
    }

    /// The time of the newest sample or native histogram of a series, as far as it is in memory.
    pub fn newest(&self, labels: &Labels) -> Option<Timestamp> {
        let bytes = labels.as_bytes();
        let hash = hash_of(bytes);
        let float = {
            let lane = self.head.lane(self.head.lane_of(hash));
            lane.find(hash, bytes).map(|slot| lane.series(slot).last_at())
        };
        float.max(self.histograms.newest(labels)).map(Timestamp)
    }

    /// Whether the newest float of a series has exactly this time and is no marker. From then on floats of the series are compared with its
    /// histograms, too: see [`Lane::note_histograms`](crate::head::Lane::note_histograms).
    pub(crate) fn has_float_at(&self, labels: &Labels, at: i64) -> bool {
        let bytes = labels.as_bytes();
        let hash = hash_of(bytes);
        let mut lane = self.head.lane(self.head.lane_of(hash));
        let Some(slot) = lane.find(hash, bytes) else { return false };
        lane.note_histograms(slot);
        let series = lane.series(slot);
        series.last_at() == at && !is_stale(f64::from_bits(series.last_bits()))
    }
}
