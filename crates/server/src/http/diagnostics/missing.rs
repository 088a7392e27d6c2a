//! What the documents of health cannot tell for now, and why.

use barograph_model::Timestamp;
use serde_json::{Value, json};

use crate::Engine;

/// What is missing, each with `what` and `why`; nothing of a server that is fine.
pub(crate) fn missing(engine: Option<&Engine>) -> Vec<Value> {
    let one = |what: &str, why: &str| json!({"what": what, "why": why});
    let Some(engine) = engine else {
        let opening = "the store is being opened";
        return ["requests", "percentiles", "event_loop", "history"].map(|what| one(what, opening)).into();
    };
    let mut missing = Vec::new();
    if engine.store.stats().read_only || engine.collecting.is_failing() {
        missing.push(one("history", "the log cannot be written, so what is measured now is not stored"));
    }
    if engine.collecting.event_loop_is_off() {
        missing.push(one("event_loop", "its monitoring is switched off"));
    }
    for status in engine.collecting.collectors.statuses() {
        // A failure is over when a later run was none.
        let last = status
            .stats
            .last_error
            .filter(|failure| status.stats.last_run.is_some_and(|run| failure.at >= run));
        if let Some(failure) = last {
            let why = format!("it failed at {}: {}", Timestamp::to_rfc3339(failure.at), failure.message);
            missing.push(one(&format!("collector {}", status.config.name), &why));
        }
    }
    missing
}
