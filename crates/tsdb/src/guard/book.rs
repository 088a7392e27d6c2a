//! The counts of some metrics: their series, and the values of each of their labels.
//!
//! Kept small, because there is a count for each value of each label of each metric: a label with one value, as most
//! have, takes no table, and of a value there is a hash and how many series have it.

use std::{collections::HashSet, sync::Arc};

use barograph_model::{Labels, METRIC_NAME, RawLabel};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::OVERFLOW;

const HOUR_MS: i64 = 3_600_000;

/// Metrics by name.
#[derive(Default)]
pub(super) struct Book {
    metrics: HashTable<Metric>,
    /// Label names, shared by the metrics that have them.
    names: HashSet<Arc<str>>,
    bytes: usize,
}

/// Bytes of a metric, a label of it and a value of that, with their share of tables that are not full.
const METRIC_BYTES: usize = size_of::<Metric>() * 3 / 2 + 48;
const LABEL_BYTES: usize = size_of::<Label>() * 5 / 4;
const VALUE_BYTES: usize = (size_of::<Value>() + 1) * 3 / 2;

/// One metric.
pub(super) struct Metric {
    pub(super) name: Box<str>,
    pub(super) series: u32,
    pub(super) growth: Growth,
    /// By name, without the metric's own.
    pub(super) labels: Vec<Label>,
}

pub(super) struct Label {
    pub(super) name: Arc<str>,
    values: Values,
}

/// How many series were new, since the start and in this hour and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    pub(super) total: u32,
    hour: u32,
    now: u32,
    before: u32,
}

/// The values of one label.
enum Values {
    One(Value),
    Many(Box<HashTable<Value>>),
}

/// A value and how many series have it. The hash is in two halves so that it takes no more than twelve bytes.
#[derive(Clone, Copy)]
struct Value {
    hash: [u32; 2],
    series: u32,
}

/// What is known about a series that would be new.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Series of its metric.
    pub(super) series: usize,
    /// Label names its metric would have with it.
    pub(super) names: usize,
    /// The first label whose value is new where no more values may be.
    pub(super) full: Option<usize>,
    /// The label with the most values in its metric that is not overflow yet.
    pub(super) widest: Option<usize>,
}

/// The hash of a metric's name.
pub(super) fn hash_of_metric(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The hash of a label's value; the postings of the head use the same.
pub(crate) fn hash_of_value(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// The labels without the metric's name.
pub(super) fn but_the_name(labels: &Labels) -> impl Iterator<Item = RawLabel<'_>> {
    labels.raw().filter(|label| label.name != METRIC_NAME.as_bytes())
}

impl Book {
    /// Looks at a series that is not counted. The label of its owner never gives way.
    pub(super) fn look(
        &self,
        hash: u64,
        name: &str,
        labels: &Labels,
        values_max: usize,
        owner: &[u8],
    ) -> Look {
        let metric = self.metrics.find(hash, |metric| *metric.name == *name);
        let known = metric.map_or(&[][..], |metric| &metric.labels);
        let mut look =
            Look { series: metric.map_or(0, Metric::series), names: known.len(), ..Look::default() };
        let mut widest = None;
        let labels = labels.raw().enumerate().filter(|(_, label)| label.name != METRIC_NAME.as_bytes());
        for (index, RawLabel { name, value, .. }) in labels {
            let values = find(known, name).ok().map(|at| &known[at].values);
            look.names += usize::from(values.is_none());
            if value == OVERFLOW.as_bytes() || name == owner {
                continue;
            }
            let count = values.map_or(0, Values::len);
            let new = values.is_none_or(|values| !values.has(hash_of_value(value)));
            // One value is kept for overflow.
            if new && count + 1 >= values_max && look.full.is_none() {
                look.full = Some(index);
            }
            // Buckets of a histogram are of use only together, so their label goes last.
            let rank = (!matches!(name, b"le" | b"quantile"), count, new);
            if widest.is_none_or(|best| rank > best) {
                (widest, look.widest) = (Some(rank), Some(index));
            }
        }
        look
    }

    /// Counts a series; as a new one if the time is given.
    pub(super) fn add(&mut self, hash: u64, name: &str, labels: &Labels, created_at: Option<i64>) {
        let same = |metric: &Metric| *metric.name == *name;
        let rehash = |metric: &Metric| hash_of_metric(&metric.name);
        let new = || {
            self.bytes += METRIC_BYTES;
            Metric::new(name)
        };
        let metric = self.metrics.entry(hash, same, rehash).or_insert_with(new).into_mut();
        metric.series += 1;
        if let Some(at) = created_at {
            metric.growth.add(at);
        }
        for RawLabel { name, value, .. } in but_the_name(labels) {
            let hash = hash_of_value(value);
            match find(&metric.labels, name) {
                Ok(at) => self.bytes += usize::from(metric.labels[at].values.add(hash)) * VALUE_BYTES,
                Err(at) => {
                    self.bytes += LABEL_BYTES;
                    let name = str::from_utf8(name).expect("labels are text");
                    let known = self.names.get(name).cloned();
                    let name = known.unwrap_or_else(|| {
                        let name: Arc<str> = name.into();
                        self.names.insert(name.clone());
                        name
                    });
                    metric.labels.reserve_exact(1 + metric.labels.len() / 4);
                    metric.labels.insert(at, Label { name, values: Values::One(Value::new(hash)) });
                }
            }
        }
    }

    /// Takes the count of a series back.
    pub(super) fn remove(&mut self, hash: u64, name: &str, labels: &Labels) {
        let Ok(mut entry) = self.metrics.find_entry(hash, |metric| *metric.name == *name) else { return };
        let metric = entry.get_mut();
        metric.series -= 1;
        for RawLabel { name, value, .. } in but_the_name(labels) {
            let Ok(at) = find(&metric.labels, name) else { continue };
            let values = &mut metric.labels[at].values;
            let before = values.len();
            let left = values.remove(hash_of_value(value));
            if left == 0 {
                self.bytes = self.bytes.saturating_sub(LABEL_BYTES);
                let label = metric.labels.remove(at);
                if Arc::strong_count(&label.name) == 2 {
                    self.names.remove(&label.name);
                }
            } else if left < before {
                self.bytes = self.bytes.saturating_sub(VALUE_BYTES);
            }
        }
        if metric.series == 0 {
            self.bytes = self.bytes.saturating_sub(METRIC_BYTES);
            entry.remove();
        }
    }

    pub(super) fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.find(hash_of_metric(name), |metric| *metric.name == *name)
    }

    pub(super) fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter()
    }

    /// Bytes that counting takes, roughly.
    pub(super) fn memory(&self) -> usize {
        self.bytes
    }
}

