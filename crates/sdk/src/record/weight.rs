//! What a record stands for: values in other units, and more than once.

use barograph_model::{Histogram, HistogramParts, Sketch};

use super::RecordValue;

/// Turns weights into whole numbers that add up to all weights: what one leaves over, the next gets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts(f64);

impl Parts {
    /// The next weight as a whole number.
    pub fn whole(&mut self, weight: f64) -> u64 {
        let sum = self.0 + if weight > 0.0 { weight.min(f64::from(u32::MAX)) } else { 0.0 };
        self.0 = sum.fract();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was brought into range"
        )]
        let whole = sum as u64;
        whole
    }
}

impl RecordValue {
    /// The values as a distribution, each multiplied by `scale` and there so many `times`.
    pub fn sketch(&self, scale: f64, times: u64) -> Sketch {
        let mut all = Sketch::new();
        if times == 0 {
            return all;
        }
        match self {
            Self::Number(value) => add(&mut all, value * scale, times),
            Self::Distribution(sketch) if scale == 1.0 && times == 1 => return sketch.clone(),
            Self::Distribution(sketch) => {
                for (sign, buckets) in [(1.0, sketch.positive()), (-1.0, sketch.negative())] {
                    for (index, count) in buckets {
                        let middle = Sketch::middle_of(*index, sketch.scale());
                        add(&mut all, sign * scale * middle, count.saturating_mul(times));
                    }
                }
                all.add_zeros(sketch.zeros().saturating_mul(times));
            }
        }
        let (sum, min, max) = match self {
            Self::Number(value) => (*value, *value, *value),
            Self::Distribution(sketch) => (
                sketch.sum(),
                sketch.min().unwrap_or(f64::INFINITY),
                sketch.max().unwrap_or(f64::NEG_INFINITY),
            ),
        };
        all.add_moments(sum * scale * times as f64, min * scale, max * scale);
        all
    }
}

/// Adds to the bucket of a value, leaving the moments.
fn add(all: &mut Sketch, value: f64, times: u64) {
    let mut one = Sketch::new();
    one.add(value);
    all.add_zeros(one.zeros() * times);
    for (negative, buckets) in [(false, one.positive()), (true, one.negative())] {
        buckets.iter().for_each(|(index, _)| all.add_bucket(negative, *index, times));
    }
}

/// A sketch as a native histogram, whose indices are one higher.
pub fn native_histogram(sketch: &Sketch) -> Histogram {
    let side =
        |buckets: &[(i32, u64)]| buckets.iter().map(|(index, count)| (index + 1, *count as f64)).collect();
    let parts = HistogramParts {
        schema: i8::try_from(sketch.scale()).unwrap_or(-4).max(-4),
        zero_count: sketch.zeros() as f64,
        count: sketch.count() as f64,
        sum: sketch.sum(),
        positive: side(sketch.positive()),
        negative: side(sketch.negative()),
        ..HistogramParts::default()
    };
    Histogram::new(parts).expect("a sketch has ascending buckets that add up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up() {
        let mut parts = Parts::default();
        let total: u64 = (0..300).map(|_| parts.whole(10.0 / 3.0)).sum();
        assert!((999..=1000).contains(&total), "{total}");
        assert_eq!(Parts::default().whole(f64::NAN), 0);
    }

    #[test]
    fn values_are_scaled_and_counted() {
        let sketch = RecordValue::Number(250.0).sketch(1e-3, 4);
        assert_eq!((sketch.count(), sketch.sum(), sketch.min()), (4, 1.0, Some(0.25)));
        let twice = RecordValue::Distribution(sketch).sketch(2.0, 2);
        assert_eq!((twice.count(), twice.sum(), twice.max()), (8, 4.0, Some(0.5)));
    }
}
