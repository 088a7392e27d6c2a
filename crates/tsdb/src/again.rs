//! Rows that need a second look: label bytes in an unusual spelling, and new series that are over a limit.
//!
//! Both are appended under another label set than they came with. A series over a limit goes round by round, one more
//! label becoming `__overflow__` each time, until it is one that exists or has room. Several series meet in one overflow
//! series, so what it does not take because of time is no error of any sender: it is counted as merged.

use barograph_model::{Labels, Timestamp, is_stale};

use crate::{
    Reason, Rejected, Row, Store,
    aliases::Meant,
    append::{Bounds, Scratch},
    guard::{Limit, OVERFLOW, Tally},
    head::Verdicts,
    spelling,
};

/// A new series that was not admitted as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// Its row.
    pub(crate) row: u32,
    /// The index of the label that should give way.
    pub(crate) label: usize,
    pub(crate) limit: Limit,
}

/// A row on its way to another label set.
struct Again {
    /// Its index in the call.
    row: usize,
    meant: Meant,
    /// Whether the way is not remembered yet.
    new: bool,
}

impl Store {
    /// Appends the rows that the verdicts left over. The ticket.
    pub(crate) fn append_again(
        &self,
        rows: &[Row<'_>],
        bounds: Bounds,
        now: Timestamp,
        scratch: &mut Scratch,
    ) -> u64 {
        let round = self.head.aliases.round();
        let mut total = std::mem::take(&mut scratch.verdicts);
        let mut counted: Vec<(Tally, bool)> = Vec::new();
        let mut ticket = 0;
        let (odd, over) = (std::mem::take(&mut total.odd), std::mem::take(&mut total.over));
        let mut due = Vec::with_capacity(odd.len() + over.len());
        for row in odd.iter().map(|&row| row as usize) {
            self.resolve(row, rows[row].labels, None, &mut due, &mut total);
        }
        for over in over {
            let row = over.row as usize;
            if let Some(labels) = Labels::from_canonical_bytes(rows[row].labels) {
                due.push(self.give_way(row, &labels, &over, None, now));
            }
        }
        while !due.is_empty() {
            // That one of many series ended does not end the series they share.
            for gone in
                due.extract_if(.., |again| again.meant.tally.is_some() && is_stale(rows[again.row].value))
            {
                counted.extend(gone.meant.tally.map(|tally| (tally, true)));
                total.merged += 1;
            }
            let usual: Vec<_> = due
                .iter()
                .map(|again| Row { labels: again.meant.labels.as_bytes(), ..rows[again.row] })
                .collect();
            ticket = ticket.max(self.append_rows(&usual, bounds, scratch));
            drop(usual);
            due = self.settle(rows, due, now, round, scratch, &mut total, &mut counted);
        }
        if !counted.is_empty() {
            self.head.guard.overflows.count(&counted, now);
        }
        total.overflowed += counted.len();
        scratch.verdicts = total;
        ticket
    }

    /// Adds what came of a round to the total; the rows of the next one.
    #[expect(clippy::too_many_arguments, reason = "the state of one loop")]
    fn settle(
        &self,
        rows: &[Row<'_>],
        due: Vec<Again>,
        now: Timestamp,
        round: u64,
        scratch: &mut Scratch,
        total: &mut Verdicts,
        counted: &mut Vec<(Tally, bool)>,
    ) -> Vec<Again> {
        let verdicts = &mut scratch.verdicts;
        total.stored += verdicts.stored;
        total.stored_late += verdicts.stored_late;
        total.new_series += verdicts.new_series;
        total.repeated |= verdicts.repeated;
        let mut fates = vec![Fate::Stored; due.len()];
        for rejected in verdicts.rejected.drain(..) {
            let late =
                matches!(rejected.reason, Reason::Duplicate | Reason::OutOfOrder | Reason::TooManyLate);
            let shared = due[rejected.row].meant.tally.is_some();
            fates[rejected.row] = if late && shared { Fate::Merged } else { Fate::Rejected(rejected.reason) };
        }
        for row in verdicts.odd.drain(..) {
            fates[row as usize] = Fate::Alias;
        }
        for over in verdicts.over.drain(..) {
            fates[over.row as usize] = Fate::Over(over);
        }
        let mut next = Vec::new();
        for (again, fate) in due.into_iter().zip(fates) {
            match fate {
                Fate::Over(over) => {
                    next.push(self.give_way(again.row, &again.meant.labels, &over, again.meant.tally, now));
                    continue;
                }
                Fate::Alias => {
                    let bytes = again.meant.labels.as_bytes();
                    self.resolve(again.row, bytes, again.meant.tally, &mut next, total);
                    continue;
                }
                Fate::Rejected(reason) => total.rejected.push(Rejected { row: again.row, reason }),
                Fate::Merged => total.merged += 1,
                Fate::Stored => {}
            }
            let taken = !matches!(fate, Fate::Rejected(_));
            counted.extend(again.meant.tally.filter(|_| taken).map(|tally| (tally, fate == Fate::Merged)));
            if again.new {
                self.head.aliases.set(rows[again.row].labels, again.meant, round);
            }
        }
        next
    }

    /// Finds out what label bytes mean that are unusual or remembered.
    fn resolve(
        &self,
        row: usize,
        bytes: &[u8],
        tally: Option<Tally>,
        due: &mut Vec<Again>,
        total: &mut Verdicts,
    ) {
        if let Some(known) = self.head.aliases.find(bytes) {
            let meant = Meant { tally: tally.or(known.tally), ..known };
            due.push(Again { row, meant, new: false });
            return;
        }
        let limits = self.series_limits();
        let size = spelling::check_size(bytes, &limits);
        let parsed = size.and_then(|()| spelling::parse(bytes)).and_then(|labels| {
            spelling::check(&labels, &limits)?;
            Ok(labels)
        });
        match parsed {
            Ok(labels) => due.push(Again { row, meant: Meant { labels, tally }, new: true }),
            Err(reason) => total.rejected.push(Rejected { row, reason }),
        }
    }

    /// The same row with one more label as overflow.
    fn give_way(
        &self,
        row: usize,
        labels: &Labels,
        over: &Over,
        tally: Option<Tally>,
        now: Timestamp,
    ) -> Again {
        let (name, value) = labels.iter().nth(over.label).unwrap_or_default();
        let tally = tally.unwrap_or_else(|| {
            let metric = labels.metric_name().unwrap_or_default();
            self.head.guard.overflows.tally(metric, name, over.limit, value, now)
        });
        Again { row, meant: Meant { labels: labels.with(name, OVERFLOW), tally: Some(tally) }, new: true }
    }
}

/// What became of a row in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stored,
    Merged,
    Rejected(Reason),
    Alias,
    Over(Over),
}
