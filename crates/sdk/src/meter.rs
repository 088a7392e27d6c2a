//! How often something happens.

use crate::{
    Counter,
    window::{self, Rates},
};

/// A count with its rates: per second over one, five and fifteen minutes, and the mean since the start. It is exposed
/// as a counter and, by the label `window`, as the gauge `..._per_second`.
///
/// Marking costs what a [`Counter`] costs. Rates move when [`Registry::tick`](crate::Registry::tick) is called.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "RecordMeter")]
pub struct Meter(pub(crate) u32);

impl Meter {
    /// It happened.
    #[inline]
    pub fn mark(self) {
        self.mark_n(1);
    }

    /// It happened `n` times.
    #[inline]
    pub fn mark_n(self, n: u64) {
        Counter(self.0).add(n);
    }

    /// How often it happened, over all threads.
    pub fn count(self) -> u64 {
        Counter(self.0).value()
    }

    /// The rates as of the last tick; 0 before the second.
    pub fn rates(self) -> Rates {
        window::read_rates(self.0)
    }
}
