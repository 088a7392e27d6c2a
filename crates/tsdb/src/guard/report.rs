//! Where the series are: the metrics, labels and values that have most of them.
//!
//! Made when asked for. Metrics are read off the guard's counts; labels and pairs off the postings of the head, one label
//! at a time, so that what is in memory at once is in proportion to the widest label. With matchers the series
//! themselves are looked at instead, up to [`EXAMINED_MAX`].

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::{METRIC_NAME, Matcher, Timestamp};

use super::{
    Guard, Overflow, SHARDS,
    book::{Book, Metric, hash_of_metric, hash_of_value},
    top::Top,
};
use crate::{Reason, Store, head::Head};

/// Series that are looked at for one report with matchers, at most.
const EXAMINED_MAX: usize = 250_000;

/// Labels that are named of each metric.
const LABELS_NAMED: usize = 5;

/// The report. Lists are sorted, greatest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cardinality {
    /// Series in the head.
    pub series: usize,
    /// Series in the head at most.
    pub series_max: usize,
    /// Series of a metric at most.
    pub metric_series_max: usize,
    /// Values of a label of a metric at most.
    pub label_values_max: usize,
    /// Series that the question is about.
    pub matched: usize,
    /// Series that were looked at to answer it.
    pub examined: usize,
    /// Series that were new since the store was opened, and are still here with their metric.
    pub created: u64,
    /// Those of the last hour, to within the evenness of the hour before.
    pub created_last_hour: u64,
    /// Pairs of label and value in use, the metric name's included.
    pub pairs_in_use: usize,
    /// Metrics with most series.
    pub metrics: Vec<MetricSeries>,
    /// Metrics with most new series in the last hour.
    pub growth: Vec<MetricSeries>,
    /// Labels with most values, over all metrics.
    pub labels: Vec<LabelValues>,
    /// Labels with most values within one metric.
    pub metric_labels: Vec<MetricLabel>,
    /// Pairs of label and value with most series.
    pub pairs: Vec<PairSeries>,
    /// What overflowed most.
    pub overflows: Vec<Overflow>,
    /// Samples that went to overflow series.
    pub overflow_samples: u64,
    /// Those of them that were not kept, because the overflow series had a sample of their time or a later one.
    pub overflow_merged: u64,
    /// Samples that were refused because not even overflow had room.
    pub overflow_refused: u64,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricSeries {
    /// Its name.
    pub metric: String,
    /// Its series.
    pub series: usize,
    /// Series of it that were new since the store was opened.
    pub created: u64,
    /// Those of the last hour.
    pub created_last_hour: u64,
    /// Its labels with most values, with their number.
    pub labels: Vec<(String, usize)>,
}

/// One label, over all metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelValues {
    /// Its name.
    pub label: String,
    /// How many values it has.
    pub values: usize,
    /// The bytes of these values.
    pub bytes: u64,
}

/// One label of one metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricLabel {
    /// The metric.
    pub metric: String,
    /// The label.
    pub label: String,
    /// How many values it has.
    pub values: usize,
}

/// One pair of label and value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairSeries {
    /// The label.
    pub label: String,
    /// The value.
    pub value: String,
    /// Series that have it.
    pub series: usize,
}

/// A value as it was seen in some lane, or in some series.
pub(crate) struct Seen {
    /// Its hash.
    hash: u64,
    /// Its length.
    bytes: u32,
    series: u32,
}

impl Seen {
    pub(crate) fn new(value: &str, series: usize) -> Self {
        let short = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self { hash: hash_of_value(value.as_bytes()), bytes: short(value.len()), series: short(series) }
    }
}

impl Store {
    /// The `limit` metrics and labels of which most samples overflowed since the store was opened.
    pub fn overflows(&self, limit: usize) -> Vec<Overflow> {
        self.head.guard.overflows.top(None, limit)
    }

    /// Limits the series of each owner from now on; what is over that overflows. See
    /// [`Options::owner_label`](crate::Options::owner_label).
    pub fn limit_owners(&self, limits: super::OwnerLimits) {
        self.head.guard.limit_owners(limits);
    }

    /// How many series in the head each owner has; the one with no name, too.
    pub fn series_of_owners(&self) -> Vec<(String, usize)> {
        self.head.guard.series_of_owners()
    }

    /// Chunks in the head, and the times of the first and the last sample in them; `None` if there are none.
    pub fn head_extent(&self) -> Option<(usize, Timestamp, Timestamp)> {
        self.head.extent().map(|(chunks, first, last)| (chunks, Timestamp(first), Timestamp(last)))
    }

