//! What the server knows of itself beside what it counts: memory, processor, threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use barograph::session::Surroundings;

use crate::{
    Engine, current,
    snapshot::{ProcessMetricsSnapshot, SystemMetricsSnapshot},
};

/// The most there ever was of what nobody else remembers.
#[derive(Debug, Default)]
pub(crate) struct Peaks {
    threads: AtomicU64,
    memory: AtomicU64,
}

/// What is known now. Of a server whose store is being opened, memory alone.
pub(crate) fn read(engine: Option<&Engine>, peaks: &Peaks) -> Surroundings {
    let [memory, memory_peak] = ["VmRSS:", "VmHWM:"].map(own_memory);
    let memory_peak = memory_peak.or_else(|| memory.map(|now| now.max(peaks.memory.fetch_max(now, Relaxed))));
    let mut surroundings =
        Surroundings { memory_bytes: memory, memory_peak_bytes: memory_peak, ..Surroundings::default() };
    let Some(engine) = engine else { return surroundings };
    let collectors = &engine.collecting.collectors;
    let system = SystemMetricsSnapshot::latest(collectors);
    let share = |percent: Option<f64>| percent.map(|percent| (percent / 100.0).clamp(0.0, 1.0));
    surroundings.cpu = share(system.cpu_usage);
    surroundings.memory = share(system.memory_percentage);
    surroundings.busy = ProcessMetricsSnapshot::latest(collectors).eventloop_utilization;
    if let (Ok(runtime), Some(busy)) = (tokio::runtime::Handle::try_current(), surroundings.busy) {
        let metrics = runtime.metrics();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small number of workers"
        )]
        let active = (busy.clamp(0.0, 1.0) * metrics.num_workers() as f64).ceil() as u64;
        let (at_work, waiting) = current::blocked();
        let active = active + at_work;
        let peak = peaks.threads.fetch_max(active, Relaxed).max(active);
        surroundings.threads_active = Some(active);
        surroundings.threads_peak = Some(peak);
        surroundings.threads_queued = Some(metrics.global_queue_depth() as u64 + waiting);
    }
    surroundings
}

/// The name of the host; `localhost` where the system does not tell.
pub(crate) fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(told.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}

/// A line of what Linux tells of this process, in bytes.
fn own_memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}
