//! The six built-in collectors: every name that is promised is there, and none takes long.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{collections::BTreeSet, time::Duration};

use barograph::{
    Registry, Requests, Sockets, Timestamp,
    collector::{
        ApiMetricsCollector, BusinessConfig, BusinessMetricsCollector, Collectors, DataDirectories,
        DataMetricsCollector, MetricCollector, ProcessMetricsCollector, RuntimeProbe, SystemMetricsCollector,
        WebSocketMetricsCollector, Writer,
    },
};

/// The names, by collector.
const PROMISED: [(&str, &[&str]); 6] = [
    (
        "system",
        &[
            "cpu.usage",
            "memory.used",
            "memory.total",
            "memory.free",
            "memory.percentage",
            "load.1m",
            "load.5m",
            "load.15m",
            "uptime",
        ],
    ),
    (
        "process",
        &[
            "pid",
            "uptime",
            "memory.rss",
            "memory.heap_total",
            "memory.heap_used",
            "memory.external",
            "cpu.usage",
            "eventloop.utilization",
            "handles.active",
            "requests.active",
        ],
    ),
    (
        "api",
        &[
            "requests.total",
            "requests.success",
            "requests.failed",
            "requests.by_endpoint",
            "requests.per_second",
            "response.avg",
            "response.min",
            "response.max",
            "response.p50",
            "response.p90",
            "response.p95",
            "response.p99",
        ],
    ),
    (
        "websocket",
        &[
            "connections.total",
            "connections.active",
            "messages.sent",
            "messages.received",
            "bytes.sent",
            "bytes.received",
            "message.avg_size",
        ],
    ),
    (
        "business",
        &[
            "gateway.checks",
            "violations.detected",
            "retrospectives.completed",
            "patterns.matched",
            "users.active",
            "violation.rate",
        ],
    ),
    (
        "data",
        &[
            "size.total",
            "size.hot",
            "size.warm",
            "size.cold",
            "files.total",
            "files.hot",
            "files.warm",
            "files.cold",
            "growth.rate",
        ],
    ),
];

struct Built {
    registry: Registry,
    requests: Requests,
    probe: RuntimeProbe,
    folder: tempfile::TempDir,
}

impl Built {
    fn new() -> Self {
        let registry = Registry::new();
        let requests = Requests::register(&registry).unwrap();
        Self { registry, requests, probe: RuntimeProbe::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn collectors(&self) -> Vec<Box<dyn MetricCollector>> {
        let hot = vec![self.folder.path().to_owned()];
        vec![
            Box::new(SystemMetricsCollector::new()),
            Box::new(ProcessMetricsCollector::new().with_probe(self.probe.clone())),
            Box::new(ApiMetricsCollector::new(&self.requests)),
            Box::new(WebSocketMetricsCollector::new(&Sockets::register(&self.registry).unwrap())),
            Box::new(BusinessMetricsCollector::new(&BusinessConfig::prism()).unwrap()),
            Box::new(DataMetricsCollector::over(DataDirectories { hot, ..DataDirectories::default() })),
        ]
    }

    fn use_a_little(&self, busy: Duration) {
        self.probe.set_busy(busy, 2);
        (0..1000).for_each(|i| {
            self.requests.record("GET", &format!("/{}", i % 20), 200, Duration::from_millis(i));
        });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn every_promised_name_is_read() {
    let built = Built::new();
    let set = Collectors::new();
    for collector in built.collectors() {
        set.add(collector).unwrap();
    }
    built.registry.tick(Timestamp(0));
    let mut read = BTreeSet::new();
    for tick in 0..2 {
        let now = Timestamp(tick * 60_000);
        built.use_a_little(Duration::from_secs(u64::try_from(tick).unwrap()));
        // Two readings within a tick of the kernel's clock tell no use of processors.
        std::iter::repeat_n((), 3_000_000).for_each(|()| std::hint::black_box(()));
        built.registry.tick(now);
        read.extend(set.tick(now).into_iter().map(|reading| reading.definition.given.to_string()));
    }
    let promised = PROMISED
        .iter()
        .flat_map(|(name, metrics)| metrics.iter().map(move |metric| format!("{name}.{metric}")));
    let promised: BTreeSet<String> = promised.collect();
    assert_eq!(promised.len(), 53);
    let missing: Vec<_> = promised.difference(&read).collect();
    assert!(missing.iter().all(|name| name.ends_with("cpu.usage")), "{missing:?}");
    let names: Vec<_> = set.statuses().into_iter().map(|status| status.config.name).collect();
    assert_eq!(names, ["api", "business", "data", "process", "system", "websocket"]);
    assert_eq!(set.totals().errors, 0, "{:?}", set.statuses());
}

/// Of the thread's own time, so that a busy machine does not decide.
#[test]
#[cfg(target_os = "linux")]
fn ninety_nine_in_a_hundred_runs_are_over_within_ten_milliseconds() {
    use rustix::time::{ClockId, clock_gettime};
    let thread_time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let built = Built::new();
    built.use_a_little(Duration::ZERO);
    for mut collector in built.collectors() {
        let mut out = Writer::new();
        let mut took: Vec<Duration> = (0..200)
            .map(|second| {
                out.clear();
                let began = thread_time();
                collector.perform_collection(Timestamp(second * 1000), &mut out).unwrap();
                thread_time() - began
            })
            .collect();
        took.sort_unstable();
        let (name, p99) = (collector.config().name, took[197]);
        println!("{name:10} p50 {:?}, p99 {p99:?}", took[99]);
        assert!(p99 < Duration::from_millis(10), "{name} takes {p99:?}");
    }
}
