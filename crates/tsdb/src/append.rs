//! Appending: rows to lanes, lanes to the log.
//!
//! The rows of a call are grouped by lane; then lane by lane, under its lock, they are judged, put into the head and
//! handed to the log. Because the log gets them before the lock is let go, the log and the head agree on the order of
//! every series, and a replay of the log makes the same decisions. Known series cost no allocation and no parsing.
//!
//! Late rows go their own way: to a part of the head that expects no order, and to records of the log that are taken
//! back whatever came after them.

use std::cell::RefCell;

use barograph_model::Timestamp;

use crate::{
    Appended, Error, Row, Store,
    head::{Accepted, Group, LOWEST, Verdicts, hash_of},
    options::millis,
    stats,
    wal::{DEFINITIONS, LATE, OtherSegment, SAMPLES, encode_definitions, encode_samples},
};

/// Buffers of a thread that appends, kept from call to call.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Hash and index of the rows of each lane.
    groups: Vec<Vec<(u64, u32)>>,
    pub(crate) verdicts: Verdicts,
    definitions: Vec<u8>,
    samples: Vec<u8>,
    late: Vec<u8>,
}

/// The times that the rows of a call may have.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    now: i64,
    latest: i64,
    oldest: i64,
    /// How late a row may be.
    window: i64,
}

/// Buffers that grew beyond this are not kept: every thread has its own.
const SCRATCH_BYTES_MAX: usize = 256 << 10;

