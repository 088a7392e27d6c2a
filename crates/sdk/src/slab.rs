//! Cells at stable places, made a page at a time when they are first touched.
//!
//! A slab is read by index while others make its pages: pages never move and are never freed, so a reference to a
//! cell is good for ever. Slabs belong to statics and to shards, of which there is a bounded number.

use crate::sync::{self, OnceLock};

/// Up to `PAGES` pages of `LEN` cells.
pub(crate) struct Slab<T: 'static, const LEN: usize, const PAGES: usize> {
    pages: [OnceLock<&'static Page<T, LEN>>; PAGES],
}

/// Aligned so that pages of two threads share no cache line, nor the pair of lines some processors fetch.
#[repr(align(128))]
pub(crate) struct Page<T, const LEN: usize>([T; LEN]);

impl<T, const LEN: usize> Page<T, LEN> {
    /// The cell at an index of the whole slab that is on this page.
    #[inline]
    pub(crate) fn cell(&self, index: u32) -> &T {
        &self.0[index as usize % LEN]
    }
}

impl<T: Default, const LEN: usize, const PAGES: usize> Slab<T, LEN, PAGES> {
    /// How many cells there can be.
    pub(crate) const CELLS_MAX: u32 = {
        assert!(LEN.is_power_of_two() && PAGES.is_power_of_two() && LEN * PAGES <= 1 << 31);
        #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
        let cells = (LEN * PAGES) as u32;
        cells
    };

    sync::constructor! {
        pub(crate) fn new() -> Self {
            Self { pages: sync::each![OnceLock::new(); PAGES] }
        }
    }

    /// On which page a cell is. Indices are below [`Self::CELLS_MAX`].
    #[inline]
    pub(crate) const fn page_of(index: u32) -> usize {
        index as usize / LEN % PAGES
    }

    /// A page, made if no cell of it was ever touched.
    pub(crate) fn page(&self, number: usize) -> &'static Page<T, LEN> {
        self.pages[number].get_or_init(|| Box::leak(Box::new(Page(std::array::from_fn(|_| T::default())))))
    }

    /// The cell at `index`, and its page if need be.
    #[inline]
    pub(crate) fn cell(&self, index: u32) -> &'static T {
        self.page(Self::page_of(index)).cell(index)
    }

    /// The cell at `index`, unless no cell of its page was ever touched.
    pub(crate) fn peek(&self, index: u32) -> Option<&'static T> {
        Some(self.pages[Self::page_of(index)].get()?.cell(index))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn cells_are_apart_and_keep_their_place() {
        let slab: Slab<AtomicU64, 4, 4> = Slab::new();
        assert_eq!(Slab::<AtomicU64, 4, 4>::CELLS_MAX, 16);
        assert!(slab.peek(5).is_none());
        for index in 0..16 {
            slab.cell(index).store(u64::from(index) + 1, Relaxed);
        }
        for index in 0..16 {
            assert_eq!(slab.peek(index).map(|cell| cell.load(Relaxed)), Some(u64::from(index) + 1));
        }
    }
}
