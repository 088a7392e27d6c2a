//! The values in a run of windows as counts by bucket: a window is added when the run reaches it and taken away when
//! the run leaves it, so that sliding a run costs the same however long it is.
//!
//! All sketches of a series are counted at the coarsest scale among them, which is the one they are recorded at unless
//! a window spans more than a sketch can hold; the error is that of this scale.

use std::{cmp::Ordering, ops::Range};

use barograph_model::{SCALE, Sketch, SketchBuckets, Sketches};

/// How many buckets are counted together, so that a rank is found in few steps.
const GROUP: usize = 32;

/// Counts of the values of some windows, from the lowest bucket to the highest.
#[derive(Debug)]
pub(crate) struct Distribution<'a> {
    sketches: &'a Sketches,
    /// The coarsest scale among them.
    scale: i32,
    /// The windows that are counted.
    run: Range<usize>,
    counts: Vec<u64>,
    groups: Vec<u64>,
    /// What buckets stand for, where that was asked before.
    values: Vec<Option<f64>>,
    total: u64,
    /// Where zero is counted. Magnitudes grow from there to both sides.
    zero: usize,
    /// The index of the buckets next to zero.
    lowest: i32,
}

impl<'a> Distribution<'a> {
    /// Of no window yet.
    pub(crate) fn new(sketches: &'a Sketches) -> Self {
        let scale = sketches.shapes.iter().map(|shape| shape.scale).fold(SCALE, i32::min);
        let [negative, positive] = bounds(sketches, scale);
        let lowest = negative.into_iter().chain(positive).map(|bounds| bounds.0).min().unwrap_or(0);
        let reach = |bounds: Option<(i32, i32)>| bounds.map_or(0, |bounds| distance(bounds.1, lowest));
        let (zero, above) = (reach(negative), reach(positive));
        let slots = zero + 1 + above;
        let groups = vec![0; slots.div_ceil(GROUP)];
        Self {
            sketches,
            scale,
            run: 0..0,
            counts: vec![0; slots],
            groups,
            values: vec![None; slots],
            total: 0,
            zero,
            lowest,
        }
    }

    /// Moves on to a run of windows, neither end of which is before that of the last one.
    pub(crate) fn slide(&mut self, run: Range<usize>) {
        for window in self.run.start..run.start.min(self.run.end) {
            self.change(window, |count, by| count.wrapping_sub(by));
        }
        for window in self.run.end.max(run.start)..run.end {
            self.change(window, u64::wrapping_add);
        }
        self.run = run;
    }

    fn change(&mut self, window: usize, change: impl Fn(u64, u64) -> u64) {
        let sketches = self.sketches;
        let shape = &sketches.shapes[window];
        let steps = shape.scale - self.scale;
        let (mut group, mut sum, mut total) = (0, 0, 0);
        let mut count = |slot: usize, by: u64| {
            self.counts[slot] = change(self.counts[slot], by);
            // Neighbours mostly lie in one group, which is then changed once.
            if slot / GROUP != group {
                self.groups[group] = change(self.groups[group], sum);
                (group, sum) = (slot / GROUP, 0);
            }
            sum += by;
            total += by;
        };
        let (zero, lowest) = (self.zero, self.lowest);
        let [negative, positive] = sketches.buckets(window);
        for (&index, &by) in negative.0.iter().zip(negative.1) {
            count(zero - distance(index >> steps, lowest), u64::from(by));
        }
        count(zero, u64::from(shape.zeros));
        for (&index, &by) in positive.0.iter().zip(positive.1) {
            count(zero + distance(index >> steps, lowest), u64::from(by));
        }
        self.groups[group] = change(self.groups[group], sum);
        self.total = change(self.total, total);
    }

