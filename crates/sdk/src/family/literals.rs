//! Label values that stay where they are, remembered by where they lie.
//!
//! What is `'static` never changes, so the same place and length mean the same text. Each thread has a table of few
//! places; a look-up goes to one of them, and whoever finds it taken by another takes it over. So nothing grows, and
//! a look-up that fails only costs what it would have cost without this table.

use std::cell::Cell;

/// How many label sets a thread remembers this way.
const PLACES: usize = 256;
/// The most labels of a set that is remembered.
const LABELS_MAX: usize = 4;

struct Place {
    /// Which family; 0 is none.
    family: Cell<u64>,
    /// Where each value lies and how long it is.
    values: [Cell<(usize, usize)>; LABELS_MAX],
    index: Cell<u32>,
}

thread_local! {
    // Without a destructor, so that reading it is a plain load at any time of a thread's life.
    static TABLE: [Place; PLACES] = const {
        [const {
            Place {
                family: Cell::new(0),
                values: [const { Cell::new((0, 0)) }; LABELS_MAX],
                index: Cell::new(0),
            }
        }; PLACES]
    };
}

/// The series of these values, if this thread remembers it.
#[inline]
pub(super) fn find<const N: usize>(family: u64, values: [&'static str; N]) -> Option<u32> {
    if N > LABELS_MAX {
        return None;
    }
    TABLE.with(|table| {
        let place = &table[place_of(family, values)];
        let same = |(seen, value): (&Cell<(usize, usize)>, &'static str)| seen.get() == lies(value);
        let known = place.family.get() == family && place.values.iter().zip(values).all(same);
        known.then(|| place.index.get())
    })
}

/// Remembers the series of these values in place of whatever was there.
pub(super) fn remember<const N: usize>(family: u64, values: [&'static str; N], index: u32) {
    if N > LABELS_MAX {
        return;
    }
    TABLE.with(|table| {
        let place = &table[place_of(family, values)];
        place.family.set(family);
        place.values.iter().zip(values).for_each(|(seen, value)| seen.set(lies(value)));
        place.index.set(index);
    });
}

#[inline]
fn lies(value: &'static str) -> (usize, usize) {
    (value.as_ptr() as usize, value.len())
}

#[inline]
fn place_of<const N: usize>(family: u64, values: [&'static str; N]) -> usize {
    let spread = |state: u64, word: u64| (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = values.iter().fold(family, |state, value| spread(state, lies(value).0 as u64));
    #[expect(clippy::cast_possible_truncation, reason = "low bits are wanted")]
    let place = hash as usize % PLACES;
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_and_length_is_the_same_text() {
        const TEXT: &str = "GETTER";
        let family = u64::MAX;
        remember(family, [&TEXT[..3], "200"], 7);
        assert_eq!(find(family, [&TEXT[..3], "200"]), Some(7));
        assert_eq!(find(family, [TEXT, "200"]), None);
        assert_eq!(find(family, [&TEXT[3..], "200"]), None);
        assert_eq!(find(family - 1, [&TEXT[..3], "200"]), None);
        assert_eq!(find(family, ["a", "b", "c", "d", "e"]), None);
    }

    #[test]
    fn places_spread() {
        const TEXT: &str = "0123456789012345678901234567890123456789012345678901234567890123";
        let places = (0..60).map(|at| place_of(3, [&TEXT[at..at + 3], &TEXT[..2]]));
        let places: std::collections::BTreeSet<_> = places.collect();
        assert!(places.len() > 40, "{} places", places.len());
    }
}
