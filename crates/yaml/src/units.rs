//! Durations and sizes as people write them.

use std::time::Duration;

/// The units of a duration from the largest, with their milliseconds. A year has 365 days.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The units of a size. As everywhere around Prometheus, `KB` is `KiB`.
const SIZE_UNITS: [(&str, u32); 12] = [
    ("B", 0),
    ("KB", 10),
    ("MB", 20),
    ("GB", 30),
    ("TB", 40),
    ("PB", 50),
    ("KiB", 10),
    ("MiB", 20),
    ("GiB", 30),
    ("TiB", 40),
    ("PiB", 50),
    ("", 0),
];

/// A duration: `30s`, `5m`, `1h30m`, `7d`, `500ms`, or `0`. Each unit at most once, the larger first.
///
/// # Errors
/// It is none; the text says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration such as `30s`, `5m` or `1h30m`, found `{text}`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut millis = 0u64;
    let mut rest = text;
    let mut units = &DURATION_UNITS[..];
    while !rest.is_empty() || millis == 0 && units.len() == DURATION_UNITS.len() {
        let (number, unit, after) = split_number(rest).ok_or_else(wrong)?;
        let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let part = number.checked_mul(units[index].1).ok_or_else(wrong)?;
        millis = millis.checked_add(part).ok_or_else(wrong)?;
        (units, rest) = (&units[index + 1..], after);
    }
    Ok(Duration::from_millis(millis))
}

/// A duration as [`parse_duration`] reads it, in the largest units that show all of it. Days and longer are used
/// only for whole ones, and what is below a millisecond is left out.
pub fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in DURATION_UNITS {
        let is_calendar = length >= 86_400_000;
        if millis >= length && (!is_calendar || millis.is_multiple_of(length)) {
            text += &format!("{}{unit}", millis / length);
            millis %= length;
        }
    }
    text
}

/// The number and the unit at the start, and what follows.
fn split_number(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (number, rest) = text.split_at(digits);
    let letters = rest.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, after))
}

/// A size in bytes: `512MB`, `10GiB`, `1.5GB`, or a plain number of bytes. Units count by 1024.
///
/// # Errors
/// It is none; the text says what was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a size such as `512MB` or `10GiB`, found `{text}`");
    let digits = text.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let &(_, shift) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * f64::from(shift).exp2();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    if (0.0..9e18).contains(&bytes) { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, millis: u64| {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        };
        check("0", 0);
        check("0s", 0);
        check("30s", 30_000);
        check("1h30m", 5_400_000);
        check("7d", 604_800_000);
        check("1y2w3d4h5m6s7ms", 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_400_000 + 306_007);
        for text in ["", "5", "s", "1.5s", "-1s", "5m1h", "1s1s", "1 s", "99999999999y", "5x", "5mm"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_read() {
        let check = |millis: u64, text: &str| {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
        };
        check(0, "0s");
        check(15_000, "15s");
        check(90_000, "1m30s");
        check(86_400_000, "1d");
        check(90_000_000, "25h");
        check(1_209_600_000, "2w");
        check(31_536_000_000, "1y");
        check(1_500, "1s500ms");
    }

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: u64| assert_eq!(parse_size(text), Ok(bytes), "{text}");
        check("0", 0);
        check("100", 100);
        check("512MB", 512 << 20);
        check("512 MiB", 512 << 20);
        check("10GiB", 10 << 30);
        check("1.5GB", 3 << 29);
        check("0.5TB", 1 << 39);
        for text in ["", "MB", "-1MB", "1XB", "1.2.3MB", "99999999PB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
