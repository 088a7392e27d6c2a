//! What all benches of the SDK need: their options, the clock that counts, and the median.

use std::{env, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// The word that stands so many places behind an option on the command line.
pub fn option(name: &str, at: usize) -> Option<String> {
    let arguments: Vec<String> = env::args().collect();
    let place = arguments.iter().position(|argument| argument == name)?;
    arguments.get(place + at).cloned()
}

/// Time the calling thread was on a processor, so far.
pub fn on_processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
