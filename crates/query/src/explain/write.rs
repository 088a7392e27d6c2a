//! Plans as JSON.

use serde_json::{Value, json};

use super::{Part, Plan};

impl Plan {
    /// The document of the plan. Times are in milliseconds since the epoch; a range is told by its first and its last.
    pub fn to_json(&self) -> Value {
        json!({
            "language": self.language,
            "expression": self.expression,
            "start": self.start.0,
            "end": self.end.0,
            "step": self.step_ms,
            "steps": self.steps,
            "analyzed": self.analyzed,
            "plan": self.root.to_json(),
            "total": {
                "series": self.total.series,
                "samples": self.total.samples,
                "bytes": self.total.bytes,
                "took_ms": self.total.took.map(millis),
            },
            "promql": self.promql,
            "json": self.json,
            "warnings": self.warnings,
            "infos": self.infos,
        })
    }
}

impl Part {
    /// The document of a part.
    pub fn to_json(&self) -> Value {
        let range =
            |range: barograph_model::TimeRange| json!({"start": range.start.0, "end": range.end.0 - 1});
        json!({
            "operation": self.operation,
            "text": self.text,
            "from": self.span.0,
            "to": self.span.1,
            "detail": self.detail,
            "tier": self.tier,
            "reason": self.reason,
            "range": self.range.filter(|range| !range.is_empty()).map(range),
            "estimate": self.estimate.map(|about| json!({"series": about.series, "samples": about.samples})),
            "actual": self.actual.map(|actual| json!({
                "series": actual.series,
                "samples": actual.samples,
                "took_ms": millis(actual.took),
            })),
            "children": self.children.iter().map(Self::to_json).collect::<Vec<_>>(),
        })
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
