//! The slices of one series.

use std::collections::VecDeque;

use super::pace::SLICES;

/// Something counted from the start, of which differences are taken and added up.
pub(crate) trait Cumulative: Default {
    /// What came since an earlier reading; all of it if it was begun anew.
    fn since(&self, earlier: &Self) -> Self;
    /// Adds another difference.
    fn add(&mut self, other: &Self);
    /// Whether there is nothing.
    fn is_nothing(&self) -> bool;
}

impl Cumulative for f64 {
    fn since(&self, earlier: &Self) -> Self {
        if self < earlier { *self } else { self - earlier }
    }

    fn add(&mut self, other: &Self) {
        *self += other;
    }

    fn is_nothing(&self) -> bool {
        *self == 0.0
    }
}

/// The last reading, and the differences by slice: only slices in which something came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring<T> {
    last: T,
    slices: VecDeque<(i64, T)>,
}

impl<T: Cumulative> Ring<T> {
    /// A ring for which everything up to a reading is over.
    pub(crate) fn after(last: T) -> Self {
        Self { last, slices: VecDeque::new() }
    }

    /// Puts what came since the last reading into a slice, which is that of the last time or a later one.
    pub(crate) fn take(&mut self, slice: i64, reading: T) {
        self.forget(slice);
        let new = reading.since(&self.last);
        self.last = reading;
        if new.is_nothing() {
            return;
        }
        match self.slices.back_mut() {
            Some((number, sum)) if *number == slice => sum.add(&new),
            _ => self.slices.push_back((slice, new)),
        }
    }

    /// Lets go of slices that are no longer part of the window when `slice` is the one being filled.
    pub(crate) fn forget(&mut self, slice: i64) {
        let first = slice - i64::from(SLICES) + 1;
        let old = self.slices.partition_point(|(number, _)| *number < first);
        self.slices.drain(..old);
    }

    /// Lets go of all slices.
    pub(crate) fn empty(&mut self) {
        self.slices.clear();
    }

    /// Adds all slices to a sum.
    pub(crate) fn add_to(&self, sum: &mut T) {
        self.slices.iter().for_each(|(_, slice)| sum.add(slice));
    }

    /// The sizes of the last reading and of all slices together.
    pub(crate) fn size(&self, of: impl Fn(&T) -> usize) -> usize {
        of(&self.last) + self.slices.iter().map(|(_, slice)| of(slice)).sum::<usize>()
    }

    /// Whether the window is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_leave_after_thirty() {
        let mut ring = Ring::after(100.0);
        let mut check = |slice, reading, sum| {
            ring.take(slice, reading);
            let mut all = 0.0;
            ring.add_to(&mut all);
            assert_eq!(all, sum, "slice {slice}");
            assert!(ring.slices.len() <= 30);
        };
        check(0, 105.0, 5.0);
        check(0, 106.0, 6.0);
        check(7, 107.0, 7.0);
        check(29, 107.0, 7.0);
        check(30, 108.0, 2.0);
        // Begun anew.
        check(31, 4.0, 6.0);
        check(1_000_000, 4.0, 0.0);
    }
}
