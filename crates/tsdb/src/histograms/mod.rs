//! Native histograms: beside the samples, under the same rules of order, in the same log, in blocks of their own.
//!
//! They are far fewer than samples and far larger, so they are kept apart: a map of series in the head ([`head`]), block
//! files whose pages are byte streams ([`page`]), tiers made from them in the same rhythm ([`upkeep`]), and one way
//! to read them all ([`read`]). Late ones wait apart, and the windows they fell into are made again ([`late`]).

mod append;
mod head;
mod late;
mod page;
mod read;
mod upkeep;

pub(crate) use append::Entries;
pub use append::HistogramRow;
pub(crate) use head::Head;
pub(crate) use page::Sample;
pub(crate) use upkeep::windows_of;
