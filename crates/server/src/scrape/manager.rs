//! Which targets there are, and a task for each.
//!
//! One task owns the jobs. It wakes when the configuration changes and every few seconds to look at target files;
//! targets that are new start, those that are gone end their series and stop, the others go on with what they know.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use barograph_model::Labels;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use super::{
    DroppedTarget, Health, ScrapeCounts, Sink, TargetStatus,
    status::{Counters, add},
    target::{Built, Target, build},
    task::{self, Order, Rules, Shared, SharedStatus},
    view::{PoolView, View},
};
use crate::{
    clock::Clock,
    config::ScrapeConfig,
    discovery::{Around, Discovered},
    outgoing::Client,
};

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
    view: View,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl ScrapeManager {
    /// Starts with no jobs. Has to be called inside a tokio runtime, where all scraping takes place.
    pub fn start(sink: Arc<dyn Sink>, clock: Arc<dyn Clock>, discovery: Discovery) -> Self {
        let (configs, orders) = watch::channel(Arc::from([]));
        let counters = Arc::<Counters>::default();
        let view = View::new(counters.clone());
        let shared = Arc::new(Shared { sink, clock, counters });
        let pools = Pools {
            shared: shared.clone(),
            view: view.clone(),
            pools: Vec::new(),
            tasks: JoinSet::new(),
            asked: Arc::default(),
        };
        let task = tokio::spawn(pools.run(orders, discovery));
        Self { configs, view, shared, task }
    }

    /// Replaces the jobs. Targets that are in both the old and the new go on without a gap.
    pub fn apply(&self, configs: &[ScrapeConfig]) {
        self.configs.send_replace(configs.into());
    }

    /// All targets as they stand, by job.
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.view.targets()
    }

    /// The same for whoever holds no manager, for as long as there is one.
    pub fn watcher(&self) -> impl Fn() -> Vec<TargetStatus> + Send + Sync + use<> {
        let view = self.view.clone();
        move || view.targets()
    }

    /// All that is told of targets, for whoever holds no manager.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// The addresses that became no targets; at most 1,000 a job.
    pub fn dropped_targets(&self) -> Vec<DroppedTarget> {
        self.view.dropped()
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

struct Pools {
    shared: Arc<Shared>,
    view: View,
    pools: Vec<Pool>,
    /// The tasks of all targets; they end with this.
    tasks: JoinSet<()>,
    /// Told when a place that was asked said something new.
    asked: Arc<Notify>,
}

struct Pool {
    config: ScrapeConfig,
    /// The configuration as targets know it; `None` when it is new.
    rules: Option<Arc<Rules>>,
    /// How targets are asked.
    client: Client,
    discovered: Discovered,
    targets: HashMap<Identity, Running>,
    dropped: Vec<DroppedTarget>,
    /// How many were dropped, those not remembered too.
    dropped_count: usize,
}

type Identity = (Labels, String, Duration, Duration);

struct Running {
    orders: watch::Sender<Order>,
    status: SharedStatus,
}

impl Pools {
    async fn run(mut self, mut configs: watch::Receiver<Arc<[ScrapeConfig]>>, discovery: Discovery) {
        let mut ticks = tokio::time::interval(discovery.file_interval);
        let asked = self.asked.clone();
        loop {
            let is_new = tokio::select! {
                changed = configs.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                _ = ticks.tick() => false,
                () = asked.notified() => false,
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
            let (found_changed, errors) = pool.discovered.refresh(&pool.config.discovery);
            for error in &errors {
                tracing::warn!(job = pool.config.job_name, %error, "a file of targets is not used; its last good targets stay");
            }
            add(&self.shared.counters.file_failures, errors.len() as u64);
            changed.push(is_new || found_changed);
        }
        (self, changed)
    }

    fn take_configs(&mut self, configs: &[ScrapeConfig]) {
        let mut old: HashMap<_, _> =
            mem::take(&mut self.pools).into_iter().map(|pool| (pool.config.job_name.clone(), pool)).collect();
        for config in configs {
            let pool = match old.remove(&config.job_name) {
                Some(pool) => {
                    let client = match pool.config.http == config.http {
                        true => pool.client.clone(),
                        false => Client::new(config.http.clone()),
                    };
                    Pool { config: config.clone(), client, rules: None, ..pool }
                }
                None => Pool::new(config.clone()),
            };
            self.pools.push(pool);
        }
        for pool in &mut self.pools {
            let around = Around {
                name: pool.config.job_name.clone(),
                changed: self.asked.clone(),
                failures: self.shared.counters.discovery_failures.clone(),
            };
            pool.discovered.apply(&pool.config.discovery, &around);
        }
        for running in old.into_values().flat_map(|pool| pool.targets.into_values()) {
            running.orders.send_replace(Order::Leave);
        }
    }

    fn start_and_stop(mut self, changed: Vec<bool>) -> Self {
        for (pool, _) in self.pools.iter_mut().zip(&changed).filter(|(_, changed)| **changed) {
            pool.start_and_stop(&self.shared, &mut self.tasks);
        }
        let pools = self.pools.iter().map(|pool| {
            let mut active: Vec<_> = pool.targets.iter().collect();
            active.sort_by(|a, b| a.0.cmp(b.0));
            PoolView {
                name: pool.config.job_name.clone(),
                rules: pool.config.relabel_configs.clone().into(),
                active: active.into_iter().map(|(_, running)| running.status.clone()).collect(),
                dropped: pool.dropped.clone(),
                dropped_count: pool.dropped_count,
            }
        });
        self.view.set(pools.collect());
        self
    }
}

impl Pool {
    fn new(config: ScrapeConfig) -> Self {
        Self {
            client: Client::new(config.http.clone()),
            config,
            rules: None,
            discovered: Discovered::default(),
            targets: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
        }
    }

    /// Makes the running targets those that discovery finds now.
    fn start_and_stop(&mut self, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
        let (found, dropped, dropped_count) = self.discover();
        (self.dropped, self.dropped_count) = (dropped, dropped_count);
        let refused = self.over_limit(found.len());
        let known = self.rules.take().filter(|rules| rules.refused == refused);
        let are_new = known.is_none();
        let rules = known.unwrap_or_else(|| {
            Arc::new(Rules { config: self.config.clone(), client: self.client.clone(), refused })
        });
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

    /// The targets, the dropped ones that are remembered, and how many were dropped.
    fn discover(&self) -> (HashMap<Identity, Target>, Vec<DroppedTarget>, usize) {
        let (mut found, mut dropped, mut count) = (HashMap::new(), Vec::new(), 0);
        let most = match self.config.limits.dropped {
            0 => DROPPED_MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX).min(DROPPED_MAX),
        };
        self.discovered.each(&self.config.discovery, |labels| {
            let (discovered, error) = match build(&self.config, labels) {
                Built::Target(target) => return drop(found.insert(target.identity(), target)),
                Built::Dropped(discovered) => (discovered, String::new()),
                Built::Invalid(discovered, error) => (discovered, error),
            };
            count += 1;
            if dropped.len() < most {
                dropped.push(DroppedTarget { pool: self.config.job_name.clone(), discovered, error });
            }
        });
        (found, dropped, count)
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
        failures: 0,
    }));
    let (orders, received) = watch::channel(Order::Scrape(rules));
    tasks.spawn(task::run(target, shared.clone(), status.clone(), received));
    Running { orders, status }
}
