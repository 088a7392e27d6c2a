//! How large the parts are that threads record into.
//!
//! All but the exponents are powers of two. The models of `loom/` compile the same code with the least sizes there are.

/// How many threads at a time have a shard of their own.
pub(crate) const SHARDS_MAX: usize = 128;

/// Cells of counters: on a page, and pages.
pub(crate) const COUNTERS: (usize, usize) = (1024, 256);
/// Cells of distributions in a shard: on a page, and pages.
pub(crate) const DISTRIBUTIONS: (usize, usize) = (512, 128);
/// What the cells of a series share; as many as cells.
pub(crate) const SERIES: (usize, usize) = (256, 256);
/// Gauges.
pub(crate) const GAUGES: (usize, usize) = (512, 512);
/// Exemplars, of counters and of distributions each.
pub(crate) const EXEMPLARS: (usize, usize) = (256, 1024);

/// The binary exponent of the first octave that a distribution counts in cells.
pub(crate) const FIRST_EXPONENT: i32 = -28;
/// How many octaves it counts there; at most 128.
pub(crate) const OCTAVES: usize = 64;
/// The count at which a bucket hands over to its series. Small in tests, so that they meet it.
pub(crate) const CARRY: u32 = if cfg!(test) { 1 << 10 } else { 1 << 30 };
