//! Numbers as people read them.

use barograph_model::Timestamp;
use barograph_query::go_float;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `%.Ng`: a number with so many significant digits, trailing zeros left out.
pub(super) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return go_float(value);
    }
    let digits = digits.max(1);
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let limit = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(limit - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

/// With a metric prefix: `1.235k`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return significant(value, 4);
    }
    if value.abs() < 1.0 {
        return small(value);
    }
    let (value, prefix) = divided(value, 1000.0, &LARGE);
    format!("{}{prefix}", significant(value, 4))
}

/// With a binary prefix: `1.206ki`.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return significant(value, 4);
    }
    let (value, prefix) = divided(value, 1024.0, &LARGE_BINARY);
    format!("{}{prefix}", significant(value, 4))
}

/// Seconds as days to seconds, or as fractions of one.
pub(super) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return significant(seconds, 4);
    }
    if seconds == 0.0 {
        return format!("{}s", significant(seconds, 4));
    }
    if seconds.abs() < 1.0 {
        return format!("{}s", small(seconds));
    }
    let (sign, seconds) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
    #[expect(clippy::cast_possible_truncation, reason = "a number out of range becomes the nearest in range")]
    let whole = seconds as i64;
    let (s, m, h, d) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", significant(seconds, 4)),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, ..) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

fn small(mut value: f64) -> String {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        (prefix, value) = (next, value * 1000.0);
    }
    format!("{}{prefix}", significant(value, 4))
}

fn divided(mut value: f64, by: f64, prefixes: &'static [&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        (prefix, value) = (next, value / by);
    }
    (value, prefix)
}

/// Milliseconds since the epoch as Go prints a time: `2015-07-01 20:10:51.781 +0000 UTC`.
pub(super) fn time_text(ms: i64) -> String {
    Timestamp(ms).to_rfc3339().replace('T', " ").replace('Z', " +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_prefixes() {
        let check = |value: f64, metric: &str, binary: &str| {
            assert_eq!((humanize(value).as_str(), humanize_1024(value).as_str()), (metric, binary));
        };
        check(0.0, "0", "0");
        check(1.0, "1", "1");
        check(1234567.0, "1.235M", "1.177Mi");
        check(1024.0, "1.024k", "1ki");
        check(0.12, "120m", "0.12");
        check(-0.0012, "-1.2m", "-0.0012");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NAN, "NaN", "NaN");
        check(1e27, "1000Y", "827.2Yi");
    }

    #[test]
    fn durations_are_split() {
        let check = |seconds: f64, text: &str| assert_eq!(humanize_duration(seconds), text);
        check(0.0, "0s");
        check(1.0, "1s");
        check(59.123, "59.12s");
        check(60.0, "1m 0s");
        check(3_661.9, "1h 1m 1s");
        check(86_400.0 * 3.0 + 7_322.0, "3d 2h 2m 2s");
        check(-90.0, "-1m 30s");
        check(0.0013, "1.3ms");
        check(1e-9, "1ns");
    }

    #[test]
    fn times_are_those_of_go() {
        let check = |ms: i64, text: &str| assert_eq!(time_text(ms), text);
        check(0, "1970-01-01 00:00:00 +0000 UTC");
        check(1_435_781_451_781, "2015-07-01 20:10:51.781 +0000 UTC");
        check(1_709_164_800_500, "2024-02-29 00:00:00.5 +0000 UTC");
        check(-1, "1969-12-31 23:59:59.999 +0000 UTC");
    }

    #[test]
    fn digits_that_count() {
        let check = |value: f64, text: &str| assert_eq!(significant(value, 4), text);
        check(12345.0, "1.234e+04");
        check(99999.0, "1e+05");
        check(0.00001234, "1.234e-05");
        check(1.5, "1.5");
        check(-0.0, "-0");
    }
}
