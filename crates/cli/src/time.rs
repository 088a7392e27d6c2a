//! Times as people type and read them.
//!
//! Typed: Unix seconds (`1700000000`, `1700000000.5`), RFC 3339 (`2025-11-21T00:30:00Z`), or relative to now
//! (`now`, `-1h`, `now-1h30m`). A bare number is always Unix seconds, so that `-90` is a time in 1969 and `-90s`
//! is a minute and a half ago. Printed: RFC 3339 in UTC, with milliseconds where there are any.

use barograph_model::Timestamp;
use std::{fmt, str::FromStr, time::Duration};

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400 * SECOND_MS;

/// Units of a duration, in the order in which they may follow each other.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * DAY_MS),
    ("w", 7 * DAY_MS),
    ("d", DAY_MS),
    ("h", 3_600 * SECOND_MS),
    ("m", 60 * SECOND_MS),
    ("s", SECOND_MS),
    ("ms", 1),
];

/// A point in time that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A point that stays where it is.
    At(Timestamp),
    /// Milliseconds from now; negative is the past.
    FromNow(i64),
}

impl Moment {
    /// The point meant, if it is `now` at the moment.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::FromNow(millis) => now.saturating_add(millis),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(at) = unix_seconds(text) {
            return Ok(Self::At(at));
        }
        let relative = text.strip_prefix("now").unwrap_or(text);
        match relative.as_bytes().first() {
            None if !text.is_empty() => return Ok(Self::FromNow(0)),
            Some(b'-') => return Ok(Self::FromNow(-units(&relative[1..])?)),
            Some(b'+') => return Ok(Self::FromNow(units(&relative[1..])?)),
            _ => {}
        }
        if units(text).is_ok() {
            return Err(format!("a span, not a point in time; the time that long ago is `-{text}`"));
        }
        rfc3339(text).map(Self::At).ok_or_else(|| {
            "expected Unix seconds (1700000000), RFC 3339 (2025-11-21T00:30:00Z), or a time from now (now, -1h)"
                .to_owned()
        })
    }
}

/// A span of time above zero that was typed: `30s`, `1h30m`, or a bare number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// At least 1.
    millis: i64,
}

impl Span {
    /// Its length in seconds.
    pub(crate) fn seconds(self) -> f64 {
        Timestamp(self.millis).seconds()
    }

    /// Its length as the standard library has it.
    pub(crate) fn to_duration(self) -> Duration {
        Duration::from_millis(self.millis.unsigned_abs())
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = match unix_seconds(text) {
            Some(Timestamp(millis)) => millis,
            None => units(text)?,
        };
        if millis < 1 {
            return Err("must be at least a millisecond".to_owned());
        }
        Ok(Self { millis })
    }
}

impl fmt::Display for Span {
    /// Without a fraction where it has none: `15`, `0.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds())
    }
}

/// The time now.
#[expect(clippy::disallowed_methods, reason = "the binary is the edge that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `at` in RFC 3339, UTC. A time before year 0 or after 9999 is printed as Unix seconds.
pub(crate) fn format(at: Timestamp) -> String {
    let (days, millis) = (at.0.div_euclid(DAY_MS), at.0.rem_euclid(DAY_MS));
    let (year, month, day) = civil_of_days(days);
    if !(0..=9999).contains(&year) {
        return at.seconds().to_string();
    }
    let (seconds, fraction) = (millis / SECOND_MS, millis % SECOND_MS);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let clock = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction == 0 { format!("{clock}Z") } else { format!("{clock}.{fraction:03}Z") }
}

/// `seconds` since the epoch to the nearest millisecond, stopping at the ends of time.
pub(crate) fn of_seconds(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float to integer stops at the ends")]
    Timestamp((seconds * 1e3).round() as i64)
}

/// Only digits, a sign and a point: not `1e9`, not `inf`.
fn unix_seconds(text: &str) -> Option<Timestamp> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'));
    text.parse().ok().filter(|_| plain).map(of_seconds)
}

/// Milliseconds of `1h30m`: units from long to short, each at most once.
fn units(text: &str) -> Result<i64, String> {
    let bad = || format!("`{text}` is no span of time; it looks like 30s, 5m, 1h30m or 7d");
    let (mut rest, mut total, mut allowed) = (text, 0i64, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let found = allowed.iter().position(|(unit, _)| *unit == &rest[..letters]).ok_or_else(bad)?;
        total = count.checked_mul(allowed[found].1).and_then(|ms| total.checked_add(ms)).ok_or_else(bad)?;
        (rest, allowed) = (&rest[letters..], &allowed[found + 1..]);
    }
    if text.is_empty() { Err(bad()) } else { Ok(total) }
}

