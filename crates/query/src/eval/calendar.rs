//! Seconds since the epoch to dates, UTC, in the proleptic Gregorian calendar.

use barograph_model::{Timestamp, date_of_day};

use super::kernels::Date;

/// The part of the date at `seconds`. NaN for what is too far away to have one.
pub(super) fn part(seconds: f64, date: Date) -> f64 {
    if seconds.is_nan() || seconds.abs() >= 1e14 {
        return f64::NAN;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the magnitude is checked right above")]
    let seconds = seconds as i64;
    let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of_day(days);
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
    Timestamp(at.0.div_euclid(1_000) * 1_000).to_rfc3339()
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
