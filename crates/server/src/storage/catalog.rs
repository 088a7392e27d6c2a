//! The documents of `catalog`: what is known of metrics, and which belong together.

use barograph_model::Timestamp;
use barograph_tsdb::MetricInfo;
use serde_json::{Value, json};

/// Metrics that are named as related, at most.
const RELATED_MAX: usize = 20;

/// One metric.
pub fn document(metric: &MetricInfo) -> Value {
    json!({
        "name": metric.name,
        "family": metric.family,
        "type": metric.metadata.kind.as_str(),
        "unit": metric.metadata.unit,
        "help": metric.metadata.help,
        "labels": metric.labels,
        "active_series": metric.active_series,
        "samples": metric.samples,
        "windows": metric.windows,
        "bytes": metric.bytes,
        "first_seen": metric.first_seen.seconds(),
        "last_seen": metric.last_seen.seconds(),
        "last_queried": metric.last_queried.map(Timestamp::seconds),
        "versions": metric.versions,
        "component": metric.components.first(),
        "components": metric.components,
    })
}

/// The metrics that belong to one: the family it is part of, the other parts of it, and those whose name begins alike.
pub fn relations(metrics: &[MetricInfo], of: &MetricInfo) -> Value {
    let others = || metrics.iter().filter(|other| other.name != of.name);
    let beginning = beginning(&of.name);
    let alike = |other: &&MetricInfo| other.family != of.family && self::beginning(&other.name) == beginning;
    json!({
        "name": of.name,
        "parent": (of.family != of.name).then_some(&of.family),
        "unit": of.metadata.unit,
        "parts": names(others().filter(|other| other.family == of.family)),
        "related": names(others().filter(alike)),
    })
}

fn names<'m>(metrics: impl Iterator<Item = &'m MetricInfo>) -> Vec<&'m str> {
    metrics.map(|metric| metric.name.as_str()).take(RELATED_MAX).collect()
}

/// The first two words of a name: `http_request` of `http_request_duration_seconds`.
fn beginning(name: &str) -> &str {
    let end = name.match_indices('_').nth(1).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use barograph_model::Metadata;

    use super::*;

    fn metric(name: &str, family: &str) -> MetricInfo {
        MetricInfo {
            name: name.into(),
            family: family.into(),
            metadata: Metadata::default(),
            active_series: 1,
            samples: 1,
            windows: 0,
            bytes: 0,
            first_seen: Timestamp(0),
            last_seen: Timestamp(0),
            labels: vec![],
            versions: vec![],
            components: vec![],
            last_queried: None,
        }
    }

    #[test]
    fn parts_and_neighbours_are_told_apart() {
        let metrics = [
            metric("http_request_seconds_bucket", "http_request_seconds"),
            metric("http_request_seconds_sum", "http_request_seconds"),
            metric("http_request_errors_total", "http_request_errors_total"),
            metric("up", "up"),
        ];
        let relations = relations(&metrics, &metrics[0]);
        assert_eq!(relations["parent"], "http_request_seconds");
        assert_eq!(relations["parts"], json!(["http_request_seconds_sum"]));
        assert_eq!(relations["related"], json!(["http_request_errors_total"]));
    }
}
