//! How certain something is for who looks once, and for who looks again and again.

use crate::normal::{two_sided, two_sided_bound};

use super::Settings;

/// How often it is looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looks {
    /// Once, when all samples are there: the interval of a single test.
    #[default]
    Once,
    /// Whenever one likes, while samples come: a confidence sequence, which holds at all looks together.
    ///
    /// It is that of the mixture sequential probability ratio test (Robbins 1970; Johari, Pekelis, Walsh, Always valid
    /// inference, 2017). A change θ is mixed over N(0, τ²) around what is asked about; the ratio of its likelihood to that of no
    /// change is a martingale, so that it is ever above 1/α with a probability of α at most (Ville). With a variance V of the
    /// estimate at a distance d it is
    ///
    /// ```text
    ///   Λ = √(V / (V + τ²)) · exp(τ² d² / (2 V (V + τ²)))
    /// ```
    ///
    /// V is estimated, so that all of this is for samples that are not small. τ is twice the bound: changes of about that are
    /// found soonest, and any τ holds.
    Always,
}

impl Looks {
    /// How far from an estimate with this variance what is true may be.
    pub(crate) fn reach(self, variance: f64, settings: &Settings) -> f64 {
        match self {
            Self::Once => two_sided_bound(settings.alpha) * variance.max(0.0).sqrt(),
            Self::Always if variance <= 0.0 => 0.0,
            Self::Always => {
                let mixed = mixed(settings);
                let both = variance + mixed;
                (variance * both / mixed * (2.0 * (1.0 / settings.alpha).ln() + (both / variance).ln()))
                    .sqrt()
            }
        }
    }

    /// How likely an estimate with this variance is at least so far from what is true, at this look or any before.
    pub(crate) fn p_value(self, distance: f64, variance: f64, settings: &Settings) -> f64 {
        if variance <= 0.0 {
            return f64::from(distance == 0.0);
        }
        match self {
            Self::Once => two_sided(distance / variance.sqrt()),
            Self::Always => {
                let mixed = mixed(settings);
                let both = variance + mixed;
                let exponent = mixed * distance * distance / (2.0 * variance * both);
                (0.5 * (both / variance).ln() - exponent).exp().min(1.0)
            }
        }
    }
}

/// The variance of the changes that are looked for.
fn mixed(settings: &Settings) -> f64 {
    (2.0 * settings.bound).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::near;

    #[test]
    fn a_sequence_reaches_as_far_as_its_p_value_says() {
        let settings = Settings { looks: Looks::Always, ..Settings::default() };
        for variance in [1e-6, 1e-4, 1e-2] {
            let reach = Looks::Always.reach(variance, &settings);
            near(Looks::Always.p_value(reach, variance, &settings), settings.alpha, 1e-9);
            assert!(reach > Looks::Once.reach(variance, &settings), "looking again has its price");
        }
        // By hand: V = 0.0001, tau² = 0.01: sqrt(0.0001 * 0.0101 / 0.01 * (2 ln 20 + ln 101)).
        near(
            Looks::Always.reach(1e-4, &settings),
            (1.01e-4 * (5.991_464_547 + 4.615_120_517_f64)).sqrt(),
            1e-9,
        );
        near(Looks::Once.reach(1e-4, &settings), 0.019_599_639_845, 1e-10);
    }

    /// Equal samples, a hundred looks: that something changed is told in at most one of twenty by the sequence, and in more
    /// than one of four by intervals that are meant for one look.
    #[test]
    fn a_sequence_holds_at_all_looks_together() {
        let misled = |looks: Looks| {
            let settings = Settings { looks, ..Settings::default() };
            let mut random = crate::random::Random::new(5);
            let trial = |_: &i32| {
                let mut sum = 0.0;
                (1..=100).any(|look| {
                    // Ten differences of pairs more, each of a deviation of 0.2.
                    sum += (0..10).map(|_| 0.2 * random.normal()).sum::<f64>();
                    let count = f64::from(10 * look);
                    (sum / count).abs() > looks.reach(0.04 / count, &settings)
                })
            };
            (0..400).filter(trial).count()
        };
        let (always, once) = (misled(Looks::Always), misled(Looks::Once));
        assert!(always <= 20, "{always} of 400");
        assert!(once >= 100, "{once} of 400");
    }
}
