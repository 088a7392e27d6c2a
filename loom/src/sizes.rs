//! The least sizes there are; [the SDK's own](../../crates/sdk/src/sizes.rs) say what each is.

pub(crate) const SHARDS_MAX: usize = 1;

pub(crate) const COUNTERS: (usize, usize) = (2, 2);
pub(crate) const DISTRIBUTIONS: (usize, usize) = (2, 2);
pub(crate) const SERIES: (usize, usize) = (2, 2);
pub(crate) const GAUGES: (usize, usize) = (2, 2);
pub(crate) const EXEMPLARS: (usize, usize) = (2, 2);

pub(crate) const FIRST_EXPONENT: i32 = 0;
pub(crate) const OCTAVES: usize = 2;
pub(crate) const CARRY: u32 = 2;
