//! Native histograms of a group, as the state database has them.
//!
//! Numbers that need not be whole are kept as their bits, which JSON could not say of all.

use barograph_model::{Histogram, HistogramParts, ResetHint, stale_marker};
use serde::{Deserialize, Serialize};

/// A native histogram in the state database.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct KeptHistogram {
    schema: i8,
    gauge: bool,
    float: bool,
    zero_threshold: u64,
    zero_count: u64,
    count: u64,
    sum: u64,
    positive: Vec<(i32, u64)>,
    negative: Vec<(i32, u64)>,
    bounds: Vec<u64>,
}

impl From<&Histogram> for KeptHistogram {
    fn from(histogram: &Histogram) -> Self {
        let side =
            |buckets: &[(i32, f64)]| buckets.iter().map(|(index, count)| (*index, count.to_bits())).collect();
        Self {
            schema: histogram.schema(),
            gauge: histogram.hint == ResetHint::Gauge,
            float: histogram.float,
            zero_threshold: histogram.zero_threshold().to_bits(),
            zero_count: histogram.zero_count().to_bits(),
            count: histogram.count().to_bits(),
            sum: histogram.sum().to_bits(),
            positive: side(histogram.positive()),
            negative: side(histogram.negative()),
            bounds: histogram.bounds().iter().map(|bound| bound.to_bits()).collect(),
        }
    }
}

impl KeptHistogram {
    /// The histogram, unless it breaks a rule.
    pub(super) fn histogram(self) -> Option<Histogram> {
        let side = |buckets: Vec<(i32, u64)>| {
            buckets.into_iter().map(|(index, count)| (index, f64::from_bits(count))).collect()
        };
        let parts = HistogramParts {
            schema: self.schema,
            hint: if self.gauge { ResetHint::Gauge } else { ResetHint::Unknown },
            float: self.float,
            zero_threshold: f64::from_bits(self.zero_threshold),
            zero_count: f64::from_bits(self.zero_count),
            count: f64::from_bits(self.count),
            sum: f64::from_bits(self.sum),
            positive: side(self.positive),
            negative: side(self.negative),
            bounds: self.bounds.into_iter().map(f64::from_bits).collect(),
        };
        Histogram::new(parts).ok()
    }
}

/// The histogram that ends a series of histograms.
pub(super) fn marker() -> Histogram {
    Histogram::new(HistogramParts { sum: stale_marker(), ..HistogramParts::default() })
        .expect("a histogram of nothing breaks no rule")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_comes_back_from_what_is_kept_of_it() {
        let native = HistogramParts {
            schema: 3,
            hint: ResetHint::Gauge,
            zero_threshold: 1e-128,
            zero_count: 1.0,
            count: 4.0,
            sum: f64::INFINITY,
            positive: vec![(-5, 1.0)],
            negative: vec![(7, 2.0)],
            ..HistogramParts::default()
        };
        let custom = HistogramParts {
            schema: barograph_model::CUSTOM_BOUNDS,
            float: true,
            count: 1.5,
            sum: 0.1,
            positive: vec![(0, 1.5)],
            bounds: vec![0.25],
            ..HistogramParts::default()
        };
        for parts in [native, custom] {
            let histogram = Histogram::new(parts).unwrap();
            let json = serde_json::to_string(&KeptHistogram::from(&histogram)).unwrap();
            let kept: KeptHistogram = serde_json::from_str(&json).unwrap();
            assert_eq!(kept.histogram(), Some(histogram));
        }
    }
}
