//! Samples of any time as OpenMetrics text: what `promtool tsdb create-blocks-from openmetrics` and our own import read.
//!
//! Metrics are to come family by family, in the order of [`family_of`]. Names that are no plain identifiers are quoted.
//! Text has no place for staleness markers and roll-ups, and one NaN for all.

use std::fmt::Write as _;

use barograph_model::{Labels, METRIC_NAME, Metadata, MetricType, Timestamp};

use super::{
    format_float,
    write::{escape, is_legacy_name},
};

/// Suffixes of a family's samples, and the types that have them.
const SUFFIXES: [(&str, &[MetricType]); 8] = [
    ("_total", &[MetricType::Counter]),
    ("_bucket", &[MetricType::Histogram, MetricType::GaugeHistogram]),
    ("_sum", &[MetricType::Histogram, MetricType::Summary]),
    ("_count", &[MetricType::Histogram, MetricType::Summary]),
    ("_gsum", &[MetricType::GaugeHistogram]),
    ("_gcount", &[MetricType::GaugeHistogram]),
    ("_created", &[MetricType::Counter, MetricType::Histogram, MetricType::Summary]),
    ("_info", &[MetricType::Info]),
];

/// The family that samples of this name belong to, in the words of OpenMetrics: `requests` for `requests_total`, if
/// `kind_of` knows it, or a counter of the whole name, to be such.
pub fn family_of(name: &str, kind_of: impl Fn(&str) -> Option<MetricType>) -> &str {
    let own = kind_of(name);
    let fits = |&(suffix, kinds): &(&str, &[MetricType])| {
        let base = name.strip_suffix(suffix).filter(|base| !base.is_empty())?;
        let kind = kind_of(base).or_else(|| own.filter(|kind| is_in_its_name(*kind)))?;
        kinds.contains(&kind).then_some(base)
    };
    SUFFIXES.iter().find_map(fits).unwrap_or(name)
}

/// Whether OpenMetrics wants the suffix that other formats have in the name of the family.
const fn is_in_its_name(kind: MetricType) -> bool {
    matches!(kind, MetricType::Counter | MetricType::Info)
}

/// Writes the head of a family: type, unit and help as far as they are known and OpenMetrics lets them be said of
/// samples of this `name`.
pub fn write_family(out: &mut String, family: &str, name: &str, metadata: &Metadata) {
    let spelled = |out: &mut String| match is_legacy_name(family, true) {
        true => out.push_str(family),
        false => quoted(out, family),
    };
    let kind = match metadata.kind {
        // A sample without the suffix would not be one of its family.
        kind if is_in_its_name(kind) && name == family => MetricType::Unknown,
        kind => kind,
    };
    out.push_str("# TYPE ");
    spelled(out);
    let _ = writeln!(out, " {}", kind.as_str());
    let in_name = family.strip_suffix(metadata.unit.as_str()).is_some_and(|rest| rest.ends_with('_'));
    if in_name && !metadata.unit.is_empty() {
        out.push_str("# UNIT ");
        spelled(out);
        let _ = writeln!(out, " {}", metadata.unit);
    }
    if !metadata.help.is_empty() {
        out.push_str("# HELP ");
        spelled(out);
        out.push(' ');
        escape(out, &metadata.help, true);
        out.push('\n');
    }
}

/// The text before value and time of each sample of a series.
pub fn series_text(series: &Labels) -> String {
    let mut out = String::new();
    let name = series.metric_name().unwrap_or_default();
    let mut between = '{';
    if is_legacy_name(name, true) {
        out.push_str(name);
    } else {
        out.push('{');
        quoted(&mut out, name);
        between = ',';
    }
    for (label, value) in series.iter().filter(|pair| pair.0 != METRIC_NAME) {
        out.push(between);
        between = ',';
        match is_legacy_name(label, false) {
            true => out.push_str(label),
            false => quoted(&mut out, label),
        }
        out.push('=');
        quoted(&mut out, value);
    }
    if between == ',' {
        out.push('}');
    }
    out
}

