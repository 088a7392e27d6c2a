//! How much somebody may bring a second.
//!
//! A bucket fills evenly and is never fuller than what [`BURST`] brings. Who finds something in it may take more than is
//! there, and is in debt until that has come in: so a request is never cut in two, whatever its size, and over time no more
//! is taken than the rate allows.

use std::time::Duration;

/// So long a bucket takes to fill.
const BURST: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// What is in it; below zero is debt. `None` before it was asked for the first time.
    level: Option<f64>,
    at: Duration,
}

impl Bucket {
    /// Takes `count` of what comes in at `rate` a second, which is more than zero; else says how long until somebody may.
    ///
    /// # Errors
    /// There is debt, for so long.
    pub fn take(&mut self, count: u64, rate: f64, now: Duration) -> Result<(), Duration> {
        let full = rate * BURST.as_secs_f64();
        let since = now.saturating_sub(self.at).as_secs_f64();
        let level = self.level.map_or(full, |level| (level + since * rate).min(full));
        self.at = now.max(self.at);
        if level <= 0.0 {
            self.level = Some(level);
            return Err(Duration::try_from_secs_f64(-level / rate).unwrap_or(Duration::MAX));
        }
        self.level = Some(level - count as f64);
        Ok(())
    }

    /// Takes `count` in any case: they are the rest of what was begun.
    pub fn owe(&mut self, count: u64) {
        self.level = Some(self.level.unwrap_or_default() - count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_time_no_more_is_taken_than_comes_in() {
        let (mut bucket, mut taken) = (Bucket::default(), 0);
        for ms in 0..100_000 {
            taken += u64::from(bucket.take(37, 100.0, Duration::from_millis(ms)).is_ok()) * 37;
        }
        assert!((10_000..=10_200 + 37).contains(&taken), "{taken}");
    }

    #[test]
    fn who_is_refused_is_told_how_long() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(1_200, 100.0, Duration::ZERO), Ok(()));
        assert_eq!(bucket.take(1, 100.0, Duration::ZERO), Err(Duration::from_secs(10)));
        assert_eq!(bucket.take(1, 100.0, Duration::from_secs(9)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(1, 100.0, Duration::from_millis(10_001)), Ok(()));
    }
}
