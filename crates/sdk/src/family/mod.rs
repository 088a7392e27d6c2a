//! A metric with labels whose values are known when it is recorded.
//!
//! [`Family::with`] finds the series of some label values. Each thread remembers those it has seen, so that the
//! usual look-up takes a hash and a comparison, no lock and no allocation; the metric's lock is taken on a miss
//! only. A label set beyond the metric's cap is not remembered: it goes to the overflow series at the price of
//! the lock. [`Family::with_literals`] remembers where its values lie, and so need not look at their letters.

mod literals;

use std::{
    cell::RefCell,
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use barograph_model::{Labels, LabelsBuilder};
use hashbrown::HashTable;

use crate::{
    handle::SINK,
    instrument::Instrument,
    metric::{Metric, OVERFLOW, VALUE_BYTES_MAX},
};

/// How many label sets a thread remembers, of all metrics together; then it starts anew.
const REMEMBERED_MAX: usize = 4_096;

/// A metric with `N` labels. Cloning it is cheap, and clones are the same metric.
pub struct Family<H, const N: usize> {
    metric: Arc<Metric>,
    /// Unlike that of any other family of the process: others may have this metric with other labels.
    id: u64,
    names: Arc<[String; N]>,
    fixed: Labels,
    instrument: PhantomData<fn() -> H>,
}

impl<H: Instrument, const N: usize> Family<H, N> {
    pub(crate) fn new(metric: Arc<Metric>, names: [String; N], fixed: Labels) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Relaxed);
        Self { metric, id, names: Arc::new(names), fixed, instrument: PhantomData }
    }

    /// The instrument for these values, in the order of the label names. An empty value is the same as no label;
    /// values are cut after [`VALUE_BYTES_MAX`] bytes.
    #[inline]
    pub fn with(&self, values: [&str; N]) -> H {
        let key = Key::new(values);
        let hash = key.hash(self.id);
        H::from_index(self.seen(hash, &key).unwrap_or_else(|| self.find(hash, &key).0))
    }

    /// The same, and whether it is that for ever, not the one that takes what is over the cap.
    pub(crate) fn settled(&self, values: [&str; N]) -> (H, bool) {
        let key = Key::new(values);
        let hash = key.hash(self.id);
        let seen = self.seen(hash, &key).map(|index| (index, false));
        let (index, overflowed) = seen.unwrap_or_else(|| self.find(hash, &key));
        (H::from_index(index), !overflowed)
    }

    #[inline]
    fn seen(&self, hash: u64, key: &Key<'_, N>) -> Option<u32> {
        let known = SEEN.try_with(|seen| {
            let found = seen.borrow();
            let found = found.find(hash, |seen| seen.is(self.id, key))?;
            Some(found.index)
        });
        known.ok().flatten()
    }

    /// The same for values that are literals, or otherwise stay where they are: a third of the cost. Of families
    /// with more than four labels it is no faster.
    #[inline]
    pub fn with_literals(&self, values: [&'static str; N]) -> H {
        H::from_index(literals::find(self.id, values).unwrap_or_else(|| self.find_literals(values)))
    }

    #[cold]
    #[inline(never)]
    fn find_literals(&self, values: [&'static str; N]) -> u32 {
        let key = Key::new(values);
        let (index, overflowed) = self.find(key.hash(self.id), &key);
        if !overflowed {
            literals::remember(self.id, values, index);
        }
        index
    }

    /// All series there are, with their label values. Takes the metric's lock and allocates.
    pub(crate) fn series(&self) -> Vec<([String; N], H)> {
        let values = |labels: Labels| {
            std::array::from_fn(|i| labels.value(&self.names[i]).unwrap_or_default().to_owned())
        };
        let cells = self.metric.cells().into_iter();
        cells.map(|(labels, index)| (values(labels), H::from_index(index))).collect()
    }

    #[cold]
    #[inline(never)]
    fn find(&self, hash: u64, key: &Key<'_, N>) -> (u32, bool) {
        let labels = self.labels(key.values);
        let overflow = self.labels([OVERFLOW; N]);
        let Ok((index, overflowed)) = self.metric.cell_of_family(&labels, &overflow) else {
            return (SINK, true);
        };
        if !overflowed {
            // While the thread ends there may be no memory left to remember in.
            let _ = SEEN.try_with(|seen| {
                let mut seen = seen.borrow_mut();
                if seen.len() >= REMEMBERED_MAX {
                    seen.clear();
                }
                if seen.find(hash, |seen| seen.is(self.id, key)).is_none() {
                    seen.insert_unique(hash, Seen::new(hash, self.id, key, index), |seen| seen.hash);
                }
            });
        }
        (index, overflowed)
    }

    fn labels(&self, values: [&str; N]) -> Labels {
        let mut labels = LabelsBuilder::from(&self.fixed);
        for (name, value) in self.names.iter().zip(values) {
            labels.set(name, value);
        }
        labels.build()
    }
}

impl<H, const N: usize> Clone for Family<H, N> {
    fn clone(&self) -> Self {
        let (metric, names) = (Arc::clone(&self.metric), Arc::clone(&self.names));
        Self { metric, id: self.id, names, fixed: self.fixed.clone(), instrument: PhantomData }
    }
}

impl<H, const N: usize> fmt::Debug for Family<H, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({} by {:?})", self.metric.name, self.names)
    }
}

