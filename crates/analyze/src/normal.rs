//! The normal distribution.

/// The bounds of an interval of 95 % of a normal distribution.
pub(crate) const NORMAL_95: f64 = 1.959_963_984_540_054;

/// How likely a standard normal variable is at least so far from zero.
pub fn two_sided(z: f64) -> f64 {
    complementary_error(z.abs() / std::f64::consts::SQRT_2)
}

/// How far from zero a standard normal variable is at least, with this likelihood: the inverse of [`two_sided`], to about
/// 1e-12. What is no likelihood is taken as the nearest one there is.
pub(crate) fn two_sided_bound(likelihood: f64) -> f64 {
    let (mut near, mut far) = (0.0, 38.0);
    for _ in 0..60 {
        let middle = f64::midpoint(near, far);
        if two_sided(middle) > likelihood { near = middle } else { far = middle }
    }
    f64::midpoint(near, far)
}

/// The complementary error function of what is not negative: its power series near zero, its continued fraction
/// (Abramowitz and Stegun 7.1.5, 7.1.14) farther out. To about 1e-14, relatively.
pub(crate) fn complementary_error(x: f64) -> f64 {
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200_u32 {
            term *= -x * x / f64::from(n);
            let next = term / f64::from(2 * n + 1);
            sum += next;
            if next.abs() < 1e-17 * sum.abs() {
                break;
            }
        }
        return 1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..100_u32).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    scale / fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::near;

    #[test]
    fn bounds_of_the_normal_distribution() {
        // As `scipy.stats.norm.ppf` tells them.
        for (likelihood, expected) in [
            (0.05, NORMAL_95),
            (0.2, 1.281_551_565_544_600_4),
            (0.4, 0.841_621_233_572_914_3),
            (0.01, 2.575_829_303_548_900_4),
            (2e-9, 5.997_807_015_007_686_5),
            (1.0, 0.0),
        ] {
            near(two_sided_bound(likelihood), expected, 1e-9);
        }
    }

    #[test]
    fn the_error_function() {
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_1),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (6.0, 2.151_973_671_249_891e-17),
        ] {
            near(complementary_error(x) / expected, 1.0, 1e-11);
        }
    }
}
