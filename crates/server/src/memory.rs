//! The memory budget: how much there is, and who gets which part of it.

use std::fs;

/// The budget is never smaller than this.
const LEAST: u64 = 256 << 20;

/// What the server may use when nobody says: half of what its control group or the machine has, at least 256 MiB.
pub(crate) fn default_budget() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| machine_bytes(&text));
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let whole = machine.into_iter().chain(group).min().unwrap_or(LEAST * 2);
    (whole / 2).max(LEAST)
}

/// The part of the budget for decoded blocks.
pub(crate) fn cache_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 8).unwrap_or(usize::MAX)
}

/// The part of the budget for samples that wait for the disk.
pub(crate) fn pending_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 16).unwrap_or(usize::MAX).min(64 << 20)
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_machine() {
        assert_eq!(machine_bytes("MemTotal:       24689708 kB\nMemFree: 1 kB\n"), Some(24_689_708 << 10));
        assert_eq!(machine_bytes("MemFree: 1 kB\n"), None);
        assert!(default_budget() >= LEAST);
    }
}
