//! How unlikely a surprise is, by the tail of earlier ones.
//!
//! Surprises above their own 98th percentile follow a generalised Pareto distribution (Pickands 1975, Balkema and de Haan
//! 1974). Its shape and scale are fitted by probability-weighted moments (Hosking and Wallis, Technometrics 29, 1987), which
//! need no iteration.

/// Surprises of which the percentile is taken.
const FIRST: usize = 400;
/// Which part of them is not tail.
const QUANTILE: f64 = 0.98;
/// Excesses that are kept.
const EXCESSES: usize = 200;
/// Excesses of which a shape can be told.
const FIT_MIN: usize = 10;

#[derive(Clone, Debug)]
pub(super) struct Tail {
    /// The first surprises, until the threshold is known.
    first: Vec<f64>,
    threshold: Option<f64>,
    excesses: Vec<f64>,
    next: usize,
    seen: u64,
    beyond: u64,
    shape: f64,
    scale: f64,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self {
            first: Vec::new(),
            threshold: None,
            excesses: Vec::new(),
            next: 0,
            seen: 0,
            beyond: 0,
            shape: 0.0,
            scale: 1.0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        (self.first.capacity() + self.excesses.capacity()) * size_of::<f64>()
    }

    /// Learns a surprise. Once `learning` is over, or there are enough of them, the first ones set the threshold.
    pub(super) fn push(&mut self, score: f64, learning: bool) {
        self.seen += 1;
        match self.threshold {
            Some(threshold) if score > threshold => self.exceed(score - threshold),
            Some(_) => {}
            None => {
                self.first.push(score);
                if self.first.len() >= FIRST || (!learning && self.first.len() >= FIT_MIN) {
                    self.begin();
                }
            }
        }
    }

    fn begin(&mut self) {
        let mut first = std::mem::take(&mut self.first);
        first.sort_unstable_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hundred"
        )]
        let place = ((first.len() - 1) as f64 * QUANTILE) as usize;
        let threshold = first[place];
        self.threshold = Some(threshold);
        for score in first.into_iter().filter(|score| *score > threshold) {
            self.exceed(score - threshold);
        }
    }

    fn exceed(&mut self, excess: f64) {
        if !excess.is_finite() {
            return;
        }
        self.beyond += 1;
        if self.excesses.len() < EXCESSES {
            self.excesses.push(excess);
        } else {
            self.excesses[self.next] = excess;
            self.next = (self.next + 1) % EXCESSES;
        }
        (self.shape, self.scale) = fit(&self.excesses);
    }

    /// How likely a surprise is at least so great. Before anything is known, as of a normal distribution.
    pub(super) fn p(&self, score: f64) -> f64 {
        let Some(threshold) = self.threshold else { return crate::normal::two_sided(score) };
        if score <= threshold {
            return 1.0;
        }
        let beyond = self.share();
        let x = (score - threshold) / self.scale;
        let p = if self.shape.abs() < 1e-9 {
            (-x).exp()
        } else {
            (1.0 + self.shape * x).max(0.0).powf(-1.0 / self.shape)
        };
        (beyond * p).clamp(0.0, 1.0)
    }

    /// Which surprise has a probability.
    pub(super) fn score_of(&self, q: f64) -> Option<f64> {
        let threshold = self.threshold?;
        let ratio = q / self.share();
        if ratio >= 1.0 {
            return Some(threshold);
        }
        Some(if self.shape.abs() < 1e-9 {
            threshold - self.scale * ratio.ln()
        } else {
            threshold + self.scale / self.shape * (ratio.powf(-self.shape) - 1.0)
        })
    }

    fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = self.beyond.max(1) as f64 / self.seen.max(1) as f64;
        share
    }
}

/// Shape and scale of excesses. The shape is kept where a mean exists and tails are no shorter than those of an even
/// distribution; of few, it is taken to be exponential.
fn fit(excesses: &[f64]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let n = excesses.len() as f64;
    let mean = excesses.iter().sum::<f64>() / n;
    if excesses.len() < FIT_MIN {
        return (0.0, mean.max(f64::MIN_POSITIVE));
    }
    let mut sorted = excesses.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    // E[X (1 − F(X))], by plotting positions.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let weighted = sorted.iter().enumerate().map(|(i, x)| x * (1.0 - (i as f64 + 0.65) / n)).sum::<f64>() / n;
    let spread = mean - 2.0 * weighted;
    if spread <= 0.0 {
        return (0.0, mean.max(f64::MIN_POSITIVE));
    }
    let shape = (2.0 - mean / spread).clamp(0.0, 0.9);
    let scale = if shape > 0.0 { mean * (1.0 - shape) } else { mean };
    (shape, scale.max(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of a generalised Pareto distribution, evenly spread.
    fn pareto(shape: f64, n: u32) -> Vec<f64> {
        let at = |i: u32| 1.0 - (f64::from(i) + 0.5) / f64::from(n);
        (0..n).map(|i| if shape == 0.0 { -at(i).ln() } else { (at(i).powf(-shape) - 1.0) / shape }).collect()
    }

    #[test]
    fn a_fit_finds_shape_and_scale() {
        for shape in [0.0, 0.2, 0.4] {
            let (found, scale) = fit(&pareto(shape, 200));
            assert!((found - shape).abs() < 0.08 && (scale - 1.0).abs() < 0.1, "{shape}: {found} {scale}");
        }
    }

    #[test]
    fn a_probability_and_its_surprise_are_each_others() {
        let mut tail = Tail::new();
        for (i, score) in pareto(0.1, 997).into_iter().cycle().step_by(617).take(2_000).enumerate() {
            tail.push(score, i < 400);
        }
        for q in [1e-2, 1e-3, 1e-4] {
            let z = tail.score_of(q).unwrap();
            assert!((tail.p(z) / q - 1.0).abs() < 1e-6, "{q}");
        }
        assert!(tail.p(1e9) < 1e-6 && tail.p(0.0) == 1.0);
    }
}
