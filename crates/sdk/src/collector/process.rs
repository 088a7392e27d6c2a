//! This process: its memory, processor time, files and requests.
//!
//! Read from `/proc/self`, and from the [`RuntimeProbe`] if there is one; what cannot be had is left out and
//! named by [`MetricCollector::unsupported`]. Of the memory, *heap used* is the resident memory private to the process
//! (`RssAnon`), *heap total* the data segment the allocator draws from (`VmData`), though no less than what is used
//! (changed pages of mapped files are private, but no data segment), *external* what is resident of mapped files and
//! shared pages.

use std::{borrow::Cow, time::Duration};

use barograph_model::Timestamp;

use super::{
    CollectError, Cost, Definition, MetricCollector, MetricCollectorConfig, RuntimeProbe, Writer,
    seconds_between,
};
use crate::Unit;

static PID: Definition = Definition::gauge("process.pid", Unit::None, "Id of the process.").plain();
static UPTIME: Definition =
    Definition::gauge("process.uptime", Unit::Seconds, "Time since the process started.").plain();
static MEMORY_RSS: Definition =
    Definition::gauge("process.memory.rss", Unit::Bytes, "Resident memory.").plain();
static MEMORY_HEAP_TOTAL: Definition =
    Definition::gauge("process.memory.heap_total", Unit::Bytes, "Memory the allocator draws from.").plain();
static MEMORY_HEAP_USED: Definition =
    Definition::gauge("process.memory.heap_used", Unit::Bytes, "Resident memory private to the process.")
        .plain();
static MEMORY_EXTERNAL: Definition = Definition::gauge(
    "process.memory.external",
    Unit::Bytes,
    "Resident memory of mapped files and shared pages.",
)
.plain();
static CPU_USAGE: Definition = Definition::gauge(
    "process.cpu.usage",
    Unit::Percent,
    "Processor time used since the last reading; 100 is one processor.",
)
.plain();
static EVENTLOOP_UTILIZATION: Definition = Definition::gauge(
    "process.eventloop.utilization",
    Unit::Ratio,
    "Share of the async runtime's worker time that was busy since the last reading.",
)
.plain();
static HANDLES_ACTIVE: Definition =
    Definition::gauge("process.handles.active", Unit::None, "Open file descriptors.").plain();
static REQUESTS_ACTIVE: Definition =
    Definition::gauge("process.requests.active", Unit::None, "Requests and I/O operations in flight.")
        .plain();

/// Those read from `/proc`.
static OF_HOST: [&Definition; 8] = [
    &PID,
    &UPTIME,
    &MEMORY_RSS,
    &MEMORY_HEAP_TOTAL,
    &MEMORY_HEAP_USED,
    &MEMORY_EXTERNAL,
    &CPU_USAGE,
    &HANDLES_ACTIVE,
];

/// Those told by a probe.
static OF_PROBE: [&Definition; 2] = [&EVENTLOOP_UTILIZATION, &REQUESTS_ACTIVE];

/// Collects the metrics of this process.
#[derive(Debug)]
pub struct ProcessMetricsCollector {
    probe: Option<RuntimeProbe>,
    busy: Option<(Timestamp, Duration)>,
    #[cfg(all(target_os = "linux", feature = "host"))]
    files: linux::Files,
}

impl ProcessMetricsCollector {
    /// A collector without the metrics of a runtime.
    pub fn new() -> Self {
        Self {
            probe: None,
            busy: None,
            #[cfg(all(target_os = "linux", feature = "host"))]
            files: linux::Files::new(),
        }
    }

    /// The same with the metrics that `probe` is fed.
    #[must_use]
    pub fn with_probe(mut self, probe: RuntimeProbe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// What the collector's metrics are, where all of them are to be had.
    pub fn definitions() -> impl Iterator<Item = &'static Definition> {
        OF_HOST.iter().chain(&OF_PROBE).copied()
    }

    fn collect_probe(&mut self, now: Timestamp, out: &mut Writer) {
        let Some(probe) = &self.probe else { return };
        out.write(&REQUESTS_ACTIVE, probe.active().max(0) as f64);
        let Some((busy, workers)) = probe.busy() else { return };
        let earlier = self.busy.replace((now, busy));
        if let Some(utilization) = earlier.and_then(|earlier| utilization(earlier, (now, busy), workers)) {
            out.write(&EVENTLOOP_UTILIZATION, utilization);
        }
    }
}

/// Busy time over the time that `workers` had, 0 to 1; `None` if no time went by.
fn utilization(earlier: (Timestamp, Duration), now: (Timestamp, Duration), workers: u64) -> Option<f64> {
    let wall = seconds_between(earlier.0, now.0)?;
    let busy = now.1.checked_sub(earlier.1)?.as_secs_f64();
    Some((busy / (wall * workers as f64)).min(1.0))
}

impl Default for ProcessMetricsCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl MetricCollector for ProcessMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("process")
    }

    fn cost(&self) -> Cost {
        Cost::Higher
    }

    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        self.collect_probe(now, out);
        #[cfg(all(target_os = "linux", feature = "host"))]
        {
            // Each part stands for itself; the first failure is told at the end.
            out.write(&PID, f64::from(std::process::id()));
            [self.files.times(out), self.files.memory(out), self.files.handles(out)].into_iter().collect()
        }
        #[cfg(not(all(target_os = "linux", feature = "host")))]
        {
            out.write(&PID, f64::from(std::process::id()));
            Ok(())
        }
    }

    fn reset(&mut self) {
        let probe = self.probe.take();
        *self = Self { probe, ..Self::new() };
    }

    fn unsupported(&self) -> Vec<Cow<'static, str>> {
        let hostless = if cfg!(all(target_os = "linux", feature = "host")) { &[] } else { &OF_HOST[1..] };
        let probeless = if self.probe.is_some() { &[] } else { &OF_PROBE[..] };
        hostless.iter().chain(probeless).map(|definition| definition.given.clone()).collect()
    }
}

