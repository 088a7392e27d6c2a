//! Tiers: windows of samples, made of raw blocks when these are complete, and read in place of them when these are gone.
//!
//! - [`make`](self): what is to be made is found in the footers of blocks alone, so a crash at any point costs time only.
//!   A tier's *floor* is the time before which it holds everything, *rolled* the newest raw data it was made of.
//! - [`Windowed`]: blocks of a tier read as one, series by series. Of two windows of a series with the same start the one
//!   in the block with the newer data counts.
//! - [`Cursor`]: what a query reads.

mod cursor;
mod edges;
mod late;
mod make;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use cursor::Cursor;
pub(crate) use make::State;
pub(crate) use read::Windowed;