    /// Where the series are, with `limit` rows a list: of the series that pass any of `selectors`, or of all where there
    /// is none, and of one metric if `metric` is given. Overflow is told apart by metric only.
    pub fn cardinality(
        &self,
        selectors: &[Vec<Matcher>],
        metric: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Cardinality {
        let guard = &self.head.guard;
        let mut lists = Lists::new(limit);
        let (matched, examined) = if selectors.is_empty() && metric.is_none() {
            for number in 0..SHARDS {
                guard.book(number).metrics().for_each(|metric| lists.see_metric(metric, now));
            }
            for name in self.head.names_in_use() {
                lists.see_label(&name, &mut self.head.values_seen(&name));
            }
            (guard.series(), guard.series())
        } else {
            let seen = see_series(&self.head, selectors, metric);
            for found in seen.book.metrics() {
                lists.see_metric(found, now);
            }
            for (name, mut values) in seen.values {
                lists.see_label(&name, &mut values);
            }
            (seen.matched, seen.examined)
        };
        let refused = self.counters.rejected().into_iter().find(|count| count.0 == Reason::TooManySeries);
        let (overflow_samples, overflow_merged) = guard.overflows.counts();
        let mut metrics = take(lists.metrics);
        let mut growth = take(lists.growth);
        metrics.iter_mut().chain(&mut growth).for_each(|row| guard.add_growth(row, now));
        growth.retain(|row| row.created_last_hour > 0);
        let pairs = lists.pairs.into_vec().into_iter().filter_map(|(series, (label, hash))| {
            let value = self.head.value_of_hash(&label, hash)?;
            Some(PairSeries { label, value, series: usize::try_from(series).unwrap_or(usize::MAX) })
        });
        let limits = guard.limits();
        Cardinality {
            series: guard.series(),
            series_max: limits.series,
            metric_series_max: limits.series_per_metric,
            label_values_max: limits.values_per_label,
            matched,
            examined,
            created: lists.created,
            created_last_hour: lists.created_last_hour,
            pairs_in_use: lists.pairs_in_use,
            pairs: pairs.collect(),
            metrics,
            growth,
            labels: take(lists.labels),
            metric_labels: take(lists.metric_labels),
            overflows: guard.overflows.top(metric, limit),
            overflow_samples,
            overflow_merged,
            overflow_refused: refused.map_or(0, |count| count.1),
        }
    }
}

fn take<T: Ord>(top: Top<T>) -> Vec<T> {
    top.into_vec().into_iter().map(|(_, item)| item).collect()
}

/// The lists while they grow.
struct Lists {
    metrics: Top<MetricSeries>,
    growth: Top<MetricSeries>,
    labels: Top<LabelValues>,
    metric_labels: Top<MetricLabel>,
    pairs: Top<(String, u64)>,
    pairs_in_use: usize,
    created: u64,
    created_last_hour: u64,
}

impl Lists {
    fn new(limit: usize) -> Self {
        Self {
            metrics: Top::new(limit),
            growth: Top::new(limit),
            labels: Top::new(limit),
            metric_labels: Top::new(limit),
            pairs: Top::new(limit),
            pairs_in_use: 0,
            created: 0,
            created_last_hour: 0,
        }
    }

    fn see_metric(&mut self, metric: &Metric, now: Timestamp) {
        let (created, last_hour) = (u64::from(metric.growth.total), metric.growth.last_hour(now.millis()));
        self.created += created;
        self.created_last_hour += last_hour;
        let row = || {
            let mut labels = Top::new(LABELS_NAMED);
            for label in &metric.labels {
                labels.offer(label.values() as u64, || (label.name.to_string(), label.values()));
            }
            MetricSeries {
                metric: metric.name.to_string(),
                series: metric.series(),
                created,
                created_last_hour: last_hour,
                labels: take(labels),
            }
        };
        self.metrics.offer(metric.series() as u64, row);
        self.growth.offer(last_hour, row);
        for label in &metric.labels {
            self.metric_labels.offer(label.values() as u64, || MetricLabel {
                metric: metric.name.to_string(),
                label: label.name.to_string(),
                values: label.values(),
            });
        }
    }

    fn see_label(&mut self, name: &str, seen: &mut Vec<Seen>) {
        seen.sort_unstable_by_key(|value| value.hash);
        seen.dedup_by(|next, first| {
            let same = next.hash == first.hash;
            if same {
                first.series = first.series.saturating_add(next.series);
            }
            same
        });
        self.pairs_in_use += seen.len();
        let bytes = seen.iter().map(|value| u64::from(value.bytes)).sum();
        let values = seen.len();
        self.labels.offer(values as u64, || LabelValues { label: name.to_owned(), values, bytes });
        for value in seen {
            self.pairs.offer(u64::from(value.series), || (name.to_owned(), value.hash));
        }
    }
}

/// What was found by looking at series.
struct SeenSeries {
    matched: usize,
    examined: usize,
    book: Book,
    values: BTreeMap<String, Vec<Seen>>,
}

fn see_series(head: &Head, selectors: &[Vec<Matcher>], metric: Option<&str>) -> SeenSeries {
    let mut seen = SeenSeries { matched: 0, examined: 0, book: Book::default(), values: BTreeMap::new() };
    let metric = metric.map(|name| Matcher::equal(METRIC_NAME, name));
    let each: Vec<Vec<Matcher>> = match selectors {
        [] => vec![metric.into_iter().collect()],
        some => some.iter().map(|all| all.iter().cloned().chain(metric.clone()).collect()).collect(),
    };
    for number in 0..head.lanes() {
        let lane = head.lane(number);
        let mut slots = BTreeSet::new();
        for matchers in &each {
            let mut found = Vec::new();
            lane.matching(matchers, &mut found);
            slots.extend(found);
        }
        seen.matched += slots.len();
        for slot in slots.into_iter().take(EXAMINED_MAX - seen.examined) {
            let labels = &lane.series(slot).labels;
            let name = labels.metric_name().unwrap_or_default();
            seen.book.add(hash_of_metric(name), name, labels, None);
            for (name, value) in labels {
                match seen.values.get_mut(name) {
                    Some(values) => values.push(Seen::new(value, 1)),
                    None => drop(seen.values.insert(name.to_owned(), vec![Seen::new(value, 1)])),
                }
            }
            seen.examined += 1;
        }
    }
    seen
}

impl Guard {
    /// Fills in the growth of a metric that was found by looking at its series.
    fn add_growth(&self, row: &mut MetricSeries, now: Timestamp) {
        if let Some(metric) = self.shard(hash_of_metric(&row.metric)).metric(&row.metric) {
            row.created = u64::from(metric.growth.total);
            row.created_last_hour = metric.growth.last_hour(now.millis());
        }
    }
}
