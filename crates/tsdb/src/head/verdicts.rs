//! The rows of a call on their way to a lane, and what the lanes say of them.

use crate::{Rejected, Row, again::Over};

/// The rows of a call that belong to one lane.
pub(crate) struct Group<'a, 'r> {
    pub(crate) rows: &'a [Row<'r>],
    /// Hash and index of each row of the group, in order.
    pub(crate) members: &'a [(u64, u32)],
    /// The latest time a sample may have.
    pub(crate) latest: i64,
    /// No sample may be older: no tier would keep it.
    pub(crate) oldest: i64,
    /// How much older than the last of its series a sample may be, in milliseconds; 0 where none may be.
    pub(crate) window: i64,
    /// Bytes of late samples in the lane, beyond which no more are taken.
    pub(crate) late_bytes_max: usize,
    /// The log segment that will hold the samples.
    pub(crate) segment: u32,
}

/// What the lanes said of the rows of a call; kept by the caller from call to call.
#[derive(Default)]
pub(crate) struct Verdicts {
    /// Rows of one lane that the log has to hold, with the slots of their series.
    pub(crate) accepted: Vec<Accepted>,
    /// So have these, which came late.
    pub(crate) late: Vec<Accepted>,
    /// Slots of one lane whose labels the segment does not know yet.
    pub(crate) undefined: Vec<u32>,
    /// Slots that the rows of one lane probably belong to.
    pub(super) guesses: Vec<u32>,
    pub(crate) stored: usize,
    /// How many of these came late.
    pub(crate) stored_late: usize,
    pub(crate) new_series: usize,
    pub(crate) rejected: Vec<Rejected>,
    /// Rows whose label bytes are in an unusual spelling, or remembered as another series.
    pub(crate) odd: Vec<u32>,
    /// Rows of series that were not admitted as they are.
    pub(crate) over: Vec<Over>,
    /// Rows that went to overflow series, and those of them that were not stored.
    pub(crate) overflowed: usize,
    pub(crate) merged: usize,
    /// Whether a row repeated what is stored, perhaps not durably yet.
    pub(crate) repeated: bool,
}

/// A sample that was put into the head.
#[derive(Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) slot: u32,
    pub(crate) at: i64,
    pub(crate) value: f64,
}

impl Verdicts {
    /// Forgets what was said, not the memory it took.
    pub(crate) fn reset(&mut self) {
        let Self { mut accepted, mut late, mut undefined, mut guesses, mut odd, mut over, .. } =
            std::mem::take(self);
        accepted.clear();
        late.clear();
        undefined.clear();
        guesses.clear();
        odd.clear();
        over.clear();
        *self = Self { accepted, late, undefined, guesses, odd, over, ..Self::default() };
    }

    /// Lets go of lists that take more than `bytes_max`.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        for list in [&mut self.accepted, &mut self.late] {
            if list.capacity() * size_of::<Accepted>() > bytes_max {
                *list = Vec::new();
            }
        }
        for list in [&mut self.undefined, &mut self.guesses, &mut self.odd] {
            if list.capacity() * size_of::<u32>() > bytes_max {
                *list = Vec::new();
            }
        }
        if self.over.capacity() * size_of::<Over>() > bytes_max {
            self.over = Vec::new();
        }
    }
}