/// Writes a sample of the series whose [`series_text`] is given. A staleness marker must not come here.
pub fn write_sample(out: &mut String, series: &str, at: Timestamp, value: f64) {
    let _ = writeln!(out, "{series} {} {at}", format_float(value));
}

/// What ends a page.
pub const END: &str = "# EOF\n";

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text, true);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{Dialect, Item, parse};

    #[test]
    fn samples_find_their_family() {
        let kinds = [
            ("seen", MetricType::Counter),
            ("jobs_total", MetricType::Counter),
            ("odd", MetricType::Counter),
            ("size_bytes", MetricType::Histogram),
            ("rpc", MetricType::Summary),
            ("build_info", MetricType::Info),
            ("heap_count", MetricType::Gauge),
        ];
        let kind_of = |name: &str| kinds.iter().find(|pair| pair.0 == name).map(|pair| pair.1);
        let check = |name, family| assert_eq!(family_of(name, kind_of), family, "{name}");
        check("seen_total", "seen");
        check("jobs_total", "jobs");
        check("odd", "odd");
        check("size_bytes_bucket", "size_bytes");
        check("size_bytes_count", "size_bytes");
        check("rpc", "rpc");
        check("rpc_sum", "rpc");
        check("rpc_bucket", "rpc_bucket");
        check("build_info", "build");
        check("heap_count", "heap_count");
        check("unheard_total", "unheard_total");
        check("_total", "_total");
    }

    #[test]
    fn heads_say_what_may_be_said() {
        let check = |family: &str, name: &str, kind, unit: &str, expected: &str| {
            let mut out = String::new();
            let metadata = Metadata { kind, unit: unit.into(), help: "A \"b\"\n.".into() };
            write_family(&mut out, family, name, &metadata);
            let head: Vec<_> = out.lines().filter(|line| !line.starts_with("# HELP")).collect();
            assert_eq!(head.join("|"), expected);
            assert!(out.contains(r#"A \"b\"\n."#), "{out}");
        };
        check("jobs", "jobs_total", MetricType::Counter, "", "# TYPE jobs counter");
        check("odd", "odd", MetricType::Counter, "seconds", "# TYPE odd unknown");
        check(
            "a_seconds",
            "a_seconds",
            MetricType::Gauge,
            "seconds",
            "# TYPE a_seconds gauge|# UNIT a_seconds seconds",
        );
        check("a.b", "a.b", MetricType::Gauge, "", "# TYPE \"a.b\" gauge");
    }

    #[test]
    fn what_is_written_is_read() {
        let series = [
            Labels::from_pairs([("__name__", "up")]).unwrap(),
            Labels::from_pairs([("__name__", "up"), ("job", "a\\b\"c\nd")]).unwrap(),
            Labels::from_pairs([("__name__", "größe.m"), ("a b", "c")]).unwrap(),
            Labels::from_pairs([("__name__", "a\"b")]).unwrap(),
        ];
        let mut page = String::new();
        for (number, labels) in (0i64..).zip(&series) {
            write_sample(&mut page, &series_text(labels), Timestamp(number * 1500 - 1), f64::NEG_INFINITY);
        }
        page.push_str(END);
        let read: Vec<_> = parse(page.as_bytes(), Dialect::OpenMetrics)
            .map(|item| match item {
                Ok(Item::Sample(sample)) => (sample.series.labels().unwrap(), sample.at, sample.value),
                other => panic!("{other:?} of {page}"),
            })
            .collect();
        for (number, ((labels, at, value), expected)) in (0i64..).zip(read.iter().zip(&series)) {
            assert_eq!((labels, *at), (expected, Some(Timestamp(number * 1500 - 1))));
            assert_eq!(*value, f64::NEG_INFINITY);
        }
        assert_eq!(read.len(), series.len());
    }
}
