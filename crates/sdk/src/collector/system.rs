//! The host: its processors, memory, load, uptime, disk and network.
//!
//! Read from `/proc` and of the file system; on systems without it the collector has no metrics and says so. *Free* memory is what programs
//! could get without swapping, caches included, as the kernel estimates it; *used* is the rest.

use std::path::PathBuf;

use barograph_model::Timestamp;

#[cfg(all(target_os = "linux", feature = "host"))]
use super::linux_resources::Resources;
use super::{CollectError, Cost, Definition, MetricCollector, MetricCollectorConfig, Writer, resources};
use crate::Unit;

static CPU_USAGE: Definition = Definition::gauge(
    "system.cpu.usage",
    Unit::Percent,
    "Share of all processors' time that was not idle since the last reading.",
)
.plain();
static MEMORY_USED: Definition =
    Definition::gauge("system.memory.used", Unit::Bytes, "Memory that programs cannot get.").plain();
static MEMORY_TOTAL: Definition =
    Definition::gauge("system.memory.total", Unit::Bytes, "Memory of the host.").plain();
static MEMORY_FREE: Definition =
    Definition::gauge("system.memory.free", Unit::Bytes, "Memory that programs can get without swapping.")
        .plain();
static MEMORY_PERCENTAGE: Definition =
    Definition::gauge("system.memory.percentage", Unit::Percent, "Share of memory in use.").plain();
static LOAD_1M: Definition =
    Definition::gauge("system.load.1m", Unit::None, "Load average of one minute.").plain();
static LOAD_5M: Definition =
    Definition::gauge("system.load.5m", Unit::None, "Load average of five minutes.").plain();
static LOAD_15M: Definition =
    Definition::gauge("system.load.15m", Unit::None, "Load average of fifteen minutes.").plain();
static UPTIME: Definition =
    Definition::gauge("system.uptime", Unit::Seconds, "Time since the host started.").plain();

/// All metrics of the collector but those of disk and network.
static ALL: [&Definition; 9] = [
    &CPU_USAGE,
    &MEMORY_USED,
    &MEMORY_TOTAL,
    &MEMORY_FREE,
    &MEMORY_PERCENTAGE,
    &LOAD_1M,
    &LOAD_5M,
    &LOAD_15M,
    &UPTIME,
];

/// Collects the host's metrics.
#[derive(Debug)]
pub struct SystemMetricsCollector {
    #[cfg(all(target_os = "linux", feature = "host"))]
    host: linux::Host,
    #[cfg(all(target_os = "linux", feature = "host"))]
    resources: Resources,
}

impl SystemMetricsCollector {
    /// A collector that tells the use of processors from now on, and that of the root's file system.
    pub fn new() -> Self {
        Self::of_disk(PathBuf::from("/"))
    }

    /// The same with the file system that a path lies on.
    #[must_use]
    pub fn with_disk(self, path: impl Into<PathBuf>) -> Self {
        Self::of_disk(path.into())
    }

    #[cfg(all(target_os = "linux", feature = "host"))]
    fn of_disk(disk: PathBuf) -> Self {
        Self { host: linux::Host::new(), resources: Resources::new(disk) }
    }

    #[cfg(not(all(target_os = "linux", feature = "host")))]
    fn of_disk(_: PathBuf) -> Self {
        Self {}
    }

    /// How many processors the program may use.
    pub fn processors() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// What the collector's metrics are, on systems that have them.
    pub fn definitions() -> impl Iterator<Item = &'static Definition> {
        ALL.iter().chain(&resources::ALL).copied()
    }
}

impl Default for SystemMetricsCollector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(all(target_os = "linux", feature = "host")))]
impl MetricCollector for SystemMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("system")
    }

    fn cost(&self) -> Cost {
        Cost::Higher
    }

    fn perform_collection(&mut self, _now: Timestamp, _out: &mut Writer) -> Result<(), CollectError> {
        Ok(())
    }

    fn unsupported(&self) -> Vec<std::borrow::Cow<'static, str>> {
        Self::definitions().map(|definition| definition.given.clone()).collect()
    }
}

#[cfg(all(target_os = "linux", feature = "host"))]
impl MetricCollector for SystemMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("system")
    }

    fn cost(&self) -> Cost {
        Cost::Higher
    }

    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        // Each part stands for itself; the first failure is told at the end.
        let parts = [
            self.host.processors(out),
            self.host.memory(out),
            self.host.load(out),
            self.host.uptime(out),
            self.resources.disk(out),
            self.resources.network(now, out),
        ];
        parts.into_iter().collect()
    }

    fn reset(&mut self) {
        *self = Self::of_disk(std::mem::take(&mut self.resources.disk));
    }
}

#[cfg(all(target_os = "linux", feature = "host"))]
mod linux {
    use procfs::{CpuTime, FromRead, FromReadSI, KernelStats, LoadAverage, Meminfo, Uptime};

    use super::*;
    use crate::collector::proc_file::ProcFile;

    #[derive(Debug)]
    pub(super) struct Host {
        stat: ProcFile,
        meminfo: ProcFile,
        loadavg: ProcFile,
        uptime: ProcFile,
        ticks: Option<Ticks>,
    }

