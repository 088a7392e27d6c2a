//! The sketches of many windows, as columns.

use barograph_model::{BUCKETS_MAX, SCALE, Sketch, index_of};

/// The lowest scale a sketch goes to.
const SCALE_MIN: i32 = -10;

/// Where values are further apart than this many buckets, they are added one by one.
const SPAN_MAX: usize = BUCKETS_MAX;

/// Sketches of windows. The buckets of a window: those of its negative values, ascending by magnitude, then those of
/// its positive ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sketches {
    /// For each window.
    pub(super) shapes: Vec<Shape>,
    /// For each bucket.
    pub(super) indices: Vec<i32>,
    pub(super) counts: Vec<u32>,
    /// Reused: how many values fell into each bucket of a span.
    dense: Vec<u32>,
    /// Reused: the buckets of the values of a window by sign, negative ones first.
    of_values: [Vec<i32>; 2],
}

/// What a sketch has besides its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) scale: i32,
    pub(super) zeros: u32,
    pub(super) negatives: u32,
    /// Where the buckets end.
    pub(super) end: usize,
}

impl Shape {
    /// Whether all values are positive and the scale is that of recording.
    pub(super) fn is_plain(&self) -> bool {
        self.scale == SCALE && self.zeros == 0 && self.negatives == 0
    }
}

impl Sketches {
    pub(super) fn clear(&mut self) {
        self.shapes.clear();
        self.indices.clear();
        self.counts.clear();
    }

    /// Where the buckets of a window begin.
    pub(super) fn start(&self, window: usize) -> usize {
        window.checked_sub(1).map_or(0, |before| self.shapes[before].end)
    }

    /// Adds the sketch of the values of a window.
    pub(super) fn push_values(&mut self, values: &[f64]) {
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
            self.push(&sketch);
            return;
        }
        let start = self.indices.len();
        let mut negatives = 0;
        for (sign, bounds) in bounds.into_iter().enumerate() {
            let (low, of_values) = (bounds.0, &self.of_values[sign]);
            if !of_values.is_empty() {
                self.dense.clear();
                self.dense.resize(span(bounds) + 1, 0);
                of_values.iter().for_each(|index| self.dense[index.abs_diff(low) as usize] += 1);
                for (index, &count) in (low..).zip(&self.dense).filter(|(_, count)| **count > 0) {
                    self.indices.push(index);
                    self.counts.push(count);
                }
            }
            if sign == 0 {
                negatives = narrow(self.indices.len() - start);
            }
        }
        self.shapes.push(Shape { scale: SCALE, zeros, negatives, end: self.indices.len() });
    }

    /// Adds a sketch.
    pub(super) fn push(&mut self, sketch: &Sketch) {
        for (index, count) in sketch.negative().iter().chain(sketch.positive()) {
            self.indices.push(*index);
            self.counts.push(u32::try_from(*count).unwrap_or(u32::MAX));
        }
        self.shapes.push(Shape {
            scale: sketch.scale(),
            zeros: u32::try_from(sketch.zeros()).unwrap_or(u32::MAX),
            negatives: narrow(sketch.negative().len()),
            end: self.indices.len(),
        });
    }

    /// Adds the sketch of one value so many times.
    pub(super) fn push_constant(&mut self, value: f64, count: u32) {
        if value != 0.0 {
            self.indices.push(index_of(value.abs()));
            self.counts.push(count);
        }
        let zeros = if value == 0.0 { count } else { 0 };
        self.shapes.push(Shape {
            scale: SCALE,
            zeros,
            negatives: u32::from(value < 0.0),
            end: self.indices.len(),
        });
    }

    /// Adds a window's sketch of another.
    pub(super) fn push_from(&mut self, other: &Self, window: usize) {
        let (start, shape) = (other.start(window), other.shapes[window]);
        self.indices.extend_from_slice(&other.indices[start..shape.end]);
        self.counts.extend_from_slice(&other.counts[start..shape.end]);
        self.shapes.push(Shape { end: self.indices.len(), ..shape });
    }

    /// The sketch of a window, of which sum, least and greatest value are given.
    pub(super) fn sketch(&self, window: usize, moments: [f64; 3]) -> Sketch {
        let (start, shape) = (self.start(window), self.shapes[window]);
        let buckets = |from: usize, to: usize| {
            let counts = self.counts[from..to].iter().map(|&count| u64::from(count));
            self.indices[from..to].iter().copied().zip(counts).collect()
        };
        let middle = start + shape.negatives as usize;
        Sketch::from_parts(
            shape.scale,
            u64::from(shape.zeros),
            buckets(middle, shape.end),
            buckets(start, middle),
            moments,
        )
        .expect("what is in memory was checked")
    }

    /// Where the index of the first bucket of each sign is expected, negative ones first: where the value of that
    /// sign nearest to zero lies, as far as least and greatest value say.
    pub(super) fn expected(scale: i32, min: f64, max: f64) -> [i32; 2] {
        let index = |value: f64| {
            if value > 0.0 && value.is_finite() { index_of(value) >> (SCALE - scale) } else { 0 }
        };
        [index(-max), index(min)]
    }

    /// Whether a sketch can have these buckets of one sign, which are ascending, at a scale.
    pub(super) fn is_sound(scale: i32, indices: &[i32]) -> bool {
        if !(SCALE_MIN..=SCALE).contains(&scale) || indices.len() > BUCKETS_MAX {
            return false;
        }
        let steps = SCALE - scale;
        let range = index_of(f64::from_bits(1)) >> steps..=index_of(f64::MAX) >> steps;
        [indices.first(), indices.last()].into_iter().flatten().all(|index| range.contains(index))
    }
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("a sketch has few buckets")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(values: &[f64]) {
        let mut sketch = Sketch::new();
        values.iter().for_each(|value| sketch.add(*value));
        let mut sketches = Sketches::default();
        sketches.push_values(&[1.0, 2.0]);
        sketches.push_values(values);
        sketches.push(&sketch);
        let mut copy = Sketches::default();
        copy.push_from(&sketches, 1);
        let moments = [sketch.sum(), sketch.min().unwrap_or(0.0), sketch.max().unwrap_or(0.0)];
        let expected = sketches.sketch(2, moments);
        assert_eq!(sketches.sketch(1, moments), expected, "{values:?}");
        assert_eq!(copy.sketch(0, moments), expected);
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
        let mut constant = Sketches::default();
        for value in [0.0, -2.5, 7.0] {
            constant.push_constant(value, 9);
            let mut other = Sketches::default();
            other.push_values(&[value; 9]);
            let window = constant.shapes.len() - 1;
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
