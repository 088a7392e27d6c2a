//! The server in figures at one moment: what thresholds are compared with, and analyses and trends are made of.

use std::{collections::VecDeque, time::Duration};

use barograph::window::Figures;
use barograph_model::Timestamp;
use barograph_tsdb::Stats;

use crate::{
    Engine,
    memory::Step,
    snapshot::{ProcessMetricsSnapshot, SystemMetricsSnapshot},
    storage::space_at,
};

/// The figures there are, and what they are in.
pub const FIGURES: [(&str, &str); 15] = [
    ("memory_usage", "percent"),
    ("host_memory_usage", "percent"),
    ("disk_usage", "percent"),
    ("cpu_usage", "percent"),
    ("network_usage", "percent"),
    ("error_rate", "share"),
    ("requests_per_second", "per second"),
    ("p95_latency_ms", "ms"),
    ("event_loop_lag_ms", "ms"),
    ("runtime_usage", "percent"),
    ("commit_p95_ms", "ms"),
    ("commit_usage", "percent"),
    ("query_p95_ms", "ms"),
    ("query_queue_usage", "percent"),
    ("series_usage", "percent"),
];

/// Figures of fewer requests or queries than this say nothing.
pub(super) const REQUESTS_LEAST: u64 = 20;
/// The same of commits.
pub(super) const COMMITS_LEAST: u64 = 3;
/// How far back errors are counted.
const ERRORS_WINDOW: Duration = Duration::from_secs(300);
/// At most so many readings of them are kept.
const READINGS_MAX: usize = 512;

/// The server at one moment. What is not known is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) at: Timestamp,
    /// Requests of the window, all together and by route.
    pub(crate) requests: Figures,
    pub(crate) routes: Vec<(String, Figures)>,
    /// Requests since the start, and those of them that failed by our fault.
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    /// The share of the last minutes' requests that failed by our fault.
    pub(crate) error_rate: Option<f64>,
    /// Queries of the window.
    pub(crate) queries: Figures,
    /// Those since the start, and those that were refused or stopped at a limit.
    pub(crate) asked: u64,
    pub(crate) refused: u64,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) waiting_max: u64,
    pub(crate) slow_after: Duration,
    /// Commits of the window, and since the start: how many, and for how many seconds.
    pub(crate) commits: Figures,
    pub(crate) committed: (u64, f64),
    /// Samples stored in the window.
    pub(crate) stored: Figures,
    pub(crate) stats: Stats,
    /// Shares and percents.
    pub(crate) memory: f64,
    pub(crate) sheds: Vec<&'static str>,
    pub(crate) cpu: Option<f64>,
    pub(crate) host_memory: Option<f64>,
    pub(crate) disk: Option<f64>,
    pub(crate) network: Option<f64>,
    pub(crate) lag_ms: Option<f64>,
    pub(crate) busy: Option<f64>,
}

