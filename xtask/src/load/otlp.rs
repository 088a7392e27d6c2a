//! The same fleet as applications report it by OTLP: a resource a host, whose metrics have a point a series; buckets, sum
//! and count of a histogram are one point.
//!
//! An encoder of its own beside the product's, on purpose, as with remote write.

use std::{collections::BTreeMap, io::Write, ops::Range};

use anyhow::{Context, Result};

use super::{Body, Fleet, Round, fleet::Point, push_field};

/// How a body goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    pub(crate) const BOTH: [Self; 2] = [Self::Plain, Self::Gzip];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
        }
    }

    /// Headers of a request.
    pub(crate) const fn headers(self) -> &'static [(&'static str, &'static str)] {
        const HEADERS: [(&str, &str); 2] =
            [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")];
        match self {
            Self::Plain => HEADERS.split_at(1).0,
            Self::Gzip => &HEADERS,
        }
    }
}

/// The next sample of each series of the hosts in `part`, as one request.
pub(crate) fn request(fleet: &mut Fleet, part: Range<usize>, round: Round, packing: Packing) -> Result<Body> {
    let samples = part.len();
    let points = fleet.points(part, round);
    let mut message = Vec::with_capacity(samples * 180);
    for host in points.chunk_by(|a, b| a.host == b.host) {
        push_field(&mut message, 0x0a, &resource_metrics(host, round.start_ms)?);
    }
    let bytes = match packing {
        Packing::Plain => message,
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&message)?;
            encoder.finish()?
        }
    };
    Ok(Body { bytes, samples })
}

