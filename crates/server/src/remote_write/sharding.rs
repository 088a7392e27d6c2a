//! How many shards an endpoint needs.

use std::time::Duration;

/// How things went since it was asked last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// How long that is.
    pub(super) took: Duration,
    /// Samples that were read from the log.
    pub(super) read: u64,
    /// Samples that were sent, or refused for good.
    pub(super) settled: u64,
    /// How long all shards together were sending them.
    pub(super) sending: Duration,
    /// Whether there is more in the log than was read.
    pub(super) behind: bool,
}

/// A change of less than this share is not worth it.
const TOLERANCE: f64 = 0.3;
/// One that is behind is to catch up so much faster than samples come.
const CATCH_UP: f64 = 1.5;

/// The shards that the load needs, within limits; those there are if nothing can be told.
pub(super) fn wanted(shards: usize, load: &Load, min: usize, max: usize) -> usize {
    let seconds = load.took.as_secs_f64();
    if load.settled == 0 || seconds <= 0.0 {
        return shards.clamp(min, max);
    }
    let each = load.sending.as_secs_f64() / load.settled as f64;
    let coming = load.read as f64 / seconds;
    // While it is behind, only so much is read as can be sent: what is needed shows in how busy the shards are.
    let needed = if load.behind { (each * coming).max(shards as f64) * CATCH_UP } else { each * coming };
    if (needed / shards as f64 - 1.0).abs() < TOLERANCE {
        return shards.clamp(min, max);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let needed = needed.ceil() as usize;
    needed.clamp(min, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shards: usize, read: u64, settled: u64, sending: u64, behind: bool, expected: usize) {
        let took = Duration::from_secs(10);
        let load = Load { took, read, settled, sending: Duration::from_secs(sending), behind };
        assert_eq!(wanted(shards, &load, 1, 20), expected, "{load:?}");
    }

    #[test]
    fn shards_follow_the_load() {
        // A millisecond a sample, 1,000 samples a second: one shard is busy all the time.
        check(1, 10_000, 10_000, 10, false, 1);
        check(8, 10_000, 10_000, 10, false, 1);
        check(1, 50_000, 10_000, 10, false, 5);
        check(4, 10_000, 10_000, 40, true, 6);
        check(15, 100_000, 100_000, 150, true, 20);
        check(3, 10_000, 0, 0, true, 3);
        check(0, 10_000, 0, 0, true, 1);
    }
}