/// RFC 3339, section 5.6; a space may stand for the `T`. Digits after milliseconds are dropped.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    let marks = [(4, b"-".as_slice()), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")];
    if b.len() < 20 || !text.is_ascii() || marks.iter().any(|(at, one_of)| !one_of.contains(&b[*at])) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &text[from..to];
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let days = days_of_civil(year, month, day);
    let real = civil_of_days(days) == (year, month, day) && hour < 24 && minute < 60 && second <= 60;
    if !real {
        return None;
    }
    let (millis, zone) = fraction(&text[19..])?;
    let clock = ((hour * 60 + minute) * 60 + second) * SECOND_MS;
    Some(Timestamp(days * DAY_MS + clock + millis - zone_offset_ms(zone)?))
}

/// The milliseconds of `.123456Z`, and what follows them.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let padded = format!("{:0<3}", &digits[..count.min(3)]);
    if count == 0 { None } else { Some((padded.parse().ok()?, &digits[count..])) }
}

/// How far the clocks of `Z` or `+02:00` are before UTC.
fn zone_offset_ms(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i64::from);
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60 * SECOND_MS)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, also for years before 1970.
///
/// The year is taken to begin in March, so that the leap day is its last, and a month's start is linear in its
/// number: (153 m + 2) / 5 with m counted from March.
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between the first of March of year 0 and the epoch.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The inverse of [`days_of_civil`]: year, month and day.
fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    // 146,097 days make 400 years; the last day of 4, 100 and 400 years is a leap day or missing.
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let day_of_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Moment) {
        assert_eq!(text.parse::<Moment>(), Ok(expected), "{text}");
    }

    #[test]
    fn a_number_is_unix_seconds() {
        check("1700000000", Moment::At(Timestamp(1_700_000_000_000)));
        check("1700000000.25", Moment::At(Timestamp(1_700_000_000_250)));
        check("-90", Moment::At(Timestamp(-90_000)));
        check("0", Moment::At(Timestamp(0)));
    }

    #[test]
    fn a_sign_with_units_is_relative() {
        check("now", Moment::FromNow(0));
        check("-1h", Moment::FromNow(-3_600_000));
        check("now-1h30m", Moment::FromNow(-5_400_000));
        check("+250ms", Moment::FromNow(250));
        check("-1w2d", Moment::FromNow(-9 * DAY_MS));
        assert_eq!(Moment::FromNow(-5).resolve(Timestamp(20)), Timestamp(15));
    }

    #[test]
    fn rfc_3339_with_zones_and_fractions() {
        check("1970-01-01T00:00:00Z", Moment::At(Timestamp(0)));
        check("2023-11-14T22:13:20Z", Moment::At(Timestamp(1_700_000_000_000)));
        check("2023-11-14T23:13:20.5+01:00", Moment::At(Timestamp(1_700_000_000_500)));
        check("2023-11-14 17:13:20.123456-05:00", Moment::At(Timestamp(1_700_000_000_123)));
        check("2024-02-29T00:00:00Z", Moment::At(Timestamp(1_709_164_800_000)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "-",
            "now-",
            "-1x",
            "-1m1h",
            "1e9",
            "inf",
            "NaN",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1:00",
            "2023-11-14T22:13:20+01:60",
            "+023-11-14T22:13:20Z",
            "é023-11-14T22:13:20Z",
            "-99999999999999999999h",
            "-9999999999999y",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
        let told = "1h".parse::<Moment>().unwrap_err();
        assert!(told.contains("-1h"), "{told}");
    }

    #[test]
    fn spans_have_units_or_are_seconds() {
        for (text, millis) in [("15", 15_000), ("0.5", 500), ("1m", 60_000), ("1h30m", 5_400_000), ("5ms", 5)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span { millis }), "{text}");
        }
        for text in ["", "0", "-5s", "-5", "m", "5 m", "1h1h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(Span { millis: 15_000 }.to_string(), "15");
        assert_eq!(Span { millis: 250 }.to_string(), "0.25");
    }

    #[test]
    fn prints_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000_001, "2023-11-14T22:13:20.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (i64::MAX, "9223372036854776"),
        ] {
            assert_eq!(format(Timestamp(millis)), text);
        }
    }

    #[test]
    fn days_and_dates_agree_for_a_thousand_years() {
        let mut days = days_of_civil(1600, 1, 1);
        while days < days_of_civil(2600, 1, 1) {
            let (year, month, day) = civil_of_days(days);
            assert_eq!(days_of_civil(year, month, day), days);
            days += 1;
        }
    }
}