impl Observed {
    /// Reads everything but the rate of errors, which needs readings from before.
    pub(crate) fn read(engine: &Engine, now: Timestamp) -> Self {
        let collecting = &engine.collecting;
        let system = SystemMetricsSnapshot::latest(&collecting.collectors);
        let requests = collecting.requests.figures();
        let by_us = |class: &str| !matches!(class, "client" | "cancelled");
        let errors = requests.errors.iter().filter(|(class, _)| by_us(class));
        let inside = |name| {
            let watch = collecting.inside.iter().find(|inside| inside.0 == name);
            watch.map(|(_, watch)| watch.figures()).unwrap_or_default()
        };
        let registry = &engine.telemetry.registry;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts, which are whole"
        )]
        let total = |name| registry.values(name).iter().map(|(_, value)| *value).sum::<f64>() as u64;
        let commits = engine.telemetry.commit_duration.read().sketch;
        let loop_of = |name: &str| registry.values(name).first().map(|(_, value)| *value);
        let waiting = engine.queries.waiting();
        Self {
            at: now,
            answered: requests.total,
            failed: errors.map(|(_, count)| count).sum(),
            requests: requests.window,
            routes: collecting.requests.windows().into_iter().collect(),
            error_rate: None,
            queries: inside("query"),
            asked: total("barograph_queries_total"),
            refused: total("barograph_query_limits_total"),
            running: engine.queries.running().len().saturating_sub(waiting),
            waiting,
            waiting_max: engine.limits().max_queued,
            slow_after: engine.limits().slow,
            commits: inside("persistence_write"),
            committed: (commits.count(), commits.sum()),
            stored: collecting.stored.figures(),
            stats: engine.store.stats(),
            memory: engine.memory.used() * 100.0,
            sheds: Step::ALL
                .into_iter()
                .filter(|step| engine.memory.sheds(*step))
                .map(Step::as_str)
                .collect(),
            cpu: system.cpu_usage,
            host_memory: system.memory_percentage,
            disk: space_at(&engine.data_dir)
                .filter(|space| space.total > 0)
                .map(|space| 100.0 * (1.0 - space.free as f64 / space.total as f64)),
            network: system
                .network_capacity
                .filter(|capacity| *capacity > 0.0)
                .map(|capacity| 100.0 * system.network_rate.unwrap_or(0.0) / capacity),
            lag_ms: loop_of("event_loop_lag_p95_ms"),
            busy: ProcessMetricsSnapshot::latest(&collecting.collectors)
                .eventloop_utilization
                .map(|share| share * 100.0),
        }
    }

    /// A figure by its name, if it says something.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        let ms = |figures: &Figures, least| {
            figures.p95.filter(|_| figures.count >= least).map(|seconds| seconds * 1e3)
        };
        let percent = |part: f64, all: f64| if all > 0.0 { Some(100.0 * part / all) } else { None };
        match name {
            "memory_usage" => Some(self.memory),
            "host_memory_usage" => self.host_memory,
            "disk_usage" => self.disk,
            "cpu_usage" => self.cpu,
            "network_usage" => self.network,
            "error_rate" => self.error_rate,
            "requests_per_second" => Some(self.requests.per_second),
            "p95_latency_ms" => ms(&self.requests, REQUESTS_LEAST),
            "event_loop_lag_ms" => self.lag_ms,
            "runtime_usage" => self.busy,
            "commit_p95_ms" => ms(&self.commits, COMMITS_LEAST),
            "commit_usage" => percent(self.commits.sum, self.commits.seconds),
            "query_p95_ms" => ms(&self.queries, REQUESTS_LEAST),
            "query_queue_usage" => percent(self.waiting as f64, self.waiting_max as f64),
            "series_usage" => percent(self.stats.series as f64, self.stats.series_max as f64),
            _ => None,
        }
    }

    /// All figures that say something.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        FIGURES.into_iter().filter_map(|(name, _)| Some((name, self.figure(name)?)))
    }
}

/// Counts of requests over the last minutes, so that a rate of errors of ours can be told.
#[derive(Debug, Default)]
pub(super) struct Errors(VecDeque<(Duration, u64, u64)>);

impl Errors {
    /// The share of requests that failed by our fault within the window; `None` of too few.
    pub(super) fn rate(&mut self, now: Duration, answered: u64, failed: u64) -> Option<f64> {
        let old = |at: Duration| now.saturating_sub(at) > ERRORS_WINDOW;
        while self.0.front().is_some_and(|first| old(first.0)) || self.0.len() >= READINGS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, answered, failed));
        let (_, answered_before, failed_before) = *self.0.front()?;
        let requests = answered.saturating_sub(answered_before);
        let failures = failed.saturating_sub(failed_before).min(requests);
        (requests >= REQUESTS_LEAST).then(|| failures as f64 / requests as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_the_last_minutes() {
        let mut errors = Errors::default();
        let at = Duration::from_secs;
        assert_eq!(errors.rate(at(0), 100, 50), None, "what was before is not known");
        assert_eq!(errors.rate(at(10), 110, 60), None, "ten are too few");
        assert_eq!(errors.rate(at(20), 140, 60), Some(0.25));
        assert_eq!(errors.rate(at(315), 240, 60), Some(0.0));
    }

    #[test]
    fn every_figure_has_its_name() {
        let figures = Figures { count: 100, seconds: 100.0, sum: 50.0, p95: Some(0.5), ..Figures::default() };
        let observed = Observed {
            requests: figures,
            queries: figures,
            commits: figures,
            error_rate: Some(0.0),
            waiting_max: 10,
            cpu: Some(1.0),
            host_memory: Some(1.0),
            disk: Some(1.0),
            network: Some(1.0),
            lag_ms: Some(1.0),
            busy: Some(1.0),
            ..Observed::default()
        };
        let known: Vec<_> = observed.figures().map(|(name, _)| name).collect();
        // No series can be there where there is room for none.
        let expected: Vec<_> =
            FIGURES.iter().map(|(name, _)| *name).filter(|name| *name != "series_usage").collect();
        assert_eq!(known, expected);
        assert_eq!(observed.figure("commit_usage"), Some(50.0));
    }
}
