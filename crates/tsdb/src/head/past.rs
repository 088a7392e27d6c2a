//! Samples of a lane that are of the past: late ones, and those in order before the floor; and which windows take samples
//! now.
//!
//! A sample that is later than the last of its series is in order whatever else the store holds. Where its window was cut
//! already, it goes to a chunk as any other does, but to the log as a late one: the log does not believe samples before
//! the floor. It waits for the next cut, or for one of its own when much waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use barograph_model::{Labels, Matcher, TimeRange, Timestamp};

use super::{
    lane::{LOWEST, Lane, series_of_mut},
    series::window_of,
    verdicts::{Accepted, Group, Verdicts},
};
use crate::{Reason, Row, guard::OVERFLOW};

/// How long after its last sample a window counts as taking samples, in milliseconds.
pub(crate) const RECEIVING_MS: i64 = 30_000;

/// See the module.
#[derive(Default)]
pub(super) struct Past {
    /// Windows before the floor that have samples which came in order.
    pub(super) windows: BTreeSet<i64>,
    /// Bytes of these samples, roughly.
    pub(super) bytes: usize,
    /// When a window got samples last.
    received: BTreeMap<i64, i64>,
    /// The same of the last call.
    latest: (i64, i64),
}

impl Past {
    /// Forgets the windows that took no sample lately; the others.
    fn receiving(&mut self, now: i64) -> impl Iterator<Item = i64> {
        self.received.retain(|_, at| now.saturating_sub(*at) < RECEIVING_MS);
        self.latest = (0, 0);
        self.received.keys().copied()
    }
}

impl Lane {
    /// Notes that samples of these times were taken.
    pub(crate) fn note_received(&mut self, first: i64, last: i64, now: i64) {
        for window in [window_of(first), window_of(last)] {
            // Within a second nothing changes that anybody asks for.
            if self.past.latest != (window, now / 1000) {
                self.past.latest = (window, now / 1000);
                self.past.received.insert(window, now);
            }
        }
    }

    /// The windows that take samples now.
    pub(super) fn receiving(&mut self, now: i64) -> Vec<i64> {
        self.past.receiving(now).collect()
    }

    /// The windows before the floor of which there are samples that came in order.
    pub(super) fn past_windows(&self) -> impl Iterator<Item = i64> {
        self.past.windows.iter().copied()
    }

    /// Bytes that wait to be cut though their windows are over: late, or before the floor.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.late_bytes() + self.past.bytes
    }

    /// What came before the floor is about to be cut: counts anew.
    pub(super) fn begin_cut(&mut self) {
        self.past.bytes = 0;
    }

    /// Takes a row that is in order, of a time that was cut already.
    #[cold]
    pub(super) fn append_past(
        &mut self,
        group: &Group<'_, '_>,
        slot: u32,
        row: &Row<'_>,
        out: &mut Verdicts,
    ) -> Result<(), Reason> {
        if row.at < group.oldest {
            return Err(Reason::TooOld);
        }
        self.push_past(slot, row.at, row.value);
        self.log_late(group, slot, row, out);
        out.stored += 1;
        Ok(())
    }

    fn push_past(&mut self, slot: u32, at: i64, value: f64) {
        let before = self.arena.content();
        if series_of_mut(&mut self.pages, slot).push(&mut self.arena, at, value) {
            self.past.windows.insert(window_of(at));
        }
        self.past.bytes += self.arena.content().saturating_sub(before);
    }

    /// Notes that the log has to hold a row as late.
    fn log_late(&mut self, group: &Group<'_, '_>, slot: u32, row: &Row<'_>, out: &mut Verdicts) {
        let series = self.series_mut(slot);
        if series.segment != group.segment {
            series.segment = group.segment;
            out.undefined.push(slot);
        }
        out.late.push(Accepted { slot, at: row.at, value: row.value });
    }

    /// Judges a row that is older than the last of its series.
    #[cold]
    pub(super) fn append_late(
        &mut self,
        group: &Group<'_, '_>,
        slot: u32,
        row: &Row<'_>,
        out: &mut Verdicts,
    ) -> Result<(), Reason> {
        // Many senders meet in an overflow series: what is late there is of no use, and may be a lot.
        let shared = || self.series(slot).labels.iter().any(|(_, value)| value == OVERFLOW);
        if group.window == 0 || shared() {
            return Err(Reason::OutOfOrder);
        }
        let last_at = self.series(slot).last_at();
        if row.at < last_at.saturating_sub(group.window).max(group.oldest) {
            return Err(Reason::TooOld);
        }
        match self.value_at(slot, row.at) {
            Some(value) if value.to_bits() != row.value.to_bits() => return Err(Reason::Duplicate),
            Some(_) => out.repeated = true,
            None if self.late.bytes() >= group.late_bytes_max => return Err(Reason::TooManyLate),
            None => {
                self.late.insert(slot, row.at, row.value);
                self.log_late(group, slot, row, out);
                out.stored_late += 1;
            }
        }
        out.stored += 1;
        Ok(())
    }

    /// The value that the head has of a series at a time.
    fn value_at(&self, slot: u32, at: i64) -> Option<f64> {
        self.series(slot).find(&self.arena, at).or_else(|| self.late.find(slot, at))
    }

    /// Forgets the last samples of the series that match, where these are in a range and were deleted.
    pub(super) fn forget_deleted(
        &mut self,
        matchers: &[Matcher],
        range: &TimeRange,
        lasts: &HashMap<Labels, (i64, f64)>,
    ) {
        let mut slots = Vec::new();
        self.matching(matchers, &mut slots);
        for slot in slots {
            let series = series_of_mut(&mut self.pages, slot);
            if !series.has_samples() && range.contains(Timestamp(series.last_at())) {
                series.forget_last();
                if let Some(&(at, value)) = lasts.get(&series.labels) {
                    series.resume(at, value);
                }
            }
        }
    }

    /// Takes a late sample from the log again. What is already known is passed over.
    pub(crate) fn replay_late(&mut self, slot: u32, at: i64, value: f64) -> bool {
        if at < LOWEST || self.value_at(slot, at).is_some() {
            return false;
        }
        let is_last = at > self.series(slot).last_at();
        if is_last && at < self.floor {
            self.push_past(slot, at, value);
            return true;
        }
        self.late.insert(slot, at, value);
        if is_last {
            // It came in order after a cut that left no block behind, or what made it late is lost.
            series_of_mut(&mut self.pages, slot).go_on_after(&mut self.arena, at, value);
        }
        true
    }
}
