//! What was left beside a prediction lately, and how much of it is usual.

/// After so many new residuals, what is usual is computed again.
const REFRESH: usize = 8;
/// A median of absolute deviations times this is the standard deviation of a normal distribution.
const NORMAL: f64 = 1.4826;
/// Of the standard deviation, what a scale is at least: where most are the same, the median says nothing.
const DEVIATION_PART: f64 = 0.3;

/// The last residuals.
#[derive(Clone, Debug)]
pub(super) struct Residuals {
    ring: Vec<f64>,
    next: usize,
    capacity: usize,
    fresh: usize,
    scratch: Vec<f64>,
    usual: (f64, f64),
}

impl Residuals {
    pub(super) fn new(capacity: usize) -> Self {
        let usual = (0.0, f64::INFINITY);
        Self { ring: Vec::new(), next: 0, capacity, fresh: 0, scratch: Vec::new(), usual }
    }

    pub(super) fn bytes(&self) -> usize {
        (self.ring.capacity() + self.scratch.capacity()) * size_of::<f64>()
    }

    pub(super) fn push(&mut self, residual: f64) {
        if self.ring.len() < self.capacity {
            self.ring.push(residual);
        } else {
            self.ring[self.next] = residual;
            self.next = (self.next + 1) % self.capacity;
        }
        self.fresh += 1;
        // Few at first: each of them counts.
        if self.fresh >= REFRESH || self.ring.len() < 5 * REFRESH {
            self.fresh = 0;
            self.usual = self.measure();
        }
    }

    /// Their median, and their scale; infinite while there are too few to say.
    pub(super) fn usual(&self) -> (f64, f64) {
        self.usual
    }

    fn measure(&mut self) -> (f64, f64) {
        if self.ring.len() < 10 {
            return (0.0, f64::INFINITY);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.ring);
        let median = median(&mut self.scratch);
        self.scratch.iter_mut().for_each(|value| *value = (*value - median).abs());
        let spread = NORMAL * self::median(&mut self.scratch);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let count = self.ring.len() as f64;
        let mean = self.ring.iter().sum::<f64>() / count;
        let variance = self.ring.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let scale = spread.max(DEVIATION_PART * variance.sqrt());
        let least = f64::EPSILON * (1.0 + median.abs());
        (median, scale.max(least))
    }
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
