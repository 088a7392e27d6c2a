//! The store by tier: how much of each resolution there is, of which time, and how long it is kept.

use std::time::Duration;

use barograph_model::{Tier, Timestamp};

use crate::{Store, head::Held};

/// What the blocks of one tier hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The tier.
    pub tier: Tier,
    /// Blocks.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of their indexes and footers.
    pub index_bytes: u64,
    /// Samples, or windows.
    pub points: u64,
    /// The time of the first of them; `None` if there are none.
    pub oldest: Option<Timestamp>,
    /// The time of the last of them.
    pub newest: Option<Timestamp>,
    /// The age at which its blocks are deleted; `None` keeps them.
    pub retention: Option<Duration>,
}

/// What is in memory and not yet in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InMemory {
    /// Series that have samples in memory.
    pub series: usize,
    /// Those samples.
    pub samples: u64,
    /// The time of the first of them; `None` if there are none.
    pub oldest: Option<Timestamp>,
    /// The time of the last of them.
    pub newest: Option<Timestamp>,
}

impl Store {
    /// The blocks by tier, from the finest.
    pub fn levels(&self) -> [Level; Tier::ALL.len()] {
        let mut levels = Tier::ALL.map(|tier| Level {
            tier,
            files: 0,
            bytes: 0,
            index_bytes: 0,
            points: 0,
            oldest: None,
            newest: None,
            retention: self.keeping().retention.of(tier),
        });
        for block in self.blocks().iter() {
            let level = &mut levels[block.meta.tier as usize];
            level.files += 1;
            level.bytes += block.size;
            level.index_bytes += block.size - block.meta.index_at;
            level.points += block.meta.samples;
            let (oldest, newest) = (Timestamp(block.meta.min_at), Timestamp(block.meta.max_at));
            level.oldest = Some(level.oldest.map_or(oldest, |known| known.min(oldest)));
            level.newest = level.newest.max(Some(newest));
        }
        levels
    }

    /// What is in memory. Looks at every series.
    pub fn in_memory(&self) -> InMemory {
        let mut all = InMemory::default();
        self.head.each_held(|_, Held { first, last, count }| {
            all.series += 1;
            all.samples += count;
            all.oldest = Some(all.oldest.map_or(Timestamp(first), |known| known.min(Timestamp(first))));
            all.newest = all.newest.max(Some(Timestamp(last)));
        });
        all
    }
}
