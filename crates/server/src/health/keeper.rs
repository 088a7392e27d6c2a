//! What is done with health once a second, beside the checks themselves: transitions are kept, files that were set aside are
//! told, gauges follow, and now and then the cluster is told and history is pruned. At the end everything is kept and closed.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    CheckRefused, HISTORY, Health, HealthCheck, LIVES, PINGS, RECOVERIES,
    availability::{self, Availability},
    built_in,
    heartbeats::{HeartbeatCheck, check_name},
    lock,
    peers::Peer,
    probes::Probe,
    supervise::TasksCheck,
};
use crate::{
    Engine,
    config::{HealthConfig, HeartbeatConfig, NodeConfig, ProbeConfig},
    errors::chain,
    scrape::TargetStatus,
    server::stopped,
};

/// How often transitions are written.
const EVERY: Duration = Duration::from_secs(1);
/// The cluster is told so often, changed or not, in rounds of [`EVERY`].
const CLUSTER_ROUNDS: u64 = 15;
/// History is pruned so often; the first time soon, for whom starts often.
const PRUNE_ROUNDS: u64 = 3600;

/// What the built-in checks look at beside the engine.
pub(crate) struct Watched {
    /// The targets that are scraped, as they stand.
    pub(crate) targets: Box<dyn Fn() -> Vec<TargetStatus> + Send + Sync>,
}

impl Health {
    /// Has everything made that is built in or configured.
    pub(crate) fn begin(&self, config: &HealthConfig, engine: &Arc<Engine>) {
        let mut checks: Vec<(Option<&str>, Arc<dyn HealthCheck>)> = Vec::new();
        if config.built_in {
            checks.extend(built_in::all(engine, self).into_iter().map(|check| (None, check)));
            checks.push((None, Arc::new(TasksCheck(self.clone()))));
        }
        for probe in &config.checks {
            checks.push((None, Arc::new(Probe::new(probe, self.0.clock.clone()))));
        }
        for job in &config.heartbeats {
            checks.push((None, self.heartbeat(job)));
        }
        for node in &config.cluster {
            checks.push((Some(node.name.as_str()), Arc::new(Peer::new(node))));
        }
        for (node, check) in checks {
            self.add_or_say(node, check);
        }
        for (service, _) in self.0.services.all() {
            self.look_after(&service.id, engine);
        }
    }

    /// Has what another configuration says looked at elsewhere; what is looked at as before is left alone.
    pub(crate) fn replace_probes(&self, before: &[ProbeConfig], after: &[ProbeConfig]) {
        for gone in before.iter().filter(|probe| !after.contains(probe)) {
            self.remove(&gone.name);
        }
        for new in after.iter().filter(|probe| !before.contains(probe)) {
            self.add_or_say(None, Arc::new(Probe::new(new, self.0.clock.clone())));
        }
    }

    /// Has jobs that another configuration says heard of elsewhere; of a job that stays, what was heard counts.
    pub(crate) fn replace_heartbeats(&self, before: &[HeartbeatConfig], after: &[HeartbeatConfig]) {
        for gone in before.iter().filter(|job| !after.contains(job)) {
            self.remove(&check_name(&gone.key));
        }
        self.0.heartbeats.configure(after);
        for new in after.iter().filter(|job| !before.contains(job)) {
            self.add_or_say(None, self.heartbeat(new));
        }
    }

    /// Has other nodes asked how they fare.
    pub(crate) fn replace_nodes(&self, before: &[NodeConfig], after: &[NodeConfig]) {
        for gone in before.iter().filter(|node| !after.contains(node)) {
            self.remove(Peer::new(gone).name());
        }
        for new in after.iter().filter(|node| !before.contains(node)) {
            self.add_or_say(Some(&new.name), Arc::new(Peer::new(new)));
        }
    }

