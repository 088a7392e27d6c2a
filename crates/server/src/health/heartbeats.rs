//! Jobs that say that they live: each has a key, and has to be heard of once in a period.
//!
//! A job that is late by more than its grace is unhealthy, and so is one that said it failed, or that began and did not end
//! in the same time. One that was never heard of is unknown: nobody knows when it should have been. What was heard last is
//! kept, so that a job which went silent while the server did not run is late when it runs again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use barograph_model::Timestamp;
use barograph_state::{Batch, Error, State, Table};
use serde::{Deserialize, Serialize};

use super::{Checking, Finding, HealthCheck, Plan, lock};
use crate::config::{HeartbeatConfig, format_duration};

/// Bytes of a text that are kept of a signal.
pub(crate) const TEXT_BYTES_MAX: usize = 10_000;
/// How often it is looked whether a job is late.
const EVERY: Duration = Duration::from_secs(1);
const BEATS: Table<String, Beat> = Table::new("heartbeats");

/// What a job says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signal {
    /// It begins.
    Start,
    /// It ended well.
    Success,
    /// It failed.
    Fail,
    /// It has something to say.
    Log,
}

/// A signal with what came along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ping {
    pub(crate) signal: Signal,
    /// The beginning of the body.
    pub(crate) text: String,
}

/// What was heard of a job, times in milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Beat {
    /// When it began last, if it did not end since.
    pub(crate) started: Option<i64>,
    /// When it ended well last.
    pub(crate) succeeded: Option<i64>,
    /// When it failed last.
    pub(crate) failed: Option<i64>,
    /// Whether it failed since it ended well last.
    pub(crate) failing: bool,
    /// How long it took last, in milliseconds, if it said when it began.
    pub(crate) took_ms: Option<i64>,
    /// What came with the last signal.
    pub(crate) text: String,
    /// Signals so far.
    pub(crate) signals: u64,
}

/// The jobs.
#[derive(Clone)]
pub(crate) struct Heartbeats(Arc<Mutex<Jobs>>);

#[derive(Default)]
struct Jobs {
    configured: BTreeMap<String, HeartbeatConfig>,
    /// What was heard of jobs by their keys, of those that are not configured for now, too.
    beats: BTreeMap<String, Beat>,
    /// Keys of which something is not kept yet.
    changed: BTreeSet<String>,
}

/// The name of the check that looks at a job.
pub(crate) fn check_name(key: &str) -> String {
    format!("heartbeat:{key}")
}

impl Heartbeats {
    pub(super) fn new(configured: &[HeartbeatConfig]) -> Self {
        let jobs = Self(Arc::default());
        jobs.configure(configured);
        jobs
    }

    /// From now on these are the jobs. What was heard of one that was configured before counts.
    pub(super) fn configure(&self, configured: &[HeartbeatConfig]) {
        let configured = configured.iter().map(|job| (job.key.clone(), job.clone()));
        lock(&self.0).configured = configured.collect();
    }

    /// Reads what was kept. Blocks on the disk.
    pub(super) fn load(&self, state: &State) -> Result<(), Error> {
        let kept = state.read(|view| view.all(&BEATS))?;
        let mut jobs = lock(&self.0);
        for (key, beat) in kept {
            // What was heard meanwhile is newer.
            jobs.beats.entry(key).or_insert(beat);
        }
        Ok(())
    }

    /// All jobs with what was heard of them.
    pub(crate) fn all(&self) -> Vec<(HeartbeatConfig, Beat)> {
        let jobs = lock(&self.0);
        let beat = |job: &HeartbeatConfig| jobs.beats.get(&job.key).cloned().unwrap_or_default();
        jobs.configured.values().map(|job| (job.clone(), beat(job))).collect()
    }

    /// Takes a signal; what is to be kept of it, or `None` if there is no such job.
    pub(super) fn take(&self, key: &str, signal: Signal, mut text: String, at: Timestamp) -> Option<Ping> {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        let mut jobs = lock(&self.0);
        jobs.configured.get(key)?;
        let beat = jobs.beats.entry(key.to_owned()).or_default();
        beat.signals += 1;
        beat.text.clone_from(&text);
        match signal {
            Signal::Start => beat.started = Some(at.0),
            Signal::Success => {
                beat.took_ms = beat.started.take().map(|started| at.0.saturating_sub(started));
                (beat.succeeded, beat.failing) = (Some(at.0), false);
            }
            Signal::Fail => {
                beat.took_ms = beat.started.take().map(|started| at.0.saturating_sub(started));
                (beat.failed, beat.failing) = (Some(at.0), true);
            }
            Signal::Log => {}
        }
        jobs.changed.insert(key.to_owned());
        Some(Ping { signal, text })
    }

    /// What is to be kept.
    pub(super) fn take_changed(&self) -> Vec<(String, Beat)> {
        let mut jobs = lock(&self.0);
        let changed = std::mem::take(&mut jobs.changed);
        changed.into_iter().filter_map(|key| Some((key.clone(), jobs.beats.get(&key)?.clone()))).collect()
    }

    /// It was not kept.
    pub(super) fn changed(&self, keys: impl Iterator<Item = String>) {
        lock(&self.0).changed.extend(keys);
    }
}

pub(super) fn write(batch: &mut Batch<'_>, beats: &[(String, Beat)]) -> Result<(), Error> {
    beats.iter().try_for_each(|(key, beat)| batch.put(&BEATS, key, beat))
}

/// Looks at one job.
pub(super) struct HeartbeatCheck {
    name: String,
    config: HeartbeatConfig,
    jobs: Heartbeats,
    now: Arc<dyn crate::clock::Clock>,
}

