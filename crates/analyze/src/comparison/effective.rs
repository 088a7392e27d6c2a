//! How many independent values a sample is worth whose values hang on those before.

use crate::slices::{centre, product, ranks};

/// So many lags are looked at.
const LAGS_MAX: usize = 1_000;

/// How many independent values these, in order of time, are worth: n / (1 + 2 Σ r(k)), with r(k) the autocorrelation of their
/// ranks, summed up to the first lag at which it is not positive (Geyer 1992), and with what their mean takes away given back
/// (Marriott and Pope 1954). At most as many as there are.
pub fn effective(values: &[f64]) -> f64 {
    let mut ranks = ranks(values);
    centre(&mut ranks);
    let n = ranks.len() as f64;
    let own = product(&ranks, &ranks);
    if own <= 0.0 {
        return n;
    }
    let sum: f64 = (1..ranks.len().min(LAGS_MAX + 1))
        .map(|lag| {
            let r = product(&ranks[..ranks.len() - lag], &ranks[lag..]) / own * n / (n - lag as f64);
            r + (1.0 + 3.0 * r) / n
        })
        .take_while(|r| *r > 0.0)
        .sum();
    n / (1.0 + 2.0 * sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{near, walk};

    #[test]
    fn what_hangs_together_is_worth_less() {
        let mean = |phi: f64| (0..50).map(|seed| effective(&walk(400, phi, seed))).sum::<f64>() / 50.0;
        // (1 - phi) / (1 + phi) of 400.
        near(mean(0.0), 400.0, 40.0);
        near(mean(0.6), 100.0, 20.0);
        near(effective(&[5.0; 40]), 40.0, 0.0);
    }
}
