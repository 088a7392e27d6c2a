//! Points in time and spans of them.
//!
//! Samples live on a grid of milliseconds since the Unix epoch, UTC. Nothing here reads a clock.

use std::fmt;

/// Milliseconds since the Unix epoch, UTC. Negative values are before 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest point that can be named.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest point that can be named.
    pub const MAX: Self = Self(i64::MAX);

    /// The number of milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, as PromQL and the HTTP API speak of time.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// RFC 3339: `2026-01-31T10:20:30.5Z`, or with an offset such as `+02:00`; a space or a lower-case `t` may stand for
    /// `T`. Digits below the millisecond are cut off. `None` for what is no such text.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<i64> {
            let part = text.get(from..to)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let is = |at: usize, any: &str| text.get(at..=at).is_some_and(|c| any.contains(c));
        if !(is(4, "-") && is(7, "-") && is(10, "Tt ") && is(13, ":") && is(16, ":")) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_in_month = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut rest = text.get(19..)?;
        let mut millis = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            millis = format!("{:0<3}", &fraction[..digits.min(3)]).parse().ok()?;
            rest = &fraction[digits..];
        }
        let offset_minutes = match rest {
            "Z" | "z" => 0,
            _ => {
                let sign = if rest.starts_with('-') { -1 } else { 1 };
                let (hours, minutes) = rest.strip_prefix(['+', '-'])?.split_once(':')?;
                let two = |part: &str| (part.len() == 2).then(|| part.parse::<i64>().ok())?;
                sign * (two(hours)?.min(23) * 60 + two(minutes)?.min(59))
            }
        };
        let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self((seconds - offset_minutes * 60) * 1000 + millis))
    }

    /// As RFC 3339 writes it, in UTC: `2026-01-31T10:20:30.5Z`, without a fraction where there is none.
    pub fn to_rfc3339(self) -> String {
        let (days, of_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = date_of_day(days);
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
        let fraction = match of_day % 1000 {
            0 => String::new(),
            millis => format!(".{millis:03}").trim_end_matches('0').to_owned(),
        };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
    }

    /// This point moved by `millis`, stopping at the ends of time.
    pub const fn saturating_add(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, millis) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:03}", millis / 1000, millis % 1000)
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that the leap day is
/// the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days after the epoch, in the proleptic Gregorian calendar: years counted from March, in
/// cycles of 400 (the method of H. Hinnant, "chrono-compatible low-level date algorithms").
pub fn date_of_day(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, in_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_cycle = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_cycle + cycle * 400 + i64::from(month <= 2), month, day)
}

/// A half-open span of time: `start` is in it, `end` is not.
///
/// A PromQL range `(a, b]` is `TimeRange::left_open(a, b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first point in the range.
    pub start: Timestamp,
    /// The first point after the range.
    pub end: Timestamp,
}

impl TimeRange {
    /// All of time but its very last millisecond.
    pub const ALL: Self = Self { start: Timestamp::MIN, end: Timestamp::MAX };

    /// `[start, end)`.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// `(after, last]`, as PromQL's range selectors count.
    pub const fn left_open(after: Timestamp, last: Timestamp) -> Self {
        Self { start: after.saturating_add(1), end: last.saturating_add(1) }
    }

    /// `[first, last]`, as the HTTP API's `start` and `end` count.
    pub const fn closed(first: Timestamp, last: Timestamp) -> Self {
        Self { start: first, end: last.saturating_add(1) }
    }

    /// Whether no point lies in the range.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether `t` lies in the range.
    pub fn contains(&self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether some point lies in both ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_open_leaves_the_left_end_out() {
        let range = TimeRange::left_open(Timestamp(10), Timestamp(20));
        assert!(!range.contains(Timestamp(10)));
        assert!(range.contains(Timestamp(11)));
        assert!(range.contains(Timestamp(20)));
        assert!(!range.contains(Timestamp(21)));
    }

    #[test]
    fn reads_rfc_3339() {
        let check = |text: &str, ms: Option<i64>| assert_eq!(Timestamp::from_rfc3339(text).map(|t| t.0), ms);
        check("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        check("2015-07-01 22:10:51.781+02:00", Some(1_435_781_451_781));
        check("2023-02-29T00:00:00Z", None);
        check("2015-07-01", None);
    }

    #[test]
    fn shows_seconds() {
        assert_eq!(Timestamp(1_500).to_string(), "1.500");
        assert_eq!(Timestamp(-1).to_string(), "-0.001");
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        let check = |ms: i64, text: &str| {
            assert_eq!(Timestamp(ms).to_rfc3339(), text);
            assert_eq!(Timestamp::from_rfc3339(text), Some(Timestamp(ms)));
        };
        check(0, "1970-01-01T00:00:00Z");
        check(1_435_781_451_781, "2015-07-01T20:10:51.781Z");
        check(1_709_164_800_500, "2024-02-29T00:00:00.5Z");
        check(-1, "1969-12-31T23:59:59.999Z");
    }
}
