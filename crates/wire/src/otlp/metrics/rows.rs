//! What a request became: rows, what is said about their metrics, and which points were refused.

use std::ops::Range;

use barograph_model::{Exemplar, Histogram, Labels, Metadata, is_stale};

use super::delta::Deltas;

/// So many reasons for refusing are told.
const REASONS_MAX: usize = 5;
/// Longer ones are cut.
const REASON_BYTES_MAX: usize = 300;

/// A sample of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleOf {
    pub(super) labels: Range<usize>,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value.
    pub value: f64,
    /// Since when it counts, in milliseconds since the epoch; zero where nothing is counted, or nobody said.
    pub start: i64,
    /// The point of the request that it was made of, counted from 0.
    pub point: u32,
}

impl SampleOf {
    /// The point of what was made of a resource and no point.
    pub const NO_POINT: u32 = u32::MAX;
}

/// A native histogram of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramOf {
    pub(super) labels: Range<usize>,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// What was observed.
    pub histogram: Histogram,
    /// As of [`SampleOf`].
    pub start: i64,
    /// The point of the request that it was made of, counted from 0.
    pub point: u32,
}

/// What a request became.
#[derive(Debug, Default)]
pub struct Translated {
    /// The labels of all series, one after the other.
    pub(super) labels: Vec<u8>,
    /// Samples, in the order of the request.
    pub samples: Vec<SampleOf>,
    /// Native histograms, in the order of the request.
    pub histograms: Vec<HistogramOf>,
    /// Which of the samples are of delta temporality.
    pub(super) delta_samples: Vec<usize>,
    /// Which of the histograms are.
    pub(super) delta_histograms: Vec<usize>,
    /// Type, help and unit, by name of the family.
    pub metadata: Vec<(String, Metadata)>,
    /// Examples, with the series that they are of.
    pub exemplars: Vec<(Labels, Exemplar)>,
    /// Points in the request.
    pub points: u32,
    refused: Vec<u32>,
    reasons: Vec<String>,
}

impl Translated {
    /// The label bytes of a sample, as [`barograph_model::Labels`] has them.
    pub fn labels_of(&self, sample: &SampleOf) -> &[u8] {
        &self.labels[sample.labels.clone()]
    }

    /// The label bytes of a histogram.
    pub fn histogram_labels(&self, histogram: &HistogramOf) -> &[u8] {
        &self.labels[histogram.labels.clone()]
    }

    /// Notes that a point was not, or not wholly, taken.
    pub fn refuse(&mut self, point: u32, why: impl FnOnce() -> String) {
        if point != SampleOf::NO_POINT {
            self.refused.push(point);
        }
        self.tell(why);
    }

    /// Notes what the sender should know, though nothing was refused for it.
    pub(super) fn tell(&mut self, why: impl FnOnce() -> String) {
        if self.reasons.len() >= REASONS_MAX {
            return;
        }
        let mut why = why();
        if why.len() > REASON_BYTES_MAX {
            why.truncate(why.floor_char_boundary(REASON_BYTES_MAX));
            why.push('…');
        }
        if !self.reasons.contains(&why) {
            self.reasons.push(why);
        }
    }

    /// Whether anything is of delta temporality that was not made a total yet.
    pub fn has_deltas(&self) -> bool {
        !self.delta_samples.is_empty() || !self.delta_histograms.is_empty()
    }

    /// How many points were refused, each counted once.
    pub fn refused(&mut self) -> usize {
        self.refused.sort_unstable();
        self.refused.dedup();
        self.refused.len()
    }

    /// Why, in words; the first few reasons.
    pub fn reasons(&self) -> String {
        self.reasons.join("; ")
    }

    /// Turns what is of delta temporality into totals, at the time `now` in milliseconds. What comes too late for that, or
    /// finds no room, is refused. Nothing is added where a point was refused already.
    pub fn accumulate(&mut self, deltas: &mut Deltas, now: i64) {
        deltas.expire(now);
        let mut refused = Vec::new();
        let mut places = std::mem::take(&mut self.delta_samples);
        places.sort_by_key(|place| self.samples[*place].at);
        let mut gone = vec![];
        for place in places {
            let sample = &mut self.samples[place];
            if is_stale(sample.value) {
                continue;
            }
            match deltas.add(&self.labels[sample.labels.clone()], sample.at, sample.value, now) {
                Ok(total) => sample.value = total,
                Err(why) => {
                    refused.push((sample.point, why));
                    gone.push(place);
                }
            }
        }
        remove(&mut self.samples, gone);
        let mut places = std::mem::take(&mut self.delta_histograms);
        places.sort_by_key(|place| self.histograms[*place].at);
        let mut gone = vec![];
        for place in places {
            let row = &mut self.histograms[place];
            if row.histogram.is_stale() {
                continue;
            }
            match deltas.add_histogram(&self.labels[row.labels.clone()], row.at, &row.histogram, now) {
                Ok(total) => row.histogram = total,
                Err(why) => {
                    refused.push((row.point, why));
                    gone.push(place);
                }
            }
        }
        remove(&mut self.histograms, gone);
        for (point, why) in refused {
            self.refuse(point, || why.to_string());
        }
    }
}

/// Takes out what stands at some places.
fn remove<T>(rows: &mut Vec<T>, mut places: Vec<usize>) {
    places.sort_unstable();
    let (mut gone, mut place) = (places.into_iter().peekable(), 0);
    rows.retain(|_| {
        place += 1;
        gone.next_if_eq(&(place - 1)).is_none()
    });
}
