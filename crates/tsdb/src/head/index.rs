//! Postings of a lane: label pair to series, in the memory of the pairs' first series.
//!
//! The text of a pair is not kept: it is read from the labels of any series that has it. Lists are unsorted, because a
//! reader takes the shortest and tests the other conditions on what it holds, each once a value of the label where that
//! is less work than once a series.

use barograph_model::{Labels, Matcher};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::order::Marks;

/// The postings of one lane. Every call that compares takes a way from slot to labels.
#[derive(Default)]
pub(crate) struct Index {
    names: HashTable<Name>,
}

struct Name {
    name: Box<str>,
    values: HashTable<Posting>,
}

struct Posting {
    hash: u64,
    slots: Slots,
}

/// Most pairs belong to one series or to a great many.
enum Slots {
    One([u32; 1]),
    Many(Vec<u32>),
}

/// Lists of which every series that passes all matchers is in one.
enum Shortest<'i> {
    /// No series passes.
    Nothing,
    /// No matcher helps: every series has to be looked at.
    Everything,
    /// The lists that the matcher of this number allows, which needs no further test.
    Lists(usize, Vec<&'i Posting>),
}

impl Name {
    fn value_of<'s>(&self, posting: &Posting, labels_of: impl Fn(u32) -> &'s Labels) -> &'s str {
        labels_of(posting.slots.as_slice()[0]).value(&self.name).unwrap_or("")
    }
}

/// A list that is full gets this part of its length as further room.
const SPARE: usize = 8;

impl Slots {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(slot) => slot,
            Self::Many(slots) => slots,
        }
    }

    fn push(&mut self, slot: u32) {
        match self {
            Self::One([first]) => *self = Self::Many(vec![*first, slot]),
            Self::Many(slots) => {
                // Half of the room would be spare on average if it doubled, in lists that are most of the index.
                if slots.len() == slots.capacity() {
                    slots.reserve_exact(1 + slots.len() / SPARE);
                }
                slots.push(slot);
            }
        }
    }
}

