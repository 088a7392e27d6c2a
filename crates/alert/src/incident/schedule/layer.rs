//! One layer: people who take turns, maybe only at some hours.

use jiff::{
    Span, Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};

/// How long a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// So many days on the clock of the time zone.
    Days(i32),
    /// So many hours that go by.
    Hours(i64),
}

/// Hours at which a layer has somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// From this time of day on.
    pub from: Time,
    /// Until then; of the next day, if it is not later.
    pub to: Time,
    /// On which days it begins; all of them if none is named.
    pub weekdays: Vec<Weekday>,
}

/// People who take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What it is called.
    pub name: String,
    /// Who takes turns, in order. At least one.
    pub users: Vec<String>,
    /// How long a turn is.
    pub rotation: Rotation,
    /// When the first turn begins, on the clock of the time zone.
    pub start: DateTime,
    /// At which hours it has somebody; always if none is named.
    pub restrictions: Vec<Restriction>,
}

impl Layer {
    /// Who has the turn at a time; `None` before the first and outside of its hours.
    pub(super) fn on_call(&self, at: Timestamp, zone: &TimeZone) -> Option<&str> {
        let turn = self.turn(at, zone)?;
        if !self.restrictions.is_empty() && !self.restrictions.iter().any(|it| it.holds(at, zone)) {
            return None;
        }
        let people = i64::try_from(self.users.len()).ok().filter(|&people| people > 0)?;
        let index = usize::try_from(turn.rem_euclid(people)).ok()?;
        self.users.get(index).map(String::as_str)
    }

    /// Which turn it is at a time, from 0.
    fn turn(&self, at: Timestamp, zone: &TimeZone) -> Option<i64> {
        let start = instant(self.start, zone)?;
        if at < start {
            return None;
        }
        match self.rotation {
            Rotation::Hours(hours) => {
                Some((at.as_millisecond() - start.as_millisecond()) / hours.max(1).saturating_mul(3_600_000))
            }
            Rotation::Days(days) => {
                let days = i64::from(days.max(1));
                let today = zone.to_datetime(at).date();
                let gone = i64::from((today - self.start.date()).get_days());
                // Daylight saving may put a handover just before or after what the calendar says.
                let guess = gone / days;
                [guess + 1, guess, guess - 1].into_iter().find(|&turn| {
                    turn >= 0 && self.handover(turn, zone).is_some_and(|handover| handover <= at)
                })
            }
        }
    }

    /// When a turn begins.
    fn handover(&self, turn: i64, zone: &TimeZone) -> Option<Timestamp> {
        match self.rotation {
            Rotation::Hours(hours) => {
                let start = instant(self.start, zone)?.as_millisecond();
                let after = turn.checked_mul(hours.max(1))?.checked_mul(3_600_000)?;
                Timestamp::from_millisecond(start.checked_add(after)?).ok()
            }
            Rotation::Days(days) => {
                let days = turn.checked_mul(i64::from(days.max(1)))?;
                instant(self.start.checked_add(Span::new().try_days(days).ok()?).ok()?, zone)
            }
        }
    }

    /// The first time after another at which it may have somebody else, or nobody any more.
    pub(super) fn next_change(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let next_turn = self.turn(after, zone).map_or(0, |turn| turn + 1);
        // Who is alone hands over to nobody.
        let alone = self.users.len() == 1 && next_turn > 0;
        let handover = if alone { None } else { self.handover(next_turn, zone) };
        let hours = self.restrictions.iter().filter_map(|it| it.next_change(after, zone));
        hours.chain(handover).filter(|&at| at > after).min()
    }
}

impl Restriction {
    /// When it begins and ends that begins on a day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.weekdays.is_empty() && !self.weekdays.contains(&day.weekday()) {
            return None;
        }
        let last = if self.to > self.from { day } else { day.tomorrow().ok()? };
        Some((instant(day.to_datetime(self.from), zone)?, instant(last.to_datetime(self.to), zone)?))
    }

    fn holds(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let today = zone.to_datetime(at).date();
        let days = [today.yesterday().ok(), Some(today)].into_iter().flatten();
        days.filter_map(|day| self.on(day, zone)).any(|(from, to)| from <= at && at < to)
    }

    fn next_change(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = zone.to_datetime(after).date();
        let days = (-1..=8).filter_map(|days: i32| today.checked_add(days.days()).ok());
        days.filter_map(|day| self.on(day, zone))
            .flat_map(|(from, to)| [from, to])
            .filter(|&at| at > after)
            .min()
    }
}

/// When the clock of a time zone shows a time: the later one where it is skipped, the earlier one where it comes twice.
pub(super) fn instant(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(time).compatible().ok()
}
