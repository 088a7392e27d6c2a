//! Sliding windows: what was recorded in the last five minutes.
//!
//! Recording knows nothing of windows. Instruments count from the start of the process; every ten seconds
//! [`Registry::tick`](crate::Registry::tick) takes the difference to the last reading and adds it to a ring of
//! [`SLICES`] slices, which together are the window. Differences of histograms are sketches, which add up without
//! loss: all quantiles of a window come from one merged sketch, so p50 ≤ p90 ≤ p95 ≤ p99, each within 1.1 % of the
//! value at that rank (see [`Sketch`](crate::Sketch)). The window reaches back at least 29/30 of its length and never
//! further than all of it; of a process that is younger, as far as the process.
//!
//! Time is an argument: whoever embeds the registry calls `tick` with it, at least once a slice, or lets a [`Ticker`]
//! do so. Between ticks a reading is fresh all the same: what was recorded since then is part of it.
//!
//! *Memory.* Slices are sparse: 16 bytes for each bucket that is in use in a slice, so the usual latency window of a
//! series is about 20 KB, and one of a few values a few hundred bytes. The bound is 31 sketches of 2 × 1,024 buckets,
//! 1 MB, for each series of a watched metric, of which a metric has at most its cap; no number of recordings
//! makes it more.
//!
//! Meters, timers and summaries have windows by nature; any other counter or histogram gets them when
//! [`Registry::watch`](crate::Registry::watch) asks for them.

mod difference;
mod figures;
mod pace;
mod rates;
mod ring;
mod ticker;
mod watch;

pub use figures::{Figures, QUANTILES};
pub use pace::{SLICES, WINDOW, WINDOW_MAX, WINDOW_MIN};
pub use rates::Rates;
pub use ticker::Ticker;
pub use watch::Watch;

pub(crate) use rates::read as read_rates;
pub(crate) use watch::{Watched, Windows};
