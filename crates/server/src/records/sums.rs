//! The sums that increments and observations become, and the samples of one request.

use std::collections::HashMap;

use barograph::record::native_histogram;
use barograph_model::{Histogram, Labels, Sketch, Timestamp};

use super::Refusal;

/// So many counters are summed at once.
const COUNTERS_MAX: usize = 100_000;
/// So many histograms, which take more room.
const HISTOGRAMS_MAX: usize = 10_000;
/// A sum that had nothing added for so long may go when room is needed.
const IDLE_MS: i64 = 3_600_000;

/// All sums, and what the running request does to them.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sums: HashMap<Labels, Sum>,
    histograms: usize,
    now: i64,
    samples: Vec<Sample>,
    /// By series: its sum before the request (`None` if it was new), and the place of its last sample.
    touched: HashMap<Labels, Touched>,
}

#[derive(Clone, Debug)]
struct Sum {
    of: Of,
    /// The time of its last sample.
    at: i64,
}

#[derive(Clone, Debug)]
enum Of {
    Counts(f64),
    Values(Box<Sketch>),
}

#[derive(Debug)]
struct Touched {
    before: Option<Sum>,
    last: usize,
    /// The records of the request that are in it.
    records: Vec<usize>,
}

/// A sample to be stored.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) at: i64,
    pub(super) value: f64,
    pub(super) histogram: Option<Histogram>,
    /// The record it is of; of a sum, `None`: all records of its series.
    record: Option<usize>,
}

impl Sums {
    /// Begins a request.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.now = now.millis();
        self.end();
    }

    /// Ends it: what was done stands.
    pub(super) fn end(&mut self) {
        self.samples.clear();
        self.touched.clear();
    }

    /// The samples of the request so far.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// A value at a time.
    pub(super) fn set(&mut self, record: usize, labels: Labels, at: Timestamp, value: f64) {
        self.samples.push(Sample { record: Some(record), ..Sample::gauge(labels, at, value) });
    }

    /// Adds to a counter.
    pub(super) fn count(
        &mut self,
        record: usize,
        labels: Labels,
        at: Timestamp,
        n: f64,
    ) -> Result<(), Refusal> {
        self.add(record, labels, at.millis(), Of::Counts(0.0), |of| {
            if let Of::Counts(count) = of {
                *count += n;
            }
        })
    }

    /// Adds to a distribution.
    pub(super) fn observe(
        &mut self,
        record: usize,
        labels: Labels,
        at: Timestamp,
        values: &Sketch,
    ) -> Result<(), Refusal> {
        self.add(record, labels, at.millis(), Of::Values(Box::default()), |of| {
            if let Of::Values(sketch) = of {
                sketch.merge(values);
            }
        })
    }

    fn add(
        &mut self,
        record: usize,
        labels: Labels,
        at: i64,
        nothing: Of,
        add: impl FnOnce(&mut Of),
    ) -> Result<(), Refusal> {
        let before = self.sums.get(&labels).cloned();
        if before.is_none() {
            self.make_room(matches!(nothing, Of::Values(_)))?;
            self.histograms += usize::from(matches!(nothing, Of::Values(_)));
            let before_it = at.saturating_sub(1);
            self.samples.push(sample(&labels, before_it, &nothing));
            self.sums.insert(labels.clone(), Sum { of: nothing, at: before_it });
        }
        let Some(sum) = self.sums.get_mut(&labels) else { return Ok(()) };
        add(&mut sum.of);
        let in_place = self.touched.get(&labels).filter(|_| sum.at >= at).map(|touched| touched.last);
        // What comes with an older time is counted when it came: a sum has no past.
        sum.at = if in_place.is_some() { sum.at } else { at.max(sum.at.saturating_add(1)) };
        let sample = sample(&labels, sum.at, &sum.of);
        let last = match in_place {
            Some(place) => {
                self.samples[place] = sample;
                place
            }
            None => {
                self.samples.push(sample);
                self.samples.len() - 1
            }
        };
        let touched = self.touched.entry(labels).or_insert(Touched { before, last, records: Vec::new() });
        touched.last = last;
        touched.records.push(record);
        Ok(())
    }

    /// Room for one more sum; those that were idle go first.
    fn make_room(&mut self, histogram: bool) -> Result<(), Refusal> {
        let (what, max) = if histogram {
            ("histograms by name", HISTOGRAMS_MAX)
        } else {
            ("counters by name", COUNTERS_MAX)
        };
        let used = |sums: &Self| if histogram { sums.histograms } else { sums.sums.len() - sums.histograms };
        if used(self) >= max {
            let (now, touched) = (self.now, &self.touched);
            self.sums
                .retain(|labels, sum| sum.at > now.saturating_sub(IDLE_MS) || touched.contains_key(labels));
            self.histograms = self.sums.values().filter(|sum| matches!(sum.of, Of::Values(_))).count();
        }
        if used(self) >= max { Err(Refusal::TooMany { what, max }) } else { Ok(()) }
    }

    /// Takes back what the request did to the series of a sample that was not stored; the records in it.
    pub(super) fn undo(&mut self, sample: usize) -> Vec<usize> {
        let Some(Sample { labels, record, .. }) = self.samples.get(sample) else { return Vec::new() };
        if let Some(record) = record {
            return vec![*record];
        }
        let Some(touched) = self.touched.remove(labels) else { return Vec::new() };
        // The zero before a beginning may be older than what is stored; that alone is no loss.
        if touched.before.is_none() && sample < touched.last && self.samples[sample].is_nothing() {
            let labels = labels.clone();
            self.touched.insert(labels, touched);
            return Vec::new();
        }
        match touched.before {
            Some(before) => _ = self.sums.insert(labels.clone(), before),
            None => {
                let gone = self.sums.remove(labels);
                self.histograms -= usize::from(matches!(gone, Some(Sum { of: Of::Values(_), .. })));
            }
        }
        touched.records
    }

    /// Takes back all that the request did.
    pub(super) fn undo_all(&mut self) {
        for sample in 0..self.samples.len() {
            self.undo(sample);
        }
        // Sums whose zero was passed over above.
        for (labels, touched) in std::mem::take(&mut self.touched) {
            match touched.before {
                Some(before) => _ = self.sums.insert(labels, before),
                None => _ = self.sums.remove(&labels),
            }
        }
        self.histograms = self.sums.values().filter(|sum| matches!(sum.of, Of::Values(_))).count();
        self.end();
    }
}

