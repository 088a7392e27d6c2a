//! What is kept of documents: the last of them, and fewer the older they are.

use std::{collections::VecDeque, sync::Arc};

use barograph_model::Timestamp;

/// How long all are kept that come; of what is older, one in each [`Ring::apart_ms`].
const RECENT_MS: i64 = 3_600_000;

/// Documents with their times, the oldest first.
#[derive(Debug)]
pub(super) struct Ring<T> {
    entries: VecDeque<(Timestamp, Arc<T>)>,
    max: usize,
    /// How far apart those are that are older than [`RECENT_MS`]; 0 keeps all.
    apart_ms: i64,
    /// How many entries at the front were thinned already.
    thinned: usize,
    dropped: u64,
}

impl<T> Ring<T> {
    /// Keeps the last `max`.
    pub(super) const fn new(max: usize) -> Self {
        Self::thinning(max, 0)
    }

    /// Keeps `max`: all of the last hour, and of what is older one in each `apart_ms`.
    pub(super) const fn thinning(max: usize, apart_ms: i64) -> Self {
        Self { entries: VecDeque::new(), max, apart_ms, thinned: 0, dropped: 0 }
    }

    pub(super) fn push(&mut self, at: Timestamp, document: T) -> Arc<T> {
        let document = Arc::new(document);
        self.entries.push_back((at, document.clone()));
        self.thin(at);
        if self.entries.len() > self.max {
            self.entries.pop_front();
            self.thinned = self.thinned.saturating_sub(1);
            self.dropped += 1;
        }
        document
    }

    fn thin(&mut self, now: Timestamp) {
        if self.apart_ms == 0 {
            return;
        }
        while let Some((at, _)) = self.entries.get(self.thinned)
            && at.0 < now.0.saturating_sub(RECENT_MS)
        {
            let last = self.thinned.checked_sub(1).map(|last| self.entries[last].0);
            let same =
                last.is_some_and(|last| last.0.div_euclid(self.apart_ms) == at.0.div_euclid(self.apart_ms));
            if same {
                self.entries.remove(self.thinned);
                self.dropped += 1;
            } else {
                self.thinned += 1;
            }
        }
    }

    /// Those from `start` on, the newest first.
    pub(super) fn since(&self, start: Timestamp) -> impl Iterator<Item = &(Timestamp, Arc<T>)> {
        // The clock may have been set back, so all are looked at.
        self.entries.iter().rev().filter(move |entry| entry.0 >= start)
    }

    pub(super) fn newest(&self) -> Option<&Arc<T>> {
        self.entries.back().map(|entry| &entry.1)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// How many went, for room or for their age.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept() {
        let mut ring = Ring::new(3);
        for i in 0..5 {
            ring.push(Timestamp(i), i);
        }
        let kept: Vec<_> = ring.since(Timestamp(3)).map(|entry| *entry.1).collect();
        assert_eq!((kept, ring.len(), ring.dropped()), (vec![4, 3], 3, 2));
    }

    #[test]
    fn a_week_fits_where_what_is_old_is_thinned() {
        let mut ring = Ring::thinning(1_100, 600_000);
        // Three hours too long, a minute apart.
        let minutes = 7 * 24 * 60 + 180;
        for minute in 0..minutes {
            ring.push(Timestamp(minute * 60_000), minute);
        }
        let week = ring.since(Timestamp((minutes - 7 * 24 * 60) * 60_000)).count();
        assert!((1_060..=1_070).contains(&week), "{week}");
        let times: Vec<_> = ring.entries.iter().map(|entry| entry.0.0).collect();
        assert!(times.is_sorted() && times.windows(2).all(|pair| pair[1] - pair[0] <= 600_000));
        assert_eq!(
            times[times.len() - 60..].windows(2).filter(|pair| pair[1] - pair[0] == 60_000).count(),
            59
        );
    }
}
