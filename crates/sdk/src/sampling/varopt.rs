//! VarOpt: a fixed number of items by weight, with the least variance any such sample can have.
//!
//! Of the items kept, those heavier than a threshold τ stand for themselves, all others for τ each. A new item
//! raises τ so that one of the light ones goes, each with the probability that keeps its expected weight. The sum of
//! all weights is then exact, that of any part unbiased, and the average variance over parts the least possible
//! (Cohen, Duffield, Kaplan, Lund, Thorup: "Efficient stream sampling for variance-optimal estimation of subset
//! sums", SIAM J. Comput. 40, 2011; algorithm 1). Samples of parts of a stream merge into one of the whole.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{Random, Weighed};

/// Keeps `k` of all items offered. An offer costs O(log k), amortised.
#[derive(Clone, Debug)]
pub struct VarOpt<T> {
    k: usize,
    /// Those above the threshold, the lightest on top.
    heavy: BinaryHeap<Heavy<T>>,
    /// Those that stand for the threshold, with their own weights.
    light: Vec<(T, f64)>,
    threshold: f64,
}

#[derive(Clone, Debug)]
struct Heavy<T> {
    /// What it stands for: more than its own weight only if it comes from another sample.
    adjusted: f64,
    weight: f64,
    item: T,
}

impl<T> VarOpt<T> {
    /// One that keeps up to `k` items.
    pub fn new(k: usize) -> Self {
        Self { k, heavy: BinaryHeap::new(), light: Vec::new(), threshold: 0.0 }
    }

    /// Offers an item. One whose weight is not above 0 is never kept.
    pub fn offer(&mut self, item: T, weight: f64, random: &mut Random) {
        if weight > 0.0 && weight.is_finite() {
            self.take(Heavy { adjusted: weight, weight, item }, random);
        }
    }

    /// Takes in another sample, of another part of the same stream.
    pub fn merge(&mut self, other: Self, random: &mut Random) {
        for kept in other.into_kept() {
            self.take(Heavy { adjusted: kept.adjusted, weight: kept.weight, item: kept.item }, random);
        }
    }

    /// What was kept, in no particular order.
    pub fn into_kept(self) -> Vec<Weighed<T>> {
        let heavy = self.heavy.into_iter();
        let heavy =
            heavy.map(|kept| Weighed { item: kept.item, weight: kept.weight, adjusted: kept.adjusted });
        let light = self.light.into_iter();
        heavy.chain(light.map(|(item, weight)| Weighed { item, weight, adjusted: self.threshold })).collect()
    }

    fn take(&mut self, new: Heavy<T>, random: &mut Random) {
        if self.k == 0 {
            return;
        }
        self.heavy.push(new);
        if self.heavy.len() + self.light.len() <= self.k {
            return;
        }
        // What falls to the threshold: those that are lighter than it will be.
        let mut falling: Vec<Heavy<T>> = Vec::new();
        let mut sum = self.threshold * self.light.len() as f64;
        while let Some(lightest) = self.heavy.peek() {
            let others = (self.light.len() + falling.len()) as f64 - 1.0;
            if sum < others * lightest.adjusted {
                break;
            }
            sum += lightest.adjusted;
            falling.extend(self.heavy.pop());
        }
        self.threshold = sum / ((self.light.len() + falling.len()) as f64 - 1.0);
        let mut chance = random.unit();
        let goes = falling.iter().position(|item| {
            chance -= 1.0 - item.adjusted / self.threshold;
            chance <= 0.0
        });
        match goes {
            Some(i) => drop(falling.swap_remove(i)),
            None if !self.light.is_empty() => drop(self.light.swap_remove(random.below(self.light.len()))),
            // Rounding alone leads here: the last one's chance fell short of one by less than 2^-50.
            None => drop(falling.pop()),
        }
        self.light.extend(falling.into_iter().map(|item| (item.item, item.weight)));
    }
}

/// By what it stands for, the lightest first.
impl<T> Ord for Heavy<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.adjusted.total_cmp(&self.adjusted)
    }
}

impl<T> PartialOrd for Heavy<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Heavy<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Heavy<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(weights: impl Iterator<Item = f64>, k: usize, random: &mut Random) -> VarOpt<usize> {
        let mut sample = VarOpt::new(k);
        weights.enumerate().for_each(|(i, weight)| sample.offer(i, weight, random));
        sample
    }

    #[test]
    fn the_sum_is_exact() {
        let check = |n: usize, k: usize| {
            let weights = || (1..=n).map(|i| ((i * 7_919) % 101 + 1) as f64);
            let kept = sample(weights(), k, &mut Random::new(n as u64)).into_kept();
            assert_eq!(kept.len(), k.min(n));
            let (sum, all): (f64, f64) = (kept.iter().map(|item| item.adjusted).sum(), weights().sum());
            assert!((sum - all).abs() < 1e-9 * all, "{n} {k}: {sum} {all}");
            assert!(kept.iter().all(|item| item.rate() > 0.0 && item.rate() <= 1.0));
        };
        check(3, 5);
        check(5, 5);
        check(6, 5);
        check(1_000, 10);
        check(1_000, 1);
        assert!(sample([1.0].into_iter(), 0, &mut Random::new(0)).into_kept().is_empty());
    }

    #[test]
    fn each_is_kept_as_often_as_its_weight_asks() {
        let mut random = Random::new(5);
        let mut kept = [0_u32; 6];
        for _ in 0..20_000 {
            let weights = [1.0, 2.0, 3.0, 4.0, 10.0, 2.0];
            sample(weights.into_iter(), 3, &mut random)
                .into_kept()
                .iter()
                .for_each(|item| kept[item.item] += 1);
        }
        // The heavy one always; of the others two, by weight: 2·w/12.
        let expected = [1.0 / 6.0, 1.0 / 3.0, 0.5, 2.0 / 3.0, 1.0, 1.0 / 3.0];
        for (kept, expected) in kept.iter().zip(expected) {
            assert!((f64::from(*kept) / 20_000.0 - expected).abs() < 0.015, "{kept} {expected}");
        }
    }

    #[test]
    fn parts_merge_into_the_whole() {
        let mut random = Random::new(9);
        let (rounds, mut estimate) = (2_000, 0.0);
        for _ in 0..rounds {
            let mut left = sample((0..200).map(|i| f64::from(i % 7 + 1)), 20, &mut random);
            left.merge(sample((0..300).map(|i| f64::from(i % 5 + 1)), 20, &mut random), &mut random);
            let kept = left.into_kept();
            assert_eq!(kept.len(), 20);
            estimate += kept.iter().map(|item| item.adjusted).sum::<f64>() / f64::from(rounds);
        }
        let all: f64 =
            (0..200).map(|i| f64::from(i % 7 + 1)).chain((0..300).map(|i| f64::from(i % 5 + 1))).sum();
        assert!((estimate - all).abs() < 1e-6 * all);
    }
}
