//! Health: checks that are made again and again, and what they say of components, of the server, of the cluster.
//!
//! - `check`: what a check is, and what it may find; `built_in` and `probes`: those there are
//! - `runner`: one task a check, so that one that hangs, fails or panics holds up no other
//! - `judge`, `board`, `score`: what runs amount to; plain data and pure functions
//! - `messages`: the documents
//! - `services`: those that registered, and what their figures should be
//! - `heartbeats`: jobs that say that they live
//! - `supervise`: tasks of the server that are started again when they panic
//! - `keeper`: what is told and kept of all that, once a second: live events, gauges, history in the state database
//!
//! Of history only transitions are written, and runs of a check only as far as they change its status. Whatever goes wrong
//! with keeping or telling never touches a check.

mod availability;
mod board;
mod built_in;
mod check;
mod heartbeats;
mod instruments;
mod judge;
mod keeper;
mod messages;
mod peers;
mod probes;
mod runner;
mod score;
mod services;
mod supervise;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph_model::Timestamp;
use barograph_state::{Bounds, Event, History, State};
use serde_json::{Map, Value, json};
use tokio::{sync::Notify, task::AbortHandle};

use crate::{
    clock::Clock,
    config::HealthConfig,
    errors::chain,
    events::{Bus, Events},
    logging::messages as lines,
};
use availability::Availability;
use board::{Board, Change, Ended, Taken};
pub use check::{Checking, Finding, HealthCheck, Plan};
pub(crate) use heartbeats::{Heartbeats, Ping, Signal, TEXT_BYTES_MAX as PING_BYTES_MAX};
pub(crate) use instruments::Instruments;
pub(crate) use keeper::{Watched, keep};
use messages::SystemAlert;
pub(crate) use messages::standard;
pub use messages::{
    CheckResult, ClusterHealth, ComponentHealth, HealthCheck as HealthCheckMessage, Quorum, Status,
};
pub use score::{Part, Score};
use services::{LIVES, Services, Step};
pub(crate) use services::{Service, ServiceRefused, Stage};
pub(crate) use supervise::Start;
use supervise::{RECOVERIES, Recovery, Restarts};

/// Checks there may be.
pub(crate) const CHECKS_MAX: usize = 1_000;
/// Transitions that wait to be kept; the oldest goes first.
const PENDING_MAX: usize = 10_000;
/// Events of history that one request is given.
pub(crate) const HISTORY_MAX: usize = 10_000;
/// Transitions, as the documents that tell them: of `component/NAME`, `check/NAME` and `cluster`.
const HISTORY: History<Value> = History::new("health");
/// Signals of jobs, by key.
const PINGS: History<Ping> = History::new("pings");

/// The health of a server. Cloning is cheap, and clones are the same.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    node: String,
    clock: Arc<dyn Clock>,
    events: Events,
    state: Arc<State>,
    availability: OnceLock<Availability>,
    bounds: Bounds,
    board: Mutex<Board>,
    tasks: Mutex<BTreeMap<String, Task>>,
    heartbeats: Heartbeats,
    instruments: Instruments,
    services: Services,
    restarts: Restarts,
    pending: Mutex<VecDeque<Pending>>,
    /// Transitions that were dropped before they were kept.
    dropped: AtomicU64,
}

struct Task {
    task: AbortHandle,
    /// Asks for a run at once.
    wake: Arc<Notify>,
}

/// What waits to be kept.
enum Pending {
    Change(Event<Value>),
    Ping(Event<Ping>),
    Recovery(Event<Recovery>),
    Step(Event<Step>),
}

/// Why a check is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckRefused {
    /// There is one of that name.
    #[error("there is a check {0:?} already")]
    Known(String),
    /// There are as many as there may be.
    #[error("there are {CHECKS_MAX} checks, and no room for one more")]
    TooMany,
}

