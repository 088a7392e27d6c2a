//! Exemplars that wait for a sample of their series.
//!
//! A receiver knows a series by its samples, and 2.0 has exemplars only beside these. Samples come from the log, which may
//! be read later than an exemplar comes; so an exemplar goes with the next batch in which its series has something else.

use std::collections::{HashSet, VecDeque};

use barograph_model::Labels;

use super::batch::{Data, Item};

/// So many wait in one shard at most; then the oldest go.
const WAITING_MAX: usize = 10_000;

/// Exemplars of one shard that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting(VecDeque<Item>);

/// What became of the exemplars of a batch and of those that waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// They were in the batch, and wait now.
    pub(super) aside: usize,
    /// They waited, and are in the batch now.
    pub(super) back: usize,
    /// They are gone, as too many wait.
    pub(super) dropped: usize,
}

impl Waiting {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Leaves in a batch what may go, and adds those that waited for it.
    pub(super) fn pair(&mut self, batch: &mut Vec<Item>) -> Moved {
        let is_exemplar = |item: &Item| matches!(item.data, Data::Exemplar(_));
        if self.0.is_empty() && !batch.iter().any(is_exemplar) {
            return Moved::default();
        }
        let others = batch.iter().filter(|item| !is_exemplar(item));
        let there: HashSet<Labels> = others.map(|item| item.labels.clone()).collect();
        let aside: Vec<Item> =
            batch.extract_if(.., |item| is_exemplar(item) && !there.contains(&item.labels)).collect();
        let (back, still): (VecDeque<Item>, VecDeque<Item>) =
            self.0.drain(..).partition(|item| there.contains(&item.labels));
        let mut moved = Moved { aside: aside.len(), back: back.len(), dropped: 0 };
        // Those of a series go in the order in which they came.
        let own: Vec<Item> = batch.extract_if(.., |item| is_exemplar(item)).collect();
        batch.extend(back.into_iter().chain(own));
        self.0 = still;
        self.0.extend(aside);
        while self.0.len() > WAITING_MAX {
            self.0.pop_front();
            moved.dropped += 1;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::{Exemplar, Sample, Timestamp};

    use super::*;

    fn sample(name: &str, at: i64) -> Item {
        let data = Data::Sample(Sample { at: Timestamp(at), value: 1.0 });
        Item { labels: Labels::from_pairs([("__name__", name)]).unwrap(), data, slice: None }
    }

    fn exemplar(name: &str, at: i64) -> Item {
        let labels = Labels::from_pairs([("trace_id", "x")]).unwrap();
        let found = Exemplar { labels, sample: Sample { at: Timestamp(at), value: 1.0 } };
        Item { data: Data::Exemplar(Box::new(found)), ..sample(name, at) }
    }

    /// A batch, what is left in it, and what moved: aside, back, dropped.
    fn check(waiting: &mut Waiting, mut batch: Vec<Item>, left: &[(&str, i64)], moved: [usize; 3]) {
        let found = waiting.pair(&mut batch);
        let names: Vec<_> =
            batch.iter().map(|item| (item.labels.metric_name().unwrap(), item.at().0)).collect();
        assert_eq!(names, left);
        assert_eq!([found.aside, found.back, found.dropped], moved);
    }

    #[test]
    fn exemplars_go_beside_a_sample_of_their_series() {
        let mut waiting = Waiting::default();
        check(&mut waiting, vec![sample("a", 1)], &[("a", 1)], [0, 0, 0]);
        check(
            &mut waiting,
            vec![exemplar("a", 2), sample("b", 2), exemplar("b", 2)],
            &[("b", 2), ("b", 2)],
            [1, 0, 0],
        );
        check(&mut waiting, vec![exemplar("a", 3)], &[], [1, 0, 0]);
        let batch = vec![exemplar("a", 4), sample("a", 4), sample("c", 4)];
        check(&mut waiting, batch, &[("a", 4), ("c", 4), ("a", 2), ("a", 3), ("a", 4)], [0, 2, 0]);
        check(&mut waiting, vec![sample("a", 5)], &[("a", 5)], [0, 0, 0]);
    }

    #[test]
    fn only_so_many_wait() {
        let mut waiting = Waiting::default();
        let many = (0..i64::try_from(WAITING_MAX).unwrap() + 3).map(|at| exemplar("a", at));
        check(&mut waiting, many.collect(), &[], [WAITING_MAX + 3, 0, 3]);
        let mut batch = vec![sample("a", 9)];
        assert_eq!(waiting.pair(&mut batch).back, WAITING_MAX);
        assert_eq!(batch[1].at().0, 3, "the oldest went");
    }
}
