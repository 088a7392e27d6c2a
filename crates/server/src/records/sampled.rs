//! How sampled records came to be kept, as series beside theirs.
//!
//! Counts and sums are corrected by weight when they are recorded, so a sample is what it would be without sampling. What is
//! left to tell is by which strategy and at which rate: the same for all records of a series until it changes. So it is not
//! kept with each sample but as a gauge `NAME_sampling_rate`, with the labels of the series and the strategy as
//! `sampling_strategy` (`docs/adr/0008-how-records-were-sampled-stands-beside-them.md`). It is stored when it changes, and once a minute, and so is known for each time like anything else.

use std::collections::HashMap;

use barograph::sampling::{SamplingInfo, Strategy};
use barograph_model::{
    Budget, Labels, METRIC_NAME, Matcher, Metadata, MetricType, Selection, Source, SourceError, TimeRange,
    Timestamp,
};

use super::sums::Sample;

/// What the name of the gauge ends with.
const SUFFIX: &str = "_sampling_rate";
/// The label that names the strategy.
const STRATEGY: &str = "sampling_strategy";
/// What does not change is stored so often.
const AGAIN_MS: i64 = 60_000;
/// Of so many series it is remembered what was stored last. Beyond, it is stored again.
const SERIES_MAX: usize = 100_000;

/// Of sampled series, how they were sampled last.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    /// With the time that was stored last.
    last: HashMap<Labels, (SamplingInfo, i64)>,
    /// What the running request says of each.
    new: HashMap<Labels, (SamplingInfo, Timestamp)>,
}

/// How records of a series came to be kept, as of a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// The name of the strategy.
    pub(crate) strategy: String,
    /// The share of all that was kept.
    pub(crate) rate: f64,
    at: Timestamp,
}

impl Sampled {
    /// Begins a request.
    pub(super) fn begin(&mut self) {
        self.new.clear();
    }

    /// Notes a record of a series. One that says nothing counts as kept for certain, where others were sampled.
    pub(super) fn note(&mut self, series: &Labels, sampling: Option<SamplingInfo>, at: Timestamp) {
        let before = self.new.contains_key(series) || self.last.contains_key(series);
        if before || sampling.is_some_and(|sampling| sampling.strategy != Strategy::All) {
            self.new.insert(series.clone(), (sampling.unwrap_or_default(), at));
        }
    }

    /// What there is to store of the request.
    pub(super) fn take(&mut self) -> Vec<Sample> {
        if self.last.len() > SERIES_MAX {
            self.last.clear();
        }
        let mut samples = Vec::new();
        for (series, (sampling, at)) in self.new.drain() {
            let known = self.last.get(&series);
            let same = |known: &(SamplingInfo, i64)| {
                (known.0.strategy, known.0.rate) == (sampling.strategy, sampling.rate)
            };
            let lately = known.filter(|known| same(known)).is_some_and(|known| at.0 - known.1 < AGAIN_MS);
            if lately {
                continue;
            }
            if let Some(labels) = beside(&series, sampling.strategy) {
                samples.push(Sample::gauge(labels, at, sampling.rate));
                self.last.insert(series, (sampling, at.0));
            }
        }
        samples
    }
}

/// The gauge beside a series.
fn beside(series: &Labels, strategy: Strategy) -> Option<Labels> {
    let name = format!("{}{SUFFIX}", series.metric_name()?);
    let others = series.iter().filter(|(name, _)| ![METRIC_NAME, STRATEGY].contains(name));
    Labels::from_pairs(others.chain([(METRIC_NAME, name.as_str()), (STRATEGY, strategy.as_str())])).ok()
}

/// What the catalog says of such a gauge.
pub(super) fn described(gauge: &str) -> Metadata {
    let metric = gauge.strip_suffix(SUFFIX).unwrap_or(gauge);
    let help = format!("The share of records of {metric} that were kept.");
    Metadata { kind: MetricType::Gauge, unit: "ratio".to_owned(), help }
}

/// How the series of metrics were sampled last in a range of time, by their labels without the name.
///
/// # Errors
/// The store cannot be read, or the budget is used up.
pub(crate) fn told(
    source: &dyn Source,
    metrics: &[String],
    range: TimeRange,
    budget: &Budget,
) -> Result<HashMap<Labels, Told>, SourceError> {
    let mut found: HashMap<Labels, Told> = HashMap::new();
    for metric in metrics {
        let matchers = [Matcher::equal(METRIC_NAME, &format!("{metric}{SUFFIX}"))];
        for (labels, last) in source.last_samples(&Selection { matchers: &matchers, range }, budget)? {
            let strategy = labels.value(STRATEGY).unwrap_or_default().to_owned();
            let series = labels.without(|name| [METRIC_NAME.as_bytes(), STRATEGY.as_bytes()].contains(&name));
            if last.value.is_finite() && found.get(&series).is_none_or(|other| other.at < last.at) {
                found.insert(series, Told { strategy, rate: last.value, at: last.at });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_stored_and_the_rest_once_a_minute() {
        let series = Labels::from_pairs([("__name__", "jobs_total"), ("q", "a")]).unwrap();
        let mut sampled = Sampled::default();
        let mut check = |at, sampling: Option<f64>, expected: Option<(&str, f64)>| {
            sampled.begin();
            let sampling = sampling.map(|rate| SamplingInfo::kept(Strategy::Consistent, rate));
            sampled.note(&series, sampling, Timestamp(at));
            let samples = sampled.take();
            let stored = samples.first().map(|sample| (sample.labels.value(STRATEGY).unwrap(), sample.value));
            assert_eq!(stored, expected, "{at}");
        };
        check(0, None, None);
        check(1_000, Some(0.1), Some(("consistent", 0.1)));
        check(2_000, Some(0.1), None);
        check(3_000, Some(0.2), Some(("consistent", 0.2)));
        check(63_000, Some(0.2), Some(("consistent", 0.2)));
        check(64_000, None, Some(("all", 1.0)));
    }
}
