//! The windows of native histograms of a selection: those that are stored, and those made here of raw samples.

use std::collections::BTreeMap;

use barograph_model::{
    HistogramRollup, HistogramSeries, Labels, Selection, SourceError, TimeRange, Timestamp,
};

use super::Reading;

/// The windows of each series, in label order.
pub(crate) fn histograms(
    reading: &Reading<'_>,
) -> Result<Vec<HistogramSeries<HistogramRollup>>, SourceError> {
    let Reading { source, budget, tier, matchers, start, end, .. } = *reading;
    let covered = source.coverage_of(tier, matchers);
    let made =
        if covered.is_empty() { start } else { tier.window_of(covered.end.0).clamp(start, end.max(start)) };
    let between = |a, b| Selection { matchers, range: TimeRange::new(Timestamp(a), Timestamp(b)) };
    let mut series: BTreeMap<Labels, Vec<HistogramRollup>> = BTreeMap::new();
    if start < made {
        series.extend(source.histogram_rollups(tier, &between(start, made), budget)?);
    }
    if made < end {
        for (labels, samples) in source.histograms(&between(made, end), budget)? {
            let windows = series.entry(labels).or_default();
            for (at, histogram) in samples {
                let window = tier.window_of(at);
                match windows.last_mut().filter(|last| last.start == window || histogram.is_stale()) {
                    Some(last) if at > last.last_at => last.push(at, &histogram),
                    _ if histogram.is_stale() => {}
                    _ => windows.push(HistogramRollup::of(window, at, &histogram)),
                }
            }
        }
    }
    Ok(series.into_iter().filter(|pair| !pair.1.is_empty()).collect())
}
