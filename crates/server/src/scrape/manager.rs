//! Which targets there are, and a task for each.
//!
//! One task owns the jobs. It wakes when the configuration changes and every few seconds to look at target files;
//! targets that are new start, those that are gone end their series and stop, the others go on with what they know.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_model::Labels;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    DroppedTarget, Health, ScrapeCounts, Sink, TargetStatus,
    discovery::{TargetFiles, discover},
    fetch,
    status::{Counters, add},
    target::{Built, Target},
    task::{self, Order, Rules, Shared, SharedStatus},
};
use crate::{clock::Clock, config::ScrapeConfig};

/// How many dropped targets of a job are remembered for the targets page.
const DROPPED_MAX: usize = 1_000;

/// How targets are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Discovery {
    /// How often target files are looked at; every 5 seconds by default.
    pub file_interval: Duration,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { file_interval: Duration::from_secs(5) }
    }
}

/// Keeps targets scraped, from [`ScrapeManager::start`] until it is stopped or dropped.
pub struct ScrapeManager {
    configs: watch::Sender<Arc<[ScrapeConfig]>>,
    view: Arc<Mutex<View>>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the targets page shows.
#[derive(Default)]
struct View {
    active: Vec<SharedStatus>,
    dropped: Vec<DroppedTarget>,
}

impl ScrapeManager {
    /// Starts with no jobs. Has to be called inside a tokio runtime, where all scraping takes place.
    pub fn start(sink: Arc<dyn Sink>, clock: Arc<dyn Clock>, discovery: Discovery) -> Self {
        let (configs, orders) = watch::channel(Arc::from([]));
        let view = Arc::new(Mutex::new(View::default()));
        let shared = Arc::new(Shared { sink, clock, client: fetch::client(), counters: Counters::default() });
        let pools =
            Pools { shared: shared.clone(), view: view.clone(), pools: Vec::new(), tasks: JoinSet::new() };
        let task = tokio::spawn(pools.run(orders, discovery));
        Self { configs, view, shared, task }
    }

    /// Replaces the jobs. Targets that are in both the old and the new go on without a gap.
    pub fn apply(&self, configs: &[ScrapeConfig]) {
        self.configs.send_replace(configs.into());
    }

    /// All targets as they stand, by job.
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.watcher()()
    }

    /// The same for whoever holds no manager, for as long as there is one.
    pub fn watcher(&self) -> impl Fn() -> Vec<TargetStatus> + Send + Sync + use<> {
        let view = self.view.clone();
        move || {
            let active = lock(&view).active.clone();
            active.iter().map(|status| lock(status).clone()).collect()
        }
    }

    /// The addresses that became no targets; at most 1,000 a job.
    pub fn dropped_targets(&self) -> Vec<DroppedTarget> {
        lock(&self.view).dropped.clone()
    }

    /// What happened since the start.
    pub fn counts(&self) -> ScrapeCounts {
        self.shared.counters.read()
    }

    /// Stops scraping. Series get no staleness markers: whoever starts next goes on with them.
    pub async fn stop(mut self) {
        self.task.abort();
        // An aborted task ends with an error that says so.
        let _ = (&mut self.task).await;
    }
}

impl Drop for ScrapeManager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Pools {
    shared: Arc<Shared>,
    view: Arc<Mutex<View>>,
    pools: Vec<Pool>,
    /// The tasks of all targets; they end with this.
    tasks: JoinSet<()>,
}

struct Pool {
    config: ScrapeConfig,
    /// The configuration as targets know it; `None` when it is new.
    rules: Option<Arc<Rules>>,
    files: TargetFiles,
    targets: HashMap<Identity, Running>,
    dropped: Vec<DroppedTarget>,
}

type Identity = (Labels, String, Duration, Duration);

struct Running {
    orders: watch::Sender<Order>,
    status: SharedStatus,
}

impl Pools {
    async fn run(mut self, mut configs: watch::Receiver<Arc<[ScrapeConfig]>>, discovery: Discovery) {
        let mut ticks = tokio::time::interval(discovery.file_interval);
        loop {
            let is_new = tokio::select! {
                changed = configs.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                _ = ticks.tick() => false,
                Some(_) = self.tasks.join_next() => continue,
            };
            let given = is_new.then(|| configs.borrow_and_update().clone());
            self = match tokio::task::spawn_blocking(move || self.refresh(given)).await {
                Ok((pools, changed)) => pools.start_and_stop(changed),
                Err(error) => {
                    tracing::error!(%error, "looking for targets failed; scraping has stopped");
                    return;
                }
            };
        }
    }

