//! How far a normal variable strays: the factor of a standard error that makes a confidence interval.

/// The z with which a normal variable stays within ±z of its mean with this probability: 1.96 for 0.95.
/// 0 for levels of 0 or less, infinite from 1.
pub(crate) fn z_two_sided(level: f64) -> f64 {
    quantile(0.5 + level.clamp(0.0, 1.0) / 2.0)
}

/// The value below which a standard normal variable stays with probability `p`. Algorithm AS 241, PPND16
/// (Wichura 1988): relative error about 1e-16.
pub(crate) fn quantile(p: f64) -> f64 {
    let central = p - 0.5;
    if central.abs() <= 0.425 {
        let r = 0.180_625 - central * central;
        return central * ratio(r, &CENTRAL);
    }
    let tail = if central < 0.0 { p } else { 1.0 - p };
    if tail <= 0.0 {
        return f64::INFINITY.copysign(central);
    }
    let r = (-tail.ln()).sqrt();
    let far = if r <= 5.0 { ratio(r - 1.6, &MIDDLE) } else { ratio(r - 5.0, &FAR) };
    far.copysign(central)
}

/// The quotient of two polynomials of degree seven, coefficients from the constant term on.
fn ratio(r: f64, [above, below]: &[[f64; 8]; 2]) -> f64 {
    let polynomial = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * r + term);
    polynomial(above) / polynomial(below)
}

const CENTRAL: [[f64; 8]; 2] = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];

const MIDDLE: [[f64; 8]; 2] = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];

const FAR: [[f64; 8]; 2] = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_7e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        let check = |p: f64, expected: f64| {
            let got = quantile(p);
            assert!((got - expected).abs() <= 1e-13 * expected.abs(), "{p}: {got} {expected}");
        };
        check(0.5, 0.0);
        check(0.975, 1.959_963_984_540_054);
        check(0.025, -1.959_963_984_540_054);
        check(0.995, 2.575_829_303_548_900_4);
        check(0.8, 0.841_621_233_572_914_2);
        check(1e-10, -6.361_340_902_404_056);
        check(1e-20, -9.262_340_089_798_408);
        assert_eq!(quantile(1.0), f64::INFINITY);
        assert_eq!(quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(z_two_sided(0.95), quantile(0.975));
        assert_eq!(z_two_sided(-1.0), 0.0);
    }
}
