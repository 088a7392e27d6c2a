//! Windows of a series as columns: what a reader wants of them, and nothing else.
//!
//! Most questions about windows are about one thing they keep: their means need sums and counts, their rates need
//! three numbers, percentiles the sketches. So a reader names the [`Parts`] it wants, and gets [`Rollups`] with a column
//! for each; the others stay empty. Where windows lie, how many samples they have and when is always there.

use std::ops::{BitOr, Range};

use crate::{Rollup, Sketch, Sketches};

/// A number that a window keeps of its samples; see the field of [`Rollup`] of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The sum of the values.
    Sum,
    /// The sum of their squared deviations from their mean.
    M2,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
    /// The first of them.
    First,
    /// The last of them.
    Last,
    /// By how much a counter grew.
    Increase,
}

impl Moment {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Sum, Self::M2, Self::Min, Self::Max, Self::First, Self::Last, Self::Increase];
}

/// What is wanted of windows, beside where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    /// Nothing else.
    pub const NONE: Self = Self(0);
    /// The sums.
    pub const SUM: Self = Self::of(Moment::Sum);
    /// The squared deviations.
    pub const M2: Self = Self::of(Moment::M2);
    /// The least values.
    pub const MIN: Self = Self::of(Moment::Min);
    /// The greatest values.
    pub const MAX: Self = Self::of(Moment::Max);
    /// The first values.
    pub const FIRST: Self = Self::of(Moment::First);
    /// The last values.
    pub const LAST: Self = Self::of(Moment::Last);
    /// The growths of counters.
    pub const INCREASE: Self = Self::of(Moment::Increase);
    /// The sketches.
    pub const SKETCH: Self = Self(1 << Moment::ALL.len());
    /// Every number.
    pub const MOMENTS: Self = Self(Self::SKETCH.0 - 1);
    /// Every number, and the sketches.
    pub const ALL: Self = Self(Self::MOMENTS.0 | Self::SKETCH.0);

    /// One number.
    pub const fn of(moment: Moment) -> Self {
        Self(1 << moment as u8)
    }

    /// Whether all of `parts` are among these.
    pub const fn has(self, parts: Self) -> bool {
        self.0 & parts.0 == parts.0
    }

    /// Whether one of `parts` is among these.
    pub const fn has_any(self, parts: Self) -> bool {
        self.0 & parts.0 != 0
    }

    /// The numbers among these.
    pub fn moments(self) -> impl Iterator<Item = Moment> {
        Moment::ALL.into_iter().filter(move |moment| self.has(Self::of(*moment)))
    }
}

impl BitOr for Parts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Windows of one series, ascending. To be used again and again: what is cleared keeps its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollups {
    /// Where each window starts, in milliseconds since the epoch.
    pub starts: Vec<i64>,
    /// How many samples it has, at least one.
    pub counts: Vec<u32>,
    /// How long after the start the first of them is, in milliseconds.
    pub first_after: Vec<u32>,
    /// How long after the start the last of them is, in milliseconds.
    pub last_after: Vec<u32>,
    /// Which of the windows end with the end of the series, ascending.
    pub ended: Vec<u32>,
    /// The numbers by [`Moment`]; empty for those that were not wanted.
    moments: [Vec<f64>; Moment::ALL.len()],
    /// One a window, or none if they were not wanted.
    pub sketches: Sketches,
}

impl Rollups {
    /// How many windows there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Forgets all windows.
    pub fn clear(&mut self) {
        let Self { starts, counts, first_after, last_after, ended, moments, sketches } = self;
        starts.clear();
        [counts, first_after, last_after, ended].into_iter().for_each(Vec::clear);
        moments.iter_mut().for_each(Vec::clear);
        sketches.clear();
    }

    /// One number of each window; empty if it was not wanted.
    #[inline]
    pub fn column(&self, moment: Moment) -> &[f64] {
        &self.moments[moment as usize]
    }

    /// The same, to be added to.
    pub fn column_mut(&mut self, moment: Moment) -> &mut Vec<f64> {
        &mut self.moments[moment as usize]
    }

    /// When the first sample of a window is.
    #[inline]
    pub fn first_at(&self, window: usize) -> i64 {
        self.starts[window].saturating_add(i64::from(self.first_after[window]))
    }

    /// When the last sample of a window is.
    #[inline]
    pub fn last_at(&self, window: usize) -> i64 {
        self.starts[window].saturating_add(i64::from(self.last_after[window]))
    }

