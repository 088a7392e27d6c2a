//! Appending: rows to lanes, lanes to the log.
//!
//! The rows of a call are grouped by lane; then lane by lane, under its lock, they are judged, put into the head and
//! handed to the log. Because the log gets them before the lock is let go, the log and the head agree on the order of
//! every series, and a replay of the log makes the same decisions. Known series cost no allocation and no parsing.

use std::cell::RefCell;

use barograph_model::Timestamp;

use crate::{
    Appended, Error, Row, Store,
    head::{Group, Verdicts, hash_of},
    options::millis,
    stats,
    wal::{DEFINITIONS, OtherSegment, SAMPLES, encode_definitions, encode_samples},
};

/// Buffers of a thread that appends, kept from call to call.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Hash and index of the rows of each lane.
    groups: Vec<Vec<(u64, u32)>>,
    pub(crate) verdicts: Verdicts,
    definitions: Vec<u8>,
    samples: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Store {
    /// Appends rows. Good ones can be read at once; they are durable when a commit returns the ticket or a later one.
    ///
    /// Rows of a series are taken in their order. A row that repeats the last sample of its series bit for bit counts
    /// as stored.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] and [`Error::Overloaded`]; then no row was taken.
    pub fn append(&self, rows: &[Row<'_>], now: Timestamp) -> Result<Appended, Error> {
        self.wal.check_open()?;
        let latest = now.millis().saturating_add(millis(self.options.ahead_max));
        self.head.guard.set_now(now);
        SCRATCH.with_borrow_mut(|scratch| {
            let mut ticket = self.append_rows(rows, latest, scratch);
            if !scratch.verdicts.odd.is_empty() || !scratch.verdicts.over.is_empty() {
                ticket = ticket.max(self.append_again(rows, latest, now, scratch));
            }
            let verdicts = &mut scratch.verdicts;
            if verdicts.repeated {
                // What a row repeats may itself still wait for its commit.
                ticket = ticket.max(self.wal.last_seq());
            }
            verdicts.rejected.sort_unstable_by_key(|rejected| rejected.row);
            let appended = Appended {
                stored: verdicts.stored,
                new_series: verdicts.new_series,
                overflowed: verdicts.overflowed,
                merged: verdicts.merged,
                rejected: std::mem::take(&mut verdicts.rejected),
                ticket,
            };
            self.count(&appended);
            Ok(appended)
        })
    }

    /// Appends rows whose label bytes are in the usual spelling and whose series are known or have room; others are
    /// left in `odd` and `over`. The ticket.
    pub(crate) fn append_rows(&self, rows: &[Row<'_>], latest: i64, scratch: &mut Scratch) -> u64 {
        let Scratch { groups, verdicts, definitions, samples } = scratch;
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
            verdicts.undefined.clear();
            let mut lane = self.head.lane(number);
            let mut segment = self.wal.segment();
            lane.append(&self.head, &self.options, &Group { rows, members, latest, segment }, verdicts);
            if verdicts.accepted.is_empty() {
                continue;
            }
            samples.clear();
            encode_samples(samples, number, &verdicts.accepted);
            let last_at = verdicts.accepted.iter().map(|accepted| accepted.at).max().unwrap_or(i64::MIN);
            ticket = loop {
                definitions.clear();
                let mut records = [(DEFINITIONS, &[][..]), (SAMPLES, samples.as_slice())];
                if !verdicts.undefined.is_empty() {
                    let slots = verdicts.undefined.iter();
                    let series = slots.map(|&slot| (slot, lane.series(slot).labels.as_bytes()));
                    encode_definitions(definitions, number, series);
                }
                records[0].1 = definitions;
                let skip = usize::from(definitions.is_empty());
                match self.wal.put(segment, &records[skip..], last_at) {
                    Ok(seq) => break seq,
                    Err(OtherSegment(other)) => {
                        segment = other;
                        lane.undefined(segment, &verdicts.accepted, &mut verdicts.undefined);
                    }
                }
            };
        }
        ticket
    }

    fn count(&self, appended: &Appended) {
        stats::add(&self.counters.samples, appended.stored);
        stats::add(&self.counters.series, appended.new_series);
        for rejected in &appended.rejected {
            stats::add(&self.counters.rejected[rejected.reason as usize], 1);
        }
    }
}
