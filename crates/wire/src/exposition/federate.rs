//! Samples of now, each with its own time, as a page that another server scrapes.
//!
//! Nothing is said of types: a series of a histogram may be here without its others. Native histograms are only in the
//! protobuf form, those of custom bounds not even there. A series without `instance` has an empty one, so that whoever
//! honours labels does not put its own there.

use std::fmt::Write as _;

use barograph_model::{CUSTOM_BOUNDS, Histogram, Labels, METRIC_NAME, ResetHint, Timestamp};

use super::{
    Form, Format,
    write::{escape, float_in, is_legacy_name, spell_name, write_labels},
};
use crate::{
    buckets::{put_side, whole},
    protobuf::{put_bytes, put_double, put_message, put_number, put_varint, zigzag},
};

/// The newest sample of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    /// With the name.
    pub labels: Labels,
    /// When it was observed.
    pub at: Timestamp,
    /// What was observed.
    pub value: Value,
}

/// What a sample is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Histogram),
}

const INSTANCE: &str = "instance";

/// A page of samples; those of one metric are to stand together.
pub fn page(form: Form, samples: &[Newest]) -> Vec<u8> {
    match form {
        Form::Text(format) => text(format, samples).into_bytes(),
        Form::Protobuf => protobuf(samples),
    }
}

fn text(format: Format, samples: &[Newest]) -> String {
    let mut out = String::new();
    let mut last = None;
    for sample in samples {
        let Value::Float(value) = sample.value else { continue };
        let name = sample.labels.metric_name().unwrap_or_default();
        if last != Some(name) {
            let kind = if format == Format::OpenMetrics100 { "unknown" } else { "untyped" };
            let _ = writeln!(out, "# TYPE {} {kind}", spell_name(name, format));
            last = Some(name);
        }
        let quoted = format == Format::Text100 && !is_legacy_name(name, true);
        let mut between = '{';
        if quoted {
            out.push_str("{\"");
            escape(&mut out, name, true);
            out.push('"');
            between = ',';
        } else {
            out.push_str(&spell_name(name, format));
        }
        let labels = sample.labels.without(|label| label == METRIC_NAME.as_bytes());
        between = write_labels(&mut out, &labels, None, between, format);
        if labels.value(INSTANCE).is_none() {
            out.push(between);
            out.push_str("instance=\"\"");
        }
        let _ = write!(out, "}} {} ", float_in(format, value, false));
        let _ = match format {
            Format::OpenMetrics100 => writeln!(out, "{}", sample.at),
            Format::Text004 | Format::Text100 => writeln!(out, "{}", sample.at.millis()),
        };
    }
    if format == Format::OpenMetrics100 {
        out.push_str("# EOF\n");
    }
    out
}

/// The types of families in `metrics.proto`.
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

fn kind(sample: &Newest) -> u64 {
    match &sample.value {
        Value::Float(_) => UNTYPED,
        Value::Histogram(histogram) if histogram.hint == ResetHint::Gauge => GAUGE_HISTOGRAM,
        Value::Histogram(_) => HISTOGRAM,
    }
}

fn protobuf(samples: &[Newest]) -> Vec<u8> {
    let mut out = Vec::new();
    let known = |sample: &&Newest| !matches!(&sample.value, Value::Histogram(histogram) if histogram.schema() == CUSTOM_BOUNDS);
    let samples: Vec<_> = samples.iter().filter(known).collect();
    let same =
        |a: &&Newest, b: &&Newest| a.labels.metric_name() == b.labels.metric_name() && kind(a) == kind(b);
    for family in samples.chunk_by(same) {
        let Some(first) = family.first() else { continue };
        let mut message = Vec::new();
        put_bytes(&mut message, 1, first.labels.metric_name().unwrap_or_default().as_bytes());
        put_number(&mut message, 3, kind(first));
        for sample in family {
            put_message(&mut message, 4, |metric| put_metric(metric, sample));
        }
        put_varint(&mut out, message.len() as u64);
        out.extend_from_slice(&message);
    }
    out
}

