//! What the black box takes up: all that is known of some time.

use std::collections::BTreeMap;

use barograph_model::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Kept, incidents::Evidence, ring::Ring};
use crate::{Engine, logging};

impl Kept {
    /// All that is known from `start` on, each list with the oldest first.
    pub(super) fn evidence(&self, engine: &Engine, start: Timestamp) -> Evidence {
        fn of<T: Serialize>(ring: &Ring<T>, start: Timestamp) -> Vec<Value> {
            let mut found: Vec<_> = ring.since(start).map(|(_, document)| json!(**document)).collect();
            found.reverse();
            found
        }
        let figures = self.readings.since(start).map(|(at, reading)| {
            let figures: BTreeMap<_, _> = reading.figures().collect();
            json!({"timestamp": at.to_rfc3339(), "figures": figures})
        });
        let mut figures: Vec<_> = figures.collect();
        figures.reverse();
        let slow = engine.queries.slow();
        let slow = slow.iter().rev().filter(|slow| slow.asked.at >= start).map(|slow| {
            json!({
                "timestamp": slow.asked.at.to_rfc3339(),
                "expression": slow.asked.expression,
                "caller": &*slow.asked.caller.name,
                "took_ms": slow.took.as_secs_f64() * 1e3,
                "samples": slow.samples,
                "outcome": slow.outcome,
            })
        });
        let errors = engine.events.sessions().recent_errors();
        let errors =
            errors.iter().rev().filter(|error| i64::try_from(error.at_ms).is_ok_and(|at| at >= start.0));
        let errors = errors.map(|error| {
            json!({
                "at_ms": error.at_ms,
                "category": error.category.as_str(),
                "method": error.method.as_deref(),
                "client": &*error.client,
                "message": error.message,
                "trace_id": error.trace,
            })
        });
        let messages =
            self.performance.newest().map(|newest| newest.messages().collect()).unwrap_or_default();
        vec![
            ("alerts", of(&self.alerts, start)),
            ("figures", figures),
            ("states", of(&self.states, start)),
            ("analysis", of(&self.analyses, start)),
            ("slow_queries", slow.collect()),
            ("recent_errors", errors.collect()),
            ("log_lines", logging::since(start).iter().map(|line| json!(**line)).collect()),
            ("traces", of(&self.traces, start)),
            ("messages", messages),
        ]
    }
}
