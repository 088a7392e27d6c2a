//! The tiers: how finely samples are kept, and for how long by default.

use std::{fmt, str::FromStr, time::Duration};

/// How finely samples are kept. Each tier is made from the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Every sample.
    #[default]
    Raw,
    /// Windows of one minute.
    Minute,
    /// Windows of five minutes.
    FiveMinutes,
    /// Windows of an hour.
    Hour,
}

impl Tier {
    /// All tiers, from the finest.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::FiveMinutes, Self::Hour];

    /// The tiers of windows, from the finest.
    pub const ROLLED: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::Hour];

    /// Its name: `raw`, `1m`, `5m`, `1h`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    /// The length of its windows in milliseconds; one for raw, which has none.
    pub const fn width(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Minute => 60_000,
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }

    /// The start of the window that a time, in milliseconds, belongs to. Windows are aligned to the epoch.
    pub const fn window_of(self, at: i64) -> i64 {
        at.div_euclid(self.width()).saturating_mul(self.width())
    }

    /// How long it is kept unless something else is said: 24 hours, 7 days, 30 days, 365 days.
    pub const fn default_retention(self) -> Duration {
        const DAY: u64 = 24 * 3600;
        Duration::from_secs(match self {
            Self::Raw => DAY,
            Self::Minute => 7 * DAY,
            Self::FiveMinutes => 30 * DAY,
            Self::Hour => 365 * DAY,
        })
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no tier has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierError;

impl fmt::Display for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown tier, one of raw, 1m, 5m, 1h is expected")
    }
}

impl std::error::Error for TierError {}

impl FromStr for Tier {
    type Err = TierError;

    fn from_str(name: &str) -> Result<Self, TierError> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name).ok_or(TierError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
        assert_eq!("10m".parse::<Tier>(), Err(TierError));
    }

    #[test]
    fn windows_are_aligned() {
        let check = |tier: Tier, at, start| assert_eq!(tier.window_of(at), start, "{tier} {at}");
        check(Tier::Raw, 17, 17);
        check(Tier::Minute, 59_999, 0);
        check(Tier::Minute, 60_000, 60_000);
        check(Tier::Hour, -1, -3_600_000);
    }
}