impl Index {
    /// Adds a series under all its labels.
    pub(crate) fn add<'s>(&mut self, slot: u32, labels: &Labels, labels_of: impl Fn(u32) -> &'s Labels) {
        for label in labels.raw() {
            let rehash = |entry: &Name| xxh3_64(entry.name.as_bytes());
            let same = |entry: &Name| entry.name.as_bytes() == label.name;
            let entry = self.names.entry(xxh3_64(label.name), same, rehash);
            let name = || str::from_utf8(label.name).expect("labels are text").into();
            let entry = entry.or_insert_with(|| Name { name: name(), values: HashTable::new() }).into_mut();

            let hash = xxh3_64(label.value);
            let same =
                |posting: &Posting| posting.hash == hash && labels_of(posting.slots.as_slice()[0]).has(label);
            match entry.values.find_mut(hash, same) {
                Some(posting) => posting.slots.push(slot),
                None => {
                    let posting = Posting { hash, slots: Slots::One([slot]) };
                    entry.values.insert_unique(hash, posting, |posting| posting.hash);
                }
            }
        }
    }

    /// Takes away all slots for which `gone` holds. Must come before their labels are forgotten.
    pub(crate) fn remove(&mut self, gone: impl Fn(u32) -> bool) {
        self.names.retain(|entry| {
            entry.values.retain(|posting| match &mut posting.slots {
                Slots::One([slot]) => !gone(*slot),
                Slots::Many(slots) => {
                    slots.retain(|&slot| !gone(slot));
                    !slots.is_empty()
                }
            });
            !entry.values.is_empty()
        });
    }

    /// Puts the slots of all series that pass all matchers into `slots`, in no particular order.
    pub(crate) fn matching<'s>(
        &self,
        matchers: &[Matcher],
        labels_of: impl Fn(u32) -> &'s Labels,
        all: impl Iterator<Item = u32>,
        slots: &mut Vec<u32>,
    ) {
        slots.clear();
        let needed = match self.shortest(matchers, &labels_of) {
            Shortest::Nothing => return,
            Shortest::Everything => {
                slots.extend(all);
                None
            }
            Shortest::Lists(needed, lists) => {
                lists.iter().for_each(|posting| slots.extend_from_slice(posting.slots.as_slice()));
                Some(needed)
            }
        };
        for (_, matcher) in matchers.iter().enumerate().filter(|(number, _)| Some(*number) != needed) {
            self.keep_passing(matcher, &labels_of, slots);
        }
    }

    /// Whether a series passes all matchers and `counts`. Looks no further than the first.
    pub(crate) fn any<'s>(
        &self,
        matchers: &[Matcher],
        labels_of: impl Fn(u32) -> &'s Labels,
        mut all: impl Iterator<Item = u32>,
        counts: impl Fn(u32) -> bool,
    ) -> bool {
        let passes = |slot: u32| {
            let labels = labels_of(slot);
            matchers.iter().all(|m| m.matches(labels.value(m.name()).unwrap_or(""))) && counts(slot)
        };
        // Patterns are not worth trying on all values of their label here.
        let finite: Vec<_> = matchers.iter().filter(|m| m.allowed_values().is_some()).cloned().collect();
        match self.shortest(&finite, &labels_of) {
            Shortest::Nothing => false,
            Shortest::Everything => all.any(passes),
            Shortest::Lists(_, lists) => {
                lists.iter().any(|posting| posting.slots.as_slice().iter().any(|&slot| passes(slot)))
            }
        }
    }

    /// The shortest lists that some matcher needs.
    fn shortest<'s>(&self, matchers: &[Matcher], labels_of: impl Fn(u32) -> &'s Labels) -> Shortest<'_> {
        let mut best: Option<(usize, usize, Vec<&Posting>)> = None;
        // Finite sets of values are looked up; patterns have to be tried on all values, so they come last.
        let needed = matchers.iter().enumerate().filter(|(_, m)| !m.matches_absent());
        let (finite, patterns): (Vec<_>, Vec<_>) = needed.partition(|(_, m)| m.allowed_values().is_some());
        for (number, matcher) in finite.into_iter().chain(patterns) {
            let Some(entry) = self.name(matcher.name()) else { return Shortest::Nothing };
            let value_of = |posting: &Posting| entry.value_of(posting, &labels_of);
            let lists: Vec<&Posting> = match matcher.allowed_values() {
                Some(mut values) => {
                    values.sort_unstable();
                    values.dedup();
                    let find = |value: &&str| {
                        let hash = xxh3_64(value.as_bytes());
                        entry.values.find(hash, |posting| posting.hash == hash && value_of(posting) == *value)
                    };
                    values.iter().filter_map(find).collect()
                }
                // Not worth it once something shorter than the list of values is found.
                None if best.as_ref().is_some_and(|(len, ..)| *len <= entry.values.len()) => continue,
                None => entry.values.iter().filter(|posting| matcher.matches(value_of(posting))).collect(),
            };
            let len = lists.iter().map(|posting| posting.slots.as_slice().len()).sum();
            if best.as_ref().is_none_or(|(least, ..)| len < *least) {
                best = Some((len, number, lists));
            }
        }
        best.map_or(Shortest::Everything, |(_, number, lists)| Shortest::Lists(number, lists))
    }

    /// Takes away the slots of series that do not pass a matcher.
    fn keep_passing<'s>(
        &self,
        matcher: &Matcher,
        labels_of: impl Fn(u32) -> &'s Labels,
        slots: &mut Vec<u32>,
    ) {
        let absent_passes = matcher.matches_absent();
        let Some(entry) = self.name(matcher.name()) else {
            slots.retain(|_| absent_passes);
            return;
        };
        if slots.len() <= entry.values.len() {
            slots.retain(|&slot| matcher.matches(labels_of(slot).value(&entry.name).unwrap_or("")));
            return;
        }
        // Of both kinds of values the one that series without the label do not belong to.
        let mut odd = Marks::default();
        for posting in &entry.values {
            if matcher.matches(entry.value_of(posting, &labels_of)) != absent_passes {
                odd.add(posting.slots.as_slice());
            }
        }
        slots.retain(|&slot| odd.has(slot) != absent_passes);
    }

    /// Calls `see` with each label name of a series that `counts`.
    pub(crate) fn each_name(&self, counts: impl Fn(u32) -> bool, mut see: impl FnMut(&str)) {
        for entry in &self.names {
            if entry.values.iter().any(|posting| posting.slots.as_slice().iter().any(|&slot| counts(slot))) {
                see(&entry.name);
            }
        }
    }

    /// Calls `see` with each value that a label has in a series that `counts`.
    pub(crate) fn each_value<'s>(
        &self,
        name: &str,
        labels_of: impl Fn(u32) -> &'s Labels,
        counts: impl Fn(u32) -> bool,
        mut see: impl FnMut(&str),
    ) {
        let Some(entry) = self.name(name) else { return };
        // Each value is in the labels of some series far from the last. What is needed of them is brought near in a
        // short loop first, in which the processor waits for many of them at once.
        let first_of = |posting: &Posting| labels_of(posting.slots.as_slice()[0]).as_bytes()[0];
        std::hint::black_box(entry.values.iter().map(first_of).fold(0, u8::wrapping_add));
        for posting in &entry.values {
            let slots = posting.slots.as_slice();
            if slots.iter().any(|&slot| counts(slot)) {
                labels_of(slots[0]).value(name).into_iter().for_each(&mut see);
            }
        }
    }

    /// Calls `see` with each value of a label and the number of series that have it.
    pub(crate) fn each_posting<'s>(
        &self,
        name: &str,
        labels_of: impl Fn(u32) -> &'s Labels,
        mut see: impl FnMut(&str, usize),
    ) {
        for posting in self.name(name).into_iter().flat_map(|entry| &entry.values) {
            let slots = posting.slots.as_slice();
            if let Some(value) = labels_of(slots[0]).value(name) {
                see(value, slots.len());
            }
        }
    }

    /// A series that has the value of a label with this hash.
    pub(crate) fn slot_of_hash(&self, name: &str, hash: u64) -> Option<u32> {
        let posting = self.name(name)?.values.find(hash, |posting| posting.hash == hash)?;
        posting.slots.as_slice().first().copied()
    }

    fn name(&self, name: &str) -> Option<&Name> {
        self.names.find(xxh3_64(name.as_bytes()), |entry| *entry.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::MatchOp;

    use super::*;

    /// Jobs `a` and `b` of many series each, pods of one; the last series has no job.
    fn check(matchers: &[(&str, MatchOp, &str)], expected: &[u32]) {
        let job = |n: u32| ["a", "a", "b", "b", ""][n as usize];
        let labels = |n| Labels::from_pairs([("job", job(n)), ("pod", &n.to_string())]).unwrap();
        let series: Vec<_> = (0..5).map(labels).collect();
        let mut index = Index::default();
        let labels_of = |slot: u32| &series[slot as usize];
        for (slot, labels) in (0..).zip(&series) {
            index.add(slot, labels, labels_of);
        }
        let matchers: Vec<_> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).unwrap()).collect();
        let mut slots = Vec::new();
        index.matching(&matchers, labels_of, 0..5, &mut slots);
        slots.sort_unstable();
        assert_eq!(slots, expected, "{matchers:?}");
    }

    #[test]
    fn finds_what_passes_all_matchers() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        check(&[], &[0, 1, 2, 3, 4]);
        check(&[("job", NotEqual, "a")], &[2, 3, 4]);
        check(&[("job", NotRegex, "[ab]")], &[4]);
        check(&[("job", Equal, "a")], &[0, 1]);
        check(&[("job", Equal, "")], &[4]);
        check(&[("job", Equal, "a"), ("pod", Equal, "1")], &[1]);
        check(&[("job", Equal, "a"), ("pod", Equal, "2")], &[]);
        check(&[("pod", Regex, "0|3|0")], &[0, 3]);
        check(&[("pod", Regex, "[23]"), ("job", NotEqual, "")], &[2, 3]);
        check(&[("pod", Regex, "[1-4]"), ("job", Regex, "[bc]?")], &[2, 3, 4]);
        check(&[("pod", NotEqual, "0"), ("job", Regex, ".+")], &[1, 2, 3]);
        check(&[("none", Equal, "a")], &[]);
        check(&[("none", NotEqual, "a"), ("job", Equal, "b")], &[2, 3]);
    }

    #[test]
    fn removed_series_are_gone() {
        let labels = Labels::from_pairs([("a", "1")]).unwrap();
        let mut index = Index::default();
        index.add(0, &labels, |_| &labels);
        index.add(1, &labels, |_| &labels);
        index.remove(|slot| slot == 0);
        let mut slots = Vec::new();
        index.matching(&[Matcher::equal("a", "1")], |_| &labels, 0..2, &mut slots);
        assert_eq!(slots, [1]);
        index.remove(|_| true);
        assert!(index.names.is_empty());
    }
}
