//! Tasks of the server that are started again when they panic, within a limit, with a record of it.
//!
//! A task that ends by itself is not started again: it was told to stop. After [`RESTARTS_MAX`] restarts within
//! [`WITHIN`] it is given up, and the component `tasks` is unhealthy until the server is started anew.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use barograph_state::{Event, History};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    Checking, Finding, Health, HealthCheck, Pending, Plan, lock,
    runner::{Abort, text_of},
};
use crate::server::stopped;

/// A task may be started again so often.
const RESTARTS_MAX: usize = 5;
/// Within so long.
const WITHIN: Duration = Duration::from_secs(3600);
/// It is left alone for so long before the first restart; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(100);
/// A restart is told as degraded for so long.
const REMEMBERED: Duration = Duration::from_secs(300);
/// What was done for whom, by the name of the task.
pub(super) const RECOVERIES: History<Recovery> = History::new("recoveries");

/// Something that was done so that a part of the server works again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// The task.
    pub(crate) task: String,
    /// `restarted` or `given_up`.
    pub(crate) action: String,
    /// Why it had to be.
    pub(crate) reason: String,
    /// How often it was started again within the hour.
    pub(crate) restarts: usize,
}

/// The tasks that were started again: when, by the monotonic clock.
#[derive(Clone, Default)]
pub(super) struct Restarts(Arc<Mutex<BTreeMap<&'static str, Life>>>);

#[derive(Default)]
struct Life {
    restarts: VecDeque<Duration>,
    given_up: bool,
}

/// Starts a task, for the first time or again.
pub(crate) type Start = Box<dyn FnMut() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

impl Health {
    /// Runs a task of the server until it ends, and starts it again when it panics.
    pub(crate) fn supervise(
        &self,
        name: &'static str,
        mut stopping: watch::Receiver<bool>,
        mut start: Start,
    ) -> JoinHandle<()> {
        let health = self.clone();
        tokio::spawn(async move {
            loop {
                let mut task = Abort(tokio::spawn(start()));
                let Err(error) = (&mut task.0).await else { return };
                let Ok(panic) = error.try_into_panic() else { return };
                let reason = text_of(&*panic);
                let Some(pause) = health.failed(name, &reason) else { return };
                tokio::select! {
                    () = stopped(&mut stopping) => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        })
    }

    /// Notes that a task panicked; how long to wait before it is started again, if it is.
    fn failed(&self, task: &'static str, reason: &str) -> Option<Duration> {
        let now = self.0.clock.monotonic();
        let restarts = {
            let mut lives = lock(&self.0.restarts.0);
            let life = lives.entry(task).or_default();
            while life.restarts.front().is_some_and(|at| now.saturating_sub(*at) > WITHIN) {
                life.restarts.pop_front();
            }
            if life.restarts.len() == RESTARTS_MAX {
                life.given_up = true;
            } else {
                life.restarts.push_back(now);
            }
            (!life.given_up).then_some(life.restarts.len())
        };
        let action = if restarts.is_some() { "restarted" } else { "given_up" };
        match restarts {
            Some(restarts) => tracing::error!(task, reason, restarts, "a task panicked and is started again"),
            None => tracing::error!(task, reason, "a task panicked too often and is given up"),
        }
        let value = Recovery {
            task: task.to_owned(),
            action: action.to_owned(),
            reason: reason.to_owned(),
            restarts: restarts.unwrap_or(RESTARTS_MAX),
        };
        self.0.instruments.recoveries.with([task, action]).inc();
        self.keep(Pending::Recovery(Event { subject: task.to_owned(), at: self.0.clock.now().0, value }));
        self.wake(CHECK);
        let doubled = u32::try_from(restarts?.saturating_sub(1)).unwrap_or(u32::MAX);
        Some(PAUSE * 2u32.saturating_pow(doubled))
    }

    /// What was done for the tasks, oldest first. May block on the disk.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub(crate) fn recoveries(&self) -> Result<Vec<Event<Recovery>>, barograph_state::Error> {
        self.flush();
        let tasks: Vec<_> = lock(&self.0.restarts.0).keys().copied().collect();
        let mut all = Vec::new();
        for task in TASKS.iter().copied().chain(tasks.into_iter().filter(|task| !TASKS.contains(task))) {
            let of = self.0.state.read(|view| RECOVERIES.of(view, task, i64::MIN..i64::MAX, 100))?;
            all.extend(of);
        }
        all.sort_by_key(|event| event.at);
        Ok(all)
    }
}

/// The tasks of the server that are started again.
pub(crate) const TASKS: [&str; 4] = ["collect", "maintenance", "memory", "scraping"];
const CHECK: &str = "tasks";

/// Looks at the tasks.
pub(super) struct TasksCheck(pub(super) Health);

impl HealthCheck for TasksCheck {
    fn name(&self) -> &str {
        CHECK
    }

    fn plan(&self) -> Plan {
        Plan { essential: true, ..Plan::every(Duration::from_secs(15)).at_once() }
    }

    fn check(self: Arc<Self>) -> Checking {
        Box::pin(async move {
            let now = self.0.0.clock.monotonic();
            let lives = lock(&self.0.0.restarts.0);
            let given_up: Vec<&str> =
                lives.iter().filter(|(_, life)| life.given_up).map(|(task, _)| *task).collect();
            let recent =
                |life: &Life| life.restarts.back().is_some_and(|at| now.saturating_sub(*at) < REMEMBERED);
            let restarted: Vec<&str> =
                lives.iter().filter(|(_, life)| recent(life)).map(|(task, _)| *task).collect();
            let finding = if !given_up.is_empty() {
                Finding::fail(format!("tasks panicked too often and were given up: {}", given_up.join(", ")))
            } else if !restarted.is_empty() {
                Finding::warn(format!("tasks panicked and were started again: {}", restarted.join(", ")))
            } else {
                Finding::pass()
            };
            let restarts: usize = lives.values().map(|life| life.restarts.len()).sum();
            finding.with("restarts", restarts)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use barograph::{Registry, session::Sessions};
    use barograph_disk::MemoryDisk;
    use barograph_state::State;

    use super::*;
    use crate::{
        clock::SystemClock,
        config::HealthConfig,
        events::Events,
        health::{Instruments, Status},
    };

    /// Runs a task that panics so often before it ends by itself; what is recorded of it, and the status of the tasks.
    async fn check(panics: u32) -> (u32, Vec<String>, Status) {
        let clock = Arc::new(SystemClock::new());
        let events = Events::new(&Sessions::new(Default::default()), clock.clone());
        let instruments = Instruments::register(&Registry::new(), false).unwrap();
        let state = Arc::new(State::unopened(Arc::new(MemoryDisk::new())));
        let health = Health::new(&HealthConfig::default(), state, clock, events, instruments);
        let starts = Arc::new(AtomicU32::new(0));
        let counted = starts.clone();
        let (_stop, stopping) = watch::channel(false);
        let start: Start = Box::new(move || {
            let start = counted.fetch_add(1, Relaxed);
            Box::pin(async move { assert!(start >= panics, "start {start} fails") })
        });
        health.supervise("collect", stopping, start).await.unwrap();
        let recoveries = health.recoveries().unwrap();
        let actions = recoveries.iter().map(|event| event.value.action.clone()).collect();
        let finding = Arc::new(TasksCheck(health)).check().await;
        (starts.load(Relaxed), actions, finding.status)
    }

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_within_a_limit() {
        assert_eq!(check(0).await, (1, vec![], Status::Healthy));
        let (starts, actions, status) = check(2).await;
        assert_eq!((starts, actions, status), (3, vec!["restarted".to_owned(); 2], Status::Degraded));
        let (starts, actions, status) = check(100).await;
        assert_eq!((starts, status), (6, Status::Unhealthy));
        assert_eq!((actions.len(), actions[5].as_str()), (6, "given_up"));
    }
}