thread_local! {
    static SEEN: RefCell<HashTable<Seen>> = const { RefCell::new(HashTable::new()) };
}

/// A label set this thread has recorded before.
struct Seen {
    hash: u64,
    family: u64,
    /// The ends of each value, which are all of it if it is short.
    ends: Box<[Ends]>,
    /// All of each value, looked at where the ends are not all.
    values: Box<[Box<str>]>,
    index: u32,
}

impl Seen {
    fn new<const N: usize>(hash: u64, family: u64, key: &Key<'_, N>, index: u32) -> Self {
        let values = key.values.iter().map(|value| Box::from(*value)).collect();
        Self { hash, family, ends: Box::new(key.ends), values, index }
    }

    fn is<const N: usize>(&self, family: u64, key: &Key<'_, N>) -> bool {
        family == self.family && *self.ends == key.ends && key.has(self.values.iter().map(|value| &**value))
    }
}

/// Label values with what tells most of them apart at a glance.
pub(crate) struct Key<'a, const N: usize> {
    pub(crate) values: [&'a str; N],
    pub(crate) ends: [Ends; N],
}

impl<'a, const N: usize> Key<'a, N> {
    #[inline]
    pub(crate) fn new(values: [&'a str; N]) -> Self {
        let values = values.map(cut);
        Self { values, ends: values.map(Ends::of) }
    }

    /// Whether these are its values, if their ends are the same.
    #[inline]
    pub(crate) fn has<'s>(&self, values: impl Iterator<Item = &'s str>) -> bool {
        let short = self.ends.iter().all(Ends::are_all);
        short || values.zip(self.values).all(|(seen, value)| *seen == *value)
    }

    /// One multiplication a value, whose product is folded; what lies between the ends of a long value is added up
    /// before. Keys are few and bounded, so a flood of equal hashes is no danger.
    #[inline]
    pub(crate) fn hash(&self, family: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product >> 64) as u64 ^ product as u64
        };
        let mut state = family ^ 0x517c_c1b7_2722_0a95;
        for (ends, value) in self.ends.iter().zip(self.values) {
            let mut last = ends.last ^ ends.len << 56;
            if !ends.are_all() {
                let (words, _) = value.as_bytes().as_chunks::<8>();
                let add =
                    |sum: u64, word: &[u8; 8]| sum.rotate_left(9).wrapping_add(u64::from_le_bytes(*word));
                last = words.iter().fold(last, add);
            }
            state = fold(state ^ ends.first, last ^ 0x9e37_79b9_7f4a_7c15);
        }
        fold(state, 0xa076_1d64_78bd_642f)
    }
}

/// The length, the first and the last eight bytes of a text, which overlap or meet in one of up to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ends {
    len: u64,
    first: u64,
    last: u64,
}

impl Ends {
    #[inline]
    fn of(text: &str) -> Self {
        let (bytes, len) = (text.as_bytes(), text.len() as u64);
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            return Self { len, first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last) };
        }
        if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
            return Self { len, first, last };
        }
        let byte = |at: usize| bytes.get(at).copied().map_or(0, u64::from);
        Self { len, first: byte(0) | byte(1) << 8 | byte(2) << 16, last: 0 }
    }

    #[inline]
    fn are_all(&self) -> bool {
        self.len <= 16
    }
}

/// The value, cut at a character if it is too long.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(VALUE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_tell_short_values_apart() {
        let texts =
            ["", "\0", "\0\0", "a", "ab", "ba", "abcd", "abcde", "abcdabcd", "abcdabcde", "abcdabcdabcdabcd"];
        let ends: BTreeSet<_> =
            texts.iter().map(|text| Ends::of(text)).map(|e| (e.len, e.first, e.last)).collect();
        assert_eq!(ends.len(), texts.len());
    }

    #[test]
    fn hashes_spread() {
        let of = |i: usize| Key::new([&i.to_string() as &str, "GET"]).hash(7);
        let top: BTreeSet<_> = (0..1000).map(|i| of(i) >> 57).collect();
        let bottom: BTreeSet<_> = (0..1000).map(|i| of(i) & 0xff).collect();
        assert!(top.len() > 100 && bottom.len() > 200, "{} {}", top.len(), bottom.len());
    }

    proptest! {
        #[test]
        fn a_key_is_itself_alone(a in "[ab]{0,20}", b in "[ab]{0,20}", c in "[ab]{0,20}", d in "[ab]{0,20}") {
            let (left, right) = (Key::new([&a as &str, &b]), Key::new([&c as &str, &d]));
            let seen = Seen::new(left.hash(1), 1, &left, 0);
            prop_assert_eq!(seen.is(1, &right), (&a, &b) == (&c, &d));
            prop_assert!(seen.is(1, &left) && !seen.is(2, &left));
        }
    }
}
