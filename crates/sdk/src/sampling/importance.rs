//! What matters more is kept more often, up to always.
//!
//! Errors are always kept. What is slow, named or urgent is kept with its own factor of the base rate. The base is one
//! number, or goes by key: frequent keys more thinly, rare ones whole, so that each has its say
//! ([`KeyRates`]). For a fixed number of items by weight there are [`PrioritySample`](super::PrioritySample) and
//! [`VarOpt`](super::VarOpt).

use std::{collections::BTreeMap, time::Duration};

use super::{KeyRates, Random, SamplingInfo, Strategy};

/// How much depends on something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Importance {
    /// Can wait until nothing else does: backfills, reports.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// People wait for it.
    High,
    /// Money or safety depends on it.
    Critical,
}

impl Importance {
    /// All, the least important first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// Its name in documents and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What is known of an item when it is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    /// The operation it was of, which is also its key.
    pub operation: &'a str,
    /// Whether it failed.
    pub error: bool,
    /// How long it took.
    pub took: Duration,
    /// How much depends on it.
    pub importance: Importance,
}

/// What an [`ImportanceBasedSampler`] keeps to.
#[derive(Clone, Debug, PartialEq)]
pub struct Importances {
    /// With which probability is kept what nothing is said about. 0.01 by default.
    pub base: f64,
    /// What takes longer than this is slow. One second by default.
    pub slow: Duration,
    /// How many times more often slow ones are kept; infinite, the default, means always.
    pub slow_factor: f64,
    /// How many times more often those of high importance are kept. 10 by default; critical ones always are.
    pub high_factor: f64,
    /// How many times more often those of these operations are kept.
    pub operations: BTreeMap<String, f64>,
}

impl Default for Importances {
    fn default() -> Self {
        let (slow, operations) = (Duration::from_secs(1), BTreeMap::new());
        Self { base: 0.01, slow, slow_factor: f64::INFINITY, high_factor: 10.0, operations }
    }
}

/// Keeps items by what is known of them.
#[derive(Clone, Debug)]
pub struct ImportanceBasedSampler {
    settings: Importances,
    keys: Option<KeyRates>,
}

impl ImportanceBasedSampler {
    /// One with the same base rate for all keys.
    pub fn new(settings: Importances) -> Self {
        Self { settings, keys: None }
    }

    /// One whose base rate goes by operation.
    pub fn by_key(settings: Importances, keys: KeyRates) -> Self {
        Self { settings, keys: Some(keys) }
    }

    /// With which probability an item is kept.
    pub fn rate(&self, item: &Item<'_>) -> f64 {
        if item.error || item.importance == Importance::Critical {
            return 1.0;
        }
        let settings = &self.settings;
        let base = self.keys.as_ref().map_or(settings.base, |keys| keys.rate(item.operation));
        let named = settings.operations.get(item.operation).copied();
        let slow = (item.took > settings.slow).then_some(settings.slow_factor);
        let high = (item.importance == Importance::High).then_some(settings.high_factor);
        let factor = [named, slow, high]
            .into_iter()
            .flatten()
            .fold(None, |most: Option<f64>, factor| Some(most.map_or(factor, |most| most.max(factor))));
        // Nothing at all is never the answer: what has no chance cannot be stood for.
        (base * factor.unwrap_or(1.0)).clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// Offers an item; `Some` if it is kept.
    pub fn offer(&mut self, item: &Item<'_>, random: &mut Random) -> Option<SamplingInfo> {
        if let Some(keys) = &mut self.keys {
            keys.count(item.operation);
        }
        let rate = self.rate(item);
        random.chance(rate).then(|| SamplingInfo::kept(Strategy::ImportanceBased, rate))
    }

    /// Sets the rates of keys anew; to be called at the end of each interval.
    pub fn tick(&mut self) {
        if let Some(keys) = &mut self.keys {
            keys.tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler() -> ImportanceBasedSampler {
        let operations = BTreeMap::from([("checkout".to_owned(), 20.0), ("ping".to_owned(), 0.1)]);
        ImportanceBasedSampler::new(Importances { operations, ..Importances::default() })
    }

    #[test]
    fn rates_go_by_what_matters() {
        let check = |item: Item<'_>, expected: f64| {
            let rate = sampler().rate(&item);
            assert!((rate - expected).abs() < 1e-12, "{item:?}: {rate}");
        };
        check(Item::default(), 0.01);
        check(Item { operation: "checkout", ..Item::default() }, 0.2);
        check(Item { operation: "ping", ..Item::default() }, 0.001);
        check(Item { operation: "ping", error: true, ..Item::default() }, 1.0);
        check(Item { took: Duration::from_secs(2), ..Item::default() }, 1.0);
        check(Item { importance: Importance::High, ..Item::default() }, 0.1);
        check(Item { importance: Importance::Critical, ..Item::default() }, 1.0);
    }

    #[test]
    fn all_errors_are_kept_at_a_base_of_one_percent() {
        let (mut s, mut random) = (sampler(), Random::new(1));
        let (mut kept, mut weight) = ([0; 2], 0.0);
        for i in 0..100_000 {
            let error = i % 50 == 0;
            let took = Duration::from_millis(5);
            let item = Item { operation: "get", error, took, importance: Importance::Normal };
            if let Some(info) = s.offer(&item, &mut random) {
                kept[usize::from(error)] += 1;
                weight += info.weight;
            }
        }
        assert_eq!(kept[1], 2_000);
        assert!((800..1_200).contains(&kept[0]), "{kept:?}");
        assert!((weight / 100_000.0 - 1.0).abs() < 0.1, "{weight}");
    }

    #[test]
    fn rare_operations_are_kept_whole() {
        let mut s = ImportanceBasedSampler::by_key(Importances::default(), KeyRates::new(100.0));
        let mut random = Random::new(2);
        for _ in 0..10 {
            for i in 0..1_000 {
                let operation = if i == 0 { "rare" } else { "frequent" };
                let _ = s.offer(&Item { operation, ..Item::default() }, &mut random);
            }
            s.tick();
        }
        assert_eq!(s.rate(&Item { operation: "rare", ..Item::default() }), 1.0);
        let frequent = s.rate(&Item { operation: "frequent", ..Item::default() });
        assert!((0.08..0.12).contains(&frequent), "{frequent}");
    }
}
