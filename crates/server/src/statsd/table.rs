//! What StatsD clients sent, added up by series.
//!
//! Counters only grow and become `NAME_total`; a gauge keeps its value; durations and other values are native histograms,
//! durations in seconds under `NAME_seconds`; of a set the number of different members in the interval is told. A series for
//! which nothing came for an hour ends. What is over a limit is not taken, and said.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use barograph_model::{Histogram, HistogramParts, Labels, METRIC_NAME, Sketch, Timestamp, stale_marker};
use barograph_wire::statsd::{Kind, Metric, Value};

use crate::{
    intake::Batch,
    naming::{label_name, metric_name},
};

/// A series for which nothing came for so long, in milliseconds, ends.
const IDLE_MS: i64 = 3_600_000;
/// Members of all sets that are told apart in one interval.
const MEMBERS_MAX: usize = 1_000_000;
/// A value stands for no more than so many, however small the share that was sent.
const WEIGHT_MAX: f64 = 1e6;

/// Series by their labels.
pub(super) struct Table {
    series: HashMap<Labels, Slot>,
    series_max: usize,
    members: usize,
    members_max: usize,
    written: Timestamp,
}

struct Slot {
    held: Held,
    last: Timestamp,
    begun: bool,
}

enum Held {
    Counter(f64),
    Gauge(f64),
    Values(Box<Sketch>),
    /// Hashes of members: two that share one of 2^64 are counted as one.
    Set(HashSet<u64>),
}

/// What of a line was not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    malformed: u64,
    series: u64,
    members: u64,
    /// The series is of another type.
    conflict: u64,
}

impl Left {
    pub(super) fn by_reason(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { malformed, series, members, conflict } = self;
        let all = [("malformed", malformed), ("series", series), ("members", members), ("type", conflict)];
        all.into_iter().filter(|(_, count)| *count > 0)
    }
}

impl Table {
    pub(super) fn new(series_max: usize, now: Timestamp) -> Self {
        Self { series: HashMap::new(), series_max, members: 0, members_max: MEMBERS_MAX, written: now }
    }

    /// Takes the values of a line.
    pub(super) fn take(&mut self, metric: &Metric<'_>, now: Timestamp) -> Left {
        let mut left = Left::default();
        let Some(labels) = labels(metric) else { return Left { malformed: 1, ..left } };
        let full = self.series.len() >= self.series_max;
        let slot = match self.series.get_mut(&labels) {
            Some(slot) => slot,
            None if full => return Left { series: 1, ..left },
            None => {
                let held = match metric.kind {
                    Kind::Counter => Held::Counter(0.0),
                    Kind::Gauge => Held::Gauge(0.0),
                    Kind::Time | Kind::Histogram => Held::Values(Box::default()),
                    Kind::Set => Held::Set(HashSet::new()),
                };
                self.series.entry(labels).or_insert(Slot { held, last: now, begun: false })
            }
        };
        slot.last = now;
        for value in metric.values() {
            let Ok(value) = value else {
                left.malformed += 1;
                continue;
            };
            match (&mut slot.held, metric.kind, value) {
                (Held::Counter(total), Kind::Counter, Value::Number(by)) if by >= 0.0 => {
                    *total += by / metric.rate;
                }
                (Held::Counter(_), Kind::Counter, Value::Number(_)) => left.malformed += 1,
                (Held::Gauge(held), Kind::Gauge, Value::Number(value)) => *held = value,
                (Held::Gauge(held), Kind::Gauge, Value::Change(by)) => *held += by,
                (Held::Values(sketch), Kind::Time, Value::Number(value)) => {
                    add(sketch, value / 1e3, metric.rate);
                }
                (Held::Values(sketch), Kind::Histogram, Value::Number(value)) => {
                    add(sketch, value, metric.rate);
                }
                (Held::Set(members), Kind::Set, Value::Member(member)) => {
                    let mut hasher = DefaultHasher::new();
                    member.hash(&mut hasher);
                    let hash = hasher.finish();
                    if self.members >= self.members_max && !members.contains(&hash) {
                        left.members += 1;
                    } else if members.insert(hash) {
                        self.members += 1;
                    }
                }
                _ => left.conflict += 1,
            }
        }
        left
    }

    /// All series at `now`; sets begin anew.
    pub(super) fn written(&mut self, now: Timestamp) -> Batch {
        let mut batch = Batch::default();
        let before = std::mem::replace(&mut self.written, now);
        self.members = 0;
        self.series.retain(|labels, slot| {
            let idle = now.millis().saturating_sub(slot.last.millis()) > IDLE_MS;
            let begins = !std::mem::replace(&mut slot.begun, true) && before < now;
            let value = match &mut slot.held {
                Held::Counter(total) => {
                    if begins {
                        // So that the first increment is an increase.
                        batch.samples.push((labels.clone(), before, 0.0));
                    }
                    *total
                }
                Held::Gauge(value) => *value,
                Held::Set(members) => {
                    let count = members.len() as f64;
                    members.clear();
                    count
                }
                Held::Values(sketch) => {
                    if let Some(histogram) = native(sketch, idle) {
                        batch.histograms.push((labels.clone(), now, histogram));
                    }
                    return !idle;
                }
            };
            batch.samples.push((labels.clone(), now, if idle { stale_marker() } else { value }));
            !idle
        });
        batch
    }
}