fn find(labels: &[Label], name: &[u8]) -> Result<usize, usize> {
    labels.binary_search_by(|label| label.name.as_bytes().cmp(name))
}

impl Metric {
    fn new(name: &str) -> Self {
        Self { name: name.into(), series: 0, growth: Growth::default(), labels: Vec::new() }
    }

    pub(super) fn series(&self) -> usize {
        self.series as usize
    }
}

impl Label {
    /// How many values it has.
    pub(super) fn values(&self) -> usize {
        self.values.len()
    }
}

impl Growth {
    fn add(&mut self, at: i64) {
        self.turn(at);
        self.total = self.total.saturating_add(1);
        self.now = self.now.saturating_add(1);
    }

    fn turn(&mut self, at: i64) {
        let hour = u32::try_from(at.div_euclid(HOUR_MS)).unwrap_or(0);
        if hour > self.hour {
            self.before = if hour == self.hour + 1 { self.now } else { 0 };
            (self.hour, self.now) = (hour, 0);
        }
    }

    /// New series in the last hour, as if those of the hour before had come evenly.
    pub(super) fn last_hour(mut self, now: i64) -> u64 {
        self.turn(now);
        let left = HOUR_MS - now.rem_euclid(HOUR_MS);
        u64::from(self.now) + u64::from(self.before) * left.unsigned_abs() / HOUR_MS.unsigned_abs()
    }
}

impl Value {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
    fn new(hash: u64) -> Self {
        Self { hash: [hash as u32, (hash >> 32) as u32], series: 1 }
    }

    fn hash(&self) -> u64 {
        u64::from(self.hash[0]) | u64::from(self.hash[1]) << 32
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(values) => values.len(),
        }
    }

    fn has(&self, hash: u64) -> bool {
        match self {
            Self::One(value) => value.hash() == hash,
            Self::Many(values) => values.find(hash, |value| value.hash() == hash).is_some(),
        }
    }

    /// Adds a series of a value; whether it is a further value.
    fn add(&mut self, hash: u64) -> bool {
        if let Self::One(value) = self {
            if value.hash() == hash {
                value.series += 1;
                return false;
            }
            let mut values = HashTable::new();
            values.insert_unique(value.hash(), *value, Value::hash);
            *self = Self::Many(Box::new(values));
        }
        let Self::Many(values) = self else { return false };
        let known = values.find_mut(hash, |value| value.hash() == hash);
        match known {
            Some(value) => {
                value.series += 1;
                false
            }
            None => {
                values.insert_unique(hash, Value::new(hash), Value::hash);
                true
            }
        }
    }

    /// Takes one series of a value away; how many values are left.
    fn remove(&mut self, hash: u64) -> usize {
        match self {
            Self::One(value) => {
                value.series -= 1;
                usize::from(value.series > 0)
            }
            Self::Many(values) => {
                if let Ok(mut entry) = values.find_entry(hash, |value| value.hash() == hash) {
                    entry.get_mut().series -= 1;
                    if entry.get().series == 0 {
                        entry.remove();
                    }
                }
                // A label that was wide once must not keep the room.
                if values.capacity() > 64 && values.len() < values.capacity() / 8 {
                    values.shrink_to_fit(Value::hash);
                }
                values.len()
            }
        }
    }
}
