//! Histograms of classic buckets, gathered and made native ones with custom bounds.

use std::collections::BTreeMap;

use barograph_model::{
    CUSTOM_BOUNDS, Histogram, HistogramError, HistogramParts, Labels, LabelsBuilder, METRIC_NAME, Timestamp,
};
use barograph_wire::exposition::Pairs;

use super::Reading;

/// The classic histograms of a page, by their labels without `le`.
#[derive(Debug, Default)]
pub(super) struct Classic {
    groups: BTreeMap<Labels, Buckets>,
}

/// What is known of one histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Upper bounds, with how many values are at most that.
    pub(super) cumulative: Vec<(f64, f64)>,
    pub(super) sum: f64,
    pub(super) count: Option<f64>,
    pub(super) at: Option<Timestamp>,
}

impl Classic {
    /// Takes a sample of the family if it is a part of a histogram; whether it is.
    pub(super) fn take(
        &mut self,
        family: &str,
        pairs: &Pairs<'_>,
        at: Option<Timestamp>,
        value: f64,
    ) -> bool {
        let of = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
        let Some(suffix) = of(METRIC_NAME).and_then(|name| name.strip_prefix(family)) else { return false };
        let bound = of("le").and_then(|bound| bound.parse::<f64>().ok());
        if !matches!((suffix, bound), ("_bucket", Some(_)) | ("_sum" | "_count", None)) {
            return false;
        }
        let mut labels = LabelsBuilder::new();
        for (name, value) in pairs.iter().filter(|(name, _)| name != "le") {
            labels.set(name, value);
        }
        labels.set(METRIC_NAME, family);
        let group = self.groups.entry(labels.build()).or_default();
        group.at = at.or(group.at);
        match bound {
            Some(bound) => group.cumulative.push((bound, value)),
            None if suffix == "_sum" => group.sum = value,
            None => group.count = Some(value),
        }
        true
    }

    /// Hands all of them over. What is no histogram, such as buckets that go down, is left out.
    pub(super) fn give(self, reading: &mut Reading<'_>) -> Result<(), String> {
        for (labels, buckets) in self.groups {
            let at = buckets.at;
            let Ok(histogram) = buckets.native() else { continue };
            let pairs = || Ok(labels.iter().map(|(name, value)| (name.into(), value.into())).collect());
            reading.histogram(&labels.to_string(), at, histogram, pairs)?;
        }
        Ok(())
    }
}

impl Buckets {
    /// The same as a native histogram.
    pub(super) fn native(mut self) -> Result<Histogram, HistogramError> {
        self.cumulative.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.cumulative.dedup_by(|a, b| a.0 == b.0);
        let highest = self.cumulative.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(highest);
        let bounds: Vec<f64> =
            self.cumulative.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
        let mut positive = Vec::new();
        let mut before = 0.0;
        let totals = self.cumulative.iter().filter(|(bound, _)| bound.is_finite()).map(|(_, total)| *total);
        for (index, total) in totals.chain([count]).enumerate() {
            positive
                .push((i32::try_from(index).map_err(|_| HistogramError::TooManyBuckets)?, total - before));
            before = total;
        }
        let float = positive.iter().any(|(_, count)| count.fract() != 0.0);
        Histogram::new(HistogramParts {
            schema: CUSTOM_BOUNDS,
            float,
            count,
            sum: self.sum,
            positive,
            bounds,
            ..HistogramParts::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_differences() {
        let of = |cumulative: &[(f64, f64)], count| Buckets {
            cumulative: cumulative.to_vec(),
            sum: 9.0,
            count,
            at: None,
        };
        let native = of(&[(2.0, 3.0), (1.0, 1.0), (f64::INFINITY, 5.0)], Some(5.0)).native().unwrap();
        assert_eq!((native.bounds(), native.count(), native.sum()), (&[1.0, 2.0][..], 5.0, 9.0));
        assert_eq!(native.positive(), [(0, 1.0), (1, 2.0), (2, 2.0)]);
        assert!(!native.float);
        assert_eq!(of(&[(f64::INFINITY, 5.0)], None).native().unwrap().count(), 5.0);
        assert_eq!(of(&[(1.0, 4.0), (2.0, 3.0)], Some(5.0)).native(), Err(HistogramError::NegativeCount));
    }
}