    /// The quantile of the values, interpolated between neighbouring ranks as Prometheus does, within
    /// [`Distribution::relative_error`] where both neighbours have the same sign. Not a number of nothing.
    pub(crate) fn quantile(&mut self, q: f64) -> f64 {
        if self.total == 0 || q.is_nan() {
            return f64::NAN;
        }
        if !(0.0..=1.0).contains(&q) {
            return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        let rank = q * (self.total - 1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below the count")]
        let below = rank as u64;
        let weight = rank - below as f64;
        let (lower, more) = self.at_rank(below);
        // Mostly both neighbours are in the same bucket.
        if weight == 0.0 || more > 0 {
            return lower;
        }
        let (upper, _) = self.at_rank(below + 1);
        lower * (1.0 - weight) + upper * weight
    }

    /// The most a quantile is off, relative to its value.
    pub(crate) fn relative_error(&self) -> f64 {
        Sketch::error_at(self.scale)
    }

    /// The value of a rank, counted from 0, and of how many ranks that follow it is the value too.
    fn at_rank(&mut self, rank: u64) -> (f64, u64) {
        let mut left = rank;
        let mut passed = |counts: &[u64]| {
            let before = counts.iter().take_while(|&&count| {
                let passes = left >= count;
                left -= if passes { count } else { 0 };
                passes
            });
            before.count()
        };
        let from = passed(&self.groups) * GROUP;
        let slot = from.min(self.counts.len());
        let slot = (slot + passed(&self.counts[slot..])).min(self.counts.len() - 1);
        let value = *self.values[slot].get_or_insert_with(|| {
            let middle = |steps: usize| Sketch::middle_of(place(steps, self.lowest), self.scale);
            match slot.cmp(&self.zero) {
                Ordering::Less => -middle(self.zero - slot),
                Ordering::Equal => 0.0,
                Ordering::Greater => middle(slot - self.zero),
            }
        });
        (value, self.counts[slot].saturating_sub(left + 1))
    }
}

/// The lowest and the highest index of buckets of each sign, at a scale, if there are any.
fn bounds(sketches: &Sketches, scale: i32) -> [Option<(i32, i32)>; 2] {
    let mut bounds = [None, None];
    for (window, shape) in sketches.shapes.iter().enumerate() {
        let steps = shape.scale - scale;
        let widen = |bounds: &mut Option<(i32, i32)>, (indices, _): SketchBuckets<'_>| {
            if let [first, .., last] | [first @ last] = indices {
                let (low, high) = (first >> steps, last >> steps);
                let (lowest, highest) = bounds.unwrap_or((low, high));
                *bounds = Some((lowest.min(low), highest.max(high)));
            }
        };
        let both = sketches.buckets(window);
        bounds.iter_mut().zip(both).for_each(|(bounds, buckets)| widen(bounds, buckets));
    }
    bounds
}

/// The bucket that is so many slots away from zero.
fn place(steps: usize, lowest: i32) -> i32 {
    i32::try_from(steps).map_or(i32::MAX, |steps| lowest + (steps - 1))
}

/// How many slots a bucket is away from zero: one for the lowest.
fn distance(index: i32, lowest: i32) -> usize {
    usize::try_from(i64::from(index) - i64::from(lowest) + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::eval::quantile as exact;

    fn sketches(windows: &[Vec<f64>]) -> Sketches {
        let mut sketches = Sketches::default();
        for values in windows {
            let mut sketch = Sketch::new();
            values.iter().for_each(|value| sketch.add(*value));
            sketches.push(&sketch);
        }
        sketches
    }

    #[test]
    fn of_nothing_is_no_number() {
        let sketches = sketches(&[vec![]]);
        let mut distribution = Distribution::new(&sketches);
        distribution.slide(0..1);
        assert!(distribution.quantile(0.5).is_nan());
        assert!(distribution.quantile(2.0).is_nan());
    }

    #[test]
    fn the_coarsest_scale_is_that_of_all() {
        let wide: Vec<f64> = (-1000..1000).map(|exponent| 2f64.powi(exponent)).collect();
        let sketches = sketches(&[vec![-1.0, 0.0, 1.0], wide]);
        let mut distribution = Distribution::new(&sketches);
        assert!(distribution.relative_error() > 0.011);
        distribution.slide(0..2);
        distribution.slide(1..2);
        assert_eq!(distribution.total, 2000);
        distribution.slide(2..2);
        assert_eq!((distribution.total, distribution.counts.iter().sum::<u64>()), (0, 0));
    }

    proptest! {
        #[test]
        fn runs_are_counted_as_if_anew(
            windows in prop::collection::vec(prop::collection::vec(0.001f64..1e6, 1..30), 1..12),
            length in 1usize..5, q in 0.0f64..=1.0,
        ) {
            let sketches = sketches(&windows);
            let mut distribution = Distribution::new(&sketches);
            for start in (0..windows.len()).step_by(if length % 2 == 0 { 3 } else { 1 }) {
                let run = start..(start + length).min(windows.len());
                let mut values = windows[run.clone()].concat();
                distribution.slide(run);
                let expected = exact(q, &mut values);
                let answer = distribution.quantile(q);
                prop_assert!((answer - expected).abs() <= expected * 0.01090, "{answer} for {expected}");
            }
        }
    }
}
