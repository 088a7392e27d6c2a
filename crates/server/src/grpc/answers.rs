//! What the engine answers, as messages.

use std::{collections::BTreeMap, time::Duration};

use barograph_model::{Labels, Sample as Point, Timestamp};
use barograph_proto::v1::{
    AskResponse, AskResult, Document, HistogramBucket, HistogramSample, Metric, PromqlResponse, Sample,
    Series, SeriesList, promql_response,
};
use barograph_query::{Answer, Bucket, Datum, FloatHistogram, Track, Value, json::Reply};
use barograph_tsdb::MetricInfo;

/// A document.
pub(super) fn json(json: String) -> Document {
    Document { json }
}

/// So many at most; zero is all.
pub(super) fn limit(limit: u32) -> usize {
    if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) }
}

/// The answer to an expression.
pub(super) fn promql(answer: Answer, tiers: impl FnOnce(&Answer) -> &'static str) -> PromqlResponse {
    let tier = tiers(&answer).to_owned();
    let value = match answer.value {
        Value::Scalar(at) => promql_response::Value::Scalar(sample(&at)),
        Value::String(_, text) => promql_response::Value::Text(text),
        Value::Vector(series) => promql_response::Value::Vector(list(&series, datum)),
        Value::Matrix(series) => promql_response::Value::Matrix(list(&series, track)),
    };
    PromqlResponse {
        value: Some(value),
        warnings: answer.warnings,
        infos: answer.infos,
        tier,
        ..PromqlResponse::default()
    }
}

fn list<T>(all: &[(Labels, T)], one: impl Fn(&Labels, &T) -> Series) -> SeriesList {
    SeriesList { series: all.iter().map(|(labels, it)| one(labels, it)).collect() }
}

fn datum(labels: &Labels, datum: &Datum) -> Series {
    match datum {
        Datum::Float(point) => series(labels, std::slice::from_ref(point)),
        Datum::Histogram(at, it) => Series { histograms: vec![histogram(*at, it)], ..series(labels, &[]) },
    }
}

fn track(labels: &Labels, track: &Track) -> Series {
    let histograms = track.histograms.iter().map(|(at, it)| histogram(*at, it)).collect();
    Series { histograms, ..series(labels, &track.floats) }
}

/// A series of floats.
pub(super) fn series(labels: &Labels, points: &[Point]) -> Series {
    Series { labels: map(labels), samples: points.iter().map(sample).collect(), histograms: Vec::new() }
}

fn sample(point: &Point) -> Sample {
    Sample { at_ms: point.at.0, value: point.value }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn histogram(at: Timestamp, it: &FloatHistogram) -> HistogramSample {
    let bucket = |bucket: Bucket| HistogramBucket {
        lower: bucket.lower,
        upper: bucket.upper,
        includes_lower: bucket.includes_lower,
        includes_upper: bucket.includes_upper,
        count: bucket.count,
    };
    HistogramSample {
        at_ms: at.0,
        count: it.count(),
        sum: it.sum(),
        buckets: it.buckets().map(bucket).collect(),
    }
}

/// The answer to a document.
pub(super) fn document(reply: Reply, took: Duration) -> AskResponse {
    let document = Some(json(reply.to_json(took.as_secs_f64() * 1e3)));
    let results = reply.results.into_iter().map(|series| AskResult {
        labels: map(&series.labels),
        points: series.points.iter().map(sample).collect(),
        name: series.name,
        aggregation: series.aggregation.unwrap_or_default(),
        window_ms: series.window_ms.unwrap_or_default(),
    });
    AskResponse {
        results: results.collect(),
        tier: reply.meta.tier,
        reason: reply.meta.reason,
        error: reply.meta.error,
        points_read: reply.meta.points_read,
        cached: reply.meta.cached,
        start_ms: reply.meta.start.0,
        end_ms: reply.meta.end.0,
        warnings: reply.meta.warnings,
        document,
    }
}

/// What is known of a metric.
pub(super) fn metric(metric: MetricInfo) -> Metric {
    Metric {
        name: metric.name,
        family: metric.family,
        r#type: metric.metadata.kind.as_str().to_owned(),
        unit: metric.metadata.unit,
        help: metric.metadata.help,
        labels: metric.labels,
        components: metric.components,
        active_series: metric.active_series as u64,
        samples: metric.samples,
        first_seen_ms: metric.first_seen.0,
        last_seen_ms: metric.last_seen.0,
    }
}
