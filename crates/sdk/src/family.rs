//! A metric with labels whose values are known when it is recorded.
//!
//! [`Family::with`] finds the series of some label values. Each thread remembers those it has seen, so that the
//! usual look-up takes a hash and a comparison, no lock and no allocation; the metric's lock is taken on a miss
//! only. A label set beyond the metric's cap is not remembered: it goes to the overflow series at the price of
//! the lock.

use std::{cell::RefCell, fmt, marker::PhantomData, sync::Arc};

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
    names: Arc<[String; N]>,
    fixed: Labels,
    instrument: PhantomData<fn() -> H>,
}

impl<H: Instrument, const N: usize> Family<H, N> {
    pub(crate) fn new(metric: Arc<Metric>, names: [String; N], fixed: Labels) -> Self {
        Self { metric, names: Arc::new(names), fixed, instrument: PhantomData }
    }

    /// The instrument for these values, in the order of the label names. An empty value is the same as no label;
    /// values are cut after [`VALUE_BYTES_MAX`] bytes.
    #[inline]
    pub fn with(&self, values: [&str; N]) -> H {
        let values = values.map(cut);
        let hash = hash(self.metric.id, &values);
        let known = SEEN.try_with(|seen| {
            let found = seen.borrow();
            let found = found.find(hash, |seen| seen.is(self.metric.id, &values))?;
            Some(found.index)
        });
        H::from_index(known.ok().flatten().unwrap_or_else(|| self.find(hash, &values)))
    }

    #[cold]
    fn find(&self, hash: u64, values: &[&str]) -> u32 {
        let labels = self.labels(values.iter().copied());
        let overflow = self.labels(values.iter().map(|_| OVERFLOW));
        let Ok((index, overflowed)) = self.metric.cell(&labels, &overflow) else {
            return SINK;
        };
        if !overflowed {
            // While the thread ends there may be no memory left to remember in.
            let _ = SEEN.try_with(|seen| {
                let mut seen = seen.borrow_mut();
                if seen.len() >= REMEMBERED_MAX {
                    seen.clear();
                }
                seen.insert_unique(hash, Seen::new(hash, self.metric.id, values, index), |seen| seen.hash);
            });
        }
        index
    }

    fn labels<'a>(&self, values: impl Iterator<Item = &'a str>) -> Labels {
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
        Self { metric, names, fixed: self.fixed.clone(), instrument: PhantomData }
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
    metric: u64,
    /// The values, each after its length in four bytes.
    key: Box<[u8]>,
    index: u32,
}

impl Seen {
    fn new(hash: u64, metric: u64, values: &[&str], index: u32) -> Self {
        let key = values.iter().flat_map(|value| length(value).into_iter().chain(value.bytes())).collect();
        Self { hash, metric, key, index }
    }

    fn is(&self, metric: u64, values: &[&str]) -> bool {
        let mut key = &*self.key;
        let same = values.iter().all(|value| {
            let rest = key.strip_prefix(&length(value)).and_then(|key| key.strip_prefix(value.as_bytes()));
            key = rest.unwrap_or_default();
            rest.is_some()
        });
        same && metric == self.metric
    }
}

fn length(value: &str) -> [u8; 4] {
    // Values are cut long before four bytes are too few.
    u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// The value, cut at a character if it is too long.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(VALUE_BYTES_MAX)]
}

/// Multiplies words and folds the product. Keys are few and bounded, so a flood of equal hashes is no danger.
fn hash(metric: u64, values: &[&str]) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "both halves of the product are used")]
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    };
    let mut state = fold(0x51_7c_c1_b7_27_22_0a_95, metric);
    for value in values {
        let (words, rest) = value.as_bytes().as_chunks::<8>();
        for word in words {
            state = fold(state, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        state = fold(state, u64::from_le_bytes(last) ^ (value.len() as u64) << 56);
    }
    state
}
