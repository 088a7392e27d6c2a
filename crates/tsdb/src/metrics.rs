//! Everything known of each metric: what its senders said of it, how much of it there is and where, who asks for it.
//!
//! Figures of blocks come from their indexes, once a block; what is in memory is looked at each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_model::{Metadata, MetricType, Tier, Timestamp};

use crate::{
    Error, Store,
    block::{Block, BlockMetrics, Entry, Key, VERSIONS_MAX, component_of, version_of},
    catalog::PARTS,
    head::Held,
};

/// What is known of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    /// Its name, as stored.
    pub name: String,
    /// The name under which type, unit and help were given: its own, or that of the histogram or summary it is part of.
    pub family: String,
    /// Type, unit and help; unknown and empty if nobody said.
    pub metadata: Metadata,
    /// Series that have samples in memory.
    pub active_series: usize,
    /// Samples, in memory and in blocks.
    pub samples: u64,
    /// Windows of the coarser tiers.
    pub windows: u64,
    /// Bytes of it in blocks, indexes apart.
    pub bytes: u64,
    /// The time of the first sample or window there is.
    pub first_seen: Timestamp,
    /// The time of the last one.
    pub last_seen: Timestamp,
    /// Names of its labels, in order.
    pub labels: Vec<String>,
    /// Versions of what reported it, in order: values of the labels `service_version`, `version`, `versionId`; at most 16.
    pub versions: Vec<String>,
    /// What reported it, in order: values of the label `componentId`, else `component`, else `service_name`, else `job`;
    /// at most 16.
    pub components: Vec<String>,
    /// When a query named it last.
    pub last_queried: Option<Timestamp>,
}

impl Store {
    /// What is known of every metric, by name. A block whose index is damaged is set aside.
    ///
    /// # Errors
    /// The disk failed.
    pub fn metrics(&self) -> Result<Vec<MetricInfo>, Error> {
        let mut found: BTreeMap<String, Sum> = BTreeMap::new();
        self.head.each_held(|labels, held| {
            let name = labels.metric_name().unwrap_or_default();
            if let Some(sum) = found.get_mut(name) {
                return sum.add_series(labels.iter(), &held);
            }
            found.entry(name.to_owned()).or_default().add_series(labels.iter(), &held);
        });
        self.histograms.each_held(|labels, held| {
            let sum = found.entry(labels.metric_name().unwrap_or_default().to_owned()).or_default();
            sum.histograms = true;
            sum.add_series(labels.iter(), &held);
        });
        for block in self.blocks().iter() {
            let metrics = match self.block_metrics(block) {
                Err(error) if error.is_corrupt() => {
                    self.set_block_aside(block);
                    continue;
                }
                metrics => metrics?,
            };
            for (name, part) in &metrics.0 {
                let sum = match found.get_mut(&**name) {
                    Some(sum) => sum,
                    None => found.entry(name.to_string()).or_default(),
                };
                sum.see(part.first, part.last);
                sum.histograms |= block.meta.histograms;
                sum.bytes += part.bytes;
                match block.meta.tier {
                    Tier::Raw => sum.samples += part.points,
                    _ => sum.windows += part.points,
                }
                part.labels.iter().for_each(|label| sum.add_label(label));
                part.versions.iter().for_each(|version| add(&mut sum.versions, version));
                part.components.iter().for_each(|component| add(&mut sum.components, component));
            }
        }
        let described: BTreeMap<_, _> = self.catalog.list(None).into_iter().collect();
        let queried = self.catalog.queried();
        let infos = found.into_iter().map(|(name, sum)| {
            let (family, mut metadata) = describe(&described, &name);
            if sum.histograms && metadata.kind == MetricType::Unknown {
                // What nobody said can be seen.
                metadata.kind = MetricType::Histogram;
            }
            MetricInfo {
                family: family.to_owned(),
                metadata,
                active_series: sum.active_series,
                samples: sum.samples,
                windows: sum.windows,
                bytes: sum.bytes,
                first_seen: Timestamp(sum.first),
                last_seen: Timestamp(sum.last),
                labels: sum.labels.into_iter().collect(),
                versions: sum.versions.into_iter().collect(),
                components: sum.components.into_iter().collect(),
                last_queried: queried.get(&name).copied().map(Timestamp),
                name,
            }
        });
        Ok(infos.collect())
    }

    /// Notes that a query named these metrics. Kept in memory, and with the catalog when that is written.
    pub fn note_queried<'a>(&self, names: impl IntoIterator<Item = &'a str>, now: Timestamp) {
        let longest = self.series_limits().label_value_bytes;
        self.catalog.note_queried(names.into_iter().filter(|name| name.len() <= longest), now);
    }

    fn block_metrics(&self, block: &Block) -> Result<Arc<BlockMetrics>, barograph_disk::Error> {
        let key = Key::Metrics(block.meta.seq);
        if let Some(Entry::Metrics(metrics)) = self.cache.find(key) {
            return Ok(metrics);
        }
        let metrics = Arc::new(block.decode_index()?.metrics());
        self.cache.put(key, Entry::Metrics(metrics.clone()));
        Ok(metrics)
    }
}

#[derive(Default)]
struct Sum {
    seen: bool,
    /// Whether any of it is native histograms.
    histograms: bool,
    active_series: usize,
    samples: u64,
    windows: u64,
    bytes: u64,
    first: i64,
    last: i64,
    labels: BTreeSet<String>,
    versions: BTreeSet<String>,
    components: BTreeSet<String>,
}

impl Sum {
    fn see(&mut self, first: i64, last: i64) {
        (self.first, self.last) = match self.seen {
            true => (self.first.min(first), self.last.max(last)),
            false => (first, last),
        };
        self.seen = true;
    }

    fn add_series<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone, held: &Held) {
        self.see(held.first, held.last);
        self.active_series += 1;
        self.samples += held.count;
        pairs.clone().filter(|pair| pair.0 != "__name__").for_each(|pair| self.add_label(pair.0));
        component_of(pairs.clone()).into_iter().for_each(|component| add(&mut self.components, component));
        version_of(pairs).into_iter().for_each(|version| add(&mut self.versions, version));
    }

    fn add_label(&mut self, label: &str) {
        if !self.labels.contains(label) {
            self.labels.insert(label.to_owned());
        }
    }
}

/// Remembers a version or a component.
fn add(known: &mut BTreeSet<String>, text: &str) {
    if known.len() < VERSIONS_MAX && !known.contains(text) {
        known.insert(text.to_owned());
    }
}

/// What was said of a metric, and under which name: parts of a histogram or summary are described as the whole.
fn describe<'n>(described: &BTreeMap<String, Metadata>, name: &'n str) -> (&'n str, Metadata) {
    let families = PARTS.iter().filter_map(|part| name.strip_suffix(part));
    let mut names = std::iter::once(name).chain(families);
    let found = names.find_map(|family| Some((family, described.get(family)?.clone())));
    found.unwrap_or((name, Metadata::default()))
}
