//! What a block holds of each metric, computed from its index alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::Index;

/// Labels whose values tell the version of the component that reported.
const VERSION_LABELS: [&str; 3] = ["service_version", "version", "versionId"];

/// Labels whose values tell which component reported; the first that there is counts.
const COMPONENT_LABELS: [&str; 4] = ["componentId", "component", "service_name", "job"];

/// Versions, and components, that are remembered of a metric in a block.
pub(crate) const VERSIONS_MAX: usize = 16;

/// What a block holds of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricPart {
    pub(crate) series: usize,
    /// Samples, or windows.
    pub(crate) points: u64,
    /// Bytes of its pages; a page of timestamps that several series share counts for each of them in part.
    pub(crate) bytes: u64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Names of its labels without that of the metric, in order.
    pub(crate) labels: Box<[Arc<str>]>,
    /// Some of the versions that reported it, in order.
    pub(crate) versions: Box<[Arc<str>]>,
    /// Some of the components that reported it, in order.
    pub(crate) components: Box<[Arc<str>]>,
}

/// The metrics of a block by name.
#[derive(Debug, Default)]
pub(crate) struct BlockMetrics(pub(crate) BTreeMap<Box<str>, MetricPart>);

impl BlockMetrics {
    /// Bytes it takes in memory, roughly.
    pub(crate) fn memory(&self) -> usize {
        let parts = self.0.iter();
        parts.map(|(name, part)| 128 + name.len() + 40 * part.texts()).sum()
    }
}

impl MetricPart {
    fn texts(&self) -> usize {
        self.labels.len() + self.versions.len() + self.components.len()
    }
}

/// The component that the labels of a series name, if they do.
pub(crate) fn component_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    let place = |name: &str| COMPONENT_LABELS.iter().position(|label| *label == name);
    let named = pairs.filter_map(|(name, value)| Some((place(name)?, value)));
    named.min_by_key(|found| found.0).map(|found| found.1)
}

/// The version that the labels of a series name, if they do.
pub(crate) fn version_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    let mut pairs = pairs.filter(|(name, _)| VERSION_LABELS.contains(name));
    pairs.next().map(|(_, value)| value)
}

impl Index {
    /// What it says of each metric.
    pub(crate) fn metrics(&self) -> BlockMetrics {
        let mut users = vec![0u64; self.time_pages.len()];
        for id in 0..self.series_count() {
            self.pages(id).for_each(|page| users[self.times_of(page) as usize] += 1);
        }
        let mut texts: HashMap<&str, Arc<str>> = HashMap::new();
        let mut found: HashMap<&str, Gathered<'_>> = HashMap::new();
        for id in 0..self.series_count() {
            let name = self.pairs(id).find(|pair| pair.0 == "__name__").map_or("", |pair| pair.1);
            let gathered = found.entry(name).or_default();
            gathered.labels.extend(self.pairs(id).map(|pair| pair.0).filter(|label| *label != "__name__"));
            if gathered.versions.len() < VERSIONS_MAX {
                gathered.versions.extend(version_of(self.pairs(id)));
            }
            if gathered.components.len() < VERSIONS_MAX {
                gathered.components.extend(component_of(self.pairs(id)));
            }
            let part = &mut gathered.part;
            for page in self.pages(id) {
                let (span, times) = (self.span(page), self.times_of(page) as usize);
                part.first = if part.points == 0 { span.first } else { part.first.min(span.first) };
                part.last = if part.points == 0 { span.last } else { part.last.max(span.last) };
                part.points += u64::from(span.count);
                part.bytes += u64::from(self.value_pages[page as usize].len);
                part.bytes += u64::from(self.time_pages[times].0.len) / users[times].max(1);
            }
            part.series += 1;
        }
        let mut text = |text| texts.entry(text).or_insert_with(|| text.into()).clone();
        let metrics = found.into_iter().map(|(name, Gathered { mut part, labels, versions, components })| {
            part.labels = labels.into_iter().map(&mut text).collect();
            part.versions = versions.into_iter().map(&mut text).collect();
            part.components = components.into_iter().map(&mut text).collect();
            (name.into(), part)
        });
        BlockMetrics(metrics.collect())
    }
}

#[derive(Default)]
struct Gathered<'i> {
    part: MetricPart,
    labels: BTreeSet<&'i str>,
    versions: BTreeSet<&'i str>,
    components: BTreeSet<&'i str>,
}
