//! A sample, and the marker that says a series ended.

use crate::Timestamp;

/// One observation of a series.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was observed.
    pub at: Timestamp,
    /// What was observed, in the metric's own unit. Every bit pattern of a NaN is kept.
    pub value: f64,
}

/// The bits of the NaN by which Prometheus marks the end of a series.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker as a value.
pub const fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether `value` is the staleness marker. Every other NaN is a value like any other.
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

impl PartialEq for Sample {
    /// Bit for bit, so that a NaN equals itself and the staleness marker equals nothing else.
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.value.to_bits() == other.value.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_nan_is_stale() {
        assert!(is_stale(stale_marker()));
        assert!(!is_stale(f64::NAN));
        assert!(!is_stale(f64::from_bits(0x7ff8_0000_0000_0001)));
    }
}
