//! States that outlive the process: one in ten minutes of a week, in the state database.

use std::time::Duration;

use barograph_model::Timestamp;
use barograph_state::{Bounds, Error, Event, History, State};
use serde_json::Value;

/// States by node.
const STATES: History<Value> = History::new("states");
/// One is written so often, and the first at once.
pub(super) const EVERY: Duration = Duration::from_secs(600);
/// A week of them, and some of a server that starts often.
const BOUNDS: Bounds = Bounds { per_subject: 1_100, total: 11_000, age_ms: 7 * 86_400_000 };

/// Writes a state, and lets go what is too old. Blocks on the disk.
pub(super) fn keep(database: &State, node: &str, at: Timestamp, state: &Value) -> Result<(), Error> {
    let event = Event { subject: node.to_owned(), at: at.0, value: state.clone() };
    database.write(|batch| {
        STATES.push(batch, &event)?;
        STATES.prune(batch, BOUNDS, at.0).map(drop)
    })
}

/// The states that were written before, the oldest first. Blocks on the disk.
pub(super) fn read(database: &State, node: &str, now: Timestamp) -> Result<Vec<(Timestamp, Value)>, Error> {
    let times = now.0.saturating_sub(BOUNDS.age_ms)..now.0.saturating_add(1);
    let states = database.read(|view| STATES.of(view, node, times, BOUNDS.per_subject))?;
    Ok(states.into_iter().map(|event| (Timestamp(event.at), event.value)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_disk::MemoryDisk;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_week_of_one_node_comes_back() {
        let database = State::open(Arc::new(MemoryDisk::new())).unwrap();
        let day = 86_400_000;
        for (at, node) in [(0, "a"), (3 * day, "a"), (4 * day, "b"), (8 * day, "a")] {
            keep(&database, node, Timestamp(at), &json!({"at": at})).unwrap();
        }
        let found = read(&database, "a", Timestamp(8 * day)).unwrap();
        let expected = [3 * day, 8 * day].map(|at| (Timestamp(at), json!({"at": at})));
        assert_eq!(found, expected);
        assert!(database.read(|view| STATES.of(view, "a", 0..day, 9)).unwrap().is_empty(), "too old");
    }
}
