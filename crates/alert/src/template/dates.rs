//! Times by a layout of Go: `2006-01-02 15:04:05` stands for year, month, day, hour, minute, second.

use std::rc::Rc;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::value::Value;

/// How a time is shown that nobody gave a layout for.
pub(super) const SHOWN: &str = "2006-01-02 15:04:05.999 -0700 MST";

/// The time that stands for none, in milliseconds since the epoch: the first of January of year 1.
pub(super) const ZERO_MS: i64 = -62_135_596_800_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The parts of a layout; of two that fit, the first is meant.
const PARTS: [&str; 31] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "002", "01", "02", "03", "04", "05", "06", "_2", "15",
    "PM", "pm", "Z07:00", "Z0700", "-07:00", "-0700", "-07", "1", "2", "3", "4", "5", ".000", ".999", ",000",
    ",999",
];

/// The moment that a value is.
pub(super) fn zoned(value: &Value) -> Option<Rc<Zoned>> {
    match value {
        Value::Time(ms) => {
            let at = Timestamp::from_millisecond(*ms).ok()?;
            Some(Rc::new(at.to_zoned(TimeZone::UTC)))
        }
        Value::Zoned(time) => Some(time.clone()),
        _ => None,
    }
}

/// A time by a layout.
pub(super) fn format(time: &Zoned, layout: &str) -> String {
    let mut text = String::with_capacity(layout.len());
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        match PARTS.iter().find(|part| rest.starts_with(**part)) {
            // Fractions may have more digits.
            Some(part) if part.starts_with(['.', ',']) => {
                let digit = part.as_bytes()[1];
                let digits = rest.bytes().skip(1).take_while(|byte| *byte == digit).count();
                let nanos = format!("{:09}", time.subsec_nanosecond());
                let shown = &nanos[..digits.min(9)];
                let shown = if digit == b'9' { shown.trim_end_matches('0') } else { shown };
                if !shown.is_empty() {
                    text.push(c);
                    text.push_str(shown);
                }
                rest = &rest[1 + digits..];
            }
            Some(part) => {
                text.push_str(&part_of(time, part));
                rest = &rest[part.len()..];
            }
            None => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    text
}

fn part_of(time: &Zoned, part: &str) -> String {
    let at = |names: &[&'static str], index: i8| {
        let index = usize::try_from(index).unwrap_or(0);
        names.get(index).copied().unwrap_or_default()
    };
    let month = at(&MONTHS, time.month() - 1);
    let day = at(&DAYS, time.weekday().to_monday_zero_offset());
    let half = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        "January" => month.to_owned(),
        "Jan" => month[..3].to_owned(),
        "Monday" => day.to_owned(),
        "Mon" => day[..3].to_owned(),
        "MST" => zone_name(time),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "002" => format!("{:03}", time.day_of_year()),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:>2}", time.day()),
        "2" => time.day().to_string(),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{half:02}"),
        "3" => half.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        "PM" => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        "pm" => if time.hour() < 12 { "am" } else { "pm" }.to_owned(),
        _ => offset(time, part),
    }
}

fn zone_name(time: &Zoned) -> String {
    time.strftime("%Z").to_string()
}

/// How far it is from UTC.
fn offset(time: &Zoned, part: &str) -> String {
    let seconds = time.offset().seconds();
    if part.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes) = (size / 3600, size / 60 % 60);
    match part {
        "Z07:00" | "-07:00" => format!("{sign}{hours:02}:{minutes:02}"),
        "-07" => format!("{sign}{hours:02}"),
        _ => format!("{sign}{hours:02}{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_go() {
        let check = |layout: &str, zone: &str, expected: &str| {
            let time = zoned(&Value::Time(1_700_000_000_500)).unwrap().in_tz(zone).unwrap();
            assert_eq!(format(&time, layout), expected);
        };
        check(SHOWN, "UTC", "2023-11-14 22:13:20.5 +0000 UTC");
        check("Mon, 02 Jan 2006 15:04:05 MST", "Europe/Paris", "Tue, 14 Nov 2023 23:13:20 CET");
        check("Monday January 2 3:04PM", "America/New_York", "Tuesday November 14 5:13PM");
        check("2006-01-02T15:04:05.000Z07:00", "UTC", "2023-11-14T22:13:20.500Z");
        check("06/1/_2 pm -0700 ü", "Asia/Kolkata", "23/11/15 am +0530 ü");
    }
}