    /// Whether the last thing in a window is the end of the series.
    #[inline]
    pub fn has_ended(&self, window: usize) -> bool {
        !self.ended.is_empty() && self.ended.binary_search_by(|at| (*at as usize).cmp(&window)).is_ok()
    }

    /// Adds the parts of a window that is later than all there are.
    pub fn push(&mut self, window: &Rollup, parts: Parts) {
        let after = |at: i64| u32::try_from(at.saturating_sub(window.start)).unwrap_or(u32::MAX);
        if window.ended {
            self.ended.push(u32::try_from(self.len()).unwrap_or(u32::MAX));
        }
        self.starts.push(window.start);
        self.counts.push(u32::try_from(window.count).unwrap_or(u32::MAX));
        self.first_after.push(after(window.first_at));
        self.last_after.push(after(window.last_at));
        for moment in parts.moments() {
            self.column_mut(moment).push(window.moment(moment));
        }
        if parts.has(Parts::SKETCH) {
            match &window.sketch {
                Some(sketch) => self.sketches.push(sketch),
                None => self.sketches.push(&Sketch::new()),
            }
        }
    }

    /// A window by itself, without its sketch: not a number for what was not wanted.
    pub fn moments(&self, window: usize) -> Rollup {
        let of = |moment: Moment| self.column(moment).get(window).copied().unwrap_or(f64::NAN);
        Rollup {
            start: self.starts[window],
            first_at: self.first_at(window),
            last_at: self.last_at(window),
            count: u64::from(self.counts[window]),
            sum: of(Moment::Sum),
            m2: of(Moment::M2),
            min: of(Moment::Min),
            max: of(Moment::Max),
            first: of(Moment::First),
            last: of(Moment::Last),
            increase: of(Moment::Increase),
            ended: self.has_ended(window),
            sketch: None,
        }
    }

    /// A window by itself: not a number for what was not wanted, and no sketch.
    pub fn rollup(&self, window: usize) -> Rollup {
        let moments = self.moments(window);
        let sketch = (window < self.sketches.len())
            .then(|| self.sketches.sketch(window, [moments.sum, moments.min, moments.max]));
        Rollup { sketch: sketch.map(Box::new), ..moments }
    }

    /// Some windows, each by itself.
    pub fn list(&self, range: Range<usize>) -> impl Iterator<Item = Rollup> {
        range.map(|window| self.rollup(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: i64, ended: bool) -> Rollup {
        let mut sketch = Sketch::new();
        let mut window = Rollup { ended, ..Rollup::of(start, start + 5, 2.0) };
        sketch.add(2.0);
        sketch.add(-3.5);
        window.push(start + 7, -3.5);
        window.ended = ended;
        Rollup { sketch: Some(Box::new(sketch)), ..window }
    }

    #[test]
    fn windows_come_back() {
        let all = [window(0, false), window(10, true), window(20, false)];
        let mut rollups = Rollups::default();
        all.iter().for_each(|window| rollups.push(window, Parts::ALL));
        assert_eq!(rollups.list(0..3).collect::<Vec<_>>(), all);
        rollups.clear();
        assert_eq!(rollups, Rollups::default());
    }

    #[test]
    fn only_what_is_wanted_is_kept() {
        let mut rollups = Rollups::default();
        rollups.push(&window(10, true), Parts::SUM | Parts::LAST);
        assert_eq!((rollups.column(Moment::Sum), rollups.column(Moment::Last)), (&[-1.5][..], &[-3.5][..]));
        assert!(rollups.column(Moment::Min).is_empty() && rollups.sketches.is_empty());
        let one = rollups.rollup(0);
        assert_eq!((one.first_at, one.last_at, one.count, one.ended), (15, 17, 2, true));
        assert!(one.min.is_nan() && one.sketch.is_none());
    }

    #[test]
    fn parts_are_sets() {
        assert!(Parts::ALL.has(Parts::MOMENTS | Parts::SKETCH));
        assert!(!Parts::MOMENTS.has_any(Parts::SKETCH));
        assert_eq!((Parts::MIN | Parts::SUM).moments().collect::<Vec<_>>(), [Moment::Sum, Moment::Min]);
        assert_eq!(Parts::NONE | Parts::of(Moment::M2), Parts::M2);
    }
}
