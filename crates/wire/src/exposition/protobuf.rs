//! Families as delimited protobuf: messages `io.prometheus.client.MetricFamily`, each after its length.
//!
//! The only exposition that has native histograms; a histogram has its classic buckets beside them. Numbers of the
//! fields: `prometheus/client_model`, `metrics.proto`.

use barograph_model::{Exemplar, Labels, MetricType, Sketch};

use super::{Family, Point};
use crate::{
    protobuf::{put_bytes, put_double, put_message, put_number, put_varint, zigzag},
    remote_write::histogram_writer::put_side,
};

/// A value this near to zero is in the zero bucket. The field must not be absent: that would be a gauge of text.
const ZERO_THRESHOLD: f64 = 1e-128;

/// Appends all families; those without points are left out.
pub(super) fn write(out: &mut Vec<u8>, families: &[Family]) {
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        let mut message = Vec::new();
        put_family(&mut message, family);
        put_varint(out, message.len() as u64);
        out.extend_from_slice(&message);
    }
}

fn put_family(message: &mut Vec<u8>, family: &Family) {
    let (number, field) = match family.kind {
        MetricType::Counter => (0, 3),
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => (1, 2),
        MetricType::Summary => (2, 4),
        MetricType::Histogram => (4, 7),
        MetricType::GaugeHistogram => (5, 7),
        MetricType::Unknown => (3, 5),
    };
    let suffix = match family.points.first() {
        Some(point) if matches!(point.suffix, "_total" | "_info") => point.suffix,
        _ => "",
    };
    put_bytes(message, 1, format!("{}{suffix}", family.name).as_bytes());
    put_bytes(message, 2, family.help.as_bytes());
    put_number(message, 3, number);
    match family.kind {
        MetricType::Histogram | MetricType::GaugeHistogram | MetricType::Summary => {
            put_groups(message, family, field);
        }
        _ => {
            for point in family.points.iter().filter(|point| point.suffix != "_created") {
                put_message(message, 4, |metric| {
                    put_labels(metric, &point.labels, "");
                    put_message(metric, field, |value| {
                        put_double(value, 1, point.value);
                        put_exemplar(value, 2, point.exemplar.as_ref());
                    });
                });
            }
        }
    }
    if !family.unit.is_empty() {
        put_bytes(message, 5, family.unit.as_bytes());
    }
}

/// Histograms and summaries: the points of one label set are one metric. They stand together, `_count` last.
fn put_groups(message: &mut Vec<u8>, family: &Family, field: u32) {
    let bound = if family.kind == MetricType::Summary { "quantile" } else { "le" };
    let ends = |a: &Point, _: &Point| !matches!(a.suffix, "_count" | "_gcount");
    for group in family.points.chunk_by(ends) {
        let Some(last) = group.last() else { continue };
        put_message(message, 4, |metric| {
            put_labels(metric, &last.labels, bound);
            put_message(metric, field, |value| put_group(value, group, bound));
        });
    }
}

fn put_group(value: &mut Vec<u8>, group: &[Point], bound: &str) {
    for point in group {
        match point.suffix {
            "_count" | "_gcount" => put_number(value, 1, whole(point.value)),
            "_sum" | "_gsum" => put_double(value, 2, point.value),
            "_created" => {}
            _ => {
                let Some(Ok(limit)) = point.labels.value(bound).map(str::parse::<f64>) else { continue };
                put_message(value, 3, |bucket| {
                    if bound == "quantile" {
                        put_double(bucket, 1, limit);
                        put_double(bucket, 2, point.value);
                    } else {
                        put_number(bucket, 1, whole(point.value));
                        put_double(bucket, 2, limit);
                        put_exemplar(bucket, 3, point.exemplar.as_ref());
                    }
                });
            }
        }
    }
    if let Some(sketch) = group.iter().find_map(|point| point.sketch.as_deref()) {
        put_native(value, sketch);
    }
}

fn put_native(value: &mut Vec<u8>, sketch: &Sketch) {
    // Indices are one higher here.
    let side = |buckets: &[(i32, u64)]| -> Vec<(i32, f64)> {
        buckets.iter().map(|(index, count)| (index + 1, *count as f64)).collect()
    };
    put_number(value, 5, zigzag(i64::from(sketch.scale())));
    put_double(value, 6, ZERO_THRESHOLD);
    put_number(value, 7, sketch.zeros());
    put_side(value, 9, &side(sketch.negative()), false);
    put_side(value, 12, &side(sketch.positive()), false);
    if sketch.count() == sketch.zeros() {
        // A span of nothing says that a histogram without buckets is native all the same.
        put_message(value, 12, |span| {
            put_number(span, 1, 0);
            put_number(span, 2, 0);
        });
    }
}

fn put_labels(metric: &mut Vec<u8>, labels: &Labels, but: &str) {
    for (name, value) in labels.iter().filter(|(name, _)| *name != but) {
        put_message(metric, 1, |pair| {
            put_bytes(pair, 1, name.as_bytes());
            put_bytes(pair, 2, value.as_bytes());
        });
    }
}

fn put_exemplar(message: &mut Vec<u8>, field: u32, exemplar: Option<&Exemplar>) {
    let Some(exemplar) = exemplar else { return };
    put_message(message, field, |out| {
        put_labels(out, &exemplar.labels, "");
        put_double(out, 2, exemplar.sample.value);
        let millis = exemplar.sample.at.millis();
        put_message(out, 3, |time| {
            put_number(time, 1, millis.div_euclid(1_000).cast_unsigned());
            put_number(time, 2, (millis.rem_euclid(1_000) * 1_000_000).cast_unsigned());
        });
    });
}

/// A count as an integer.
fn whole(count: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let count = count as u64;
    count
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protobuf::Reader;

    fn family(kind: MetricType, points: Vec<Point>) -> Family {
        Family { name: "m".into(), help: "H".into(), unit: String::new(), kind, points }
    }

    fn written(family: Family) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &[family]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.varint().unwrap(), (bytes.len() - 1) as u64);
        bytes[1..].to_vec()
    }

    #[test]
    fn a_counter_has_its_whole_name() {
        let labels = Labels::empty().with("a", "b");
        let bytes = written(family(MetricType::Counter, vec![Point::new("_total", labels, 2.0)]));
        let mut expected =
            b"\x0a\x07m_total\x12\x01H\x18\x00\x22\x13\x0a\x06\x0a\x01a\x12\x01b\x1a\x09\x09".to_vec();
        expected.extend_from_slice(&2f64.to_le_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_histogram_has_classic_and_native_buckets() {
        let mut sketch = Sketch::new();
        [1.0, 1.0, 4.0].into_iter().for_each(|value| sketch.add(value));
        let mut count = Point::new("_count", Labels::empty(), 3.0);
        count.sketch = Some(Arc::new(sketch));
        let points = vec![
            Point::new("_bucket", Labels::empty().with("le", "2"), 2.0),
            Point::new("_bucket", Labels::empty().with("le", "+Inf"), 3.0),
            Point::new("_sum", Labels::empty(), 6.0),
            count,
        ];
        let bytes = written(family(MetricType::Histogram, points));
        // Schema 5; spans at 0 and 63 later, one bucket each; counts 2 and one less.
        let native = b"\x62\x04\x08\x00\x10\x01\x62\x04\x08\x7e\x10\x01\x6a\x02\x04\x01";
        assert!(bytes.windows(native.len()).any(|part| part == native), "{bytes:02x?}");
        assert!(bytes.windows(2).any(|part| part == b"\x28\x0a"), "{bytes:02x?}");
    }
}