#[cfg(all(target_os = "linux", feature = "host"))]
mod linux {
    use procfs::{
        FromRead, Uptime,
        process::{Stat, Status},
    };
    use rustix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::collector::proc_file::ProcFile;

    #[derive(Debug)]
    pub(super) struct Files {
        stat: ProcFile,
        status: ProcFile,
        uptime: ProcFile,
        /// When the processor time was read last, in seconds since the host started, and what it was in seconds.
        earlier: Option<(f64, f64)>,
    }

    impl Files {
        pub(super) fn new() -> Self {
            let mut files = Self {
                stat: ProcFile::new("/proc/self/stat"),
                status: ProcFile::new("/proc/self/status"),
                uptime: ProcFile::new("/proc/uptime"),
                earlier: None,
            };
            let _ = files.times(&mut Writer::new());
            files
        }

        /// Uptime, and processor time against it: both by the host's own clock, which nobody sets.
        pub(super) fn times(&mut self, out: &mut Writer) -> Result<(), CollectError> {
            let stat = self.stat.read(|file| Stat::from_read(file))?;
            let host = self.uptime.read(|file| Uptime::from_read(file))?.uptime;
            let per_second = procfs::ticks_per_second() as f64;
            let uptime = host - stat.starttime as f64 / per_second;
            out.write(&UPTIME, ((uptime * 100.0).round() / 100.0).max(0.0));
            // The clocks count nanoseconds, where /proc counts processor time in hundredths of a second.
            let (now, used) = (seconds_of(ClockId::Boottime), seconds_of(ClockId::ProcessCPUTime));
            match self.earlier {
                // Nearer readings would make noise.
                Some((at, _)) if now - at < 0.05 => return Ok(()),
                Some((at, earlier)) => {
                    out.write(&CPU_USAGE, (100.0 * (used - earlier) / (now - at)).max(0.0));
                }
                None => {}
            }
            self.earlier = Some((now, used));
            Ok(())
        }

        pub(super) fn memory(&mut self, out: &mut Writer) -> Result<(), CollectError> {
            let status = self.status.read(|file| Status::from_read(file))?;
            let external = status.rssfile.zip(status.rssshmem).map(|(file, shared)| file + shared);
            let kibibytes = [
                (&MEMORY_RSS, status.vmrss),
                (&MEMORY_HEAP_TOTAL, status.vmdata.max(status.rssanon)),
                (&MEMORY_HEAP_USED, status.rssanon),
                (&MEMORY_EXTERNAL, external),
            ];
            for (definition, kibibytes) in kibibytes {
                if let Some(kibibytes) = kibibytes {
                    out.write(definition, kibibytes as f64 * 1024.0);
                }
            }
            Ok(())
        }

        pub(super) fn handles(&self, out: &mut Writer) -> Result<(), CollectError> {
            let path = "/proc/self/fd";
            let unreadable = |source| CollectError::Read { path: path.to_owned(), source };
            // Newer kernels tell the count as the folder's size; on older ones it is zero and they are counted,
            // without the one the counting itself opens.
            let open = match std::fs::metadata(path).map_err(unreadable)?.len() {
                0 => std::fs::read_dir(path).map_err(unreadable)?.count().saturating_sub(1) as f64,
                open => open as f64,
            };
            out.write(&HANDLES_ACTIVE, open);
            Ok(())
        }
    }

    fn seconds_of(clock: ClockId) -> f64 {
        let time = clock_gettime(clock);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_the_process_it_runs_in() {
            let probe = RuntimeProbe::new();
            probe.set_busy(Duration::from_secs(1), 2);
            let _active = [probe.begin(), probe.begin()];
            let mut process = ProcessMetricsCollector::new().with_probe(probe.clone());
            assert!(process.unsupported().is_empty());
            process.perform_collection(Timestamp(1000), &mut Writer::new()).unwrap();
            probe.set_busy(Duration::from_millis(1500), 2);
            process.files.earlier = Some((0.0, 0.0));
            let mut out = Writer::new();
            process.perform_collection(Timestamp(2000), &mut out).unwrap();
            let value = |given: &str| out.value(given).unwrap_or_else(|| panic!("no {given}"));
            for definition in ProcessMetricsCollector::definitions() {
                assert!(value(&definition.given) >= 0.0);
            }
            assert_eq!(out.readings().len(), 10);
            assert_eq!(value("process.eventloop.utilization"), 0.25);
            assert_eq!(value("process.requests.active"), 2.0);
            assert!(value("process.memory.rss") >= value("process.memory.heap_used"));
            assert!(value("process.handles.active") >= 3.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_is_a_share_of_all_workers() {
        let check = |millis, busy, expected| {
            let earlier = (Timestamp(0), Duration::from_secs(10));
            assert_eq!(utilization(earlier, (Timestamp(millis), Duration::from_secs(busy)), 4), expected);
        };
        check(1000, 12, Some(0.5));
        check(1000, 20, Some(1.0));
        check(0, 12, None);
        check(1000, 9, None);
    }

    #[test]
    fn without_a_probe_two_metrics_are_not_to_be_had() {
        let missing = ProcessMetricsCollector::new().unsupported();
        assert!(
            missing.ends_with(&["process.eventloop.utilization".into(), "process.requests.active".into()])
        );
    }
}
