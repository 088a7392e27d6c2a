//! Windows of maintenance: matchers that mute alerts for a while, again and again if they recur, until they end by themselves.
//!
//! A window that recurs begins at the same time of the day at its place, whatever clocks do there meanwhile.

use jiff::{Span, Timestamp, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{LabelSet, MatcherDocument, Matchers};

/// Windows that are not over at most.
pub const MAINTENANCE_MAX: usize = 1_000;
/// A window is as long as this at most, in milliseconds.
const LENGTH_MAX: i64 = 366 * 86_400_000;

/// How often a window begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// Each day, or each of some days of the week.
    Day,
    /// On the same day of the week, or on those that are named.
    Week,
    /// On the same day of the month; months without that day have none.
    Month,
}

/// When a window begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrence {
    /// How often.
    pub every: Every,
    /// On which days of the week, 0 is Sunday; none are all.
    #[serde(default)]
    pub weekdays: Vec<i8>,
    /// The last time at which it begins, in milliseconds since the epoch.
    pub until: Option<i64>,
}

/// A window of maintenance as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct Maintenance {
    /// Which one.
    pub id: String,
    /// What is done.
    pub name: String,
    /// When it begins for the first time, in milliseconds since the epoch.
    pub start: i64,
    /// How long it is, in milliseconds.
    pub duration: i64,
    /// When it begins anew; `None` is never.
    pub recurrence: Option<Recurrence>,
    /// The name of the place whose clock counts.
    pub timezone: String,
    /// Why.
    pub comment: String,
    /// Who made it.
    pub created_by: String,
    matchers: Matchers,
    zone: TimeZone,
}

/// A window as bytes have it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// As of [`Maintenance`].
    #[serde(default)]
    pub id: String,
    /// As of [`Maintenance`].
    #[serde(default)]
    pub name: String,
    /// What it mutes.
    pub matchers: Vec<MatcherDocument>,
    /// As of [`Maintenance`].
    pub start: i64,
    /// As of [`Maintenance`].
    pub duration: i64,
    /// As of [`Maintenance`].
    #[serde(default)]
    pub recurrence: Option<Recurrence>,
    /// As of [`Maintenance`]; empty is UTC.
    #[serde(default)]
    pub timezone: String,
    /// As of [`Maintenance`].
    #[serde(default)]
    pub comment: String,
    /// As of [`Maintenance`].
    #[serde(default)]
    pub created_by: String,
}

impl TryFrom<Kept> for Maintenance {
    type Error = String;

    fn try_from(kept: Kept) -> Result<Self, String> {
        let matchers = Matchers::of_documents(&kept.matchers)?;
        if !matchers.is_selective() {
            return Err(
                "at least one matcher must not match the empty text, or all would be silent".to_owned()
            );
        }
        if kept.duration <= 0 || kept.duration > LENGTH_MAX {
            return Err("the duration should be more than nothing and at most 366 days".to_owned());
        }
        let zone = match kept.timezone.as_str() {
            "" | "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| format!("there is no time zone {name:?}"))?,
        };
        Timestamp::from_millisecond(kept.start).map_err(|_| "the start is out of range".to_owned())?;
        if let Some(recurrence) = &kept.recurrence
            && recurrence.weekdays.iter().any(|day| !(0..7).contains(day))
        {
            return Err("a day of the week is 0 for Sunday to 6 for Saturday".to_owned());
        }
        Ok(Self {
            id: kept.id,
            name: kept.name,
            start: kept.start,
            duration: kept.duration,
            recurrence: kept.recurrence,
            timezone: if kept.timezone.is_empty() { "UTC".to_owned() } else { kept.timezone },
            comment: kept.comment,
            created_by: kept.created_by,
            matchers,
            zone,
        })
    }
}

impl From<Maintenance> for Kept {
    fn from(window: Maintenance) -> Self {
        Self {
            matchers: window.matchers.documents(),
            id: window.id,
            name: window.name,
            start: window.start,
            duration: window.duration,
            recurrence: window.recurrence,
            timezone: window.timezone,
            comment: window.comment,
            created_by: window.created_by,
        }
    }
}

impl Maintenance {
    /// What it mutes.
    pub fn matchers(&self) -> &Matchers {
        &self.matchers
    }

    /// Whether it mutes an alert with these labels now.
    pub fn mutes(&self, labels: &LabelSet, now: i64) -> bool {
        self.matchers.matches(labels) && self.active(now)
    }

