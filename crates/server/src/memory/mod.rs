//! The memory budget: one number, the accounts that draw from it, and what is given up as it fills.
//!
//! Ten times a second the accounts (head, caches, log queue, queries, and what the empty process took) are added up and
//! compared with the anonymous resident memory that the system counts. The greater of the two decides which steps of the
//! [ladder](Step) are taken. Whoever lets work in asks [`Memory::sheds`] first; each change is a log line and a metric.

mod budget;
mod ladder;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use barograph_model::MemoryPool;
use barograph_tsdb::Stats;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(crate) use budget::{
    aliases_share, cache_share, default_budget, index_share, pending_share, results_share, series_share,
};
pub(crate) use ladder::Step;

use crate::{Engine, errors::chain, server::stopped};

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// The head is not cut early more often than this; the pause doubles up to the second as long as it does not help.
const CUT_PAUSE: Duration = Duration::from_secs(5);
const CUT_PAUSE_MAX: Duration = Duration::from_secs(300);
/// From this share of the budget on, what is freed goes back to the system at once; below, it may stay for a while.
const GIVE_BACK: f64 = 0.45;
/// When queries that held so much are over, what they freed goes back too. Else each arena of the allocator would keep as
/// much for a second.
const HEAVY_BYTES: u64 = 64 << 20;
/// Series without a sample for so long are forgotten when the head is cut early.
const IDLE: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug)]
pub struct Memory {
    budget: u64,
    /// What the process took before it opened its store.
    base: u64,
    /// What all running queries hold.
    pub queries: Arc<MemoryPool>,
    /// KiB for requests that are being stored.
    requests: Arc<Semaphore>,
    taken: [AtomicBool; Step::ALL.len()],
    seen: Mutex<Reading>,
}

/// What memory was used for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Anonymous resident memory of the process; zero where the system does not tell.
    pub resident: u64,
    /// Recent samples and their series.
    pub head: u64,
    /// Decoded blocks, and results that are kept.
    pub caches: u64,
    /// Samples that wait for the disk.
    pub log_queue: u64,
    /// What running queries hold.
    pub queries: u64,
    /// What the empty process took.
    pub base: u64,
}

impl Reading {
    /// The accounts by name.
    pub fn accounts(&self) -> [(&'static str, u64); 5] {
        [
            ("head", self.head),
            ("caches", self.caches),
            ("log_queue", self.log_queue),
            ("queries", self.queries),
            ("base", self.base),
        ]
    }

    /// The sum of all accounts.
    pub fn accounted(&self) -> u64 {
        self.accounts().iter().map(|account| account.1).sum()
    }

    /// How far resident memory is from the accounts, as a share of the accounts; positive where more is resident.
    pub fn drift(&self) -> f64 {
        if self.resident == 0 { 0.0 } else { self.resident as f64 / self.accounted().max(1) as f64 - 1.0 }
    }
}

impl Memory {
    /// A budget of `bytes`. To be made before there is anything in memory.
    pub(crate) fn new(bytes: u64) -> Self {
        let budget = bytes.max(budget::LEAST);
        Self {
            budget,
            base: budget::resident().unwrap_or(0),
            queries: Arc::new(MemoryPool::new(budget::query_share(budget))),
            requests: Arc::new(Semaphore::new(budget::requests_share(budget))),
            taken: Default::default(),
            seen: Mutex::default(),
        }
    }

    /// The budget, in bytes.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Whether a step is taken now.
    pub fn sheds(&self, step: Step) -> bool {
        self.taken[step as usize].load(Ordering::Relaxed)
    }

    /// Waits until there is room for a request that decodes to about `bytes`. It is given back when the turn is dropped.
    pub(crate) async fn turn(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let share = budget::requests_share(self.budget);
        let kib = u32::try_from((bytes >> 10).clamp(1, share)).unwrap_or(u32::MAX);
        // It is never closed.
        self.requests.clone().acquire_many_owned(kib).await.ok()
    }

    /// What was seen last.
    pub fn seen(&self) -> Reading {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The used share of the budget.
    pub fn used(&self) -> f64 {
        let seen = self.seen();
        seen.resident.max(seen.accounted()) as f64 / self.budget as f64
    }

    /// Takes a look; the steps that changed.
    fn look(&self, stats: &Stats, results: usize) -> Vec<(Step, bool)> {
        let seen = Reading {
            resident: budget::resident().unwrap_or(0),
            head: stats.head_bytes,
            caches: (stats.cache_bytes + results) as u64,
            log_queue: stats.wal_pending_bytes as u64,
            queries: self.queries.reserved(),
            base: self.base,
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        let used = self.used();
        let mut changed = Vec::new();
        for step in Step::ALL {
            let (before, now) = (self.sheds(step), step.taken(self.sheds(step), used));
            if now != before {
                self.taken[step as usize].store(now, Ordering::Relaxed);
                changed.push((step, now));
            }
        }
        changed
    }
}

/// Keeps to the budget until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, give_back: fn(bool), mut stopping: watch::Receiver<bool>) {
    let memory = engine.memory.clone();
    let mut gives_back = false;
    let (mut pause, mut cut_at) = (CUT_PAUSE, None);
    let mut cutting: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        for (step, taken) in memory.look(&engine.store.stats(), engine.results.bytes()) {
            let (step_name, used) = (step.as_str(), format!("{:.2}", memory.used()));
            if taken {
                engine.telemetry.memory_steps.with([step_name]).inc();
                tracing::warn!(
                    step = step_name,
                    used,
                    budget = memory.budget,
                    "memory is short: a step is taken"
                );
            } else {
                tracing::info!(step = step_name, used, "memory is enough again: a step is taken back");
            }
            if step == Step::Caches {
                let share = cache_share(memory.budget);
                engine.store.limit_cache(if taken { share / 8 } else { share });
                engine.results.shrink(taken);
            }
        }
        engine.telemetry.observe_memory(&memory);
        let (running, waiting) = (engine.queries.running().len(), engine.queries.waiting());
        engine.telemetry.observe_queries(running.saturating_sub(waiting), waiting);
        let fills = memory.used() >= GIVE_BACK - if gives_back { ladder::SLACK } else { 0.0 };
        if fills != gives_back {
            gives_back = fills;
            give_back(fills);
        }
        if memory.queries.take_given_back() >= HEAVY_BYTES && !gives_back {
            drop(tokio::task::spawn_blocking(move || [true, false].map(give_back)));
        }
        let now = engine.clock.monotonic();
        if !memory.sheds(Step::Head) {
            pause = CUT_PAUSE;
            continue;
        }
        let due = cut_at.is_none_or(|at| now.saturating_sub(at) >= pause);
        if due && cutting.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            pause = if cut_at.is_some() { (pause * 2).min(CUT_PAUSE_MAX) } else { pause };
            cut_at = Some(now);
            let work = engine.clone();
            cutting = Some(tokio::task::spawn_blocking(move || cut(&work)));
        }
    }
    if let Some(cutting) = cutting {
        let _ = cutting.await;
    }
}

fn cut(engine: &Engine) {
    match engine.store.shed(IDLE, engine.clock.now()) {
        Ok(forgotten) => tracing::info!(forgotten, "the head was cut early"),
        Err(error) => {
            engine.telemetry.maintenance_failures.inc();
            tracing::error!(error = chain(&error), "cutting the head early failed; it is tried again");
        }
    }
}
