//! Shares compared: how many of how many failed before, and now.

use crate::normal::two_sided_bound;

use super::{Effect, Looks, Settings, decide};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// How many there were of what is counted.
    pub of_these: f64,
    /// How many there were in all.
    pub all: f64,
}

impl Share {
    /// The share.
    pub fn value(self) -> f64 {
        self.of_these / self.all
    }
}

/// The interval of a share (Wilson 1927) that reaches `z` deviations, which is between 0 and 1 also for few.
pub fn wilson(share: Share, z: f64) -> (f64, f64) {
    let (n, p, square) = (share.all, share.value(), z * z);
    let middle = p + square / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    let part = 1.0 + square / n;
    (((middle - reach) / part).max(0.0), ((middle + reach) / part).min(1.0))
}

/// The interval of the difference of two shares, second less first, made of Wilson's (Newcombe 1998, method 10).
pub fn newcombe(first: Share, second: Share, z: f64) -> (f64, f64) {
    let (a, b) = (wilson(first, z), wilson(second, z));
    let (p, q) = (first.value(), second.value());
    let apart = |x: f64, y: f64| (x * x + y * y).sqrt();
    (q - p - apart(q - b.0, a.1 - p), q - p + apart(b.1 - q, p - a.0))
}

/// Compares the second share with the first. `None` where one is of fewer than [`SAMPLES_MIN`](super::SAMPLES_MIN), or is no
/// share. The bound of the settings is the difference that does not matter.
pub fn compare_shares(first: Share, second: Share, settings: &Settings) -> Option<Effect> {
    let is_share = |share: &Share| {
        share.all.is_finite() && share.of_these >= 0.0 && share.of_these <= share.all && share.all < 1e15
    };
    let enough = |share: &Share| share.all >= super::SAMPLES_MIN as f64;
    if ![first, second].iter().all(|share| is_share(share) && enough(share)) {
        return None;
    }
    // With one more of each, so that what never happened is not certain not to happen.
    let spread = |share: Share| {
        let p = (share.of_these + 1.0) / (share.all + 2.0);
        p * (1.0 - p) / share.all
    };
    let variance = spread(first) + spread(second);
    let z = match settings.looks {
        Looks::Once => two_sided_bound(settings.alpha),
        Looks::Always => Looks::Always.reach(variance, settings) / variance.sqrt(),
    };
    let bounds = newcombe(first, second, z);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, below 1e15")]
    let samples = (first.all as usize, second.all as usize);
    let change = second.value() - first.value();
    let found = Effect::new(change, variance, None, samples, (first.all, second.all), settings);
    let verdict = decide(bounds, settings);
    Some(Effect {
        bounds,
        verdict,
        needed: found.needed.filter(|_| verdict == super::Verdict::Inconclusive),
        ..found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        comparison::{Better, Verdict},
        normal::NORMAL_95,
        tests::near,
    };

    fn of(of_these: f64, all: f64) -> Share {
        Share { of_these, all }
    }

    #[test]
    fn intervals_are_the_published_ones() {
        // `scipy.stats.binomtest(48, 80).proportion_ci(method="wilson")`.
        let (lower, upper) = wilson(of(48.0, 80.0), NORMAL_95);
        near(lower, 0.490_454_650_051_604, 1e-12);
        near(upper, 0.700_381_724_041_290_7, 1e-12);
        // Newcombe's own examples (Statistics in Medicine 17, 1998, table II, method 10).
        for (first, second, expected) in [
            (of(48.0, 80.0), of(56.0, 70.0), (0.0524, 0.3339)),
            (of(3.0, 10.0), of(9.0, 10.0), (0.1705, 0.8090)),
            (of(2.0, 7.0), of(6.0, 7.0), (0.0582, 0.8062)),
            (of(0.0, 29.0), of(5.0, 56.0), (-0.0381, 0.1926)),
            (of(0.0, 10.0), of(0.0, 10.0), (-0.2775, 0.2775)),
            (of(0.0, 10.0), of(10.0, 10.0), (0.6075, 1.0)),
        ] {
            let (lower, upper) = newcombe(first, second, NORMAL_95);
            near(lower, expected.0, 5.1e-5);
            near(upper, expected.1, 5.1e-5);
        }
    }

    #[test]
    fn shares_have_verdicts() {
        let always = Settings { bound: 0.01, looks: Looks::Always, ..Settings::default() };
        let told =
            |first, second, settings: &Settings| compare_shares(first, second, settings).unwrap().verdict;
        assert_eq!(told(of(10.0, 5_000.0), of(300.0, 5_000.0), &always), Verdict::Regression);
        assert_eq!(told(of(300.0, 5_000.0), of(10.0, 5_000.0), &always), Verdict::Improvement);
        assert_eq!(told(of(500.0, 500_000.0), of(520.0, 500_000.0), &always), Verdict::Equivalent);
        let few = compare_shares(of(0.0, 40.0), of(2.0, 40.0), &always).unwrap();
        assert_eq!(few.verdict, Verdict::Inconclusive);
        assert!(few.needed.unwrap() > 40, "{few:?}");
        let higher = Settings { better: Better::Higher, ..always };
        assert_eq!(told(of(4_900.0, 5_000.0), of(4_000.0, 5_000.0), &higher), Verdict::Regression);
        for odd in [of(1.0, 5.0), of(50.0, 40.0), of(-1.0, 40.0), of(f64::NAN, 40.0), of(0.0, f64::INFINITY)]
        {
            assert_eq!(compare_shares(of(1.0, 40.0), odd, &always), None, "{odd:?}");
        }
    }
}
