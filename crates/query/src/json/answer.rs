//! The answer to a JSON query, and how it is written.

use barograph_model::{Labels, Sample, Timestamp};
use serde_json::{Value, json};

use crate::syntax::duration_text;
use barograph_analyze::{Correlation, Trend};

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Group by group, in the order that was asked for.
    pub results: Vec<Series>,
    /// Where it comes from.
    pub meta: Meta,
    /// The stored names of the metrics that were read; not part of the document.
    pub metrics: Vec<String>,
}

/// One figure of one group over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric, the alias, the calculation or the pattern.
    pub name: String,
    /// What was made of the samples; none for calculations.
    pub aggregation: Option<String>,
    /// How long buckets are, in milliseconds; `None` for samples as they came.
    pub window_ms: Option<i64>,
    /// The group.
    pub labels: Labels,
    /// Buckets that have a value, stamped with their starts.
    pub points: Vec<Sample>,
    /// What is said about all buckets together.
    pub finding: Option<Finding>,
}

/// What is said about all buckets of a series together.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Of `trend()`. The series has one point, the slope a second.
    Trend(Trend),
    /// Of `corr()`. The series has one point, the coefficient.
    Correlation(Correlation),
    /// Of a pattern: for each time it was found, the starts of the buckets of its steps. The series has a point a time,
    /// stamped with its start: how many seconds it took.
    Matches(Vec<Vec<Timestamp>>),
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// The tier that answered, or `mixed`.
    pub tier: String,
    /// Why this one.
    pub reason: String,
    /// The most that values are off, relative to them; zero if they are exact, `None` if nobody can say.
    pub error: Option<f64>,
    /// How many samples and windows were read or made.
    pub points_read: u64,
    /// Whether buckets of it were computed for a question before.
    pub cached: bool,
    /// The first time that counted.
    pub start: Timestamp,
    /// The first that counted no more.
    pub end: Timestamp,
    /// How many groups there were before the limit.
    pub groups: usize,
    /// What may be unexpected, each once.
    pub warnings: Vec<String>,
}

impl Reply {
    /// Writes the document: `{"results": […], "meta": {…}}`. Numbers that JSON has not are `"NaN"`, `"+Inf"`, `"-Inf"`.
    pub fn to_json(&self, took_ms: f64) -> String {
        let mut out =
            String::with_capacity(256 + 48 * self.results.iter().map(|s| s.points.len()).sum::<usize>());
        out.push_str("{\"results\":[");
        for (i, series) in self.results.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            series.write(&mut out);
        }
        let meta = json!({
            "tier": self.meta.tier,
            "reason": self.meta.reason,
            "error": self.meta.error,
            "points_read": self.meta.points_read,
            "took_ms": took_ms,
            "cached": self.meta.cached,
            "start": self.meta.start.0,
            "end": self.meta.end.0,
            "groups": self.meta.groups,
            "warnings": self.meta.warnings,
        });
        out.push_str(&format!("],\"meta\":{meta}}}"));
        out
    }
}

impl Series {
    fn write(&self, out: &mut String) {
        out.push_str("{\"name\":");
        write_text(out, &self.name);
        if let Some(aggregation) = &self.aggregation {
            out.push_str(",\"aggregation\":");
            write_text(out, aggregation);
        }
        if let Some(window) = self.window_ms {
            out.push_str(&format!(",\"window\":\"{}\"", duration_text(window)));
        }
        out.push_str(",\"labels\":{");
        for (i, (name, value)) in self.labels.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "," });
            write_text(out, name);
            out.push(':');
            write_text(out, value);
        }
        out.push_str("},\"dataPoints\":[");
        for (i, point) in self.points.iter().enumerate() {
            out.push_str(if i == 0 { "{\"timestamp\":" } else { ",{\"timestamp\":" });
            out.push_str(itoa::Buffer::new().format(point.at.0));
            out.push_str(",\"value\":");
            write_number(out, point.value);
            out.push('}');
        }
        out.push(']');
        match &self.finding {
            None => {}
            Some(Finding::Trend(trend)) => out.push_str(&format!(",\"trend\":{}", trend_document(trend))),
            Some(Finding::Correlation(found)) => {
                out.push_str(&format!(",\"correlation\":{}", correlation_document(found)));
            }
            Some(Finding::Matches(matches)) => {
                let ends = |steps: &[Timestamp]| (steps.first().map(|at| at.0), steps.last().map(|at| at.0));
                let one = |steps: &Vec<Timestamp>| {
                    let (start, end) = ends(steps);
                    json!({"start": start, "end": end, "steps": steps.iter().map(|at| at.0).collect::<Vec<_>>()})
                };
                out.push_str(&format!(
                    ",\"matches\":{}",
                    Value::from(matches.iter().map(one).collect::<Vec<_>>())
                ));
            }
        }
        out.push('}');
    }
}

fn trend_document(trend: &Trend) -> Value {
    json!({
        "slope": trend.slope,
        "per": "second",
        "lower": trend.bounds.map(|bounds| bounds.0),
        "upper": trend.bounds.map(|bounds| bounds.1),
        "direction": trend.direction.as_str(),
        "p_value": trend.p_value,
        "n": trend.buckets,
        "method": "Theil-Sen, Mann-Kendall, Hamed-Rao",
    })
}

fn correlation_document(found: &Correlation) -> Value {
    json!({
        "r": found.r,
        "lower": found.bounds.map(|bounds| bounds.0),
        "upper": found.bounds.map(|bounds| bounds.1),
        "p_value": found.p_value,
        "q_value": found.q_value,
        "lag": found.lag,
        "n": found.buckets,
        "n_effective": found.effective,
        "method": "Pearson",
    })
}

/// A number as JSON, or as a text where JSON has none for it.
fn write_number(out: &mut String, value: f64) {
    if value.is_finite() {
        out.push_str(zmij::Buffer::new().format_finite(value));
    } else if value.is_nan() {
        out.push_str("\"NaN\"");
    } else {
        out.push_str(if value > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" });
    }
}

/// A text in quotes. Few have anything to be escaped.
fn write_text(out: &mut String, text: &str) {
    if text.bytes().any(|c| c < b' ' || matches!(c, b'"' | b'\\')) {
        out.push_str(&Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}