impl HeartbeatCheck {
    pub(super) fn new(config: HeartbeatConfig, jobs: Heartbeats, now: Arc<dyn crate::clock::Clock>) -> Self {
        Self { name: check_name(&config.key), config, jobs, now }
    }
}

impl HealthCheck for HeartbeatCheck {
    fn name(&self) -> &str {
        &self.name
    }

    fn component(&self) -> &str {
        &self.config.name
    }

    fn plan(&self) -> Plan {
        Plan::every(EVERY).at_once()
    }

    fn check(self: Arc<Self>) -> Checking {
        Box::pin(async move {
            let beat = lock(&self.jobs.0).beats.get(&self.config.key).cloned();
            judge(&self.config, &beat.unwrap_or_default(), self.now.now())
        })
    }
}

/// How a job fares.
fn judge(config: &HeartbeatConfig, beat: &Beat, now: Timestamp) -> Finding {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let (period, grace) = (millis(config.period), millis(config.grace));
    let at = |millis: Option<i64>| millis.map(|millis| Timestamp(millis).to_rfc3339());
    let due = beat.succeeded.map(|last| last.saturating_add(period));
    let late = |due: i64| now.0.saturating_sub(due);
    let overdue = beat.started.map(|started| late(started.saturating_add(period)));
    let text = |ms: i64| format_duration(Duration::from_secs(ms.max(0).unsigned_abs() / 1000));
    let finding = if beat.failing {
        Finding::fail("the job said that it failed")
    } else if let Some(ms) = overdue.filter(|&ms| ms > grace) {
        Finding::fail(format!("the job began and did not end; it is late by {}", text(ms)))
    } else {
        match due.map(late) {
            Some(ms) if ms > grace => Finding::fail(format!("the job is late by {}", text(ms))),
            Some(ms) if ms > 0 => Finding::warn(format!("the job is late by {}, within its grace", text(ms))),
            Some(_) => Finding::pass(),
            None => Finding::unknown("the job was never heard of"),
        }
    };
    finding
        .with("last_success", at(beat.succeeded))
        .with("last_failure", at(beat.failed))
        .with("running_since", at(beat.started))
        .with("due", at(due))
        .with("took_ms", beat.took_ms)
        .with("signals", beat.signals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Status;

    fn job() -> HeartbeatConfig {
        let (period, grace) = (Duration::from_secs(60), Duration::from_secs(10));
        HeartbeatConfig { key: "k".into(), name: "job".into(), period, grace }
    }

    /// How a job fares at a second, after these signals at theirs.
    fn check(signals: &[(i64, Signal)], at: i64, expected: Status) {
        let jobs = Heartbeats::new(&[job()]);
        for (second, signal) in signals {
            jobs.take("k", *signal, String::new(), Timestamp(second * 1000)).unwrap();
        }
        let beat = jobs.all()[0].1.clone();
        let finding = judge(&job(), &beat, Timestamp(at * 1000));
        assert_eq!(finding.status, expected, "{signals:?} at {at}: {:?}", finding.message);
    }

    #[test]
    fn a_job_has_to_be_heard_of() {
        use Signal::{Fail, Log, Start, Success};
        check(&[], 1_000_000, Status::Unknown);
        check(&[(5, Log)], 1_000, Status::Unknown);
        check(&[(0, Success)], 60, Status::Healthy);
        check(&[(0, Success)], 65, Status::Degraded);
        check(&[(0, Success)], 71, Status::Unhealthy);
        check(&[(0, Success), (80, Success)], 81, Status::Healthy);
        check(&[(0, Success), (10, Fail)], 11, Status::Unhealthy);
        check(&[(0, Fail), (10, Success)], 11, Status::Healthy);
        check(&[(0, Start)], 50, Status::Unknown);
        check(&[(0, Start)], 71, Status::Unhealthy);
        check(&[(0, Start), (50, Success)], 71, Status::Healthy);
    }

    #[test]
    fn unknown_keys_and_long_texts() {
        let jobs = Heartbeats::new(&[job()]);
        assert_eq!(jobs.take("other", Signal::Success, String::new(), Timestamp(0)), None);
        jobs.take("k", Signal::Start, String::new(), Timestamp(1_000)).unwrap();
        let ping = jobs.take("k", Signal::Success, "ü".repeat(9_999), Timestamp(4_000)).unwrap();
        assert_eq!(ping.text.len(), TEXT_BYTES_MAX);
        assert_eq!(jobs.all()[0].1.took_ms, Some(3_000));
        assert_eq!(jobs.take_changed().len(), 1);
        assert_eq!(jobs.take_changed().len(), 0);
    }

    #[test]
    fn what_was_heard_of_a_job_counts_when_it_is_configured_again() {
        let jobs = Heartbeats::new(&[job()]);
        jobs.take("k", Signal::Success, String::new(), Timestamp(1_000)).unwrap();
        jobs.configure(&[]);
        assert_eq!(
            (jobs.take("k", Signal::Fail, String::new(), Timestamp(2_000)), jobs.all()),
            (None, vec![])
        );
        assert_eq!(jobs.take_changed().len(), 1, "what was heard before is kept all the same");
        let longer = HeartbeatConfig { period: Duration::from_secs(3_600), ..job() };
        jobs.configure(std::slice::from_ref(&longer));
        let all = jobs.all();
        assert_eq!((&all[0].0, all[0].1.succeeded, all[0].1.failing), (&longer, Some(1_000), false));
    }
}
