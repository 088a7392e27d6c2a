//! Who sends spans: `traces_target_info`, one series for each resource, with its attributes as labels.

use std::collections::HashMap;

use barograph_model::{Labels, METRIC_NAME, Timestamp, stale_marker};
use barograph_wire::otlp::trace::Attributes;

use super::series::cut;
use crate::{intake::Batch, naming::label_name};

/// A resource that sent nothing for so long, in milliseconds, ends.
const IDLE_MS: i64 = 15 * 60_000;
/// So many attributes of a resource become labels.
const ATTRIBUTES_MAX: usize = 32;
/// Attributes that have labels of their own.
const IDENTITY: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// The resources of late.
#[derive(Debug, Default)]
pub(super) struct Targets {
    seen: HashMap<Labels, Timestamp>,
    targets_max: usize,
    /// Times that a resource came that was one too many.
    pub(super) overflowed: u64,
}

impl Targets {
    pub(super) fn new(targets_max: usize) -> Self {
        Self { targets_max, ..Self::default() }
    }

    /// So many there may be from now on; those that are more stay.
    pub(super) fn limit(&mut self, targets_max: usize) {
        self.targets_max = targets_max.max(1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub(super) fn resource(&mut self, service: &str, resource: &Attributes<'_>, now: Timestamp) {
        let labels = labels(service, resource);
        let full = self.seen.len() >= self.targets_max;
        match self.seen.get_mut(&labels) {
            Some(last) => *last = now,
            None if full => self.overflowed += 1,
            None => _ = self.seen.insert(labels, now),
        }
    }

    pub(super) fn write(&mut self, now: Timestamp, batch: &mut Batch) {
        self.seen.retain(|labels, last| {
            let idle = now.millis().saturating_sub(last.millis()) > IDLE_MS;
            batch.samples.push((labels.clone(), now, if idle { stale_marker() } else { 1.0 }));
            !idle
        });
    }
}

fn labels(service: &str, resource: &Attributes<'_>) -> Labels {
    let namespace = resource.text("service.namespace").filter(|namespace| !namespace.is_empty());
    let job = namespace.map_or_else(|| service.to_owned(), |namespace| format!("{namespace}/{service}"));
    let instance = resource.text("service.instance.id").unwrap_or_default();
    let mut pairs: Vec<(String, String)> = [
        (METRIC_NAME, "traces_target_info"),
        ("service", cut(service)),
        ("job", cut(&job)),
        ("instance", cut(&instance)),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let others = resource.iter().filter(|(name, _)| !IDENTITY.contains(&name.as_ref()));
    for (name, value) in others.take(ATTRIBUTES_MAX) {
        let name = label_name(cut(&name));
        let Some(value) = value.text().filter(|_| pairs.iter().all(|pair| pair.0 != name)) else { continue };
        pairs.push((name, cut(&value).to_owned()));
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::from_pairs(pairs).unwrap_or_else(|_| Labels::empty().with(METRIC_NAME, "traces_target_info"))
}
