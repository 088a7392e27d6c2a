//! How long one who guesses waits.
//!
//! Failures are counted for a name as one address tries it, for an address, and for a name from wherever. The first few are
//! free; then each doubles how long nothing more is looked at, up to a bound. What counts a name from everywhere is slow to
//! anger and soon soothed, so that nobody can keep somebody else out for long. A success forgets what that address did to
//! that name. What has been quiet for an hour is forgotten; with too many that are not, new ones share one count.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Names and addresses that are counted each for itself.
const COUNTED_MAX: usize = 10_000;
/// What is forgotten: failures so long ago.
const QUIET: Duration = Duration::from_secs(3_600);

/// When waiting begins, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Failures of an address with one name that are free; 5 by default.
    pub per_pair: u32,
    /// Failures of an address that are free; 20 by default.
    pub per_address: u32,
    /// Failures with a name, from wherever, that are free; 50 by default.
    pub per_user: u32,
    /// How long at most one waits; 15 minutes by default, and a minute for a name from wherever.
    pub wait_max: Duration,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self { per_pair: 5, per_address: 20, per_user: 50, wait_max: Duration::from_secs(900) }
    }
}

/// Failures, counted.
#[derive(Debug, Default)]
pub struct Throttle {
    limits: ThrottleLimits,
    counts: HashMap<Key, Count>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Pair(String, String),
    Address(String),
    User(String),
    Others,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    last: Duration,
    until: Duration,
}

impl Throttle {
    /// One that has seen nothing.
    pub fn new(limits: ThrottleLimits) -> Self {
        Self { limits, counts: HashMap::new() }
    }

    /// Whether a guess is looked at; else how long until one is. Times are of a clock that only goes on.
    ///
    /// # Errors
    /// How long to wait.
    pub fn may(&self, user: &str, address: &str, now: Duration) -> Result<(), Duration> {
        let waits = self.keys(user, address).into_iter().filter_map(|(key, ..)| {
            let count =
                self.counts.get(&key).or_else(|| self.counts.get(&Key::Others).filter(|_| self.is_full()))?;
            count.until.checked_sub(now).filter(|wait| !wait.is_zero())
        });
        waits.max().map_or(Ok(()), Err)
    }

    /// A guess was wrong.
    pub fn failed(&mut self, user: &str, address: &str, now: Duration) {
        if self.is_full() {
            self.counts.retain(|_, count| now.saturating_sub(count.last) < QUIET);
        }
        for (key, free, most) in self.keys(user, address) {
            let key = if self.is_full() && !self.counts.contains_key(&key) { Key::Others } else { key };
            let count = self.counts.entry(key).or_insert(Count { failures: 0, last: now, until: now });
            if now.saturating_sub(count.last) >= QUIET {
                count.failures = 0;
            }
            count.failures = count.failures.saturating_add(1);
            count.last = now;
            if count.failures >= free {
                let doubled = 1_u64 << (count.failures - free).min(30);
                count.until = now + Duration::from_secs(doubled).min(most);
            }
        }
    }

    /// A guess was right.
    pub fn succeeded(&mut self, user: &str, address: &str) {
        self.counts.remove(&Key::Pair(user.to_owned(), address.to_owned()));
    }

    /// How many wait right now, by what is counted.
    pub fn waiting(&self, now: Duration) -> BTreeMap<&'static str, usize> {
        let mut waiting = BTreeMap::new();
        for (key, count) in &self.counts {
            let what = match key {
                Key::Pair(..) => "pair",
                Key::Address(_) => "address",
                Key::User(_) => "user",
                Key::Others => "others",
            };
            *waiting.entry(what).or_default() += usize::from(count.until > now);
        }
        waiting
    }

    fn is_full(&self) -> bool {
        self.counts.len() >= COUNTED_MAX
    }

    fn keys(&self, user: &str, address: &str) -> [(Key, u32, Duration); 3] {
        let ThrottleLimits { per_pair, per_address, per_user, wait_max } = self.limits;
        [
            (Key::Pair(user.to_owned(), address.to_owned()), per_pair, wait_max),
            (Key::Address(address.to_owned()), per_address, wait_max),
            (Key::User(user.to_owned()), per_user, wait_max.min(Duration::from_secs(60))),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waiting_doubles_and_has_an_end() {
        let mut throttle = Throttle::default();
        for _ in 0..4 {
            throttle.failed("ann", "a", seconds(0));
        }
        assert_eq!(throttle.may("ann", "a", seconds(0)), Ok(()));
        throttle.failed("ann", "a", seconds(0));
        assert_eq!(throttle.may("ann", "a", seconds(0)), Err(seconds(1)));
        assert_eq!(throttle.may("ann", "a", seconds(1)), Ok(()));
        throttle.failed("ann", "a", seconds(1));
        assert_eq!(throttle.may("ann", "a", seconds(1)), Err(seconds(2)));
        for _ in 0..60 {
            throttle.failed("ann", "a", seconds(10));
        }
        assert_eq!(throttle.may("ann", "a", seconds(10)), Err(seconds(900)));
        // From elsewhere the same name waits a minute at most, and other names not at all.
        assert_eq!(throttle.may("ann", "b", seconds(10)), Err(seconds(60)));
        assert_eq!(throttle.may("bob", "b", seconds(10)), Ok(()));
        assert!(throttle.may("bob", "a", seconds(10)).is_err());
    }

    #[test]
    fn a_success_forgets_the_pair_and_an_hour_everything() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            throttle.failed("ann", "a", seconds(0));
        }
        throttle.succeeded("ann", "a");
        assert_eq!(throttle.may("ann", "a", seconds(0)), Ok(()));
        for _ in 0..30 {
            throttle.failed("ann", "a", seconds(0));
        }
        throttle.failed("ann", "a", seconds(3_600));
        assert_eq!(throttle.may("ann", "a", seconds(3_600)), Ok(()));
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut throttle = Throttle::default();
        for i in 0..COUNTED_MAX {
            throttle.failed(&format!("user{i}"), &format!("address{i}"), seconds(0));
        }
        assert!(throttle.counts.len() <= COUNTED_MAX + 1);
        // Whoever comes after shares one count.
        assert!(throttle.may("new", "new", seconds(0)).is_err());
        throttle.failed("later", "later", seconds(4_000));
        assert!(throttle.counts.len() < 10);
    }
}