impl Health {
    pub(crate) fn new(
        config: &HealthConfig,
        state: Arc<State>,
        clock: Arc<dyn Clock>,
        events: Events,
        instruments: Instruments,
    ) -> Self {
        let node = config.node.clone().unwrap_or_else(crate::surroundings::host_name);
        let age_ms = i64::try_from(config.history.as_millis()).unwrap_or(i64::MAX);
        Self(Arc::new(Inner {
            board: Mutex::new(Board::new(&node)),
            node,
            clock,
            events,
            state,
            availability: OnceLock::new(),
            bounds: Bounds { per_subject: 1_000, total: 100_000, age_ms },
            tasks: Mutex::default(),
            heartbeats: Heartbeats::new(&config.heartbeats),
            instruments,
            services: Services::default(),
            restarts: Restarts::default(),
            pending: Mutex::default(),
            dropped: AtomicU64::new(0),
        }))
    }

    /// The name of this node.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// Has a check made from now on, the first time at once. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// There is one of that name, or there are too many.
    pub fn add(&self, check: impl HealthCheck) -> Result<(), CheckRefused> {
        self.add_of(None, Arc::new(check))
    }

    /// As [`Health::add`], of a check that looks at another node.
    pub(crate) fn add_of(&self, node: Option<&str>, check: Arc<dyn HealthCheck>) -> Result<(), CheckRefused> {
        let name = check.name().to_owned();
        {
            let mut board = self.board();
            if board.len() >= CHECKS_MAX {
                return Err(CheckRefused::TooMany);
            }
            if !board.add(&name, check.component(), node, check.plan()) {
                return Err(CheckRefused::Known(name));
            }
        }
        let wake = Arc::new(Notify::new());
        let task = tokio::spawn(runner::run(self.clone(), check, wake.clone())).abort_handle();
        lock(&self.0.tasks).insert(name, Task { task, wake });
        Ok(())
    }

