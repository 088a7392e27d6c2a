//! Counters and histograms by labels, as many as may be, written again and again as samples.
//!
//! What has not counted for a while ends with a staleness marker. What is new begins at zero at the time of the writing
//! before, so that its first count is an increase. Beyond the limit everything is counted as one, under `__overflow__`.

use std::{collections::HashMap, hash::Hash};

use barograph_model::{Labels, METRIC_NAME, Timestamp, stale_marker};

use crate::intake::Batch;

/// What has not counted for so long, in milliseconds, ends.
const IDLE_MS: i64 = 15 * 60_000;
/// Upper bounds of buckets, in seconds.
const BOUNDS: [f64; 14] =
    [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
/// Bytes of a label's value that are kept.
const VALUE_BYTES_MAX: usize = 512;

/// What a limit puts in place of a value.
pub(super) const OVERFLOW: &str = "__overflow__";

/// The names of the counters and histograms that each of a table's cells has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) counters: &'static [&'static str],
    pub(super) histograms: &'static [&'static str],
}

/// Cells by their labels.
#[derive(Debug)]
pub(super) struct Table<K> {
    names: Names,
    cells: HashMap<K, Cell>,
    cells_max: usize,
    /// Times that a cell was asked for and the limit was met.
    pub(super) overflowed: u64,
}

impl<K: Hash + Eq> Table<K> {
    pub(super) fn new(names: Names, cells_max: usize) -> Self {
        Self { names, cells: HashMap::new(), cells_max: cells_max.max(1), overflowed: 0 }
    }

