//! How much memory there is, and who gets which part of it.

use std::fs;

use tokio::sync::Semaphore;

/// The budget is never smaller than this.
pub(crate) const LEAST: u64 = 256 << 20;

/// What the server may use when nobody says: half of what its control group or the machine has, at least 256 MiB.
pub(crate) fn default_budget() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kibibytes(&text, "MemTotal:"));
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let whole = machine.into_iter().chain(group).min().unwrap_or(LEAST * 2);
    (whole / 2).max(LEAST)
}

/// The part of the budget for decoded blocks.
pub(crate) fn cache_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 8).unwrap_or(usize::MAX)
}

/// The part of the budget for results that are kept to be used again.
pub(crate) fn results_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 32).unwrap_or(usize::MAX)
}

/// The part of the budget for samples that wait for the disk.
pub(crate) fn pending_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 16).unwrap_or(usize::MAX).min(64 << 20)
}

/// The part of the budget for what all running queries hold together.
pub(crate) fn query_share(budget: u64) -> u64 {
    budget.max(LEAST) / 5
}

/// The part of the budget for the labels and places of series. While they are written as a block, they take as much again.
pub(crate) fn series_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 5).unwrap_or(usize::MAX)
}

/// The part of the budget for requests that are being stored, in KiB.
pub(crate) fn requests_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 32 / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// The part of the budget for the index of a block that is written or read.
pub(crate) fn index_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 64).unwrap_or(usize::MAX).min(1 << 30)
}

/// The part of the budget for remembered spellings and overflow.
pub(crate) fn aliases_share(budget: u64) -> usize {
    usize::try_from(budget.max(LEAST) / 64).unwrap_or(usize::MAX).min(16 << 20)
}

/// Anonymous resident memory of this process, in bytes; `None` where the system does not tell.
pub(crate) fn resident() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
}

/// A line of `/proc` that counts in KiB.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_machine() {
        assert_eq!(
            kibibytes("MemTotal:       24689708 kB\nMemFree: 1 kB\n", "MemTotal:"),
            Some(24_689_708 << 10)
        );
        assert_eq!(kibibytes("MemFree: 1 kB\n", "MemTotal:"), None);
        assert!(resident().is_none_or(|bytes| bytes > 0));
        assert!(default_budget() >= LEAST);
    }
}
