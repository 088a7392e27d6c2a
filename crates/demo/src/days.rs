//! The days of the shop: how its time goes, and how busy each hour is.
//!
//! Until the demo starts a day of the shop has 24 hours, so that the history behind it looks like one; from then on
//! a day passes in minutes, so that whoever watches sees all of it. Either way what happens is decided by the hour.

use std::time::Duration;

use barograph_model::Timestamp;

/// The hour at which the demo starts.
const OPENING: f64 = 9.6;
const HOURS: f64 = 24.0;

/// How the shop's time follows from that of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days {
    start: Timestamp,
    /// How long a day takes once the demo has started.
    day: Duration,
}

/// A moment of the shop's time.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Moment {
    /// Hours since the midnight before the demo started; negative on the days before.
    pub(crate) hours: f64,
}

impl Days {
    pub(crate) fn new(start: Timestamp, day: Duration) -> Self {
        Self { start, day }
    }

    /// The shop's time at a time of the world.
    pub(crate) fn at(&self, t: Timestamp) -> Moment {
        let seconds = (t.millis() - self.start.millis()) as f64 / 1000.0;
        let day = if seconds < 0.0 { 86_400.0 } else { self.day.as_secs_f64() };
        Moment { hours: OPENING + seconds * HOURS / day }
    }
}

impl Moment {
    /// The day, counted from the one on which the demo started.
    #[expect(clippy::cast_possible_truncation, reason = "days are few")]
    pub(crate) fn day(self) -> i64 {
        self.hours.div_euclid(HOURS) as i64
    }

    /// The hour of the day, from 0 to below 24.
    pub(crate) fn hour(self) -> f64 {
        self.hours.rem_euclid(HOURS)
    }

    /// How busy the shop is: 1 on the average of a day, 0.3 before dawn, 1.6 in the evening.
    pub(crate) fn load(self) -> f64 {
        let turn =
            |cycles: f64, peak: f64| (std::f64::consts::TAU * cycles * (self.hour() - peak) / HOURS).cos();
        1.0 + 0.55 * turn(1.0, 17.0) + 0.2 * turn(2.0, 20.5)
    }

    /// What [`Moment::load`] never exceeds.
    pub(crate) const LOAD_MAX: f64 = 1.75;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_a_day_before_the_start_and_minutes_after_it() {
        let days = Days::new(Timestamp(1_000_000_000), Duration::from_secs(1200));
        let check = |seconds: i64, day: i64, hour: f64| {
            let moment = days.at(Timestamp(1_000_000_000 + seconds * 1000));
            assert_eq!((moment.day(), moment.hour().round()), (day, hour.round()), "{moment:?}");
        };
        check(0, 0, 9.6);
        check(-86_400, -1, 9.6);
        check(-10 * 3600, -1, 23.6);
        check(600, 0, 21.6);
        check(1200, 1, 9.6);
    }

    #[test]
    fn load_is_one_on_average() {
        let loads: Vec<f64> = (0..240).map(|i| Moment { hours: f64::from(i) / 10.0 }.load()).collect();
        let mean = loads.iter().sum::<f64>() / 240.0;
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        assert!(loads.iter().all(|load| (0.2..Moment::LOAD_MAX).contains(load)), "{loads:?}");
    }
}
