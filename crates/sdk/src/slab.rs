//! Cells at stable places, made a page at a time when they are first touched.
//!
//! A slab is read by index while others make its pages: pages never move and are never freed, so a reference into
//! one stays good as long as the slab. Reaching a cell costs two loads.

use std::sync::OnceLock;

/// Up to `PAGES` pages of `LEN` cells.
pub(crate) struct Slab<T, const LEN: usize, const PAGES: usize> {
    pages: [OnceLock<Box<Page<T, LEN>>>; PAGES],
}

/// Aligned so that pages of two threads share no cache line, nor the pair of lines some processors fetch.
#[repr(align(128))]
struct Page<T, const LEN: usize>([T; LEN]);

impl<T: Default, const LEN: usize, const PAGES: usize> Slab<T, LEN, PAGES> {
    /// How many cells there can be.
    pub(crate) const CELLS_MAX: u32 = {
        assert!(LEN.is_power_of_two() && PAGES.is_power_of_two() && LEN * PAGES <= 1 << 31);
        #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
        let cells = (LEN * PAGES) as u32;
        cells
    };

    pub(crate) const fn new() -> Self {
        Self { pages: [const { OnceLock::new() }; PAGES] }
    }

    /// The cell at `index`, which is below [`Self::CELLS_MAX`]; its page is made if it is the first of it.
    #[inline]
    pub(crate) fn cell(&self, index: u32) -> &T {
        let page = &self.pages[index as usize / LEN % PAGES];
        let page = page.get().map_or_else(|| make_page(page), Box::as_ref);
        &page.0[index as usize % LEN]
    }

    /// The cell at `index`, unless no cell of its page was ever touched.
    pub(crate) fn peek(&self, index: u32) -> Option<&T> {
        self.pages[index as usize / LEN % PAGES].get().map(|page| &page.0[index as usize % LEN])
    }
}

#[cold]
fn make_page<T: Default, const LEN: usize>(page: &OnceLock<Box<Page<T, LEN>>>) -> &Page<T, LEN> {
    page.get_or_init(|| Box::new(Page(std::array::from_fn(|_| T::default()))))
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