    /// Whether it is under way.
    pub fn active(&self, now: i64) -> bool {
        if now < self.start {
            return false;
        }
        // The last beginning that may still be under way is among the days that its length covers.
        let from = self.start.max(now.saturating_sub(self.duration).saturating_add(1));
        self.next(from).is_some_and(|begins| begins <= now)
    }

    /// Whether it never begins again and is not under way.
    pub fn over(&self, now: i64) -> bool {
        !self.active(now) && self.next(now).is_none()
    }

    /// When it begins at a time or after it; `None` is never.
    pub fn next(&self, from: i64) -> Option<i64> {
        let Some(recurrence) = &self.recurrence else {
            return (self.start >= from).then_some(self.start);
        };
        let first = Timestamp::from_millisecond(self.start).ok()?.to_zoned(self.zone.clone());
        let wanted = Timestamp::from_millisecond(from.max(self.start)).ok()?.to_zoned(self.zone.clone());
        // A month may lack the day, never twice in a row by more than a year.
        let mut day = wanted.date().yesterday().ok()?;
        for _ in 0..1500 {
            if recurrence.falls_on(&first, day) {
                let begins = day.to_datetime(first.time()).to_zoned(self.zone.clone()).ok()?;
                let begins = begins.timestamp().as_millisecond();
                if recurrence.until.is_some_and(|until| begins > until) {
                    return None;
                }
                if begins >= from && begins >= self.start {
                    return Some(begins);
                }
            }
            day = day.checked_add(Span::new().days(1)).ok()?;
        }
        None
    }
}

impl Recurrence {
    fn falls_on(&self, first: &Zoned, day: jiff::civil::Date) -> bool {
        let weekday = day.weekday().to_sunday_zero_offset();
        let named = self.weekdays.contains(&weekday);
        match self.every {
            Every::Day => self.weekdays.is_empty() || named,
            Every::Week if self.weekdays.is_empty() => day.weekday() == first.weekday(),
            Every::Week => named,
            Every::Month => day.day() == first.day(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn window(start: &str, every: Option<Every>, weekdays: &[i8], zone: &str) -> Maintenance {
        let recurrence = every.map(|every| Recurrence { every, weekdays: weekdays.to_vec(), until: None });
        let kept = Kept {
            id: "m".to_owned(),
            name: "m".to_owned(),
            matchers: Matchers::parse("a=1").unwrap().documents(),
            start: at(start),
            duration: 3_600_000,
            recurrence,
            timezone: zone.to_owned(),
            comment: String::new(),
            created_by: String::new(),
        };
        kept.try_into().unwrap()
    }

    #[test]
    fn a_window_without_recurrence_ends_by_itself() {
        let once = window("2026-03-01T10:00:00Z", None, &[], "");
        for (text, active, over) in [
            ("2026-03-01T09:59:59Z", false, false),
            ("2026-03-01T10:00:00Z", true, false),
            ("2026-03-01T10:59:59Z", true, false),
            ("2026-03-01T11:00:00Z", false, true),
        ] {
            assert_eq!((once.active(at(text)), once.over(at(text))), (active, over), "{text}");
        }
    }

    #[test]
    fn one_that_recurs_keeps_its_time_of_the_day() {
        // Clocks in Berlin go forward on 2026-03-29.
        let daily = window("2026-03-27T01:00:00Z", Some(Every::Day), &[], "Europe/Berlin");
        assert_eq!(daily.next(at("2026-03-30T00:00:01Z")), Some(at("2026-03-31T00:00:00Z")));
        assert!(daily.active(at("2026-03-28T01:30:00Z")) && !daily.active(at("2026-03-30T01:30:00Z")));
        let weekly = window("2026-03-02T23:30:00Z", Some(Every::Week), &[1, 5], "");
        assert_eq!(weekly.next(at("2026-03-03T00:00:00Z")), Some(at("2026-03-06T23:30:00Z")));
        assert!(weekly.active(at("2026-03-07T00:29:59Z")) && !weekly.active(at("2026-03-07T00:30:00Z")));
        let monthly = window("2026-01-31T05:00:00Z", Some(Every::Month), &[], "");
        assert_eq!(monthly.next(at("2026-02-01T00:00:00Z")), Some(at("2026-03-31T05:00:00Z")));
        let mut until = weekly;
        until.recurrence.as_mut().unwrap().until = Some(at("2026-03-10T00:00:00Z"));
        assert!(until.over(at("2026-03-10T01:00:00Z")) && !until.over(at("2026-03-09T23:00:00Z")));
    }
}