/// The series of a metric; `None` if it has no such name.
fn labels(metric: &Metric<'_>) -> Option<Labels> {
    let mut name = metric_name(metric.name);
    let end = match metric.kind {
        Kind::Counter => "_total",
        Kind::Time => "_seconds",
        Kind::Gauge | Kind::Histogram | Kind::Set => "",
    };
    if !name.ends_with(end) {
        name.push_str(end);
    }
    let mut pairs = vec![(METRIC_NAME.to_owned(), name)];
    for (name, value) in &metric.tags {
        let name = label_name(name);
        // Of two tags that become one label the first counts.
        if pairs.iter().all(|pair| pair.0 != name) {
            pairs.push((name, if value.is_empty() { "true" } else { value }.to_owned()));
        }
    }
    Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).ok()
}

/// Adds a value as often as the share that was sent says.
fn add(sketch: &mut Sketch, value: f64, rate: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between its bounds")]
    let weight = (1.0 / rate).round().clamp(1.0, WEIGHT_MAX) as u64;
    let mut one = Sketch::new();
    one.add(value);
    if one.zeros() > 0 {
        sketch.add_zeros(weight);
    }
    for (negative, buckets) in [(false, one.positive()), (true, one.negative())] {
        buckets.iter().for_each(|&(index, _)| sketch.add_bucket(negative, index, weight));
    }
    sketch.add_moments(value * weight as f64, value, value);
}

/// The histogram that has the same buckets.
fn native(sketch: &Sketch, ends: bool) -> Option<Histogram> {
    // Bucket `i` of a sketch is that of the index one higher.
    let side = |buckets: &[(i32, u64)]| -> Vec<(i32, f64)> {
        buckets.iter().map(|&(index, count)| (index.saturating_add(1), count as f64)).collect()
    };
    let parts = HistogramParts {
        schema: i8::try_from(sketch.scale()).ok()?,
        zero_count: sketch.zeros() as f64,
        count: sketch.count() as f64,
        sum: if ends { stale_marker() } else { sketch.sum() },
        positive: side(sketch.positive()),
        negative: side(sketch.negative()),
        ..HistogramParts::default()
    };
    Histogram::new(parts).ok()
}

#[cfg(test)]
mod tests {
    use barograph_wire::statsd::{Message, read};

    use super::*;

    fn take(table: &mut Table, line: &str) -> Left {
        let Ok(Message::Metric(metric)) = read(line.as_bytes()) else { panic!("{line}") };
        table.take(&metric, Timestamp(1_000))
    }

    fn value(batch: &Batch, labels: &str) -> f64 {
        let found = batch.samples.iter().rev().find(|sample| sample.0.to_string() == labels);
        found.unwrap_or_else(|| panic!("no {labels} in {:?}", batch.samples)).2
    }

    #[test]
    fn lines_are_added_up() {
        let mut table = Table::new(100, Timestamp(0));
        for line in [
            "a.b:1|c",
            "a.b:2:3|c|@0.5",
            "g:5|g",
            "g:-2|g",
            "g:+0.5|g",
            "s:x|s|#k:v",
            "s:y|s|#k:v",
            "s:x|s|#k:v",
            "t:250:750|ms|#bare",
            "h:7|h|@0.1",
        ] {
            assert_eq!(take(&mut table, line), Left::default(), "{line}");
        }
        let batch = table.written(Timestamp(2_000));
        assert_eq!(value(&batch, "a_b_total"), 11.0);
        assert_eq!(value(&batch, "g"), 3.5);
        assert_eq!(value(&batch, r#"s{k="v"}"#), 2.0);
        let of = |name: &str| {
            let found = batch.histograms.iter().find(|(labels, ..)| labels.to_string() == name).unwrap();
            (found.2.count(), found.2.sum())
        };
        assert_eq!(of(r#"t_seconds{bare="true"}"#), (2.0, 1.0));
        assert_eq!(of("h"), (10.0, 70.0));
        take(&mut table, "a.b:1|c");
        let batch = table.written(Timestamp(3_000));
        assert_eq!((value(&batch, "a_b_total"), value(&batch, r#"s{k="v"}"#)), (12.0, 0.0));
        let batch = table.written(Timestamp(IDLE_MS + 3_000));
        assert!(value(&batch, "g").is_nan() && batch.histograms.iter().all(|(.., h)| h.is_stale()));
        assert!(table.written(Timestamp(IDLE_MS + 4_000)).samples.is_empty());
    }

    #[test]
    fn what_is_over_a_limit_or_none_is_said() {
        let mut table = Table::new(2, Timestamp(0));
        table.members_max = 2;
        take(&mut table, "a:1|g");
        assert_eq!(take(&mut table, "a:x|s"), Left { conflict: 1, ..Left::default() });
        assert_eq!(take(&mut table, "a:1:x|g"), Left { malformed: 1, ..Left::default() });
        for member in ["s:1|s", "s:2|s", "s:2|s"] {
            assert_eq!(take(&mut table, member), Left::default());
        }
        assert_eq!(take(&mut table, "s:3|s"), Left { members: 1, ..Left::default() });
        assert_eq!(take(&mut table, "b:1|c"), Left { series: 1, ..Left::default() });
        assert_eq!(take(&mut table, "a:-1|c"), Left { series: 1, ..Left::default() });
        table.series_max = 9;
        assert_eq!(take(&mut table, "c:-1|c"), Left { malformed: 1, ..Left::default() });
    }
}
