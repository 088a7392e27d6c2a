//! How much of the time the server served: since when there is one, when it was last known to live, and when it was away.
//!
//! Away is from the last sign of life before a start to that start. Signs are written every 15 seconds and at the end, so a
//! process that is killed counts as away for up to so much longer than it was.

use barograph_model::Timestamp;
use barograph_state::{Bounds, Error, Event, History, State, Table};
use serde_json::{Value, json};

/// When a node was started for the first time.
const SINCE: Table<String, i64> = Table::new("since");
/// When it was last known to live.
const ALIVE: Table<String, i64> = Table::new("probe");
/// When it was away: from the time of an event to the value of it.
const AWAY: History<i64> = History::new("away");
const HOUR_MS: i64 = 3_600_000;
/// What is told, by its name and how long it is.
const SPANS: [(&str, i64); 3] = [("24h", 24 * HOUR_MS), ("7d", 7 * 24 * HOUR_MS), ("30d", 30 * 24 * HOUR_MS)];
const BOUNDS: Bounds = Bounds { per_subject: 1_000, total: 10_000, age_ms: 31 * 24 * HOUR_MS };

/// When the server served, as it was known at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Availability {
    since: i64,
    /// From when to when it was away, the oldest first.
    away: Vec<(i64, i64)>,
}

impl Availability {
    /// Notes that the node serves from now on. Blocks on the disk.
    pub(super) fn begin(state: &State, node: &str, now: Timestamp) -> Result<Self, Error> {
        let node = node.to_owned();
        let since = state.write(|batch| {
            let known = batch.get(&SINCE, &node)?;
            let since = known.unwrap_or(now.0).min(now.0);
            batch.put(&SINCE, &node, &since)?;
            let last = batch.get(&ALIVE, &node)?.filter(|last| (since..now.0).contains(last));
            if let Some(last) = last {
                AWAY.push(batch, &Event { subject: node.clone(), at: last, value: now.0 })?;
            }
            AWAY.prune(batch, BOUNDS, now.0)?;
            batch.put(&ALIVE, &node, &now.0)?;
            Ok(since)
        })?;
        let away = state.read(|view| AWAY.of(view, &node, i64::MIN..i64::MAX, BOUNDS.per_subject))?;
        Ok(Self { since, away: away.into_iter().map(|event| (event.at, event.value)).collect() })
    }

    /// The fraction of the last `span_ms`, or of the time since the first start if that is shorter.
    fn share(&self, now: Timestamp, span_ms: i64) -> Option<f64> {
        let start = self.since.max(now.0.saturating_sub(span_ms));
        let away = self.away.iter().map(|(from, to)| (to.min(&now.0) - from.max(&start)).max(0));
        (now.0 > start).then(|| 1.0 - away.sum::<i64>() as f64 / (now.0 - start) as f64)
    }

    /// As a document; fractions are 0 to 1.
    pub(crate) fn to_json(&self, now: Timestamp) -> Value {
        let spans = SPANS.iter().map(|(name, span)| ((*name).to_owned(), json!(self.share(now, *span))));
        let mut document: serde_json::Map<_, _> = spans.collect();
        document.insert("since".to_owned(), Timestamp(self.since).to_rfc3339().into());
        document.insert("outages".to_owned(), self.away.len().into());
        Value::Object(document)
    }
}

/// Notes that the node lives, and reads it back. Blocks on the disk.
pub(super) fn sign(state: &State, node: &str, now: Timestamp) -> Result<(), Error> {
    let node = node.to_owned();
    state.write(|batch| batch.put(&ALIVE, &node, &now.0))?;
    match state.read(|view| view.get(&ALIVE, &node))? {
        Some(read) if read == now.0 => Ok(()),
        read => Err(Error::Corrupt { reason: format!("{} was written and {read:?} read back", now.0) }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_disk::MemoryDisk;

    use super::*;

    #[test]
    fn what_is_between_a_sign_and_a_start_is_away() {
        let state = State::open(Arc::new(MemoryDisk::new())).unwrap();
        let begin = |at| Availability::begin(&state, "a", Timestamp(at)).unwrap();
        let first = begin(1_000);
        assert_eq!(first.share(Timestamp(1_000), HOUR_MS), None);
        assert_eq!(first.share(Timestamp(2_000), HOUR_MS), Some(1.0));
        sign(&state, "a", Timestamp(4_000)).unwrap();
        let second = begin(5_000);
        assert_eq!(second, Availability { since: 1_000, away: vec![(4_000, 5_000)] });
        assert_eq!(second.share(Timestamp(11_000), HOUR_MS), Some(0.9));
        assert_eq!(second.share(Timestamp(6_500), 2_000), Some(0.75), "the part of it that is in the span");
        // A clock that was set back is no time away, nor is the start of another node.
        assert_eq!(begin(3_000).away.len(), 1);
        assert_eq!(Availability::begin(&state, "b", Timestamp(9_000)).unwrap().away, []);
    }
}
