//! What the server measures of its rules.

use std::time::Duration;

use barograph::{Counter, Error, Family, Gauge, Histogram, Registry, Unit};
use barograph_model::Timestamp;

use super::Running;

/// Instruments of rules.
#[derive(Debug)]
pub struct Instruments {
    evaluations: Family<Counter, 1>,
    failures: Family<Counter, 1>,
    duration: Histogram,
    missed: Family<Counter, 1>,
    samples: Family<Gauge, 1>,
    last: Family<Gauge, 1>,
    group_duration: Family<Gauge, 1>,
    interval: Family<Gauge, 1>,
    rules: Family<Gauge, 1>,
    files_usable: Gauge,
    own: Gauge,
    own_refused: Counter,
    unkept: Counter,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let group = ["rule_group"];
        Ok(Self {
            evaluations: registry
                .counter("barograph_rule_evaluations_total")
                .help("Evaluations of rules, by group.")
                .family(group)?,
            failures: registry
                .counter("barograph_rule_evaluation_failures_total")
                .help("Evaluations of rules that failed, by group.")
                .family(group)?,
            duration: registry
                .histogram("barograph_rule_evaluation_duration")
                .unit(Unit::Seconds)
                .help("Time an evaluation of a rule took, waiting for its turn included.")
                .register()?,
            missed: registry
                .counter("barograph_rule_group_iterations_missed_total")
                .help("Evaluations of groups that were left out because the one before took too long.")
                .family(group)?,
            samples: registry
                .gauge("barograph_rule_group_last_evaluation_samples")
                .help("Samples that the last evaluation of a group gave.")
                .family(group)?,
            last: registry
                .gauge("barograph_rule_group_last_evaluation_timestamp")
                .unit(Unit::Seconds)
                .help("When a group was evaluated last, in Unix seconds.")
                .family(group)?,
            group_duration: registry
                .gauge("barograph_rule_group_last_duration")
                .unit(Unit::Seconds)
                .help("Time the last evaluation of a group took.")
                .family(group)?,
            interval: registry
                .gauge("barograph_rule_group_interval")
                .unit(Unit::Seconds)
                .help("Time from one evaluation of a group to the next.")
                .family(group)?,
            rules: registry.gauge("barograph_rule_group_rules").help("Rules of a group.").family(group)?,
            files_usable: registry
                .gauge("barograph_rule_files_usable")
                .help("0 while rule files cannot be used and the rules before them run on.")
                .register()?,
            own: registry.gauge("barograph_own_rules").help("Rules that were made by API.").register()?,
            own_refused: registry
                .counter("barograph_own_rules_refused_total")
                .help("Rules that were not made by API as there are too many.")
                .register()?,
            unkept: registry
                .counter("barograph_rule_state_failures_total")
                .help(
                    "Evaluations of groups whose alerts could not be written to the state database at once.",
                )
                .register()?,
        })
    }

    pub(super) fn files(&self, usable: bool) {
        self.files_usable.set(f64::from(u8::from(usable)));
    }

    /// So many rules were made by API.
    pub(super) fn own(&self, rules: usize) {
        #[expect(clippy::cast_precision_loss, reason = "there are fewer rules than that")]
        self.own.set(rules as f64);
    }

    /// One more was refused, as there are too many.
    pub(crate) fn own_refused(&self) {
        self.own_refused.inc();
    }

    /// Alerts of a group could not be kept.
    pub(super) fn unkept(&self) {
        self.unkept.inc();
    }

    /// A group begins to run; its counters show from here on.
    pub(super) fn begins(&self, running: &Running) {
        let label = label(running);
        self.interval.with([&label]).set(running.interval.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "there are fewer rules than that")]
        self.rules.with([&label]).set(running.group().rules.len() as f64);
        self.evaluations.with([&label]).add(0);
        self.failures.with([&label]).add(0);
        self.missed.with([&label]).add(0);
    }

    pub(super) fn rule(&self, running: &Running, took: Duration, good: bool) {
        let label = label(running);
        self.evaluations.with([&label]).inc();
        if !good {
            self.failures.with([&label]).inc();
        }
        self.duration.record(took.as_secs_f64());
    }

    pub(super) fn group(&self, running: &Running, at: Timestamp, took: Duration, samples: usize) {
        let label = label(running);
        self.last.with([&label]).set(at.seconds());
        self.group_duration.with([&label]).set(took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "there are fewer samples than that")]
        self.samples.with([&label]).set(samples as f64);
    }

    pub(super) fn missed(&self, running: &Running, times: u64) {
        self.missed.with([&label(running)]).add(times);
    }
}

fn label(running: &Running) -> String {
    format!("{};{}", running.file, running.name)
}