    /// Ends a check and forgets it; whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let task = lock(&self.0.tasks).remove(name);
        if let Some(task) = &task {
            task.task.abort();
        }
        self.board().remove(name);
        task.is_some()
    }

    /// Has a check made at once, not when it is due.
    pub fn wake(&self, name: &str) {
        if let Some(task) = lock(&self.0.tasks).get(name) {
            task.wake.notify_one();
        }
    }

    /// How the server is, and what is worst about it.
    pub fn overall(&self) -> (Status, Option<String>) {
        self.board().overall(self.0.clock.now())
    }

    /// What each component is.
    pub fn components(&self) -> Vec<ComponentHealth> {
        let (board, now) = (self.board(), self.0.clock.now());
        board.names().iter().filter_map(|name| board.component(name, now)).collect()
    }

    /// One component.
    pub fn component(&self, name: &str) -> Option<ComponentHealth> {
        self.board().component(name, self.0.clock.now())
    }

    /// The last run of each check; none of those that did not run yet.
    pub fn checks(&self) -> Vec<HealthCheckMessage> {
        self.runs().into_iter().map(|(_, _, run)| run).collect()
    }

    /// The same with component and status of each.
    pub(crate) fn runs(&self) -> Vec<(String, Status, HealthCheckMessage)> {
        let board = self.board();
        let run = |(_, known, status): (_, &board::Known, _)| {
            Some((known.component.clone(), status, known.last.clone()?))
        };
        board.checks(self.0.clock.now()).filter_map(run).collect()
    }

    /// The checks without which the server is not healthy.
    pub(crate) fn essential(&self) -> Vec<(String, Status)> {
        self.board().essential(self.0.clock.now())
    }

    /// The cluster as this node sees it.
    pub fn cluster(&self) -> ClusterHealth {
        let now = self.0.clock.now();
        ClusterHealth::of(&self.board().nodes(now), now)
    }

    /// The jobs that say that they live.
    pub(crate) fn heartbeats(&self) -> &Heartbeats {
        &self.0.heartbeats
    }

    /// Takes a signal of a job; `None` if there is none of that key.
    pub(crate) fn ping(&self, key: &str, signal: Signal, text: String) -> Option<()> {
        let at = self.0.clock.now();
        let ping = self.0.heartbeats.take(key, signal, text, at)?;
        self.keep(Pending::Ping(Event { subject: key.to_owned(), at: at.0, value: ping }));
        self.wake(&heartbeats::check_name(key));
        Some(())
    }

    /// The last signals of a job, oldest first. May block on the disk.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub(crate) fn pings(&self, key: &str, limit: usize) -> Result<Vec<Event<Ping>>, barograph_state::Error> {
        self.0.state.read(|view| PINGS.of(view, key, i64::MIN..i64::MAX, limit))
    }

    /// Transitions of a subject from one time to another, oldest first, the last `limit` of them. May block on the disk.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub(crate) fn history(
        &self,
        subject: &str,
        times: std::ops::Range<i64>,
        limit: usize,
    ) -> Result<Vec<Event<Value>>, barograph_state::Error> {
        self.flush();
        self.0.state.read(|view| HISTORY.of(view, subject, times, limit.min(HISTORY_MAX)))
    }

    /// Takes one run of a check: updates what is known, tells who listens, keeps what changed.
    fn take(&self, name: &str, ended: Ended, took: Duration) {
        let now = self.0.clock.now();
        let (taken, before, after) = {
            let mut board = self.board();
            let before = board.overall(now).0;
            let Some(taken) = board.take(name, ended, took, now) else { return };
            (taken, before, board.overall(now))
        };
        self.0.instruments.ran(&taken);
        self.0.events.publish(Bus::Health, "health_check", "health_check", &taken.check);
        self.0.events.publish(Bus::Health, "component_health", "component_health", &taken.component);
        if taken.check_change.is_some() {
            self.keep_document(format!("check/{name}"), now, &taken.check);
        }
        if let Some(change) = taken.component_change {
            let component = &taken.component;
            self.keep_document(format!("component/{}", component.component), now, component);
            log(component, change);
            match &taken.of_node {
                None => self.alert_component(&taken, change, now),
                Some(node) => {
                    self.tell_cluster();
                    let answered = taken.check.details.contains_key("node_status");
                    self.alert_other_node(node, answered, change, now);
                }
            }
        }
        if before != after.0 {
            self.tell_cluster();
            self.alert_node(before, &after, now);
        }
    }

    /// Tells how the cluster is, and keeps it.
    fn tell_cluster(&self) {
        let cluster = self.cluster();
        self.keep_document("cluster".to_owned(), self.0.clock.now(), &cluster);
        self.publish_cluster(&cluster);
    }

    fn publish_cluster(&self, cluster: &ClusterHealth) {
        self.0.instruments.observe_cluster(cluster);
        self.0.events.publish(Bus::Health, "cluster_health", "cluster_health_updated", cluster);
    }

    fn alert_component(&self, taken: &Taken, change: Change, now: Timestamp) {
        let component = &taken.component;
        // What another component causes is told of that one.
        let failed = change.to == Status::Unhealthy && !taken.caused;
        if !failed && change.from != Status::Unhealthy {
            return;
        }
        let name = component.component.as_str();
        let kind = if name == "persistence" || name == "store" {
            "persistence_failure"
        } else {
            "component_failure"
        };
        let message = component.details.get("message").and_then(Value::as_str).unwrap_or_default();
        let message = match failed {
            true => format!("Component {name} of node {} is unhealthy: {message}", self.0.node),
            false => format!("Component {name} of node {} is {}", self.0.node, change.to.as_str()),
        };
        let context = json!({"node": self.0.node, "component": name, "status": change.to, "details": component.details});
        self.alert(kind, failed, taken.essential, message, context, now);
    }

    fn alert_node(&self, before: Status, (after, why): &(Status, Option<String>), now: Timestamp) {
        let failed = *after == Status::Unhealthy;
        if !failed && before != Status::Unhealthy {
            return;
        }
        let node = &self.0.node;
        let message = match failed {
            true => format!("Node {node} is unhealthy: {}", why.as_deref().unwrap_or_default()),
            false => format!("Node {node} is {}", after.as_str()),
        };
        self.alert_node_failure(node, message, failed, now);
    }

    fn alert_other_node(&self, node: &str, answered: bool, change: Change, now: Timestamp) {
        match (change.from, change.to) {
            (_, Status::Unhealthy) => {
                let what = if answered { "says that it is unhealthy" } else { "has become unresponsive" };
                self.alert_node_failure(node, format!("Node {node} {what}"), true, now);
            }
            (Status::Unhealthy, to) => {
                let message = format!("Node {node} is {}", to.as_str());
                self.alert_node_failure(node, message, false, now);
            }
            _ => {}
        }
    }

    /// Tells that a node failed, or that it is back.
    fn alert_node_failure(&self, failed_node: &str, message: String, failed: bool, now: Timestamp) {
        let cluster = self.cluster();
        let context = json!({
            "failed_node": failed_node,
            "node": self.0.node,
            "cluster_size": cluster.total_nodes,
            "quorum_status": cluster.quorum_status,
            "estimated_recovery_time": null,
        });
        self.alert("node_failure", failed, true, message, context, now);
    }

    fn alert(
        &self,
        kind: &str,
        failed: bool,
        critical: bool,
        message: String,
        context: Value,
        now: Timestamp,
    ) {
        let severity = match (failed, critical) {
            (false, _) => "info",
            (true, false) => "warning",
            (true, true) => "critical",
        };
        let context = if let Value::Object(context) = context { context } else { Map::new() };
        let alert = SystemAlert {
            alert_type: kind.to_owned(),
            severity: severity.to_owned(),
            message,
            context,
            timestamp: now.to_rfc3339(),
        };
        self.0.events.publish(Bus::Alerts, kind, "system_alert", &alert);
    }

    fn keep_document(&self, subject: String, at: Timestamp, document: &impl serde::Serialize) {
        if let Ok(value) = serde_json::to_value(document) {
            self.keep(Pending::Change(Event { subject, at: at.0, value }));
        }
    }

    fn keep(&self, pending: Pending) {
        let mut queue = lock(&self.0.pending);
        if queue.len() == PENDING_MAX {
            queue.pop_front();
            self.0.dropped.fetch_add(1, Relaxed);
            self.0.instruments.dropped.inc();
        }
        queue.push_back(pending);
    }

    /// Writes what waits. What cannot be written waits on. Blocks on the disk.
    fn flush(&self) {
        let batch: Vec<_> = lock(&self.0.pending).drain(..).collect();
        let beats = self.0.heartbeats.take_changed();
        let services = self.0.services.take_changed();
        if batch.is_empty() && beats.is_empty() && services.is_empty() {
            return;
        }
        let written = self.0.state.write(|writing| {
            for pending in &batch {
                match pending {
                    Pending::Change(event) => HISTORY.push(writing, event)?,
                    Pending::Ping(event) => PINGS.push(writing, event)?,
                    Pending::Recovery(event) => RECOVERIES.push(writing, event)?,
                    Pending::Step(event) => LIVES.push(writing, event)?,
                }
            }
            services::write(writing, &services)?;
            heartbeats::write(writing, &beats)
        });
        if let Err(error) = written {
            tracing::debug!(error = chain(&error), "the history of health is not kept for now");
            let mut queue = lock(&self.0.pending);
            for pending in batch.into_iter().rev().take(PENDING_MAX - queue.len()) {
                queue.push_front(pending);
            }
            self.0.heartbeats.changed(beats.into_iter().map(|(key, _)| key));
            self.0.services.changed(services.into_iter().map(|(id, _)| id));
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.0.board)
    }
}

/// What a component is now, and what that means; nothing of one that is well from the first.
fn log(component: &ComponentHealth, change: Change) {
    if (change.from, change.to) == (Status::Unknown, Status::Healthy) {
        return;
    }
    let reason = component.details.get("message").and_then(Value::as_str);
    lines::health_event(&component.component, change.to.as_str(), reason.unwrap_or("its checks pass"));
    lines::health_impact(&component.component, change.to.as_str());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
