//! The six built-in collectors, as they are configured.

use std::sync::Arc;

use barograph::collector::{
    ApiMetricsCollector, ConfigChange, Cost, DataMetricsCollector, DataSize, DataSizes, MetricCollector,
    ProcessMetricsCollector, SystemMetricsCollector, WebSocketMetricsCollector,
};
use barograph_model::Tier;
use barograph_tsdb::Store;

use super::Collecting;
use crate::{
    config::{Collector, Collectors},
    server::Settings,
};

/// The names of the built-in collectors.
const NAMES: [&str; 6] = ["api", "business", "data", "process", "system", "websocket"];

impl Collecting {
    /// Adds the built-in collectors, unless there are to be none. One of the application's with such a name stays.
    pub(super) fn add_built_in(&self, configured: &Collectors, settings: &Settings, store: &Arc<Store>) {
        if !configured.built_in {
            return;
        }
        let system = SystemMetricsCollector::new();
        let system = if settings.data_dir.exists() { system.with_disk(&settings.data_dir) } else { system };
        self.add(system, configured.system);
        self.add(ProcessMetricsCollector::new().with_probe(self.probe.clone()), configured.process);
        self.add(ApiMetricsCollector::new(&self.requests), configured.api);
        self.add(WebSocketMetricsCollector::new(&self.sockets), configured.websocket);
        let counts = self.business.counts_something();
        let business = Collector { enabled: configured.business.enabled && counts, ..configured.business };
        self.add(self.business.clone(), business);
        let directories = &configured.directories;
        let data = match directories.is_empty() {
            true => of_store(store.clone()),
            false => DataMetricsCollector::over(directories.clone()),
        };
        self.add(data, configured.data);
    }

    fn add(&self, collector: impl MetricCollector + 'static, configured: Collector) {
        let name = collector.config().name;
        if collector.cost() == Cost::Higher && !self.higher_cost {
            return;
        }
        if self.collectors.add(collector).is_ok() {
            let (interval, enabled) = (Some(configured.interval), Some(configured.enabled));
            self.collectors.update_config(&name, ConfigChange { interval, enabled });
        }
    }

    /// Has the built-in collectors run as another configuration says.
    pub(crate) fn configure(&self, configured: &Collectors) {
        let counts = self.business.counts_something();
        let business = Collector { enabled: configured.business.enabled && counts, ..configured.business };
        for (name, of) in [
            ("system", configured.system),
            ("process", configured.process),
            ("api", configured.api),
            ("websocket", configured.websocket),
            ("business", business),
            ("data", configured.data),
        ] {
            let change = ConfigChange {
                interval: Some(of.interval),
                enabled: Some(of.enabled && configured.built_in),
            };
            self.collectors.update_config(name, change);
        }
    }

    /// Takes the built-in collectors out again: they hold on to the store.
    pub(crate) fn end(&self) {
        for name in NAMES {
            self.collectors.remove(name);
        }
    }
}

/// The store's own tiers: raw samples and their log are hot, windows of minutes warm, those of hours cold.
fn of_store(store: Arc<Store>) -> DataMetricsCollector {
    DataMetricsCollector::of(move || {
        let (levels, stats) = (store.levels(), store.stats());
        let tier = |tier: Tier| {
            let level = &levels[tier as usize];
            DataSize { bytes: level.bytes, files: level.files as u64 }
        };
        let sum = |a: DataSize, b: DataSize| DataSize { bytes: a.bytes + b.bytes, files: a.files + b.files };
        let log = DataSize { bytes: stats.wal_bytes, files: stats.wal_segments as u64 };
        Ok(DataSizes {
            hot: sum(tier(Tier::Raw), log),
            warm: sum(tier(Tier::Minute), tier(Tier::FiveMinutes)),
            cold: tier(Tier::Hour),
        })
    })
}
