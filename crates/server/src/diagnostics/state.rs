//! The state of process and host at one moment.

use std::fs;

use barograph_model::Timestamp;
use tokio::runtime::Handle;

use super::documents::{Process, StateData, SystemState};
use crate::Engine;

/// The largest processes that are named.
const PROCESSES_NAMED: usize = 5;
/// So many processes are looked at, so that a host of ten thousands costs no more.
const PROCESSES_READ_MAX: usize = 4_096;

impl SystemState {
    /// Looks now. Reads a file for each process of the host, so it is for a thread that may block.
    pub(crate) fn read(engine: &Engine, runtime: &Handle, now: Timestamp) -> Self {
        let mut missing = Vec::new();
        let memory = host_memory();
        if memory.is_none() {
            missing.push("memory of the host");
        }
        let processes = processes();
        if processes.is_none() {
            missing.push("processes of the host");
        }
        let (os_process_count, largest_processes) =
            processes.map_or((None, Vec::new()), |(count, largest)| (Some(count), largest));
        let (stats, waiting) = (engine.store.stats(), engine.queries.waiting());
        let state_data = StateData {
            total_memory: memory.map(|(total, _)| total),
            used_memory: memory.map(|(_, used)| used),
            process_count: runtime.metrics().num_alive_tasks(),
            os_process_count,
            largest_processes,
            memory_budget: engine.memory.budget(),
            memory_accounts: engine.memory.seen().accounts().into_iter().collect(),
            series: stats.series,
            wal_pending_bytes: stats.wal_pending_bytes,
            read_only: stats.read_only,
            queries_running: engine.queries.running().len().saturating_sub(waiting),
            queries_waiting: waiting,
            open_streams: engine.events.sessions().open_streams(),
            missing,
        };
        Self {
            snapshot_type: "memory_usage",
            state_data,
            node: engine.health.node().to_owned(),
            timestamp: now.to_rfc3339(),
        }
    }
}

/// A line of `/proc` that counts in KiB, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// All memory of the host, and what is not available.
fn host_memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = kibibytes(&text, "MemTotal:")?;
    Some((total, total.saturating_sub(kibibytes(&text, "MemAvailable:")?)))
}

/// How many processes there are, and the largest.
fn processes() -> Option<(usize, Vec<Process>)> {
    let entries = fs::read_dir("/proc").ok()?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let numbers: Vec<_> = numbers.collect();
    // One that ended meanwhile is none.
    let mut processes: Vec<_> =
        numbers.iter().take(PROCESSES_READ_MAX).filter_map(|pid| process(*pid)).collect();
    processes.sort_unstable_by_key(|process| (std::cmp::Reverse(process.memory), process.pid));
    processes.truncate(PROCESSES_NAMED);
    (!numbers.is_empty()).then_some((numbers.len(), processes))
}

fn process(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("Name:"))?.trim().to_owned();
    // Threads of the kernel have none.
    let memory = kibibytes(&text, "VmRSS:")?;
    Some(Process { pid, memory, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_host_is_read() {
        let (total, used) = host_memory().unwrap();
        assert!(used > 0 && used < total);
        let (count, largest) = processes().unwrap();
        assert!(count >= largest.len() && (1..=PROCESSES_NAMED).contains(&largest.len()), "{largest:?}");
        assert!(largest.is_sorted_by(|a, b| a.memory >= b.memory));
        assert!(process(std::process::id()).unwrap().memory > 0);
    }
}
