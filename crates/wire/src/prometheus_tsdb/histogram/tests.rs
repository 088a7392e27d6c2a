//! Chunks as Prometheus 3.5 wrote them, against what its query API said of the same samples.

use barograph_model::CUSTOM_BOUNDS;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Time, count, sum, and index and count of each bucket that is not empty.
type Expected<'a> = (i64, f64, f64, &'a [(i32, f64)]);

fn check(hex: &str, float: bool, schema: i8, bounds: &[f64], expected: &[Expected<'_>]) {
    let data = bytes(hex);
    let found = decode(&data, float).unwrap();
    assert_eq!(found.len(), expected.len());
    for ((at, histogram), (time, count, sum, buckets)) in found.iter().zip(expected) {
        assert_eq!((at.0, histogram.count(), histogram.sum()), (*time, *count, *sum));
        assert_eq!((histogram.positive(), histogram.negative()), (*buckets, &[][..]));
        assert_eq!((histogram.schema(), histogram.bounds()), (schema, bounds));
        assert_eq!(histogram.float, float);
    }
    // Of a chunk that breaks off, an error is all there is, wherever it does.
    for end in 0..data.len() - 1 {
        assert!(decode(&data[..end], float).is_err(), "{end} bytes");
    }
}

const FLOATS: &str = "0001c0749c65dba7f0000d0fe3771f01ff98c49ba5e353f80000000000000001fb31c7c984669a99ff18c49ba5e353f9ff18c49ba5e353f8";

const SIZES: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

#[test]
fn integers() {
    check(
        "000200749c67dba7f0000d0fe376e40c87ee6c8267d75d5231bc7c7d1268dfc19525b837bf4c57",
        false,
        3,
        &[],
        &[
            (1_795_236_486_273, 2.0, 0.004_734_111, &[(-70, 1.0), (-68, 1.0)]),
            (1_795_236_487_273, 4.0, 0.009_279_924, &[(-70, 2.0), (-69, 1.0), (-68, 1.0)]),
        ],
    );
}

#[test]
fn floats() {
    check(
        FLOATS,
        true,
        3,
        &[],
        &[(1_795_236_488_160, 1.1935, 0.002_712_713_907_75, &[(-70, 0.596_75), (-69, 0.596_75)])],
    );
}

#[test]
fn integers_with_bounds_of_their_own() {
    check(
        "00030000ee5c633623e61a87f03d0907f2625a0481f0d40000000000412e84800000000020b18968000000001065f5e1000000000839\
         b9aca00000001fc000343f8ddb1fb1206450000000000047c7d126a42bb36435a1319e",
        false,
        CUSTOM_BOUNDS,
        &SIZES,
        &[
            (1_795_236_485_373, 1.0, 12_608.0, &[(3, 1.0)]),
            (1_795_236_486_373, 3.0, 39_066.0, &[(3, 3.0)]),
            (1_795_236_487_373, 5.0, 65_706.0, &[(3, 5.0)]),
        ],
    );
}

#[test]
fn floats_with_bounds_of_their_own() {
    check(
        "0002c000ee5c633623e61a87f03d0907f2625a0481f0d40000000000412e84800000000020b18968000000001065f5e1000000000839b9\
         aca00000001fc000343f8ddbff07fd33a92a3055324000000000000000081895d272e48e8a67fd33a92a3055325e3e8d7aefd5dc4f611\
         fc5b3397d4095fa7483af5dfabb89ec23f880",
        true,
        CUSTOM_BOUNDS,
        &SIZES,
        &[
            (
                1_795_236_487_160,
                0.800_449_999_999_999_9,
                10_589.153_049_999_999,
                &[(3, 0.800_449_999_999_999_9)],
            ),
            (1_795_236_488_160, 1.150_45, 15_271.648_524_999_999, &[(3, 1.150_45)]),
        ],
    );
}

#[test]
fn gauges_are_told_and_bits_may_be_flipped() {
    let data = bytes(FLOATS);
    assert_eq!(decode(&data, true).unwrap()[0].1.hint, ResetHint::Gauge);
    for bit in 0..data.len() * 8 {
        let mut broken = data.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let _ = (decode(&broken, true), decode(&broken, false));
    }
}