fn put_metric(metric: &mut Vec<u8>, sample: &Newest) {
    let mut pair = |name: &str, value: &str| {
        put_message(metric, 1, |pair| {
            put_bytes(pair, 1, name.as_bytes());
            put_bytes(pair, 2, value.as_bytes());
        });
    };
    for (name, value) in sample.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        pair(name, value);
    }
    if sample.labels.value(INSTANCE).is_none() {
        pair(INSTANCE, "");
    }
    match &sample.value {
        Value::Float(value) => put_message(metric, 5, |message| put_double(message, 1, *value)),
        Value::Histogram(histogram) => put_message(metric, 7, |message| put_histogram(message, histogram)),
    }
    put_number(metric, 6, sample.at.millis().cast_unsigned());
}

fn put_histogram(message: &mut Vec<u8>, histogram: &Histogram) {
    // Numbers of the fields of integers, then of floats.
    for (integers, floats, count) in [(1, 4, histogram.count()), (7, 8, histogram.zero_count())] {
        match histogram.float {
            true => put_double(message, floats, count),
            false => put_number(message, integers, whole(count).cast_unsigned()),
        }
    }
    put_double(message, 2, histogram.sum());
    put_number(message, 5, zigzag(i64::from(histogram.schema())));
    put_double(message, 6, histogram.zero_threshold());
    put_side(message, 9, histogram.negative(), histogram.float);
    put_side(message, 12, histogram.positive(), histogram.float);
    if histogram.positive().is_empty() && histogram.negative().is_empty() {
        // A span of nothing says that a histogram without buckets is native all the same.
        put_message(message, 12, |span| {
            put_number(span, 1, 0);
            put_number(span, 2, 0);
        });
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::HistogramParts;

    use super::*;

    fn newest(pairs: &[(&str, &str)], value: Value) -> Newest {
        let labels = Labels::from_pairs(pairs.iter().copied()).unwrap();
        Newest { labels, at: Timestamp(1_500), value }
    }

    fn samples() -> Vec<Newest> {
        let parts =
            HistogramParts { positive: vec![(1, 2.0)], count: 2.0, sum: 3.0, ..HistogramParts::default() };
        vec![
            newest(&[("__name__", "a.b")], Value::Float(2.0)),
            newest(&[("__name__", "up"), ("instance", "x"), ("job", "j\"")], Value::Float(1.0)),
            newest(&[("__name__", "up"), ("job", "k")], Value::Float(f64::NAN)),
            newest(&[("__name__", "h")], Value::Histogram(Histogram::new(parts).unwrap())),
        ]
    }

    fn check(form: Format, expected: &str) {
        assert_eq!(String::from_utf8(page(Form::Text(form), &samples())).unwrap(), expected);
    }

    #[test]
    fn text_has_times_and_no_types() {
        check(
            Format::Text004,
            "# TYPE a_b untyped\na_b{instance=\"\"} 2 1500\n# TYPE up untyped\n\
             up{instance=\"x\",job=\"j\\\"\"} 1 1500\nup{job=\"k\",instance=\"\"} NaN 1500\n",
        );
        check(
            Format::Text100,
            "# TYPE \"a.b\" untyped\n{\"a.b\",instance=\"\"} 2 1500\n# TYPE up untyped\n\
             up{instance=\"x\",job=\"j\\\"\"} 1 1500\nup{job=\"k\",instance=\"\"} NaN 1500\n",
        );
        check(
            Format::OpenMetrics100,
            "# TYPE a_b unknown\na_b{instance=\"\"} 2.0 1.5\n# TYPE up unknown\n\
             up{instance=\"x\",job=\"j\\\"\"} 1.0 1.5\nup{job=\"k\",instance=\"\"} NaN 1.5\n# EOF\n",
        );
    }

    #[test]
    fn protobuf_has_native_histograms() {
        let bytes = page(Form::Protobuf, &samples());
        // Schema 0, threshold, zero count, a span of one bucket at 1 that holds 2.
        let spans = b"\x62\x04\x08\x02\x10\x01\x6a\x01\x04";
        assert!(bytes.windows(spans.len()).any(|part| part == spans), "{bytes:02x?}");
        assert!(bytes.windows(3).any(|part| part == b"\x30\xdc\x0b"), "the time: {bytes:02x?}");
    }
}
