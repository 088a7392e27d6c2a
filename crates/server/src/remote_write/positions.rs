//! How far each endpoint has come in the log.
//!
//! Kept in the state now and then, all that changed in one batch. The log lets go of a segment only when the position
//! behind it is kept, so what is kept is never ahead of what is there.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_state::{State, Table};
use barograph_tsdb::{LogPosition, Store};

use crate::errors::chain;

/// How often positions are kept.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// Segment and record, by the name of the endpoint.
const POSITIONS: Table<String, (u32, u64)> = Table::new("remote_write");

/// See the module.
pub(crate) struct Positions {
    now: Mutex<BTreeMap<String, LogPosition>>,
    kept: Mutex<BTreeMap<String, LogPosition>>,
    bytes_max: u64,
}

impl Positions {
    /// Reads them. One that is not known yet is the end of the log: what was there before is not sent.
    pub(super) fn load(names: Vec<String>, state: &State, store: &Store, bytes_max: u64) -> Self {
        let known = state.read(|view| view.all(&POSITIONS)).unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "positions of remote write are not known; it begins anew");
            Vec::new()
        });
        let kept: BTreeMap<_, _> = known
            .into_iter()
            .map(|(name, (segment, record))| (name, LogPosition { segment, record }))
            .collect();
        let end = store.log_end();
        let now = names.into_iter().map(|name| {
            let position = kept.get(&name).copied().unwrap_or(end);
            (name, position)
        });
        let positions = Self { now: Mutex::new(now.collect()), kept: Mutex::new(kept), bytes_max };
        positions.hold(store);
        positions
    }

    /// Where an endpoint goes on.
    pub(super) fn of(&self, name: &str) -> LogPosition {
        lock(&self.now).get(name).copied().unwrap_or_default()
    }

    /// Everything up to here is settled.
    pub(super) fn advance(&self, name: &str, position: LogPosition) {
        lock(&self.now).insert(name.to_owned(), position);
    }

    /// Keeps what changed, and lets the log go of what is passed.
    pub(super) fn keep(&self, state: &State, store: &Store) -> Result<(), String> {
        let now = lock(&self.now).clone();
        let mut kept = lock(&self.kept);
        if *kept != now {
            let gone: Vec<_> = kept.keys().filter(|name| !now.contains_key(*name)).cloned().collect();
            let written = state.write(|batch| {
                for (name, position) in &now {
                    batch.put(&POSITIONS, name, &(position.segment, position.record))?;
                }
                gone.iter().try_for_each(|name| batch.remove(&POSITIONS, name).map(drop))
            });
            written.map_err(|error| chain(&error).to_string())?;
            *kept = now;
        }
        drop(kept);
        self.hold(store);
        Ok(())
    }

    fn hold(&self, store: &Store) {
        let now = lock(&self.now);
        // What is not kept yet may be needed again.
        let kept = lock(&self.kept);
        let needed =
            now.iter().map(|(name, position)| kept.get(name).map_or(*position, |kept| *kept.min(position)));
        if let Err(error) = store.keep_log(needed.min(), self.bytes_max) {
            tracing::warn!(error = chain(&error), "segments of the log that are passed cannot be removed");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_disk::MemoryDisk;
    use barograph_model::Timestamp;
    use barograph_tsdb::Options;

    use super::*;

    #[test]
    fn positions_come_back_and_old_ones_go() {
        let disk = Arc::new(MemoryDisk::new());
        let (store, _) = Store::open(disk.clone(), Options::default(), Timestamp(0)).unwrap();
        let state = State::open(disk).unwrap();
        let load = |names: &[&str]| {
            Positions::load(names.iter().map(|name| (*name).to_owned()).collect(), &state, &store, 1 << 20)
        };
        let positions = load(&["a", "b"]);
        assert_eq!(positions.of("a"), store.log_end());
        positions.advance("a", LogPosition { segment: 3, record: 9 });
        positions.keep(&state, &store).unwrap();
        assert_eq!(load(&["a"]).of("a"), LogPosition { segment: 3, record: 9 });
        load(&["b"]).keep(&state, &store).unwrap();
        assert_eq!(load(&["a"]).of("a"), store.log_end(), "who was left out begins anew");
    }
}
