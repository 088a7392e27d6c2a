//! Who went over a limit: how many samples, of which metric, because of which label.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use barograph_model::Timestamp;

use super::top::Top;

/// Metrics and labels that are told apart at most; what more overflow is counted without a name.
const OFFENDERS_MAX: usize = 1000;

/// A limit of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Distinct values of a label of a metric.
    ValuesPerLabel,
    /// Series of a metric.
    SeriesPerMetric,
    /// Series in total.
    Series,
    /// Series of an owner.
    SeriesPerOwner,
}

impl Limit {
    /// One word, that of its setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValuesPerLabel => "values_per_label",
            Self::SeriesPerMetric => "series_per_metric",
            Self::Series => "series",
            Self::SeriesPerOwner => "tenant_series",
        }
    }
}

/// What went over a limit at one label of one metric, since the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The metric.
    pub metric: String,
    /// The label whose value became `__overflow__`.
    pub label: String,
    /// The limit that was reached.
    pub limit: Limit,
    /// Samples that went to an overflow series.
    pub samples: u64,
    /// Those of them that were not kept, because that series had a sample of their time or a later one.
    pub merged: u64,
    /// A value that did not fit.
    pub example: String,
    /// When that happened first.
    pub first_at: Timestamp,
    /// When that happened last.
    pub last_at: Timestamp,
}

/// The number of an offender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally(u32);

/// All offenders.
#[derive(Default)]
pub(crate) struct Overflows(Mutex<Tallies>);

#[derive(Default)]
struct Tallies {
    numbers: HashMap<(String, String, Limit), Tally>,
    named: Vec<Overflow>,
    samples: u64,
    merged: u64,
}

impl Overflows {
    /// The number of an offender, which may be new.
    pub(crate) fn tally(&self, metric: &str, label: &str, limit: Limit, value: &str, at: Timestamp) -> Tally {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (metric.to_owned(), label.to_owned(), limit);
        if let Some(&tally) = tallies.numbers.get(&key) {
            return tally;
        }
        let Ok(number) = u32::try_from(tallies.named.len()) else { return Tally(u32::MAX) };
        if tallies.named.len() >= OFFENDERS_MAX {
            return Tally(u32::MAX);
        }
        let (metric, label, example) = (metric.to_owned(), label.to_owned(), value.to_owned());
        let (samples, merged) = (0, 0);
        tallies.named.push(Overflow {
            metric,
            label,
            limit,
            samples,
            merged,
            example,
            first_at: at,
            last_at: at,
        });
        tallies.numbers.insert(key, Tally(number));
        Tally(number)
    }

    /// Counts samples of offenders; the second of each pair tells whether one was not kept.
    pub(crate) fn count(&self, samples: &[(Tally, bool)], now: Timestamp) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for &(Tally(number), merged) in samples {
            tallies.samples += 1;
            tallies.merged += u64::from(merged);
            if let Some(named) = tallies.named.get_mut(number as usize) {
                named.samples += 1;
                named.merged += u64::from(merged);
                named.last_at = now;
            }
        }
    }

    /// Samples that went to overflow series, and those of them that were not kept.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (tallies.samples, tallies.merged)
    }

    /// The `limit` offenders with most samples, of one metric if `metric` is given.
    pub(crate) fn top(&self, metric: Option<&str>, limit: usize) -> Vec<Overflow> {
        let tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut top = Top::new(limit);
        for (number, named) in tallies.named.iter().enumerate() {
            if metric.is_none_or(|metric| metric == named.metric) {
                top.offer(named.samples, || number);
            }
        }
        top.into_vec().into_iter().map(|(_, number)| tallies.named[number].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offenders_are_counted_and_bounded() {
        let overflows = Overflows::default();
        let now = Timestamp(5);
        let tally = |metric: &str| overflows.tally(metric, "pod", Limit::Series, "p1", now);
        let first = tally("m0");
        for number in 1..OFFENDERS_MAX {
            tally(&format!("m{number}"));
        }
        assert_eq!(tally("m0"), first);
        let nameless = tally("one more");
        overflows.count(&[(first, false), (first, true), (nameless, true)], Timestamp(9));
        assert_eq!(overflows.counts(), (3, 2));
        let top = overflows.top(None, 1);
        assert_eq!((top[0].metric.as_str(), top[0].samples, top[0].merged), ("m0", 2, 1));
        assert_eq!((top[0].first_at, top[0].last_at, top[0].example.as_str()), (now, Timestamp(9), "p1"));
        assert!(overflows.top(Some("one more"), 9).is_empty());
    }
}
