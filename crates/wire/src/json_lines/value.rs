//! Values as JSON, and back to the same bits.

use std::fmt::Write as _;

use barograph_model::STALE_BITS;

/// The NaN that Prometheus and our own readers use for any that is not special.
const ORDINARY_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Writes a value as a number, or as a string where JSON has no number.
pub(super) fn write(out: &mut String, value: f64) {
    let written = match value.to_bits() {
        STALE_BITS => write!(out, "\"stale\""),
        ORDINARY_NAN_BITS => write!(out, "\"NaN\""),
        bits if value.is_nan() => write!(out, "\"NaN:{bits:016x}\""),
        _ if value.is_infinite() => write!(out, "\"{}Inf\"", if value > 0.0 { '+' } else { '-' }),
        // The shortest digits that read back as the value; with an exponent where there would be many zeros.
        _ if value == 0.0 || (1e-5..1e17).contains(&value.abs()) => write!(out, "{value}"),
        _ => write!(out, "{value:e}"),
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

/// Reads a JSON number, or one of the strings above; `None` for anything else.
pub(super) fn read(json: &str) -> Option<f64> {
    let Some(quoted) = json.strip_prefix('"') else {
        let number = json.bytes().next().is_some_and(|first| first == b'-' || first.is_ascii_digit());
        return json.parse().ok().filter(|_| number);
    };
    let bits = match quoted.strip_suffix('"')? {
        "stale" => STALE_BITS,
        "NaN" => ORDINARY_NAN_BITS,
        "+Inf" | "Inf" => f64::INFINITY.to_bits(),
        "-Inf" => f64::NEG_INFINITY.to_bits(),
        other => u64::from_str_radix(other.strip_prefix("NaN:")?, 16).ok()?,
    };
    Some(f64::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn reads_as_people_write() {
        let check = |value, text: &str| assert_eq!(written(value), text);
        check(0.0, "0");
        check(-0.0, "-0");
        check(12.5, "12.5");
        check(1e15, "1000000000000000");
        check(1e300, "1e300");
        check(1e-7, "1e-7");
        check(f64::NEG_INFINITY, "\"-Inf\"");
        check(f64::from_bits(STALE_BITS), "\"stale\"");
        check(f64::from_bits(ORDINARY_NAN_BITS), "\"NaN\"");
        check(f64::from_bits(0x7ff8_0000_0000_0000), "\"NaN:7ff8000000000000\"");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for json in ["", "null", "true", "\"\"", "\"1\"", "[1]", "inf", "NaN", "\"NaN:\"", "\"NaN:zz\""] {
            assert_eq!(read(json).map(f64::to_bits), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assert_eq!(read(&written(value)).map(f64::to_bits), Some(bits));
        }
    }
}
