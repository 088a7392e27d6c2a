//! The series of a lane in label order, kept from the first large selection on.
//!
//! Readers want series in that order. To sort a great many of them costs more than all else a query does with them, and
//! the order changes only when series come and go. So it is kept, four bytes a series; new ones are sorted in when the
//! next large selection comes.

use barograph_model::Labels;

/// A selection of at least this part of all series takes its order from here; a smaller one is sorted by itself.
const LARGE: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Order {
    kept: bool,
    sorted: Vec<u32>,
    added: Vec<u32>,
}

impl Order {
    /// Notes a new series.
    pub(super) fn add(&mut self, slot: u32) {
        if self.kept {
            self.added.push(slot);
        }
    }

    /// Forgets all slots for which `gone` holds. Must come before their labels are forgotten.
    pub(super) fn remove(&mut self, gone: impl Fn(u32) -> bool) {
        self.added.retain(|&slot| !gone(slot));
        self.sorted.retain(|&slot| !gone(slot));
    }

    /// Puts `slots`, which are some of `all`, into label order if they are many.
    pub(super) fn arrange<'s>(
        &mut self,
        slots: &mut Vec<u32>,
        count: usize,
        all: impl Iterator<Item = u32>,
        labels_of: impl Fn(u32) -> &'s Labels,
    ) {
        if slots.len() * LARGE < count {
            return;
        }
        if !self.kept {
            self.kept = true;
            self.added.extend(all);
        }
        if !self.added.is_empty() {
            // What was sorted before is one run to a stable sort, which only has to be merged.
            self.sorted.append(&mut self.added);
            self.sorted.sort_by(|&a, &b| labels_of(a).cmp(labels_of(b)));
        }
        let mut chosen = Marks::default();
        chosen.add(slots);
        slots.clear();
        slots.extend(self.sorted.iter().filter(|&&slot| chosen.has(slot)));
    }
}

/// A set of slots, a bit each.
#[derive(Default)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    pub(super) fn add(&mut self, slots: &[u32]) {
        for &slot in slots {
            let word = slot as usize / 64;
            if word >= self.0.len() {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= 1 << (slot % 64);
        }
    }

    pub(super) fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_selections_come_in_label_order() {
        let series: Vec<Labels> = (0..100)
            .map(|n| Labels::from_pairs([("n", format!("{}", n * 7 % 100).as_str())]).unwrap())
            .collect();
        let labels_of = |slot: u32| &series[slot as usize];
        let mut order = Order::default();
        let mut check = |gone: &[u32], known: u32| {
            order.remove(|slot| gone.contains(&slot));
            let all = || (0..known).filter(|slot| !gone.contains(slot));
            let mut slots: Vec<u32> = all().filter(|slot| slot % 3 > 0).collect();
            let mut expected = slots.clone();
            expected.sort_by_key(|&slot| labels_of(slot));
            order.arrange(&mut slots, all().count(), all(), labels_of);
            assert_eq!(slots, expected);
            (known..known + 20).for_each(|slot| order.add(slot));
        };
        check(&[], 40);
        check(&[], 60);
        check(&[3, 4, 50], 80);
    }
}
