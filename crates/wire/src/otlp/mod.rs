//! Metrics of OpenTelemetry, written: an `ExportMetricsServiceRequest` of families.
//!
//! Temporality is cumulative. Histograms that keep a sketch become exponential histograms, which have the same
//! buckets and lose nothing; others are left out. Units are spelled as UCUM does, so that a receiver that makes Prometheus
//! names of them comes to those that we expose. Numbers of the fields: `opentelemetry-proto`, `metrics.proto`, 1.x.
//!
//! With the feature `ingest` requests are read, too: [`metrics`], as protobuf or, by way of [`json`], as JSON; and what is
//! answered to them is written ([`reply`]).

#[cfg(feature = "ingest")]
pub mod json;
#[cfg(feature = "ingest")]
mod labels;
#[cfg(feature = "ingest")]
pub mod metrics;
#[cfg(feature = "ingest")]
mod names;
#[cfg(feature = "ingest")]
pub mod reply;
#[cfg(feature = "ingest")]
mod schema;
#[cfg(feature = "ingest")]
mod value;

#[cfg(feature = "ingest")]
pub mod trace;

use barograph_model::{Labels, MetricType, Sketch, Timestamp};
#[cfg(feature = "ingest")]
pub use names::Strategy;

use crate::{
    exposition::{Family, Point},
    protobuf::{put_bytes, put_double, put_fixed64, put_message, put_number, put_varint, zigzag},
};

/// Cumulative, as the protocol numbers temporalities.
const CUMULATIVE: u64 = 2;

/// What all metrics of a request have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Attributes of who reports: `service.name` and others, in the order they are written.
    pub attributes: Vec<(String, String)>,
    /// The name of what instruments.
    pub scope: String,
    /// Its version.
    pub version: String,
}

/// The times of the points of a request.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Since when is counted.
    pub start: Timestamp,
    /// When it was read.
    pub now: Timestamp,
}

/// A request with all families. `given` tells the dotted name of a family, if it has one.
pub fn request<'f>(
    resource: &Resource,
    families: &'f [Family],
    times: Times,
    given: impl Fn(&'f str) -> Option<&'f str>,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_message(&mut bytes, 1, |all| {
        put_message(all, 1, |message| {
            for (name, value) in &resource.attributes {
                put_attribute(message, 1, name, value);
            }
        });
        put_message(all, 2, |scope| {
            put_message(scope, 1, |message| {
                put_bytes(message, 1, resource.scope.as_bytes());
                put_bytes(message, 2, resource.version.as_bytes());
            });
            for family in families {
                put_metric(scope, family, times, given(&family.name));
            }
        });
    });
    bytes
}

/// A unit as UCUM spells it. Words that are no unit of UCUM are annotations, which receivers leave out of names.
fn ucum(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        "percent" => "%",
        "celsius" => "Cel",
        "meters" => "m",
        "grams" => "g",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "hertz" => "Hz",
        _ => return None,
    })
}

fn put_metric(scope: &mut Vec<u8>, family: &Family, times: Times, given: Option<&str>) {
    let points = || family.points.iter();
    let simple = |point: &&Point| point.suffix != "_created";
    let histogram = family.kind == MetricType::Histogram;
    let some = if histogram { points().any(|p| p.sketch.is_some()) } else { points().any(|p| simple(&p)) };
    if !some || matches!(family.kind, MetricType::Summary | MetricType::GaugeHistogram) {
        return;
    }
    let unit = ucum(&family.unit);
    // A word that is no unit of theirs stays in the name.
    let name = given.filter(|_| unit.is_some() || family.unit.is_empty()).unwrap_or(&family.name);
    put_message(scope, 2, |metric| {
        put_bytes(metric, 1, name.strip_suffix("_total").unwrap_or(name).as_bytes());
        put_bytes(metric, 2, family.help.as_bytes());
        put_bytes(metric, 3, unit.unwrap_or_default().as_bytes());
        match family.kind {
            MetricType::Counter => put_message(metric, 7, |sum| {
                points().filter(simple).for_each(|point| put_number_point(sum, point, times));
                put_number(sum, 2, CUMULATIVE);
                put_number(sum, 3, 1);
            }),
            MetricType::Histogram => put_message(metric, 10, |exponential| {
                for point in points() {
                    if let Some(sketch) = &point.sketch {
                        put_message(exponential, 1, |message| {
                            put_distribution(message, &point.labels, sketch, times);
                        });
                    }
                }
                put_number(exponential, 2, CUMULATIVE);
            }),
            _ => put_message(metric, 5, |gauge| {
                points().filter(simple).for_each(|point| put_number_point(gauge, point, times));
            }),
        }
    });
}

