//! A rate for each key, such that each has its say: keys share a goal by the logarithm of how often they come.
//!
//! With n the count of a key in an interval (an exponential mean), its share of the goal is log10(max(1, n)) by the
//! sum of these, and one in n/(share · goal) of it is kept, at least. The method is that of Honeycomb's dynamic
//! sampler.

use std::collections::BTreeMap;

/// Share of the newest interval in a key's count.
const NEWEST: f64 = 0.5;
/// Below this count a key is forgotten.
const FORGOTTEN: f64 = 0.5;
/// How many keys are told apart; those beyond share one count.
const KEYS_MAX: usize = 2_000;

/// Rates by key.
#[derive(Clone, Debug)]
pub struct KeyRates {
    goal: f64,
    keys: BTreeMap<String, Key>,
    beyond: Key,
}

#[derive(Clone, Copy, Debug)]
struct Key {
    seen: f64,
    mean: Option<f64>,
    rate: f64,
}

impl Key {
    const NEW: Self = Self { seen: 0.0, mean: None, rate: 1.0 };

    fn turn(&mut self) -> f64 {
        let before = self.mean.unwrap_or(self.seen);
        let mean = NEWEST.mul_add(self.seen - before, before);
        (self.mean, self.seen) = (Some(mean), 0.0);
        mean
    }
}

impl KeyRates {
    /// One that keeps about `goal` items of all keys in an interval.
    pub fn new(goal: f64) -> Self {
        Self { goal, keys: BTreeMap::new(), beyond: Key::NEW }
    }

    /// Counts an item of a key.
    pub fn count(&mut self, key: &str) {
        if let Some(known) = self.keys.get_mut(key) {
            known.seen += 1.0;
        } else if self.keys.len() < KEYS_MAX {
            self.keys.insert(key.to_owned(), Key { seen: 1.0, ..Key::NEW });
        } else {
            self.beyond.seen += 1.0;
        }
    }

    /// With which probability an item of a key is kept. A new key is kept whole for an interval.
    pub fn rate(&self, key: &str) -> f64 {
        let beyond = if self.keys.len() < KEYS_MAX { Key::NEW } else { self.beyond };
        self.keys.get(key).unwrap_or(&beyond).rate
    }

    /// Ends an interval and sets the rates of the next. O(keys).
    pub fn tick(&mut self) {
        let goal = self.goal;
        self.keys.retain(|_, key| key.turn() >= FORGOTTEN);
        self.beyond.turn();
        let share = |key: &Key| key.mean.unwrap_or(0.0).max(1.0).log10();
        let all: f64 = self.keys.values().chain([&self.beyond]).map(share).sum();
        for key in self.keys.values_mut().chain([&mut self.beyond]) {
            let kept = share(key) / all * goal;
            let mean = key.mean.unwrap_or(0.0);
            key.rate = if mean > kept && mean > 1.0 { (kept / mean).max(f64::MIN_POSITIVE) } else { 1.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_share_the_goal_by_their_logarithms() {
        let mut rates = KeyRates::new(60.0);
        for (key, n) in [("a", 1_000), ("b", 100), ("c", 10), ("d", 1)] {
            (0..n).for_each(|_| rates.count(key));
        }
        assert_eq!(rates.rate("a"), 1.0);
        rates.tick();
        let check = |key: &str, expected: f64| {
            assert!((rates.rate(key) - expected).abs() < 1e-12, "{key}: {}", rates.rate(key));
        };
        check("a", 30.0 / 1_000.0);
        check("b", 20.0 / 100.0);
        check("c", 1.0);
        check("d", 1.0);
        check("new", 1.0);
    }

    #[test]
    fn keys_are_bounded_and_forgotten() {
        let mut rates = KeyRates::new(10.0);
        (0..KEYS_MAX + 500).for_each(|i| rates.count(&i.to_string()));
        rates.tick();
        assert_eq!(rates.keys.len(), KEYS_MAX);
        assert!(rates.rate("more") < 0.1);
        (0..3).for_each(|_| rates.tick());
        assert!(rates.keys.is_empty());
    }
}