impl Sample {
    /// A value at a time, of no record.
    pub(super) fn gauge(labels: Labels, at: Timestamp, value: f64) -> Self {
        Self { labels, at: at.millis(), value, histogram: None, record: None }
    }

    fn is_nothing(&self) -> bool {
        self.histogram.as_ref().map_or(self.value, Histogram::count) == 0.0
    }
}

fn sample(labels: &Labels, at: i64, of: &Of) -> Sample {
    let (value, histogram) = match of {
        Of::Counts(count) => (*count, None),
        Of::Values(sketch) => (0.0, Some(native_histogram(sketch))),
    };
    Sample { labels: labels.clone(), at, value, histogram, record: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)]).unwrap()
    }

    fn values(sums: &Sums) -> Vec<(i64, f64)> {
        sums.samples().iter().map(|sample| (sample.at, sample.value)).collect()
    }

    #[test]
    fn increments_become_counts() {
        let mut sums = Sums::default();
        sums.begin(Timestamp(5_000));
        for at in [5_000, 5_000, 6_000, 4_000] {
            sums.count(0, series("a"), Timestamp(at), 2.0).unwrap();
        }
        assert_eq!(values(&sums), [(4_999, 0.0), (5_000, 4.0), (6_000, 8.0)]);
        sums.begin(Timestamp(6_000));
        sums.count(0, series("a"), Timestamp(6_000), 1.0).unwrap();
        assert_eq!(values(&sums), [(6_001, 9.0)]);
    }

    #[test]
    fn what_is_not_stored_is_not_counted() {
        let mut sums = Sums::default();
        sums.begin(Timestamp(1));
        sums.count(7, series("a"), Timestamp(1_000), 2.0).unwrap();
        sums.end();
        sums.begin(Timestamp(1));
        sums.count(3, series("a"), Timestamp(2_000), 2.0).unwrap();
        sums.count(4, series("a"), Timestamp(2_000), 2.0).unwrap();
        assert_eq!(sums.undo(0), [3, 4]);
        sums.end();
        sums.begin(Timestamp(1));
        sums.count(0, series("a"), Timestamp(3_000), 2.0).unwrap();
        assert_eq!(values(&sums), [(3_000, 4.0)]);
        sums.undo_all();
        sums.begin(Timestamp(1));
        sums.count(0, series("a"), Timestamp(3_000), 1.0).unwrap();
        assert_eq!(values(&sums), [(3_000, 3.0)]);
    }

    #[test]
    fn observations_become_histograms() {
        let mut sums = Sums::default();
        let mut sketch = Sketch::new();
        [1.0, 3.0].into_iter().for_each(|value| sketch.add(value));
        sums.begin(Timestamp(1));
        sums.observe(0, series("a"), Timestamp(1_000), &sketch).unwrap();
        sums.observe(1, series("a"), Timestamp(1_000), &sketch).unwrap();
        let histogram = sums.samples()[1].histogram.as_ref().unwrap();
        assert_eq!((histogram.count(), histogram.sum(), histogram.schema()), (4.0, 8.0, 5));
        assert_eq!(histogram.positive()[0], (0, 2.0));
    }
}
