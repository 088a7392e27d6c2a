//! Seconds since the epoch to dates, UTC, in the proleptic Gregorian calendar.

use barograph_model::Timestamp;

use super::kernels::Date;

/// The part of the date at `seconds`. NaN for what is too far away to have one.
pub(super) fn part(seconds: f64, date: Date) -> f64 {
    if seconds.is_nan() || seconds.abs() >= 1e14 {
        return f64::NAN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the magnitude is checked right above")]
    let seconds = seconds as i64;
    let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let value = match date {
        Date::Year => year,
        Date::Month => month,
        Date::DayOfMonth => day,
        // The epoch was a Thursday; Sunday is 0.
        Date::DayOfWeek => (days + 4).rem_euclid(7),
        Date::DayOfYear => days - days_before(year) + 1,
        Date::DaysInMonth => days_in_month(year, month),
        Date::Hour => in_day / 3600,
        Date::Minute => in_day / 60 % 60,
    };
    value as f64
}

/// A time on the second, as RFC 3339 writes it.
pub(crate) fn text(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1_000);
    let ((year, month, day), in_day) = (civil(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (in_day / 3_600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a number of days after the epoch: years counted from March, in cycles of 400 (the
/// method of H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, in_cycle) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_cycle = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_cycle + cycle * 400 + i64::from(month <= 2), month, day)
}

/// Days from the epoch to the first of January of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        let check = |seconds: f64, parts: [f64; 4]| {
            let dates = [Date::Year, Date::Month, Date::DayOfMonth, Date::DayOfYear];
            assert_eq!(dates.map(|date| part(seconds, date)), parts, "{seconds}");
        };
        check(0.0, [1970.0, 1.0, 1.0, 1.0]);
        check(951_782_400.0, [2000.0, 2.0, 29.0, 60.0]);
        check(-1.0, [1969.0, 12.0, 31.0, 365.0]);
        check(1_483_191_420.0, [2016.0, 12.0, 31.0, 366.0]);
        assert_eq!(text(Timestamp(951_782_405_999)), "2000-02-29T00:00:05Z");
        assert!(part(f64::NAN, Date::Year).is_nan());
        assert_eq!(part(951_782_400.0, Date::DaysInMonth), 29.0);
    }
}