fn put_number_point(points: &mut Vec<u8>, point: &Point, times: Times) {
    put_message(points, 1, |message| {
        put_times(message, times);
        put_double(message, 4, point.value);
        put_labels(message, 7, &point.labels);
    });
}

fn put_distribution(message: &mut Vec<u8>, labels: &Labels, sketch: &Sketch, times: Times) {
    put_labels(message, 1, labels);
    put_times(message, times);
    put_fixed64(message, 4, sketch.count());
    put_double(message, 5, sketch.sum());
    put_number(message, 6, zigzag(i64::from(sketch.scale())));
    put_fixed64(message, 7, sketch.zeros());
    put_buckets(message, 8, sketch.positive());
    put_buckets(message, 9, sketch.negative());
    for (field, value) in [(12, sketch.min()), (13, sketch.max())] {
        if let Some(value) = value {
            put_double(message, field, value);
        }
    }
}

/// Buckets from the first in use to the last, those between with their zeros.
fn put_buckets(message: &mut Vec<u8>, field: u32, buckets: &[(i32, u64)]) {
    let Some(&(first, _)) = buckets.first() else { return };
    put_message(message, field, |side| {
        put_number(side, 1, zigzag(i64::from(first)));
        let (mut packed, mut next) = (Vec::new(), first);
        for &(index, count) in buckets {
            packed.resize(packed.len() + usize::try_from(index - next).unwrap_or(0), 0);
            put_varint(&mut packed, count);
            next = index + 1;
        }
        put_bytes(side, 2, &packed);
    });
}

fn put_times(message: &mut Vec<u8>, times: Times) {
    for (field, at) in [(2, times.start), (3, times.now)] {
        put_fixed64(message, field, at.millis().max(0).cast_unsigned().saturating_mul(1_000_000));
    }
}

fn put_labels(message: &mut Vec<u8>, field: u32, labels: &Labels) {
    labels.iter().for_each(|(name, value)| put_attribute(message, field, name, value));
}

fn put_attribute(message: &mut Vec<u8>, field: u32, name: &str, value: &str) {
    put_message(message, field, |pair| {
        put_bytes(pair, 1, name.as_bytes());
        put_message(pair, 2, |any| put_bytes(any, 1, value.as_bytes()));
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const TIMES: Times = Times { start: Timestamp(1), now: Timestamp(2) };

    fn family(kind: MetricType, unit: &str, points: Vec<Point>) -> Family {
        Family { name: "a_b_seconds".into(), help: String::new(), unit: unit.into(), kind, points }
    }

    fn check(family: Family, expected: &[u8]) {
        let bytes = request(&Resource::default(), &[family], TIMES, |_| Some("a.b"));
        assert!(bytes.windows(expected.len()).any(|part| part == expected), "{bytes:02x?}");
    }

    #[test]
    fn names_are_given_and_units_are_those_of_ucum() {
        let points = || vec![Point::new("_total", Labels::empty(), 1.0)];
        check(family(MetricType::Counter, "seconds", points()), b"\x0a\x03a.b\x12\x00\x1a\x01s");
        check(family(MetricType::Gauge, "rows", points()), b"\x0a\x0ba_b_seconds\x12\x00\x1a\x00");
    }

    #[test]
    fn counters_are_cumulative_and_monotonic() {
        let points = vec![Point::new("_total", Labels::empty(), 1.0)];
        check(family(MetricType::Counter, "", points), b"\x10\x02\x18\x01");
    }

    #[test]
    fn sketches_are_exponential_histograms() {
        let mut sketch = Sketch::new();
        [0.0, 1.0, 1.0, 1.05].into_iter().for_each(|value| sketch.add(value));
        let mut point = Point::new("_count", Labels::empty(), 4.0);
        point.sketch = Some(Arc::new(sketch));
        let family = family(MetricType::Histogram, "seconds", vec![point]);
        check(family.clone(), b"\x30\x0a\x39\x01\0\0\0\0\0\0\0\x42\x08\x08\x01\x12\x04\x02\x00\x00\x01");
        check(family, b"\x10\x02");
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let empty = request(&Resource::default(), &[], TIMES, |_| None);
        let points = vec![Point::new("_count", Labels::empty(), 4.0)];
        let classic = family(MetricType::Histogram, "", points);
        assert_eq!(request(&Resource::default(), &[classic], TIMES, |_| None), empty);
    }
}
