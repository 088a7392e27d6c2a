//! Recurring times: at which minutes, weekdays, days of the month, months and years something is muted or let through.
//!
//! A time is within an interval if all that the interval names contains it. Days of the month count from its end when they are
//! negative. Times are those of the interval's place, UTC unless it says another.

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// A range with both ends in it.
pub type Span = (i64, i64);

/// What all has to hold; an empty list always does.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeInterval {
    /// Minutes of the day; the end is not in it.
    pub times: Vec<Span>,
    /// Days of the week, 0 is Sunday.
    pub weekdays: Vec<Span>,
    /// Days of the month from 1, or from its end from -1.
    pub days_of_month: Vec<Span>,
    /// Months from 1.
    pub months: Vec<Span>,
    /// Years.
    pub years: Vec<Span>,
    /// Where.
    pub zone: TimeZone,
}

impl Default for TimeInterval {
    fn default() -> Self {
        Self {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: TimeZone::UTC,
        }
    }
}

impl TimeInterval {
    /// Whether a time, in milliseconds since the epoch, is within it.
    pub fn contains(&self, at: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at) else { return false };
        let at = at.to_zoned(self.zone.clone());
        let minute = i64::from(at.hour()) * 60 + i64::from(at.minute());
        let within = |spans: &[Span], value: i64| {
            spans.is_empty() || spans.iter().any(|&(from, to)| from <= value && value <= to)
        };
        (self.times.is_empty() || self.times.iter().any(|&(from, to)| from <= minute && minute < to))
            && within(&self.weekdays, i64::from(at.weekday().to_sunday_zero_offset()))
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(|&days| on_day(days, &at)))
            && within(&self.months, i64::from(at.month()))
            && within(&self.years, i64::from(at.year()))
    }
}

fn on_day((from, to): Span, at: &Zoned) -> bool {
    let last = i64::from(at.days_in_month());
    let from_start = |day: i64| if day < 0 { last + day + 1 } else { day };
    let (from, to) = (from_start(from), from_start(to).min(last));
    (from..=to).contains(&i64::from(at.day()))
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `monday:friday`, or one day.
///
/// # Errors
/// It is none.
pub fn weekdays(text: &str) -> Result<Span, String> {
    let day = |word: &str| {
        let mut days = (0..).zip(WEEKDAYS.iter());
        let found = days.find(|(_, day)| day.eq_ignore_ascii_case(word));
        found
            .map(|(number, _)| number)
            .ok_or_else(|| format!("{word:?} is no day of the week such as monday"))
    };
    ordered(text, day)
}

/// `january:march`, `1:3`, or one month.
///
/// # Errors
/// It is none.
pub fn months(text: &str) -> Result<Span, String> {
    let month = |word: &str| {
        let mut months = (1..).zip(MONTHS.iter());
        let found = months.find(|(_, month)| month.eq_ignore_ascii_case(word));
        let number = found.map(|(number, _)| number).or_else(|| word.parse().ok());
        number.filter(|month| (1..=12).contains(month)).ok_or_else(|| format!("{word:?} is no month"))
    };
    ordered(text, month)
}

/// `2026:2028`, or one year.
///
/// # Errors
/// It is none.
pub fn years(text: &str) -> Result<Span, String> {
    let year = |word: &str| {
        let year: Option<i64> = word.parse().ok();
        year.filter(|year| (1..=9999).contains(year)).ok_or_else(|| format!("{word:?} is no year"))
    };
    ordered(text, year)
}

/// `1:5`, `-3:-1`, or one day.
///
/// # Errors
/// It is none.
pub fn days_of_month(text: &str) -> Result<Span, String> {
    let day = |word: &str| {
        let day: Option<i64> = word.parse().ok();
        day.filter(|day| *day != 0 && day.abs() <= 31)
            .ok_or_else(|| format!("{word:?} is no day of a month: 1 to 31, or -1 to -31 from its end"))
    };
    let (from, to) = ends(text, day)?;
    match (from < 0, to < 0) {
        (true, false) => Err("a range that begins from the end of the month ends there too".to_owned()),
        // From the start to the end: at least some month has days in it.
        (false, true) if from <= 31 + to + 1 => Ok((from, to)),
        (true, true) | (false, false) if from <= to => Ok((from, to)),
        _ => Err("the range ends before it begins".to_owned()),
    }
}

/// `08:30` as minutes of the day, up to `24:00`.
///
/// # Errors
/// It is none.
pub fn minute(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no time of the day such as 08:30");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |word: &str| word.len() == 2 && word.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return Err(wrong());
    }
    let (hour, minute): (i64, i64) =
        (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    let at = hour * 60 + minute;
    if minute > 59 || at > 24 * 60 { Err(wrong()) } else { Ok(at) }
}

fn ends(text: &str, part: impl Fn(&str) -> Result<i64, String>) -> Result<Span, String> {
    let text = text.trim();
    match text.split_once(':') {
        Some((from, to)) => Ok((part(from.trim())?, part(to.trim())?)),
        None => part(text).map(|one| (one, one)),
    }
}

fn ordered(text: &str, part: impl Fn(&str) -> Result<i64, String>) -> Result<Span, String> {
    match ends(text, part)? {
        (from, to) if from > to => Err("the range ends before it begins".to_owned()),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn all_that_is_named_has_to_contain_a_time() {
        let office = TimeInterval {
            times: vec![(minute("09:00").unwrap(), minute("17:00").unwrap())],
            weekdays: vec![weekdays("monday:friday").unwrap()],
            ..TimeInterval::default()
        };
        // 2026-03-02 is a Monday.
        for (text, expected) in [
            ("2026-03-02T09:00:00Z", true),
            ("2026-03-02T16:59:59Z", true),
            ("2026-03-02T17:00:00Z", false),
            ("2026-03-01T12:00:00Z", false),
        ] {
            assert_eq!(office.contains(at(text)), expected, "{text}");
        }
        let there = TimeInterval { zone: TimeZone::get("America/New_York").unwrap(), ..office };
        assert!(there.contains(at("2026-03-02T21:59:00Z")) && !there.contains(at("2026-03-02T13:59:00Z")));
    }

    #[test]
    fn days_count_from_the_end_of_a_month_too() {
        let on = |days: &str, date: &str| {
            let days_of_month = vec![days_of_month(days).unwrap()];
            TimeInterval { days_of_month, ..TimeInterval::default() }
                .contains(at(&format!("{date}T12:00:00Z")))
        };
        assert!(on("-1", "2026-02-28") && !on("-1", "2024-02-28") && on("-3:-1", "2026-04-28"));
        assert!(on("30:31", "2026-04-30") && !on("29:31", "2026-02-28") && on("25:-1", "2026-02-28"));
        assert!(on("-31:-1", "2026-02-01"));
        for wrong in ["0", "32", "5:1", "-1:-3", "-3:3", "x"] {
            assert!(days_of_month(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_are_read() {
        assert_eq!(weekdays("Saturday"), Ok((6, 6)));
        assert_eq!(months("december"), Ok((12, 12)));
        assert_eq!(months("1:march"), Ok((1, 3)));
        assert_eq!(years("2026:2028"), Ok((2026, 2028)));
        assert_eq!(minute("24:00"), Ok(1440));
        assert!(weekdays("friday:monday").is_err() && months("13").is_err());
        assert!(minute("24:01").is_err() && minute("9:00").is_err() && minute("10:60").is_err());
    }
}
