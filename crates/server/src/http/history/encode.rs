//! The forms of an export: JSON Lines, OpenMetrics text, CSV.

use std::collections::HashMap;

use barograph_model::{
    Batch, Histogram, HistogramRollup, Labels, METRIC_NAME, Metadata, Rollups, Tier, Timestamp, is_stale,
};
use barograph_wire::{
    csv,
    exposition::{format_float, history},
    json_lines::SeriesText,
};

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One object a line.
    JsonLines,
    /// OpenMetrics with times. Raw samples only, no staleness markers.
    Text,
    /// A header, then a column a label. No staleness markers.
    Csv,
}

impl Format {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "jsonl" => Self::JsonLines,
            "text" => Self::Text,
            "csv" => Self::Csv,
            _ => return None,
        })
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Text => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// What a form needs to know from one series to the next.
pub(super) enum Encoder {
    JsonLines { series: SeriesText },
    Text { catalog: HashMap<String, Metadata>, family: Option<String>, series: String },
    Csv { labels: Vec<String>, tail: String },
}

/// The columns of windows beside time and value.
const WINDOW_COLUMNS: [&str; 7] = ["count", "sum", "min", "max", "first", "last", "increase"];

impl Encoder {
    pub(super) fn json_lines() -> Self {
        Self::JsonLines { series: SeriesText::new(&Labels::empty()) }
    }

    pub(super) fn text(catalog: Vec<(String, Metadata)>) -> Self {
        Self::Text { catalog: catalog.into_iter().collect(), family: None, series: String::new() }
    }

    /// `labels` are all that occur. Writes the header.
    pub(super) fn csv(out: &mut String, tier: Tier, labels: Vec<String>) -> Self {
        let windows = WINDOW_COLUMNS.iter().copied().filter(|_| tier != Tier::Raw);
        let columns = ["time", "value"].into_iter().chain(windows);
        csv::write_line(out, columns.chain(labels.iter().map(String::as_str)));
        Self::Csv { labels, tail: String::new() }
    }

    /// Puts metrics into the order in which they must come.
    pub(super) fn arrange(&self, names: &mut [String]) {
        if let Self::Text { catalog, .. } = self {
            let kind_of = |name: &str| catalog.get(name).map(|metadata| metadata.kind);
            names.sort_by_cached_key(|name| history::family_of(name, kind_of).to_owned());
        }
    }

    /// The samples that follow are of this metric.
    pub(super) fn begin_metric(&mut self, out: &mut String, name: &str) {
        let Self::Text { catalog, family, .. } = self else { return };
        let own = history::family_of(name, |name| catalog.get(name).map(|metadata| metadata.kind));
        if family.as_deref() != Some(own) {
            if let Some(metadata) = catalog.get(own).or_else(|| catalog.get(name)) {
                history::write_family(out, own, name, metadata);
            }
            *family = Some(own.to_owned());
        }
    }

    /// The samples that follow are of this series.
    pub(super) fn begin_series(&mut self, labels: &Labels) {
        match self {
            Self::JsonLines { series } => *series = SeriesText::new(labels),
            Self::Text { series, .. } => *series = history::series_text(labels),
            Self::Csv { labels: columns, tail } => {
                tail.clear();
                for column in columns {
                    tail.push(',');
                    csv::write_field(tail, labels.value(column).unwrap_or_default());
                }
                tail.push('\n');
            }
        }
    }

    pub(super) fn samples(&self, out: &mut String, batch: Batch<'_>) {
        for (&at, &value) in batch.timestamps.iter().zip(batch.values) {
            match self {
                Self::JsonLines { series } => series.sample(out, at, value),
                _ if is_stale(value) => {}
                Self::Text { series, .. } => history::write_sample(out, series, Timestamp(at), value),
                Self::Csv { tail, .. } => {
                    out.push_str(&Timestamp(at).seconds().to_string());
                    out.push(',');
                    out.push_str(&format_float(value));
                    out.push_str(tail);
                }
            }
        }
    }

    /// Windows, which text has no place for.
    pub(super) fn rollups(&self, out: &mut String, tier: Tier, windows: &Rollups) {
        for window in windows.list(0..windows.len()) {
            match self {
                Self::JsonLines { series } => series.rollup(out, tier, &window),
                Self::Text { .. } => {}
                Self::Csv { tail, .. } => {
                    let numbers =
                        [window.sum, window.min, window.max, window.first, window.last, window.increase];
                    let numbers: Vec<_> = numbers.into_iter().map(format_float).collect();
                    let (time, mean) = (Timestamp(window.start).seconds(), format_float(window.mean()));
                    out.push_str(&format!("{time},{mean},{},{}", window.count, numbers.join(",")));
                    out.push_str(tail);
                }
            }
        }
    }

    /// Native histograms, which only JSON Lines has a place for.
    pub(super) fn histogram(&self, out: &mut String, at: i64, histogram: &Histogram) {
        if let Self::JsonLines { series } = self {
            series.histogram(out, at, histogram);
        }
    }

    /// Windows of native histograms.
    pub(super) fn histogram_rollup(&self, out: &mut String, tier: Tier, window: &HistogramRollup) {
        if let Self::JsonLines { series } = self {
            series.histogram_rollup(out, tier, window);
        }
    }

    pub(super) fn end(&self, out: &mut String) {
        if let Self::Text { .. } = self {
            out.push_str(history::END);
        }
    }
}

/// The columns of a table of these labels: the name of the metric first.
pub(super) fn name_first(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_key(|name| name != METRIC_NAME);
    names
}

#[cfg(test)]
mod tests {
    use barograph_model::{MetricType, stale_marker};

    use super::*;

    const BATCH: Batch<'_> = Batch { timestamps: &[0, 1500, 3000], values: &[1.0, 2.5, stale_marker()] };

    fn check(mut encoder: Encoder, out: String, expected: &str) {
        let labels = Labels::from_pairs([("__name__", "a_total"), ("b", "c,d")]).unwrap();
        let mut out = out;
        encoder.begin_metric(&mut out, "a_total");
        encoder.begin_series(&labels);
        encoder.samples(&mut out, BATCH);
        encoder.end(&mut out);
        assert_eq!(out, expected);
    }

    #[test]
    fn each_form_of_three_samples() {
        check(
            Encoder::json_lines(),
            String::new(),
            "{\"name\":\"a_total\",\"timestamp\":0,\"value\":1,\"labels\":{\"b\":\"c,d\"}}\n\
             {\"name\":\"a_total\",\"timestamp\":1500,\"value\":2.5,\"labels\":{\"b\":\"c,d\"}}\n\
             {\"name\":\"a_total\",\"timestamp\":3000,\"value\":\"stale\",\"labels\":{\"b\":\"c,d\"}}\n",
        );
        let metadata = Metadata { kind: MetricType::Counter, ..Metadata::default() };
        check(
            Encoder::text(vec![("a_total".into(), metadata)]),
            String::new(),
            "# TYPE a counter\na_total{b=\"c,d\"} 1 0.000\na_total{b=\"c,d\"} 2.5 1.500\n# EOF\n",
        );
        let mut out = String::new();
        let encoder =
            Encoder::csv(&mut out, Tier::Raw, name_first(vec!["A".into(), "__name__".into(), "b".into()]));
        check(encoder, out, "time,value,__name__,A,b\n0,1,a_total,,\"c,d\"\n1.5,2.5,a_total,,\"c,d\"\n");
    }
}
