//! Priority sampling: a fixed number of items, heavy ones more likely (Duffield, Lund, Thorup 2007).
//!
//! An item of weight w gets the priority w/u, with u random in (0, 1]; the k highest are kept. With τ the next
//! highest, an item stands for max(w, τ) of weight, and was kept with probability min(1, w/τ): any sum over any part
//! of the items is unbiased.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::Random;

/// An item that was kept by its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighed<T> {
    /// What was kept.
    pub item: T,
    /// Its own weight.
    pub weight: f64,
    /// The weight it stands for, at least its own.
    pub adjusted: f64,
}

impl<T> Weighed<T> {
    /// The probability with which it was kept.
    pub fn rate(&self) -> f64 {
        self.weight / self.adjusted
    }
}

/// Keeps `k` of all items offered. An offer costs O(log k).
#[derive(Clone, Debug)]
pub struct PrioritySample<T> {
    k: usize,
    /// The k + 1 of highest priority, the least of them on top.
    heap: BinaryHeap<Ranked<T>>,
}

#[derive(Clone, Debug)]
struct Ranked<T> {
    priority: f64,
    weight: f64,
    item: T,
}

impl<T> PrioritySample<T> {
    /// One that keeps up to `k` items.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new() }
    }

    /// Offers an item. One whose weight is not above 0 is never kept.
    pub fn offer(&mut self, item: T, weight: f64, random: &mut Random) {
        if weight > 0.0 && weight.is_finite() {
            self.heap.push(Ranked { priority: weight / random.unit(), weight, item });
            if self.heap.len() > self.k.saturating_add(1) {
                self.heap.pop();
            }
        }
    }

    /// What was kept, in no particular order.
    pub fn into_kept(mut self) -> Vec<Weighed<T>> {
        let full = self.heap.len() > self.k;
        let threshold = if full { self.heap.pop().map_or(0.0, |least| least.priority) } else { 0.0 };
        let weigh = |ranked: Ranked<T>| {
            let adjusted = ranked.weight.max(threshold);
            Weighed { item: ranked.item, weight: ranked.weight, adjusted }
        };
        self.heap.into_iter().map(weigh).collect()
    }
}

/// By priority, the least first.
impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.priority.total_cmp(&self.priority)
    }
}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Ranked<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_all_kept_as_they_are() {
        let mut random = Random::new(1);
        let mut sample = PrioritySample::new(3);
        for weight in [1.0, 2.0, 3.0, 0.0, f64::NAN] {
            sample.offer((), weight, &mut random);
        }
        let kept = sample.into_kept();
        assert_eq!(kept.len(), 3);
        assert!(kept.iter().all(|item| item.rate() == 1.0));
    }

    #[test]
    fn the_heavy_one_is_kept() {
        let mut random = Random::new(2);
        for _ in 0..100 {
            let mut sample = PrioritySample::new(5);
            (0..100).for_each(|i| sample.offer(i, if i == 50 { 1e6 } else { 1.0 }, &mut random));
            let kept = sample.into_kept();
            assert_eq!(kept.len(), 5);
            let heavy = kept.iter().find(|item| item.item == 50).unwrap();
            assert!(heavy.rate() > 0.9);
        }
        let mut none = PrioritySample::new(0);
        none.offer((), 1.0, &mut random);
        assert!(none.into_kept().is_empty());
    }
}
