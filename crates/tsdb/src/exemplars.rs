//! Exemplars: the latest ones in memory, the oldest overwritten.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use barograph_model::{Exemplar, Labels, Matcher, TimeRange};

/// How many of the newest entries are looked at for a repetition.
const LOOK_BACK: usize = 256;

/// A ring of exemplars with the series they belong to.
pub(crate) struct Exemplars {
    ring: Mutex<Ring>,
    max: usize,
}

/// What became of an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExemplarFate {
    /// It is kept.
    Kept,
    /// It repeats one that is kept.
    Known,
    /// It is older than the newest one of its series, and was to come in order.
    OutOfOrder,
    /// The store keeps no exemplars.
    Off,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<(Labels, Exemplar)>,
    /// The newest time of the exemplars of each series, and how many there are of it.
    newest: HashMap<Labels, (i64, usize)>,
    overwritten: u64,
}

impl Exemplars {
    pub(crate) fn new(max: usize) -> Self {
        Self { ring: Mutex::default(), max }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an exemplar, unless it repeats a recent one, or is older than the newest of its series where they are to come
    /// in order.
    pub(crate) fn push(&self, series: &Labels, exemplar: Exemplar, in_order: bool) -> ExemplarFate {
        let mut ring = self.ring();
        let recent = ring.entries.iter().rev().take(LOOK_BACK);
        if self.max == 0 {
            return ExemplarFate::Off;
        }
        if recent.into_iter().any(|(labels, known)| *known == exemplar && labels == series) {
            return ExemplarFate::Known;
        }
        let at = exemplar.sample.at.millis();
        let newest = ring.newest.get(series).map(|newest| newest.0);
        if in_order && newest.is_some_and(|newest| at < newest) {
            return ExemplarFate::OutOfOrder;
        }
        if ring.entries.len() >= self.max {
            ring.forget_oldest();
        }
        let of_series = ring.newest.entry(series.clone()).or_insert((at, 0));
        *of_series = (of_series.0.max(at), of_series.1 + 1);
        ring.entries.push_back((series.clone(), exemplar));
        ExemplarFate::Kept
    }

    /// Those of the series that match, within a range: series in label order, each in time order.
    pub(crate) fn select(&self, matchers: &[Matcher], range: &TimeRange) -> Vec<(Labels, Vec<Exemplar>)> {
        let passes =
            |labels: &Labels| matchers.iter().all(|m| m.matches(labels.value(m.name()).unwrap_or("")));
        let ring = self.ring();
        let in_range = ring.entries.iter().filter(|(_, exemplar)| range.contains(exemplar.sample.at));
        let mut found: Vec<_> = in_range.filter(|(labels, _)| passes(labels)).cloned().collect();
        drop(ring);
        found.sort_by(|(a, x), (b, y)| a.cmp(b).then(x.sample.at.cmp(&y.sample.at)));
        let mut series: Vec<(Labels, Vec<Exemplar>)> = Vec::new();
        for (labels, exemplar) in found {
            match series.last_mut().filter(|(last, _)| *last == labels) {
                Some((_, exemplars)) => exemplars.push(exemplar),
                None => series.push((labels, vec![exemplar])),
            }
        }
        series
    }

    /// How many there are, and how many were overwritten.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let ring = self.ring();
        (ring.entries.len(), ring.overwritten)
    }
}

impl Ring {
    fn forget_oldest(&mut self) {
        let Some((series, _)) = self.entries.pop_front() else { return };
        self.overwritten += 1;
        if let Some(of_series) = self.newest.get_mut(&series) {
            of_series.1 -= 1;
            if of_series.1 == 0 {
                self.newest.remove(&series);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::{Sample, Timestamp};

    use super::*;

    #[test]
    fn keeps_the_newest() {
        let exemplars = Exemplars::new(2);
        let labels = |name| Labels::from_pairs([("__name__", name)]).unwrap();
        let exemplar =
            |at| Exemplar { labels: labels("trace"), sample: Sample { at: Timestamp(at), value: 1.0 } };
        for at in [1, 3, 3, 2] {
            exemplars.push(&labels("a"), exemplar(at), false);
        }
        assert_eq!(exemplars.counts(), (2, 1));
        let found = exemplars.select(&[Matcher::equal("__name__", "a")], &TimeRange::ALL);
        assert_eq!(found, [(labels("a"), vec![exemplar(2), exemplar(3)])]);
        assert_eq!(exemplars.select(&[Matcher::equal("__name__", "b")], &TimeRange::ALL), []);
        assert_eq!(exemplars.push(&labels("a"), exemplar(3), true), ExemplarFate::Known);
        assert_eq!(exemplars.push(&labels("a"), exemplar(1), true), ExemplarFate::OutOfOrder);
        assert_eq!(exemplars.push(&labels("b"), exemplar(1), true), ExemplarFate::Kept);
        assert_eq!(exemplars.push(&labels("b"), exemplar(4), true), ExemplarFate::Kept);
        assert_eq!(exemplars.push(&labels("a"), exemplar(1), true), ExemplarFate::Kept, "none is left of it");
        assert_eq!(Exemplars::new(0).push(&labels("a"), exemplar(1), true), ExemplarFate::Off);
    }
}
