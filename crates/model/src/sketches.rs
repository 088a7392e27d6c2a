//! The sketches of many windows in three pieces of memory.

use std::ops::Range;

use crate::{BUCKETS_MAX, SCALE, Sketch, index_of};

/// Sketches of windows, one after the other. The buckets of a window: those of its negative values, ascending by
/// magnitude, then those of its positive ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketches {
    /// For each window.
    pub shapes: Vec<SketchShape>,
    /// For each bucket, which one it is.
    pub indices: Vec<i32>,
    /// For each bucket, how many values are in it.
    pub counts: Vec<u32>,
}

/// What a sketch has besides its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchShape {
    /// The scale of its buckets; see [`Sketch::scale`].
    pub scale: i32,
    /// How many values are zero.
    pub zeros: u32,
    /// How many of the buckets are of negative values.
    pub negatives: u32,
    /// Where its buckets end among those of all windows.
    pub end: usize,
}

impl SketchShape {
    /// Whether all values are positive and the scale is that of recording.
    pub fn is_plain(&self) -> bool {
        self.scale == SCALE && self.zeros == 0 && self.negatives == 0
    }
}

/// The buckets of one sign: their indices and counts.
pub type SketchBuckets<'a> = (&'a [i32], &'a [u32]);

/// The lowest scale a sketch goes to.
const SCALE_MIN: i32 = -10;

impl Sketches {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.shapes.clear();
        self.indices.clear();
        self.counts.clear();
    }

    /// Bytes they take in memory.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.shapes) + size_of_val(&*self.indices) + size_of_val(&*self.counts)
    }

    /// Where the buckets of a window begin.
    #[inline]
    pub fn start(&self, window: usize) -> usize {
        window.checked_sub(1).map_or(0, |before| self.shapes[before].end)
    }

    /// The buckets of a window: of its negative values, then of its positive ones.
    #[inline]
    pub fn buckets(&self, window: usize) -> [SketchBuckets<'_>; 2] {
        let (start, shape) = (self.start(window), self.shapes[window]);
        let middle = start + shape.negatives as usize;
        [start..middle, middle..shape.end].map(|part| (&self.indices[part.clone()], &self.counts[part]))
    }

    /// Adds a sketch.
    pub fn push(&mut self, sketch: &Sketch) {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        for (index, count) in sketch.negative().iter().chain(sketch.positive()) {
            self.indices.push(*index);
            self.counts.push(narrow(*count));
        }
        self.shapes.push(SketchShape {
            scale: sketch.scale(),
            zeros: narrow(sketch.zeros()),
            negatives: narrow(sketch.negative().len() as u64),
            end: self.indices.len(),
        });
    }

    /// Adds the sketch of one finite value so many times.
    pub fn push_constant(&mut self, value: f64, count: u32) {
        if value != 0.0 {
            self.indices.push(index_of(value.abs()));
            self.counts.push(count);
        }
        self.shapes.push(SketchShape {
            scale: SCALE,
            zeros: if value == 0.0 { count } else { 0 },
            negatives: u32::from(value < 0.0),
            end: self.indices.len(),
        });
    }

    /// Adds those of some windows of another.
    pub fn append(&mut self, other: &Self, windows: Range<usize>) {
        let Some(last) = windows.end.checked_sub(1).filter(|last| windows.start <= *last) else { return };
        let (start, end) = (other.start(windows.start), other.shapes[last].end);
        let here = self.indices.len();
        self.indices.extend_from_slice(&other.indices[start..end]);
        self.counts.extend_from_slice(&other.counts[start..end]);
        let moved = |shape: &SketchShape| SketchShape { end: shape.end - start + here, ..*shape };
        self.shapes.extend(other.shapes[windows].iter().map(moved));
    }

    /// The sketch of a window, of which sum, least and greatest value are given.
    ///
    /// # Panics
    /// If what was added is no sketch.
    pub fn sketch(&self, window: usize, moments: [f64; 3]) -> Sketch {
        let [negative, positive] = self.buckets(window).map(|(indices, counts)| {
            indices.iter().copied().zip(counts.iter().map(|&count| u64::from(count))).collect()
        });
        let SketchShape { scale, zeros, .. } = self.shapes[window];
        Sketch::from_parts(scale, u64::from(zeros), positive, negative, moments)
            .expect("what is in memory was checked")
    }

    /// Whether a sketch can have these buckets of one sign, which are ascending, at a scale.
    pub fn is_sound(scale: i32, indices: &[i32]) -> bool {
        if !(SCALE_MIN..=SCALE).contains(&scale) || indices.len() > BUCKETS_MAX {
            return false;
        }
        let steps = SCALE - scale;
        let range = index_of(f64::from_bits(1)) >> steps..=index_of(f64::MAX) >> steps;
        [indices.first(), indices.last()].into_iter().flatten().all(|index| range.contains(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sketches_come_back() {
        let of = |values: &[f64]| {
            let mut sketch = Sketch::new();
            values.iter().for_each(|value| sketch.add(*value));
            sketch
        };
        let all = [of(&[]), of(&[0.0, -1.0, 3.0]), of(&[7.5, 7.5]), of(&[-1e300, 1e-300])];
        let mut sketches = Sketches::default();
        all.iter().for_each(|sketch| sketches.push(sketch));
        sketches.push_constant(7.5, 2);
        let mut copy = Sketches::default();
        copy.append(&sketches, 2..2);
        copy.append(&sketches, 0..1);
        copy.append(&sketches, 1..5);
        assert_eq!(copy, sketches);
        let moments = |sketch: &Sketch| {
            [sketch.sum(), sketch.min().unwrap_or(f64::INFINITY), sketch.max().unwrap_or(f64::NEG_INFINITY)]
        };
        for (window, sketch) in all.iter().chain([&all[2]]).enumerate() {
            assert_eq!(copy.sketch(window, moments(sketch)), *sketch);
        }
    }
}