fn resource_metrics(points: &[Point<'_>], start_ms: i64) -> Result<Vec<u8>> {
    let first = points.first().context("a host has series")?;
    let label = |name: &str| first.labels.value(name).unwrap_or_default();
    let mut resource = Vec::new();
    for (key, value) in [
        ("service.name", "node"),
        ("service.namespace", "fleet"),
        ("service.instance.id", label("instance")),
        ("deployment.environment.name", label("environment")),
        ("cloud.availability_zone", label("zone")),
    ] {
        push_field(&mut resource, 0x0a, &attribute(key, value));
    }
    let mut scope = Vec::new();
    push_field(&mut scope, 0x0a, b"fleet");
    push_field(&mut scope, 0x12, b"1.0.0");
    let mut scope_metrics = Vec::new();
    push_field(&mut scope_metrics, 0x0a, &scope);
    let mut metrics: BTreeMap<&str, Vec<&Point<'_>>> = BTreeMap::new();
    for point in points {
        let name = point.labels.metric_name().context("a series has a metric")?;
        metrics.entry(histogram_of(name).unwrap_or(name)).or_default().push(point);
    }
    for (name, points) in metrics {
        let mut metric = Vec::new();
        push_field(&mut metric, 0x0a, name.replace('_', ".").as_bytes());
        let is_histogram = points.iter().any(|point| point.labels.value("le").is_some());
        let (tag, data) = match is_histogram {
            true => (0x4a, histogram(&points, start_ms)?),
            false => numbers(&points, start_ms),
        };
        push_field(&mut metric, tag, &data);
        push_field(&mut scope_metrics, 0x12, &metric);
    }
    let mut all = Vec::new();
    push_field(&mut all, 0x0a, &resource);
    push_field(&mut all, 0x12, &scope_metrics);
    Ok(all)
}

/// The histogram that a series is a part of.
fn histogram_of(name: &str) -> Option<&str> {
    const HISTOGRAM: &str = "http_request_duration_seconds";
    name.starts_with(HISTOGRAM).then_some(HISTOGRAM)
}

/// A `Gauge` or a `Sum`, and the field of it.
fn numbers(points: &[&Point<'_>], start_ms: i64) -> (u8, Vec<u8>) {
    let counts = points.iter().all(|point| point.counts);
    let mut data = Vec::new();
    for point in points {
        let mut number = times(start_ms, point.at);
        number.push(0x21);
        number.extend_from_slice(&point.value.to_le_bytes());
        push_attributes(&mut number, 0x3a, point);
        push_field(&mut data, 0x0a, &number);
    }
    if counts {
        // Cumulative and monotonic.
        data.extend_from_slice(&[0x10, 2, 0x18, 1]);
    }
    (if counts { 0x3a } else { 0x2a }, data)
}

/// A cumulative `Histogram`, a point for each handler.
fn histogram(points: &[&Point<'_>], start_ms: i64) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    let handler = |point: &&&Point<'_>| point.labels.value("handler").map(str::to_owned);
    for part in points.chunk_by(|a, b| handler(&a) == handler(&b)) {
        let first = part.first().context("a handler has series")?;
        let mut point = times(start_ms, first.at);
        let (mut counts, mut bounds, mut below) = (Vec::new(), Vec::new(), 0);
        for one in part {
            match one.labels.value("le") {
                Some(le) => {
                    if le != "+Inf" {
                        bounds.extend_from_slice(&le.parse::<f64>()?.to_le_bytes());
                    }
                    let count = whole(one.value);
                    counts.extend_from_slice(&count.saturating_sub(below).to_le_bytes());
                    below = count;
                }
                None if one.labels.metric_name().is_some_and(|name| name.ends_with("_sum")) => {
                    point.push(0x29);
                    point.extend_from_slice(&one.value.to_le_bytes());
                }
                None => {
                    point.push(0x21);
                    point.extend_from_slice(&whole(one.value).to_le_bytes());
                }
            }
        }
        push_field(&mut point, 0x32, &counts);
        push_field(&mut point, 0x3a, &bounds);
        push_attributes(&mut point, 0x4a, first);
        push_field(&mut data, 0x0a, &point);
    }
    data.extend_from_slice(&[0x10, 2]);
    Ok(data)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a total of whole steps")]
fn whole(value: f64) -> u64 {
    value as u64
}

/// Start and time of a point.
fn times(start_ms: i64, at: i64) -> Vec<u8> {
    let mut point = Vec::with_capacity(160);
    for (tag, ms) in [(0x11, start_ms), (0x19, at)] {
        point.push(tag);
        point.extend_from_slice(&(ms * 1_000_000).to_le_bytes());
    }
    point
}

/// What a series has of its own, beside its resource.
fn push_attributes(point: &mut Vec<u8>, tag: u8, of: &Point<'_>) {
    for (name, value) in of.labels.iter() {
        if !matches!(name, "__name__" | "instance" | "job" | "zone" | "environment" | "le") {
            push_field(point, tag, &attribute(name, value));
        }
    }
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    let mut any = Vec::new();
    push_field(&mut any, 0x0a, value.as_bytes());
    let mut pair = Vec::new();
    push_field(&mut pair, 0x0a, key.as_bytes());
    push_field(&mut pair, 0x12, &any);
    pair
}

#[cfg(test)]
mod tests {
    use barograph_wire::otlp::metrics::{Limits, Settings, translate};

    use super::*;

    #[test]
    fn each_series_has_its_sample() {
        let hosts = 3 * Fleet::series_of_a_host();
        let round = Round { start_ms: 1_000_000, interval_ms: 15_000, index: 2 };
        let body = request(&mut Fleet::new(hosts, 0, 1), 0..hosts, round, Packing::Plain).unwrap();
        let limits = Limits { samples: 10_000, label_bytes: 1 << 20 };
        let mut translated = translate(&body.bytes, &Settings::default(), limits).unwrap();
        assert_eq!(translated.refused(), 0, "{}", translated.reasons());
        // One more tells of each resource.
        assert_eq!(translated.samples.len(), body.samples + 3);
        let packed = request(&mut Fleet::new(hosts, 0, 1), 0..hosts, round, Packing::Gzip).unwrap();
        assert!(packed.bytes.len() * 5 < body.bytes.len());
    }
}
