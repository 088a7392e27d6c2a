//! What is noted for those who keep results: the marks of appends, of what retention takes, and of windows made again.
//!
//! Only what is before the settled time counts, so the way of nearly every sample is one comparison a batch.

use std::collections::HashMap;

use barograph_model::{Change, Extent, Matcher, MetricKey, TimeRange, Timestamp};

use crate::{
    Store,
    block::Meta,
    head::{Accepted, Lane},
};

/// Metrics of one call that are told apart; what is changed of more counts as changed of all.
const METRICS_MAX: usize = 1_024;

/// Old samples of one call, by metric.
#[derive(Default)]
pub(crate) struct Old {
    metrics: HashMap<MetricKey, (i64, i64)>,
    /// The span of those of further metrics.
    others: Option<(i64, i64)>,
}

impl Old {
    pub(crate) fn add(&mut self, metric: MetricKey, at: i64) {
        let wider = |span: (i64, i64)| (span.0.min(at), span.1.max(at));
        if let Some(span) = self.metrics.get_mut(&metric) {
            *span = wider(*span);
        } else if self.metrics.len() < METRICS_MAX {
            self.metrics.insert(metric, (at, at));
        } else {
            self.others = Some(self.others.map_or((at, at), wider));
        }
    }

    fn changes(self) -> impl Iterator<Item = Change> {
        let named = self.metrics.into_iter().map(|(metric, span)| (Some(metric), span));
        named.chain(self.others.map(|span| (None, span))).map(|(metric, (first, last))| {
            let range = TimeRange::closed(Timestamp(first), Timestamp(last));
            Change { metric, tier: None, range }
        })
    }
}

impl Store {
    /// Notes the old ones of samples that a lane took. The lane is still locked: a reader sees them, or is told.
    pub(crate) fn note_appended(&self, lane: &Lane, taken: [&[Accepted]; 2]) {
        let settled = self.changes.settled().millis();
        let mut old = Old::default();
        let mut before: Option<(u32, MetricKey)> = None;
        for &Accepted { slot, at, .. } in taken.into_iter().flatten().filter(|sample| sample.at < settled) {
            let metric = match before {
                Some((same, metric)) if same == slot => metric,
                _ => MetricKey::of(lane.series(slot).labels.metric_name().unwrap_or_default()),
            };
            before = Some((slot, metric));
            old.add(metric, at);
        }
        self.note_old(old);
    }

    /// Notes old samples that a reader can see.
    pub(crate) fn note_old(&self, old: Old) {
        self.changes.note(old.changes());
    }

    /// Notes that samples of a selection were changed, and whatever was made of them.
    pub(crate) fn note_selection(&self, matchers: &[Matcher], range: TimeRange) {
        match Extent::metrics_of(matchers) {
            Some(metrics) if metrics.len() <= METRICS_MAX => {
                self.changes.note(metrics.into_iter().map(|key| Change {
                    metric: Some(key),
                    tier: None,
                    range,
                }));
            }
            _ => self.changes.note([Change { metric: None, tier: None, range }]),
        }
    }

    /// Notes that a block of other content came, went, or has less in it now.
    pub(crate) fn note_block(&self, meta: &Meta) {
        let end = meta.max_at.saturating_add(meta.tier.width());
        let range = TimeRange::new(Timestamp(meta.min_at), Timestamp(end));
        self.changes.note([Change { metric: None, tier: Some(meta.tier), range }]);
    }
}
