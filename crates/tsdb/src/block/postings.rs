//! Lists of series numbers as runs: `(gap, length - 1)` pairs of varints.
//!
//! Series are numbered in label order, so the early labels of a list are long runs, which take two bytes each.

use barograph_codec::varint;

/// Appends a sorted list without repetitions.
pub(super) fn encode(bytes: &mut Vec<u8>, ids: &[u32]) {
    let mut next = 0;
    for run in ids.chunk_by(|a, b| a + 1 == *b) {
        varint::put(bytes, u64::from(run[0] - next));
        varint::put(bytes, run.len() as u64 - 1);
        next = run[0] + 1;
        next += u32::try_from(run.len() - 1).unwrap_or(0);
    }
}

/// Adds a list to `ids`; `None` if it is malformed or names a number at or above `count`.
pub(super) fn decode(mut bytes: &[u8], count: u32, ids: &mut Vec<u32>) -> Option<()> {
    let mut next = 0u32;
    while !bytes.is_empty() {
        let first = next.checked_add(u32::try_from(varint::take(&mut bytes)?).ok()?)?;
        let end = first.checked_add(u32::try_from(varint::take(&mut bytes)?).ok()?)?.checked_add(1)?;
        if end > count {
            return None;
        }
        ids.extend(first..end);
        next = end;
    }
    Some(())
}

/// The numbers that are in both sorted lists.
pub(super) fn intersect(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let mut rest = long;
    let in_long = |id: &&u32| {
        rest = &rest[rest.partition_point(|other| other < *id)..];
        rest.first() == Some(*id)
    };
    short.iter().filter(in_long).copied().collect()
}

/// The numbers of `a` that are not in `b`; both sorted.
pub(super) fn subtract(a: &[u32], b: &[u32]) -> Vec<u32> {
    a.iter().filter(|id| b.binary_search(id).is_err()).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decodes_what_was_encoded(ids: BTreeSet<u16>) {
            let ids: Vec<u32> = ids.into_iter().map(u32::from).collect();
            let mut bytes = Vec::new();
            encode(&mut bytes, &ids);
            let mut back = Vec::new();
            prop_assert!(decode(&bytes, 1 << 16, &mut back).is_some());
            prop_assert_eq!(&back, &ids);
            if let Some(last) = ids.last() {
                prop_assert!(decode(&bytes, *last, &mut Vec::new()).is_none());
            }
        }

        #[test]
        fn any_bytes_are_an_answer(bytes: Vec<u8>) {
            let mut ids = Vec::new();
            let _ = decode(&bytes, 1000, &mut ids);
            prop_assert!(ids.len() <= 1000);
        }

        #[test]
        fn sets_behave_as_sets(a: BTreeSet<u8>, b: BTreeSet<u8>) {
            let list = |set: &BTreeSet<u8>| set.iter().map(|&id| u32::from(id)).collect::<Vec<_>>();
            prop_assert_eq!(intersect(&list(&a), &list(&b)), list(&a.intersection(&b).copied().collect()));
            prop_assert_eq!(subtract(&list(&a), &list(&b)), list(&a.difference(&b).copied().collect()));
        }
    }
}
