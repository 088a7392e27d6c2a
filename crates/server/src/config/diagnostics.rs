//! The section `diagnostics`: how often the server looks at itself, and what it warns of.

use std::time::Duration;

use super::{
    section::{Findings, Section, text},
    settings::positive_duration,
    tree::Node,
    units::parse_duration,
};
use crate::diagnostics::{FIGURES, Severity, Side};

/// So many thresholds may be configured.
const THRESHOLDS_MAX: usize = 256;

/// How the server looks at itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostics {
    /// How often figures are read and compared with thresholds; 5 seconds by default.
    pub interval: Duration,
    /// What is past these is told.
    pub thresholds: Vec<Threshold>,
}

/// A bound that a figure should keep to.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// One of the [figures](FIGURES) of the server, else a PromQL expression: of its series that which is worst counts.
    pub metric: String,
    /// On which side of the value it should not be.
    pub side: Side,
    /// The value.
    pub value: f64,
    /// How bad that is.
    pub severity: Severity,
    /// How long it must be past it to be told.
    pub lasting: Duration,
}

impl Default for Diagnostics {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), thresholds: built_in() }
    }
}

/// What is warned of without being told to: what slows down or loses something soon.
fn built_in() -> Vec<Threshold> {
    let lasting = |seconds| Duration::from_secs(seconds);
    [
        // Queries are refused from the first on, writes from the second.
        ("memory_usage", 77.0, 82.0, lasting(0)),
        ("disk_usage", 85.0, 95.0, lasting(60)),
        ("cpu_usage", 90.0, 98.0, lasting(300)),
        ("error_rate", 0.05, 0.25, lasting(30)),
        ("p95_latency_ms", 1_000.0, 5_000.0, lasting(60)),
        ("event_loop_lag_ms", 100.0, 500.0, lasting(30)),
        ("commit_p95_ms", 250.0, 1_000.0, lasting(60)),
        ("query_queue_usage", 50.0, 90.0, lasting(10)),
        ("series_usage", 80.0, 95.0, lasting(60)),
    ]
    .into_iter()
    .flat_map(|(metric, warning, critical, lasting)| {
        [(Severity::Warning, warning), (Severity::Critical, critical)].map(|(severity, value)| Threshold {
            metric: metric.to_owned(),
            side: Side::Max,
            value,
            severity,
            lasting,
        })
    })
    .collect()
}

/// Thresholds of the file come beside those there are, and take the place of all of the same metric.
pub(super) fn read_diagnostics(node: &Node, findings: &mut Findings) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let mut section = Section::open(node, "`diagnostics`", findings);
    section.set("interval", &mut diagnostics.interval, interval, findings);
    let items = section.items("thresholds", findings);
    let configured: Vec<_> = items.iter().filter_map(|item| read_threshold(item, findings)).collect();
    if configured.len() > THRESHOLDS_MAX {
        findings.add(section.place_of("thresholds"), format!("more than {THRESHOLDS_MAX} thresholds"));
    }
    section.finish(&[], findings);
    diagnostics.thresholds.retain(|one| configured.iter().all(|other| other.metric != one.metric));
    diagnostics.thresholds.extend(configured);
    diagnostics
}

fn read_threshold(node: &Node, findings: &mut Findings) -> Option<Threshold> {
    let mut section = Section::open(node, "a threshold", findings);
    let metric = section.value("metric", metric, findings);
    let bounds = [("max", Side::Max), ("min", Side::Min)]
        .map(|(key, side)| (side, section.value(key, number, findings)));
    let severity = section.value("severity", severity, findings).unwrap_or_default();
    let lasting = section.value("for", parse_duration, findings).unwrap_or_default();
    let place = section.place;
    section.finish(&[], findings);
    let bound = match bounds {
        [(side, Some(value)), (_, None)] | [(_, None), (side, Some(value))] => Some((side, value)),
        _ => None,
    };
    if metric.is_none() || bound.is_none() {
        findings.add(place, "a threshold needs `metric`, and one of `max` and `min`");
    }
    let (metric, (side, value)) = (metric?, bound?);
    Some(Threshold { metric, side, value, severity, lasting })
}

fn metric(given: &str) -> Result<String, String> {
    if !FIGURES.iter().any(|(figure, _)| *figure == given) {
        barograph_query::parse(given).map_err(|error| error.to_string())?;
    }
    text(given)
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| format!("expected a number, found `{text}`"))
}

fn severity(word: &str) -> Result<Severity, String> {
    match word {
        "warning" => Ok(Severity::Warning),
        "critical" => Ok(Severity::Critical),
        _ => Err(format!("expected `warning` or `critical`, found `{word}`")),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = positive_duration(text)?;
    let range = Duration::from_secs(1)..=Duration::from_secs(60);
    if range.contains(&interval) { Ok(interval) } else { Err("expected from 1s to 1m".to_owned()) }
}
