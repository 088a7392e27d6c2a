//! How long the calling thread was in line for a processor, and to which it is bound. Linux tells.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Time the thread could have run and did not get a processor, so far.
pub fn in_line() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = text.split_whitespace().nth(1).and_then(|nanoseconds| nanoseconds.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

/// Binds the calling thread to the processor of this number among those that the process may use. Where there are
/// fewer it stays as it is, and the check for overlap finds that threads took turns.
pub fn pin(number: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let allowed = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).nth(number);
    if let Some(cpu) = allowed {
        let mut one = CpuSet::new();
        one.set(cpu);
        let _ = sched_setaffinity(None, &one);
    }
}
