//! The greatest of many, without keeping the many.

/// Keeps the `limit` items of the greatest counts; of equal counts those that come first in their own order.
pub(super) struct Top<T> {
    limit: usize,
    items: Vec<(u64, T)>,
    /// Counts below it cannot be among the greatest any more.
    least: u64,
}

impl<T: Ord> Top<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, items: Vec::new(), least: 0 }
    }

    /// Offers an item, which is made only if it may be kept.
    pub(super) fn offer(&mut self, count: u64, item: impl FnOnce() -> T) {
        if count < self.least || self.limit == 0 {
            return;
        }
        self.items.push((count, item()));
        if self.items.len() >= self.limit.saturating_mul(2).max(64) {
            self.prune();
        }
    }

    /// What is kept, greatest first.
    pub(super) fn into_vec(mut self) -> Vec<(u64, T)> {
        self.prune();
        self.items
    }

    fn prune(&mut self) {
        self.items.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        self.items.truncate(self.limit);
        if self.items.len() == self.limit {
            self.least = self.items.last().map_or(0, |last| last.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: usize, counts: &[u64], expected: &[(u64, usize)]) {
        let mut top = Top::new(limit);
        for (item, &count) in counts.iter().enumerate() {
            top.offer(count, || item);
        }
        assert_eq!(top.into_vec(), expected);
    }

    #[test]
    fn keeps_the_greatest() {
        check(0, &[1, 2], &[]);
        check(2, &[], &[]);
        check(2, &[1, 3, 2], &[(3, 1), (2, 2)]);
        check(2, &[5, 5, 5], &[(5, 0), (5, 1)]);
        let many: Vec<u64> = (0..1000).rev().collect();
        check(3, &many, &[(999, 0), (998, 1), (997, 2)]);
        let many: Vec<u64> = (0..1000).collect();
        check(1, &many, &[(999, 999)]);
    }
}