    fn heartbeat(&self, job: &HeartbeatConfig) -> Arc<dyn HealthCheck> {
        Arc::new(HeartbeatCheck::new(job.clone(), self.0.heartbeats.clone(), self.0.clock.clone()))
    }

    /// Has the targets of scrapes looked at.
    pub(crate) fn watch(&self, watched: Watched) {
        // Whoever scrapes may have been started again.
        self.remove("scrape_targets");
        self.add_or_say(None, built_in::targets(watched.targets));
    }

    fn add_or_say(&self, node: Option<&str>, check: Arc<dyn HealthCheck>) {
        let name = check.name().to_owned();
        if let Err(refused @ (CheckRefused::Known(_) | CheckRefused::TooMany)) = self.add_of(node, check) {
            tracing::error!(check = name, error = chain(&refused), "a health check is not made");
        }
    }

    /// Reads what was kept of earlier runs. Blocks on the disk.
    pub(crate) fn load(&self) {
        let loaded = self.0.heartbeats.load(&self.0.state).and_then(|()| self.0.services.load(&self.0.state));
        if let Err(error) = loaded {
            tracing::error!(
                error = chain(&error),
                "the state database cannot be read; health is told, and not kept for now"
            );
        }
        match Availability::begin(&self.0.state, &self.0.node, self.0.clock.now()) {
            Ok(availability) => drop(self.0.availability.set(availability)),
            Err(error) => tracing::warn!(error = chain(&error), "it is not known when the server served"),
        }
        self.say_set_aside();
    }

    /// Whether the state database takes and gives back what is written. Blocks on the disk.
    pub(super) fn probe_state(&self) -> Result<(), barograph_state::Error> {
        availability::sign(&self.0.state, &self.0.node, self.0.clock.now())
    }

    /// How much of the time the server served; `None` if that is not known.
    pub(crate) fn availability(&self) -> Option<&Availability> {
        self.0.availability.get()
    }

    /// Bytes of the state database.
    pub(crate) fn state_bytes(&self) -> u64 {
        self.0.state.bytes()
    }

    fn say_set_aside(&self) {
        if let Some(file) = self.0.state.take_set_aside() {
            self.0.instruments.set_aside.inc();
            tracing::warn!(
                path = file.path,
                reason = file.reason,
                "the state database was not what was written and was set aside; an empty one takes its place"
            );
        }
    }

    fn prune(&self) {
        let now = self.0.clock.now().0;
        let bounds = self.0.bounds;
        let pruned = self.0.state.write(|batch| {
            Ok(HISTORY.prune(batch, bounds, now)?
                + PINGS.prune(batch, bounds, now)?
                + RECOVERIES.prune(batch, bounds, now)?
                + LIVES.prune(batch, bounds, now)?)
        });
        match pruned {
            Ok(gone) => tracing::debug!(gone, "the history of health was pruned"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the history of health is not pruned for now");
            }
        }
    }

    fn end(&self) {
        for (_, task) in std::mem::take(&mut *lock(&self.0.tasks)) {
            task.task.abort();
        }
    }
}

/// Keeps and tells until told to stop.
pub(crate) async fn keep(health: Health, mut stopping: watch::Receiver<bool>) {
    for round in 1u64.. {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        let work = health.clone();
        let _ = tokio::task::spawn_blocking(move || {
            work.flush();
            work.say_set_aside();
            if round % PRUNE_ROUNDS == 60 {
                work.prune();
            }
        })
        .await;
        health.0.instruments.observe_components(&health);
        let cluster = health.cluster();
        if round % CLUSTER_ROUNDS == 0 {
            health.publish_cluster(&cluster);
        } else {
            health.0.instruments.observe_cluster(&cluster);
        }
    }
    health.end();
    let work = health.clone();
    let _ = tokio::task::spawn_blocking(move || {
        work.flush();
        if let Err(error) = work.probe_state() {
            tracing::warn!(error = chain(&error), "when the server ended is not kept");
        }
    })
    .await;
}
