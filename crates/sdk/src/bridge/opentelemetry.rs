//! A reader for OpenTelemetry's metrics: what its instruments hold is in the exposition of a registry.
//!
//! Give a clone of the reader to the `SdkMeterProvider`, and include it in a [`Registry`]. Whenever the registry is
//! collected the reader asks the provider, so that the numbers are those of that moment. Names and labels follow
//! OpenTelemetry's compatibility with Prometheus: dots become underscores, units become words at the end, scopes the
//! labels `otel_scope_name` and `otel_scope_version`. Exponential histograms have the bounds of their buckets.
//!
//! ```
//! use barograph::{Registry, bridge::Reader, exposition::Format};
//! use opentelemetry::metrics::MeterProvider;
//! use opentelemetry_sdk::metrics::SdkMeterProvider;
//!
//! let (reader, registry) = (Reader::default(), Registry::new());
//! let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
//! registry.include(move || reader.families());
//!
//! provider.meter("shop").u64_counter("orders").build().add(2, &[]);
//! assert!(registry.expose(Format::Text004).contains("orders_total{otel_scope_name=\"shop\"} 2\n"));
//! ```

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, Temporality,
        data::{
            AggregatedMetrics, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, MetricData,
            ResourceMetrics,
        },
        reader::MetricReader,
    },
};

use barograph_model::{Labels, LabelsBuilder, MetricType};
use barograph_wire::exposition::{Family, Point, format_float};

use super::plain;
use crate::name::Unit;

/// Reads what the instruments of a provider hold. Clones are the same reader.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ManualReader>);

impl Default for Reader {
    fn default() -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build()))
    }
}