impl Scratch {
    /// Lets go of what a large call left behind.
    fn shrink(&mut self) {
        for buffer in [&mut self.definitions, &mut self.samples, &mut self.late] {
            if buffer.capacity() > SCRATCH_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
        let most = SCRATCH_BYTES_MAX / size_of::<(u64, u32)>();
        self.groups.iter_mut().filter(|group| group.capacity() > most).for_each(|group| *group = Vec::new());
        self.verdicts.shrink(SCRATCH_BYTES_MAX);
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Store {
    /// Appends rows. Good ones can be read at once; they are durable when a commit returns the ticket or a later one.
    ///
    /// Rows of a series are taken in their order, however old, as long as a tier would keep them. One that is older than
    /// the last of its series is late: it is stored if it is so by no more than
    /// [`Options::out_of_order`](crate::Options::out_of_order). A row that repeats a sample of the head bit for bit counts as stored; one with another value for such a time is a
    /// [`Reason::Duplicate`](crate::Reason::Duplicate). Late rows are not compared with blocks: if one of these has the time, its value stays.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] and [`Error::Overloaded`]; then no row was taken.
    pub fn append(&self, rows: &[Row<'_>], now: Timestamp) -> Result<Appended, Error> {
        self.append_within(rows, now, millis(self.options.out_of_order))
    }

    /// Appends rows of any age: history that is imported. Otherwise as [`Self::append`].
    ///
    /// Samples of times that were cut already wait in memory for [`Self::maintain`], which puts them into blocks of their
    /// own. Rows in the order of time make the fewest and largest blocks.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::Overloaded`] when [`Options::late_bytes_max`](crate::Options::late_bytes_max) of
    /// such samples wait already: the caller goes on after a call of [`Self::maintain`]. Then no row was taken.
    pub fn append_any_age(&self, rows: &[Row<'_>], now: Timestamp) -> Result<Appended, Error> {
        let limit = self.options.late_bytes_max;
        if self.head.waiting_bytes() >= limit {
            return Err(Error::Overloaded { limit });
        }
        self.append_within(rows, now, i64::MAX)
    }

    fn append_within(&self, rows: &[Row<'_>], now: Timestamp, window: i64) -> Result<Appended, Error> {
        self.wal.check_open()?;
        self.head.guard.set_now(now);
        let now_ms = now.millis();
        let bounds = Bounds {
            now: now_ms,
            latest: now_ms.saturating_add(millis(self.options.ahead_max)),
            oldest: now_ms.saturating_sub(millis(self.longest_kept_of_all())).max(LOWEST),
            window,
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut ticket = self.append_rows(rows, bounds, scratch);
            if !scratch.verdicts.odd.is_empty() || !scratch.verdicts.over.is_empty() {
                ticket = ticket.max(self.append_again(rows, bounds, now, scratch));
            }
            let verdicts = &mut scratch.verdicts;
            if verdicts.repeated {
                // What a row repeats may itself still wait for its commit.
                ticket = ticket.max(self.wal.last_seq());
            }
            verdicts.rejected.sort_unstable_by_key(|rejected| rejected.row);
            let appended = Appended {
                stored: verdicts.stored,
                late: verdicts.stored_late,
                new_series: verdicts.new_series,
                overflowed: verdicts.overflowed,
                merged: verdicts.merged,
                rejected: std::mem::take(&mut verdicts.rejected),
                ticket,
            };
            self.count(&appended);
            scratch.shrink();
            Ok(appended)
        })
    }

    /// Appends rows whose label bytes are in the usual spelling and whose series are known or have room; others are
    /// left in `odd` and `over`. The ticket.
    pub(crate) fn append_rows(&self, rows: &[Row<'_>], bounds: Bounds, scratch: &mut Scratch) -> u64 {
        let Scratch { groups, verdicts, definitions, samples, late } = scratch;
        let Bounds { now, latest, oldest, window } = bounds;
        let (late_bytes_max, limits) =
            (self.options.late_bytes_max / self.head.lanes(), self.series_limits());
        verdicts.reset();
        groups.resize_with(self.head.lanes(), Vec::new);
        groups.iter_mut().for_each(Vec::clear);
        for (number, row) in (0u32..).zip(rows) {
            let hash = hash_of(row.labels);
            groups[self.head.lane_of(hash)].push((hash, number));
        }
        let mut ticket = 0;
        for (number, members) in groups.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            verdicts.accepted.clear();
            verdicts.late.clear();
            verdicts.undefined.clear();
            let mut lane = self.head.lane(number);
            let mut segment = self.wal.segment();
            let group = Group { rows, members, latest, oldest, window, late_bytes_max, segment };
            lane.append(&self.head, &self.histograms, &limits, &group, verdicts);
            let mut records = [(DEFINITIONS, &[][..]), (SAMPLES, &[]), (LATE, &[])];
            let (mut first_at, mut last_at) = (i64::MAX, i64::MIN);
            for (bytes, accepted) in [(&mut *samples, &verdicts.accepted), (&mut *late, &verdicts.late)] {
                bytes.clear();
                if !accepted.is_empty() {
                    encode_samples(bytes, number, accepted);
                }
                for &Accepted { at, .. } in accepted {
                    (first_at, last_at) = (first_at.min(at), last_at.max(at));
                }
            }
            if last_at == i64::MIN {
                continue;
            }
            lane.note_received(first_at, last_at, now);
            if first_at < self.changes.settled().millis() {
                self.note_appended(&lane, [&verdicts.accepted, &verdicts.late]);
            }
            (records[1].1, records[2].1) = (samples.as_slice(), late.as_slice());
            ticket = loop {
                definitions.clear();
                if !verdicts.undefined.is_empty() {
                    let slots = verdicts.undefined.iter();
                    let series = slots.map(|&slot| (slot, lane.series(slot).labels.as_bytes()));
                    encode_definitions(definitions, number, series);
                }
                let mut records = records;
                records[0].1 = definitions;
                match self.wal.put(segment, &records, last_at) {
                    Ok(seq) => break seq,
                    Err(OtherSegment(other)) => {
                        segment = other;
                        lane.undefined(segment, verdicts);
                    }
                }
            };
        }
        ticket
    }

    fn count(&self, appended: &Appended) {
        stats::add(&self.counters.samples, appended.stored);
        stats::add(&self.counters.late, appended.late);
        stats::add(&self.counters.series, appended.new_series);
        for rejected in &appended.rejected {
            stats::add(&self.counters.rejected[rejected.reason as usize], 1);
        }
    }
}