    /// Takes new configurations and looks at files; which pools changed. Blocks.
    fn refresh(mut self, given: Option<Arc<[ScrapeConfig]>>) -> (Self, Vec<bool>) {
        let is_new = given.is_some();
        if let Some(configs) = given {
            self.take_configs(&configs);
        }
        let mut changed = Vec::new();
        for pool in &mut self.pools {
            let (files_changed, errors) = pool.files.refresh(&pool.config);
            for error in &errors {
                tracing::warn!(job = pool.config.job_name, %error, "a file of targets is not used; its last good targets stay");
            }
            add(&self.shared.counters.file_failures, errors.len() as u64);
            changed.push(is_new || files_changed);
        }
        (self, changed)
    }

    fn take_configs(&mut self, configs: &[ScrapeConfig]) {
        let mut old: HashMap<_, _> =
            mem::take(&mut self.pools).into_iter().map(|pool| (pool.config.job_name.clone(), pool)).collect();
        for config in configs {
            let pool = match old.remove(&config.job_name) {
                Some(pool) => Pool { config: config.clone(), rules: None, ..pool },
                None => Pool::new(config.clone()),
            };
            self.pools.push(pool);
        }
        for running in old.into_values().flat_map(|pool| pool.targets.into_values()) {
            running.orders.send_replace(Order::Leave);
        }
    }

    fn start_and_stop(mut self, changed: Vec<bool>) -> Self {
        for (pool, _) in self.pools.iter_mut().zip(&changed).filter(|(_, changed)| **changed) {
            pool.start_and_stop(&self.shared, &mut self.tasks);
        }
        let mut view = View::default();
        for pool in &self.pools {
            let mut active: Vec<_> = pool.targets.iter().collect();
            active.sort_by(|a, b| a.0.cmp(b.0));
            view.active.extend(active.into_iter().map(|(_, running)| running.status.clone()));
            view.dropped.extend(pool.dropped.iter().cloned());
        }
        *lock(&self.view) = view;
        self
    }
}

impl Pool {
    fn new(config: ScrapeConfig) -> Self {
        Self {
            config,
            rules: None,
            files: TargetFiles::default(),
            targets: HashMap::new(),
            dropped: Vec::new(),
        }
    }

    /// Makes the running targets those that discovery finds now.
    fn start_and_stop(&mut self, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
        let (found, dropped) = self.discover();
        self.dropped = dropped;
        let refused = self.over_limit(found.len());
        let known = self.rules.take().filter(|rules| rules.refused == refused);
        let are_new = known.is_none();
        let rules = known.unwrap_or_else(|| Arc::new(Rules { config: self.config.clone(), refused }));
        self.rules = Some(rules.clone());
        let mut old = mem::take(&mut self.targets);
        for (identity, target) in found {
            let running = match old.remove(&identity) {
                Some(running) => {
                    if are_new {
                        running.orders.send_replace(Order::Scrape(rules.clone()));
                    }
                    running
                }
                None => start(target, &self.config.job_name, rules.clone(), shared, tasks),
            };
            self.targets.insert(identity, running);
        }
        for ((labels, ..), running) in old {
            // Where another target writes the same series, from another place or at another pace, they go on.
            if self.targets.keys().all(|(other, ..)| *other != labels) {
                running.orders.send_replace(Order::Leave);
            }
        }
    }

    fn discover(&self) -> (HashMap<Identity, Target>, Vec<DroppedTarget>) {
        let (mut found, mut dropped) = (HashMap::new(), Vec::new());
        for built in discover(&self.config, &self.files) {
            let (discovered, error) = match built {
                Built::Target(target) => {
                    found.insert(target.identity(), target);
                    continue;
                }
                Built::Dropped(discovered) => (discovered, String::new()),
                Built::Invalid(discovered, error) => (discovered, error),
            };
            if dropped.len() < DROPPED_MAX {
                dropped.push(DroppedTarget { pool: self.config.job_name.clone(), discovered, error });
            }
        }
        (found, dropped)
    }

    fn over_limit(&self, targets: usize) -> Option<String> {
        let limit = self.config.limits.targets;
        let is_over = limit > 0 && targets as u64 > limit;
        is_over.then(|| format!("the job has {targets} targets, more than its limit of {limit}"))
    }
}

fn start(
    target: Target,
    pool: &str,
    rules: Arc<Rules>,
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> Running {
    let status = Arc::new(Mutex::new(TargetStatus {
        pool: pool.to_owned(),
        labels: target.labels.clone(),
        discovered: target.discovered.clone(),
        url: target.url.clone(),
        interval: target.interval,
        timeout: target.timeout,
        health: Health::Unknown,
        last_scrape: None,
        last_duration: Duration::ZERO,
        last_error: String::new(),
    }));
    let (orders, received) = watch::channel(Order::Scrape(rules));
    tasks.spawn(task::run(target, shared.clone(), status.clone(), received));
    Running { orders, status }
}