    /// Processor time since the host started, in clock ticks.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(super) struct Ticks {
        pub(super) total: u64,
        pub(super) idle: u64,
    }

    impl Ticks {
        fn of(time: &CpuTime) -> Self {
            let idle = time.idle + time.iowait.unwrap_or(0);
            let interrupts = time.irq.unwrap_or(0) + time.softirq.unwrap_or(0);
            let busy = time.user + time.nice + time.system + interrupts + time.steal.unwrap_or(0);
            Self { total: idle + busy, idle }
        }

        /// The share that was busy since `earlier`, in percent; `None` if no time went by.
        pub(super) fn usage_since(self, earlier: Self) -> Option<f64> {
            let total = self.total.checked_sub(earlier.total).filter(|ticks| *ticks > 0)?;
            // The kernel's idle counts are known to step back at times.
            let idle = self.idle.saturating_sub(earlier.idle).min(total);
            Some(100.0 * (total - idle) as f64 / total as f64)
        }
    }

    impl Host {
        pub(super) fn new() -> Self {
            let mut host = Self {
                stat: ProcFile::new("/proc/stat"),
                meminfo: ProcFile::new("/proc/meminfo"),
                loadavg: ProcFile::new("/proc/loadavg"),
                uptime: ProcFile::new("/proc/uptime"),
                ticks: None,
            };
            host.ticks = host.read_ticks().ok();
            host
        }

        fn read_ticks(&mut self) -> Result<Ticks, CollectError> {
            let stats = self.stat.read(|file| KernelStats::from_read(file, procfs::current_system_info()))?;
            Ok(Ticks::of(&stats.total))
        }

        pub(super) fn processors(&mut self, out: &mut Writer) -> Result<(), CollectError> {
            let ticks = self.read_ticks()?;
            let usage = self.ticks.map(|earlier| ticks.usage_since(earlier));
            if let Some(Some(usage)) = usage {
                out.write(&CPU_USAGE, usage);
            }
            // Within one tick nothing can be told: the earlier reading stays for the next.
            if usage != Some(None) {
                self.ticks = Some(ticks);
            }
            Ok(())
        }

        pub(super) fn memory(&mut self, out: &mut Writer) -> Result<(), CollectError> {
            let info = self.meminfo.read(|file| Meminfo::from_read(file))?;
            let (total, free) = (info.mem_total, info.mem_available.unwrap_or(info.mem_free));
            let used = total.saturating_sub(free) as f64;
            out.write(&MEMORY_USED, used);
            out.write(&MEMORY_TOTAL, total as f64);
            out.write(&MEMORY_FREE, free as f64);
            out.write(&MEMORY_PERCENTAGE, 100.0 * used / total as f64);
            Ok(())
        }

        pub(super) fn load(&mut self, out: &mut Writer) -> Result<(), CollectError> {
            let load = self.loadavg.read(|file| LoadAverage::from_read(file))?;
            // The kernel tells two decimals, which a single float does not hold exactly.
            let hundredths = |load: f32| (f64::from(load) * 100.0).round() / 100.0;
            out.write(&LOAD_1M, hundredths(load.one));
            out.write(&LOAD_5M, hundredths(load.five));
            out.write(&LOAD_15M, hundredths(load.fifteen));
            Ok(())
        }

        pub(super) fn uptime(&mut self, out: &mut Writer) -> Result<(), CollectError> {
            let uptime = self.uptime.read(|file| Uptime::from_read(file))?;
            out.write(&UPTIME, uptime.uptime);
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn usage_is_what_was_not_idle() {
            let check = |(total, idle), expected| {
                let earlier = Ticks { total: 1000, idle: 800 };
                assert_eq!(Ticks { total, idle }.usage_since(earlier), expected);
            };
            check((1100, 850), Some(50.0));
            check((1100, 900), Some(0.0));
            check((1100, 790), Some(100.0));
            check((1000, 800), None);
            check((900, 700), None);
        }

        #[test]
        fn reads_the_host_it_runs_on() {
            let mut system = SystemMetricsCollector::new();
            system.host.ticks = Some(Ticks { total: 0, idle: 0 });
            let mut out = Writer::new();
            system.perform_collection(Timestamp(0), &mut out).unwrap();
            system.perform_collection(Timestamp(1000), &mut out).unwrap();
            assert_eq!(SystemMetricsCollector::definitions().count(), 16);
            for definition in SystemMetricsCollector::definitions() {
                assert!(out.value(&definition.given).is_some(), "no {}", definition.given);
            }
            let value = |given| out.value(given).unwrap();
            assert!((0.0..=100.0).contains(&value("system.cpu.usage")));
            assert!((0.0..=100.0).contains(&value("system.memory.percentage")));
            let memory = value("system.memory.used") + value("system.memory.free");
            assert_eq!(memory, value("system.memory.total"));
            assert!(value("system.uptime") > 0.0);
            assert_eq!(out.readings()[5].stored_name(), "system_load_1m");
        }
    }
}
