//! How long a machine and the disk under a folder stood still while something else was going on.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;

/// Distance of two beats.
const EVERY: Duration = Duration::from_millis(20);

/// A thread that sleeps for a moment and writes a byte through to the disk, again and again. Ends with the value.
pub(super) struct Pulse {
    over: Arc<AtomicBool>,
    beating: Option<JoinHandle<Result<Duration>>>,
}

impl Pulse {
    /// Begins to beat in a folder.
    pub(super) fn begin(folder: &Path) -> Self {
        let over = Arc::<AtomicBool>::default();
        let (ends, file) = (over.clone(), folder.join("pulse"));
        Self { over, beating: Some(thread::spawn(move || beat(&file, &ends))) }
    }

    /// By how many milliseconds a beat was late at most.
    pub(super) fn end(mut self) -> Result<i64> {
        self.over.store(true, Ordering::Relaxed);
        let longest = self.beating.take().map(|beating| beating.join().expect("it does not panic"));
        Ok(i64::try_from(longest.transpose()?.unwrap_or_default().as_millis())?)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn beat(file: &Path, over: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        thread::sleep(EVERY);
        fs::write(file, "x")?;
        fs::File::open(file)?.sync_all()?;
        longest = longest.max(began.elapsed().saturating_sub(EVERY));
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;

    #[test]
    fn a_pulse_ends_and_says_how_late_it_was() {
        let pulse = Pulse::begin(&place::fresh("pulse-test").unwrap());
        assert!(pulse.end().unwrap() >= 0);
    }
}
