//! Sketches of windows made of their values, and what their buckets are likely to be.

use barograph_model::{BUCKETS_MAX, SCALE, Sketch, SketchShape, Sketches, index_of};

/// Where values are further apart than this many buckets, they are added one by one.
const SPAN_MAX: usize = BUCKETS_MAX;

/// What counting values into buckets needs while it works.
#[derive(Clone, Debug, Default)]
pub(super) struct Counting {
    /// How many values fell into each bucket of a span.
    dense: Vec<u32>,
    /// The buckets of the values of a window by sign, negative ones first.
    of_values: [Vec<i32>; 2],
}

impl Counting {
    /// As [`Self::push_values`], of values that are above zero and never fall: those of a bucket lie side by side, so
    /// only where each ends is looked for.
    pub(super) fn push_rising(&mut self, values: &[f64], sketches: &mut Sketches) {
        let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
            return self.push_values(values, sketches);
        };
        let end = index_of(last);
        if index_of(first).abs_diff(end) as usize >= SPAN_MAX {
            return self.push_values(values, sketches);
        }
        let mut rest = values;
        while let Some(&first) = rest.first() {
            let index = index_of(first);
            let own = match index == end {
                true => rest.len(),
                false => rest.partition_point(|&value| index_of(value) == index),
            };
            sketches.indices.push(index);
            sketches.counts.push(u32::try_from(own).unwrap_or(u32::MAX));
            rest = &rest[own..];
        }
        let end = sketches.indices.len();
        sketches.shapes.push(SketchShape { scale: SCALE, zeros: 0, negatives: 0, end });
    }

    /// Adds the sketch of the values of a window.
    pub(super) fn push_values(&mut self, values: &[f64], sketches: &mut Sketches) {
        let mut zeros = 0;
        self.of_values.iter_mut().for_each(Vec::clear);
        let mut bounds = [(i32::MAX, i32::MIN); 2];
        for &value in values {
            if value == 0.0 {
                zeros += 1;
            } else if value.is_finite() {
                let (sign, index) = (usize::from(value > 0.0), index_of(value.abs()));
                self.of_values[sign].push(index);
                bounds[sign] = (bounds[sign].0.min(index), bounds[sign].1.max(index));
            }
        }
        let span = |(low, high): (i32, i32)| if low > high { 0 } else { high.abs_diff(low) as usize };
        if bounds.into_iter().any(|bounds| span(bounds) >= SPAN_MAX) {
            let mut sketch = Sketch::new();
            values.iter().for_each(|&value| sketch.add(value));
            sketches.push(&sketch);
            return;
        }
        let start = sketches.indices.len();
        let mut negatives = 0;
        for (sign, bounds) in bounds.into_iter().enumerate() {
            let (low, of_values) = (bounds.0, &self.of_values[sign]);
            if !of_values.is_empty() {
                self.dense.clear();
                self.dense.resize(span(bounds) + 1, 0);
                of_values.iter().for_each(|index| self.dense[index.abs_diff(low) as usize] += 1);
                for (index, &count) in (low..).zip(&self.dense).filter(|(_, count)| **count > 0) {
                    sketches.indices.push(index);
                    sketches.counts.push(count);
                }
            }
            if sign == 0 {
                negatives = u32::try_from(sketches.indices.len() - start).expect("a sketch has few buckets");
            }
        }
        sketches.shapes.push(SketchShape { scale: SCALE, zeros, negatives, end: sketches.indices.len() });
    }
}

/// Where the index of the first bucket of each sign is expected, negative ones first: where the value of that sign
/// nearest to zero lies, as far as least and greatest value say.
pub(super) fn expected(scale: i32, min: f64, max: f64) -> [i32; 2] {
    let index = |value: f64| {
        if value > 0.0 && value.is_finite() { index_of(value) >> (SCALE - scale) } else { 0 }
    };
    [index(-max), index(min)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(values: &[f64]) {
        let mut sketch = Sketch::new();
        values.iter().for_each(|value| sketch.add(*value));
        let (mut counting, mut sketches) = (Counting::default(), Sketches::default());
        counting.push_values(&[1.0, 2.0], &mut sketches);
        counting.push_values(values, &mut sketches);
        sketches.push(&sketch);
        let mut rising: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
        rising.retain(|value| value.is_finite());
        rising.sort_by(f64::total_cmp);
        let (mut one, mut other) = (Sketches::default(), Sketches::default());
        counting.push_values(&rising, &mut one);
        counting.push_rising(&rising, &mut other);
        assert_eq!(one, other);
        let moments = [sketch.sum(), sketch.min().unwrap_or(0.0), sketch.max().unwrap_or(0.0)];
        let expected = sketches.sketch(2, moments);
        assert_eq!(sketches.sketch(1, moments), expected, "{values:?}");
        if sketch.count() > 0 {
            assert_eq!(expected, sketch);
        }
    }

    #[test]
    fn odd_values_are_counted_or_left_out() {
        check(&[]);
        check(&[0.0, -0.0, f64::NAN, f64::INFINITY, -3.0, 5e-324, f64::MAX]);
        check(&[0.0]);
        check(&(0..3000).map(|n| 1.01f64.powi(n)).collect::<Vec<_>>());
        let (mut counting, mut constant) = (Counting::default(), Sketches::default());
        for value in [0.0, -2.5, 7.0] {
            constant.push_constant(value, 9);
            let mut other = Sketches::default();
            counting.push_values(&[value; 9], &mut other);
            let window = constant.len() - 1;
            assert_eq!(constant.sketch(window, [1.0; 3]), other.sketch(0, [1.0; 3]));
        }
    }

    proptest! {
        #[test]
        fn are_those_of_the_model(values in prop::collection::vec(-1e3f64..1e3, 0..60)) {
            check(&values);
        }
    }
}