    /// So many there may be from now on; those that are more stay.
    pub(super) fn limit(&mut self, cells_max: usize) {
        self.cells_max = cells_max.max(1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cell of a key, or of `other` where that would be one too many. `labels` tells the labels of either.
    pub(super) fn cell<'l>(
        &mut self,
        key: K,
        other: impl FnOnce() -> K,
        now: Timestamp,
        labels: impl Fn(&K) -> Vec<(&'static str, String)> + 'l,
    ) -> &mut Cell {
        let full = self.cells.len() >= self.cells_max && !self.cells.contains_key(&key);
        let key = if full {
            self.overflowed += 1;
            other()
        } else {
            key
        };
        let pairs = if self.cells.contains_key(&key) { Vec::new() } else { labels(&key) };
        let cell = self.cells.entry(key).or_insert_with(|| Cell::new(self.names, &pairs));
        cell.counted = now;
        cell
    }

    /// Adds all samples at `now` to a batch; what is idle ends.
    pub(super) fn write(&mut self, now: Timestamp, before: Timestamp, batch: &mut Batch) {
        self.cells.retain(|_, cell| {
            let idle = now.millis().saturating_sub(cell.counted.millis()) > IDLE_MS;
            cell.write(now, before, idle, batch);
            !idle
        });
    }
}

/// The counters and histograms of one set of labels.
#[derive(Debug)]
pub(super) struct Cell {
    counters: Vec<(Labels, u64)>,
    histograms: Vec<Histogram>,
    counted: Timestamp,
    written: bool,
}

#[derive(Debug)]
struct Histogram {
    /// Of each bucket, the one without a bound last.
    buckets: Vec<(Labels, u64)>,
    sum: (Labels, f64),
    count: Labels,
}

impl Cell {
    fn new(names: Names, pairs: &[(&'static str, String)]) -> Self {
        let labels = |name: &str, le: Option<&str>| {
            let pairs = pairs.iter().map(|(name, value)| (*name, cut(value)));
            let more = [(METRIC_NAME, name)].into_iter().chain(le.map(|le| ("le", le)));
            Labels::from_pairs(pairs.chain(more)).expect("the names are ours, and each stands once")
        };
        let histogram = |name: &&str| {
            let bucket = format!("{name}_bucket");
            let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            Histogram {
                buckets: bounds.map(|bound| (labels(&bucket, Some(&bound)), 0)).collect(),
                sum: (labels(&format!("{name}_sum"), None), 0.0),
                count: labels(&format!("{name}_count"), None),
            }
        };
        Self {
            counters: names.counters.iter().map(|name| (labels(name, None), 0)).collect(),
            histograms: names.histograms.iter().map(histogram).collect(),
            counted: Timestamp(0),
            written: false,
        }
    }

    /// Counts one in the counter of that place.
    pub(super) fn count(&mut self, place: usize) {
        if let Some((_, count)) = self.counters.get_mut(place) {
            *count += 1;
        }
    }

    /// Takes a duration into the histogram of that place.
    pub(super) fn observe(&mut self, place: usize, seconds: f64) {
        let Some(histogram) = self.histograms.get_mut(place) else { return };
        let bucket = BOUNDS.partition_point(|&bound| bound < seconds);
        histogram.buckets[bucket].1 += 1;
        histogram.sum.1 += seconds;
    }

    fn write(&mut self, now: Timestamp, before: Timestamp, idle: bool, batch: &mut Batch) {
        let begins = !std::mem::replace(&mut self.written, true) && before < now;
        let mut sample = |labels: &Labels, value: f64| {
            if begins {
                batch.samples.push((labels.clone(), before, 0.0));
            }
            batch.samples.push((labels.clone(), now, if idle { stale_marker() } else { value }));
        };
        for (labels, count) in &self.counters {
            sample(labels, *count as f64);
        }
        for histogram in &self.histograms {
            let mut count = 0;
            for (labels, within) in &histogram.buckets {
                count += within;
                sample(labels, count as f64);
            }
            sample(&histogram.sum.0, histogram.sum.1);
            sample(&histogram.count, count as f64);
        }
    }
}

/// As much of a value as is kept.
pub(super) fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(VALUE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names { counters: &["calls_total"], histograms: &["latency"] };

    fn written(table: &mut Table<&'static str>, now: i64, before: i64) -> Vec<(String, i64, f64)> {
        let mut batch = Batch::default();
        table.write(Timestamp(now), Timestamp(before), &mut batch);
        batch.samples.iter().map(|(labels, at, value)| (labels.to_string(), at.0, *value)).collect()
    }

    fn count(table: &mut Table<&'static str>, key: &'static str, now: i64) {
        let cell = table.cell(key, || OVERFLOW, Timestamp(now), |key| vec![("service", (*key).to_owned())]);
        cell.count(0);
        cell.observe(0, 0.1);
    }

    fn value(samples: &[(String, i64, f64)], labels: &str, at: i64) -> f64 {
        let found = samples.iter().find(|sample| sample.0 == labels && sample.1 == at);
        found.unwrap_or_else(|| panic!("no {labels} at {at} in {samples:?}")).2
    }

    #[test]
    fn a_series_begins_at_zero_and_counts_on() {
        let mut table = Table::new(NAMES, 10);
        count(&mut table, "a", 5);
        let samples = written(&mut table, 10, 0);
        let calls = r#"calls_total{service="a"}"#;
        assert_eq!((value(&samples, calls, 0), value(&samples, calls, 10)), (0.0, 1.0));
        count(&mut table, "a", 11);
        let samples = written(&mut table, 20, 10);
        assert_eq!(value(&samples, calls, 20), 2.0);
        assert_eq!(value(&samples, r#"latency_bucket{le="0.064", service="a"}"#, 20), 0.0);
        assert_eq!(value(&samples, r#"latency_bucket{le="0.128", service="a"}"#, 20), 2.0);
        assert_eq!(value(&samples, r#"latency_bucket{le="+Inf", service="a"}"#, 20), 2.0);
        assert_eq!(value(&samples, r#"latency_sum{service="a"}"#, 20), 0.2);
        assert_eq!(value(&samples, r#"latency_count{service="a"}"#, 20), 2.0);
    }

    #[test]
    fn beyond_the_limit_all_is_one() {
        let mut table = Table::new(NAMES, 2);
        ["a", "b", "c", "d", "a"].into_iter().for_each(|key| count(&mut table, key, 0));
        let samples = written(&mut table, 10, 0);
        assert_eq!(value(&samples, r#"calls_total{service="__overflow__"}"#, 10), 2.0);
        assert_eq!((value(&samples, r#"calls_total{service="a"}"#, 10), table.overflowed), (2.0, 2));
    }

    #[test]
    fn what_is_idle_ends() {
        let mut table = Table::new(NAMES, 2);
        count(&mut table, "a", 0);
        assert_eq!(value(&written(&mut table, 10, 0), r#"calls_total{service="a"}"#, 10), 1.0);
        let samples = written(&mut table, IDLE_MS + 1, 0);
        assert!(value(&samples, r#"calls_total{service="a"}"#, IDLE_MS + 1).is_nan());
        assert!(written(&mut table, IDLE_MS + 2, 0).is_empty());
    }
}
