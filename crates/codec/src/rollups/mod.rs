//! Windows of samples: made from samples, and many series' windows to bytes and back.
//!
//! In the order one needs them:
//!
//! 1. [`Windows`]: the windows of one series as columns, [rolled](Windows::roll) from its samples.
//! 2. [`TimesEncoder`], [`TimesChunk`]: where windows lie and how many samples they have ([`Times`]). Series that are
//!    scraped together have the same, so a page of it is stored once and belongs to many series.
//! 3. [`Encoder`], [`Chunk`]: all else, one page a series, each readable alone, sketches only when asked for.
//!
//! A page has one of two forms. Where no window has more than [`SAMPLES_MAX`] samples, their values themselves are kept:
//! everything else follows from them and is exact. Otherwise there is a column for each thing a window keeps, those left
//! out that follow from others, and squared deviations to 12 bits of mantissa: a standard deviation is off by at
//! most 0.007 %.
//!
//! Bytes: `docs/format.md`, "Windows".

mod chunk;
mod columns;
mod sheet;
mod sketches;
mod summary;
#[cfg(test)]
mod tests;
mod times;
mod windows;

pub use chunk::{Chunk, Encoder};
pub use times::{Times, TimesChunk, TimesEncoder};
pub use windows::{Scratch, Windows};

/// The most windows of a page.
pub const WINDOWS_MAX: usize = 2048;

/// The most samples of a window whose values are kept instead of what they sum up to.
pub const SAMPLES_MAX: u32 = 16;
