//! Health as metrics.

use barograph::{Counter, Error, Family, Gauge, Registry};

use super::{ClusterHealth, Health, Status, Taken};

/// What is counted and shown of health.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    /// By the generic names, and by those of the preset if that is asked for.
    performance: Vec<Family<Gauge, 2>>,
    healthy_nodes: Vec<Gauge>,
    total_nodes: Vec<Gauge>,
    status: Family<Gauge, 1>,
    runs: Family<Counter, 2>,
    /// Transitions that were not kept because too many waited.
    pub(super) dropped: Counter,
    /// Tasks that were started again or given up, by task and action.
    pub(super) recoveries: Family<Counter, 2>,
    /// State databases that were not what was written.
    pub(super) set_aside: Counter,
}

impl Instruments {
    /// Registers everything; with `preset` the names `exesdb_…`, too.
    pub(crate) fn register(registry: &Registry, preset: bool) -> Result<Self, Error> {
        let names = |generic: &'static str, preset_name: &'static str| {
            [Some(generic), preset.then_some(preset_name)].into_iter().flatten()
        };
        let gauge = |name: &'static str, help: &str| registry.gauge(name).help(help).register();
        let healthy = "Nodes of the cluster that are not unhealthy.";
        let total = "Nodes of the cluster that are configured.";
        Ok(Self {
            performance: names("component_performance", "exesdb_performance")
                .map(|name| {
                    let help = "Health score of a component, 0 to 100, as a node sees it.";
                    registry.gauge(name).help(help).family(["component", "node"])
                })
                .collect::<Result<_, _>>()?,
            healthy_nodes: names("cluster_healthy_nodes", "exesdb_healthy_nodes")
                .map(|name| gauge(name, healthy))
                .collect::<Result<_, _>>()?,
            total_nodes: names("cluster_total_nodes", "exesdb_total_nodes")
                .map(|name| gauge(name, total))
                .collect::<Result<_, _>>()?,
            status: registry
                .gauge("barograph_component_status")
                .help("How a component fares: 1 healthy, 0.5 degraded, 0 unhealthy, -1 unknown.")
                .family(["component"])?,
            runs: registry
                .counter("barograph_health_checks_total")
                .help("Runs of health checks, by check and result.")
                .family(["check", "result"])?,
            dropped: registry
                .counter("barograph_health_history_dropped_total")
                .help("Transitions of health that were dropped before they were kept.")
                .register()?,
            recoveries: registry
                .counter("barograph_recoveries_total")
                .help("Tasks of the server that panicked and were started again or given up.")
                .family(["task", "action"])?,
            set_aside: registry
                .counter("barograph_state_set_aside_total")
                .help("State databases that were set aside because their bytes were not what was written.")
                .register()?,
        })
    }

    pub(super) fn ran(&self, taken: &Taken) {
        let result = match taken.check.result {
            super::CheckResult::Pass => "pass",
            super::CheckResult::Fail => "fail",
            super::CheckResult::Timeout => "timeout",
        };
        self.runs.with([&taken.check.check_name, result]).inc();
    }

    pub(super) fn observe_components(&self, health: &Health) {
        for component in health.components() {
            let value = match component.status {
                Status::Healthy => 1.0,
                Status::Degraded => 0.5,
                Status::Unhealthy => 0.0,
                Status::Unknown => -1.0,
            };
            self.status.with([&component.component]).set(value);
            let Some(score) = component.details.get("score").and_then(serde_json::Value::as_f64) else {
                continue;
            };
            for performance in &self.performance {
                performance.with([&component.component, &component.node]).set(score);
            }
        }
    }

    pub(super) fn observe_cluster(&self, cluster: &ClusterHealth) {
        self.healthy_nodes.iter().for_each(|gauge| gauge.set(cluster.healthy_nodes as f64));
        self.total_nodes.iter().for_each(|gauge| gauge.set(cluster.total_nodes as f64));
    }
}