impl Reader {
    /// What the provider holds now, by name. Empty before a provider has the reader, and after it was shut down.
    pub fn families(&self) -> Vec<Family> {
        let mut read = ResourceMetrics::default();
        if self.0.collect(&mut read).is_err() {
            return Vec::new();
        }
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        for scope in read.scope_metrics() {
            for metric in scope.metrics() {
                let new = convert(metric, scope.scope());
                match families.get_mut(&new.name) {
                    // Of another scope. Where types differ, the first is right.
                    Some(family) if family.kind == new.kind => {
                        family.points.extend(new.points);
                        if family.help.is_empty() {
                            family.help = new.help;
                        }
                    }
                    Some(_) => {}
                    None => drop(families.insert(new.name.clone(), new)),
                }
            }
        }
        families.into_values().collect()
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, read: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(read)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

fn convert(metric: &Metric, scope: &InstrumentationScope) -> Family {
    let (kind, points) = match metric.data() {
        AggregatedMetrics::F64(data) => read(data, scope, |value| value),
        AggregatedMetrics::U64(data) => read(data, scope, |value| value as f64),
        AggregatedMetrics::I64(data) => read(data, scope, |value| value as f64),
    };
    let unit = unit(metric.unit(), kind);
    let (name, unit) = exposed(metric.name(), unit, kind == MetricType::Counter);
    Family { name, help: metric.description().to_owned(), unit, kind, points }
}

fn read<T: Copy>(
    data: &MetricData<T>,
    scope: &InstrumentationScope,
    float: impl Fn(T) -> f64,
) -> (MetricType, Vec<Point>) {
    let mut points = Vec::new();
    let kind = match data {
        MetricData::Gauge(gauge) => {
            let read = gauge.data_points();
            points.extend(read.map(|p| Point::new("", labels(scope, p.attributes()), float(p.value()))));
            MetricType::Gauge
        }
        MetricData::Sum(sum) => {
            let suffix = if sum.is_monotonic() { "_total" } else { "" };
            let read = sum.data_points();
            points.extend(read.map(|p| Point::new(suffix, labels(scope, p.attributes()), float(p.value()))));
            if sum.is_monotonic() { MetricType::Counter } else { MetricType::Gauge }
        }
        MetricData::Histogram(histogram) => {
            for point in histogram.data_points() {
                let labels = labels(scope, point.attributes());
                distribution(&mut points, &labels, &classic(point), float(point.sum()), point.count());
            }
            MetricType::Histogram
        }
        MetricData::ExponentialHistogram(histogram) => {
            for point in histogram.data_points() {
                let (labels, count) = (labels(scope, point.attributes()), point.count() as u64);
                distribution(&mut points, &labels, &exponential(point), float(point.sum()), count);
            }
            MetricType::Histogram
        }
    };
    (kind, points)
}

/// Upper bounds of buckets and how many values each has by itself, without the last.
fn classic<T>(point: &HistogramDataPoint<T>) -> Vec<(f64, u64)> {
    point.bounds().zip(point.bucket_counts()).collect()
}

/// The same of an exponential histogram: bucket i of 2^2^-scale as base ends at base^(i + 1).
fn exponential<T>(point: &ExponentialHistogramDataPoint<T>) -> Vec<(f64, u64)> {
    let width = 2_f64.powi(-i32::from(point.scale()));
    let end = |index: i64| (index as f64 * width).exp2();
    let (negative, positive) = (point.negative_bucket(), point.positive_bucket());
    let indices = |offset: i32| (0_i64..).map(move |i| i + i64::from(offset));
    let below = indices(negative.offset()).zip(negative.counts()).map(|(i, count)| (-end(i), count));
    let mut buckets: Vec<_> = below.collect();
    buckets.reverse();
    buckets.push((point.zero_threshold(), point.zero_count()));
    buckets.extend(indices(positive.offset()).zip(positive.counts()).map(|(i, count)| (end(i + 1), count)));
    buckets
}

fn distribution(points: &mut Vec<Point>, labels: &Labels, buckets: &[(f64, u64)], sum: f64, count: u64) {
    let mut below = 0;
    for (bound, here) in buckets {
        below += here;
        points.push(Point::new("_bucket", labels.with("le", &format_float(*bound)), below as f64));
    }
    points.push(Point::new("_bucket", labels.with("le", "+Inf"), count as f64));
    points.push(Point::new("_sum", labels.clone(), sum));
    points.push(Point::new("_count", labels.clone(), count as f64));
}

fn labels<'a>(scope: &InstrumentationScope, attributes: impl Iterator<Item = &'a KeyValue>) -> Labels {
    let mut labels = LabelsBuilder::new();
    for attribute in attributes {
        let name = plain(attribute.key.as_str()).replace('.', "_");
        let value = attribute.value.as_str();
        // Two names that become one share it, as the specification says.
        let value = labels.value(&name).map_or_else(|| value.to_string(), |first| format!("{first};{value}"));
        labels.set(&name, &value);
    }
    labels.set("otel_scope_name", scope.name());
    labels.set("otel_scope_version", scope.version().unwrap_or_default());
    labels.build()
}

/// The unit by its word, where it has one.
fn unit(code: &str, kind: MetricType) -> Unit {
    match code {
        "s" => Unit::Seconds,
        "ms" => Unit::Custom("milliseconds"),
        "us" => Unit::Custom("microseconds"),
        "ns" => Unit::Custom("nanoseconds"),
        "min" => Unit::Custom("minutes"),
        "h" => Unit::Custom("hours"),
        "d" => Unit::Custom("days"),
        "By" => Unit::Bytes,
        "KiBy" => Unit::Custom("kibibytes"),
        "MiBy" => Unit::Custom("mebibytes"),
        "GiBy" => Unit::Custom("gibibytes"),
        "kBy" => Unit::Custom("kilobytes"),
        "MBy" => Unit::Custom("megabytes"),
        "GBy" => Unit::Custom("gigabytes"),
        "%" => Unit::Percent,
        "Cel" => Unit::Celsius,
        "m" => Unit::Meters,
        "g" => Unit::Grams,
        "V" => Unit::Volts,
        "A" => Unit::Amperes,
        "J" => Unit::Joules,
        "Hz" => Unit::Hertz,
        "1" if kind == MetricType::Gauge => Unit::Ratio,
        _ => Unit::None,
    }
}

/// The name as exposed with the unit's word. A name that our own registry would refuse is taken as it is, since what is
/// already instrumented cannot change it.
fn exposed(given: &str, unit: Unit, counter: bool) -> (String, String) {
    let plain = plain(given);
    match crate::name::exposed(&plain, unit, counter) {
        Ok(name) => (name, unit.as_str().to_owned()),
        Err(_) => (plain.replace('.', "_"), String::new()),
    }
}
