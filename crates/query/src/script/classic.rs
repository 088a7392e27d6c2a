//! Classic histograms that are loaded as native ones too: `load_with_nhcb`.

use std::collections::BTreeMap;

use barograph_model::{CUSTOM_BOUNDS, Histogram, HistogramParts, Labels, METRIC_NAME, is_stale};

use super::items::Item;

/// The series of one classic histogram at one time.
#[derive(Clone, Debug, Default)]
struct Parts {
    /// Upper bounds with counts of all up to them.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// Native histograms by series and time.
type Natives = Vec<(Labels, Vec<(i64, Histogram)>)>;

/// The native histograms that the series of a `load` amount to.
pub(super) fn natives(series: &[(Labels, Vec<Item>)], step: i64) -> Result<Natives, String> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for (labels, items) in series {
        let Some(name) = labels.metric_name() else { continue };
        let Some((base, part)) =
            ["_bucket", "_count", "_sum"].iter().find_map(|part| Some((name.strip_suffix(part)?, *part)))
        else {
            continue;
        };
        let bound = labels.value("le").and_then(|le| le.parse::<f64>().ok()).filter(|bound| !bound.is_nan());
        if part == "_bucket" && bound.is_none() {
            continue;
        }
        let key = labels.without(|name| name == b"le").with(METRIC_NAME, base);
        let times = found.entry(key).or_default();
        for (at, item) in (0..).map(|i: i64| i * step).zip(items) {
            let Item::Float(value) = item else { continue };
            if is_stale(*value) {
                continue;
            }
            let parts = times.entry(at).or_default();
            match bound {
                Some(bound) if part == "_bucket" => parts.buckets.push((bound, *value)),
                _ if part == "_count" => parts.count = Some(*value),
                _ => parts.sum = Some(*value),
            }
        }
    }
    let convert = |(labels, times): (Labels, BTreeMap<i64, Parts>)| {
        let native = |(at, parts): (i64, Parts)| Ok((at, parts.native()?));
        Ok((labels, times.into_iter().map(native).collect::<Result<_, String>>()?))
    };
    found.into_iter().map(convert).collect()
}

impl Parts {
    fn native(mut self) -> Result<Histogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by_key(|bucket| bucket.0);
        let highest = self.buckets.last().map_or(0.0, |bucket| bucket.1);
        let count = self.count.unwrap_or(highest);
        if self.buckets.last().is_none_or(|bucket| bucket.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        } else if highest != count {
            return Err(format!("a classic histogram counts {count}, its buckets {highest}"));
        }
        let mut before = 0.0;
        let mut positive = Vec::with_capacity(self.buckets.len());
        for (index, (_, upto)) in (0..).zip(&self.buckets) {
            if *upto < before {
                return Err("the buckets of a classic histogram do not rise".into());
            }
            positive.push((index, upto - before));
            before = *upto;
        }
        let bounds = self.buckets.iter().map(|bucket| bucket.0).filter(|bound| bound.is_finite()).collect();
        let parts = HistogramParts {
            schema: CUSTOM_BOUNDS,
            float: true,
            count,
            sum: self.sum.unwrap_or_default(),
            positive,
            bounds,
            ..HistogramParts::default()
        };
        Histogram::new(parts).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_become_native() {
        let of = |name: &str, le: &str, value: f64| {
            let pairs = [(METRIC_NAME, name), ("le", le)].into_iter().filter(|pair| !pair.1.is_empty());
            (Labels::from_pairs(pairs).unwrap(), vec![Item::Float(value)])
        };
        let series = [
            of("h_bucket", "2", 3.0),
            of("h_bucket", "1", 1.0),
            of("h_count", "", 4.0),
            of("h_sum", "", 9.0),
        ];
        let found = natives(&series, 1_000).unwrap();
        let (labels, histograms) = &found[0];
        let histogram = &histograms[0].1;
        assert_eq!((found.len(), labels.metric_name()), (1, Some("h")));
        assert_eq!((histogram.bounds(), histogram.count(), histogram.sum()), (&[1.0, 2.0][..], 4.0, 9.0));
        assert_eq!(histogram.positive(), [(0, 1.0), (1, 2.0), (2, 1.0)]);
        assert!(natives(&[of("h_bucket", "2", 1.0), of("h_bucket", "1", 3.0)], 1).is_err());
    }
}
